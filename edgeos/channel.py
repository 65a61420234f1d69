"""Links between stages: bounded, each with a named overflow policy, closable, counted."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Overflow = Literal["wait", "drop_oldest", "latest"]


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """Counters of one link; `dropped` is what an overflow policy threw away."""

    sent: int
    received: int
    dropped: int
    buffered: int
    peak: int


class ChannelClosed(Exception):
    """Raised by `send` after `close`."""


class Channel(Generic[T]):
    """A bounded queue for one event loop.

    `wait` holds the sender back when full, `drop_oldest` makes room, `latest` keeps one item only. `close` lets the
    receiver take what is buffered and then ends its `async for`.
    """

    def __init__(self, capacity: int, overflow: Overflow = "wait") -> None:
        """Hold at most `capacity` items (one under `latest`)."""
        self._capacity = 1 if overflow == "latest" else capacity
        self._overflow = overflow
        self._items: deque[T] = deque()
        self._changed = asyncio.Condition()
        self._closed = False
        self._sent = self._received = self._dropped = self._peak = 0

    async def send(self, item: T) -> None:
        """Put an item in, by the link's policy. Raises `ChannelClosed`."""
        async with self._changed:
            if self._overflow == "wait":
                await self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                raise ChannelClosed
            if len(self._items) >= self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._sent += 1
            self._peak = max(self._peak, len(self._items))
            self._changed.notify_all()

    async def __aenter__(self) -> Channel[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the link; closing twice is allowed. `async with channel` closes it at the end of the block."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __aiter__(self) -> Channel[T]:
        return self

    async def __anext__(self) -> T:
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or bool(self._items))
            if not self._items:
                raise StopAsyncIteration
            self._received += 1
            self._changed.notify_all()
            return self._items.popleft()

    def statistics(self) -> ChannelStats:
        """Return the counters so far."""
        return ChannelStats(self._sent, self._received, self._dropped, len(self._items), self._peak)
