"""Sources: async context managers that yield frozen records stamped with their capture time. Named by URI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """A microphone, a camera, or a file that stands in for one."""

    name: str
    """The URI it was opened with."""
    live: bool
    """True for a device, false for a file, which ends."""
    dropped: int
    """Records that the device delivered and nobody took in time."""
    warnings: list[str]
    """What the person should know about it, complete once entered."""

    async def __aenter__(self) -> AsyncIterator[T_co]:
        """Open. Raises `DeviceMissing`, or what reading the file raises."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the device; a blocked read does not hold this up."""
        ...
