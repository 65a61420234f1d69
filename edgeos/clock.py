"""The Clock port: one monotonic time for everything, so that tests can bring their own."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time and waiting. `edgeos.testing.VirtualClock` is the fake."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start, never going back."""
        ...

    async def sleep_until(self, t_ns: int) -> None:
        """Return at `t_ns`, or at once (after letting other tasks run) where that has passed."""
        ...


class MonotonicClock:
    """The machine's own monotonic clock."""

    def now_ns(self) -> int:
        """Nanoseconds of `time.monotonic_ns`."""
        return time.monotonic_ns()

    async def sleep_until(self, t_ns: int) -> None:
        """Sleep on the event loop until `t_ns`."""
        await asyncio.sleep(max(0, t_ns - self.now_ns()) / 1e9)
