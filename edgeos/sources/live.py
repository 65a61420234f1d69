"""A camera that is really there: the newest picture wins, and a read that blocks holds nothing up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from edgeos.clock import Clock
from edgeos.errors import DeviceMissing
from edgeos.events import CameraFrame, Image

OPEN_S, SILENT_S, JOIN_S = 12.0, 5.0, 1.0
"""Seconds until a device that does not open, one that gives no picture, and a blocked read at the end are given up."""


class Capture(Protocol):
    """What we use of `cv2.VideoCapture`."""

    def isOpened(self) -> bool: ...  # noqa: N802, D102 - OpenCV's name
    def grab(self) -> bool: ...  # noqa: D102
    def retrieve(self) -> tuple[bool, Any]: ...  # noqa: D102
    def get(self, prop: int) -> float: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102


class LiveCamera:
    """A device, read on a daemon thread of its own: the newest picture wins, a blocked read holds nothing up."""

    live = True

    def __init__(self, name: str, device: Callable[[], Capture], clock: Clock, fps: float) -> None:
        """`device` opens the camera, on the thread; at most `fps` pictures a second are converted."""
        self.name, self.dropped, self.warnings = name, 0, list[str]()
        self._device, self._clock, self._step_ns = device, clock, int(1e9 / fps)
        self._stop = threading.Event()
        self._newest: CameraFrame | None = None
        self._failed = False

    async def __aenter__(self) -> AsyncIterator[CameraFrame]:
        self._loop, self._arrived = asyncio.get_running_loop(), asyncio.Event()
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(opened,), name="edgeos-camera", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(OPEN_S):
                await asyncio.wrap_future(opened)
        except BaseException as error:
            await self._leave()
            if isinstance(error, TimeoutError):
                raise self._missing(f"no answer in {OPEN_S:.0f} s") from error
            raise
        return self._frames()

    def _missing(self, found: str) -> DeviceMissing:
        fix = (
            "check the address, the password and the network"
            if self.name.startswith("rtsp:")
            else "plug it in, close other programs that use it, check the permissions of /dev/video*, or give "
            "`--camera image:FILE`, or `--camera null:` for none"
        )
        return DeviceMissing(f"camera {self.name}", expected="a camera that gives pictures", found=found, fix=fix)

    def _serve(self, opened: Future[None]) -> None:
        if not opened.set_running_or_notify_cancel():
            return
        try:
            capture = self._device()
            if not capture.isOpened():
                capture.release()
                raise self._missing("none that opens")
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        next_ns = self._clock.now_ns()
        try:
            while not self._stop.is_set() and capture.grab():
                t_ns = self._clock.now_ns()
                if t_ns < next_ns:
                    continue  # grabbed all the same, so that the driver's queue holds nothing old
                next_ns = max(next_ns + self._step_ns, t_ns)
                ok, bgr = capture.retrieve()
                if not ok:
                    break
                self._tell(CameraFrame(rgb(bgr), t_ns, self.name))
        finally:
            capture.release()
            self._tell(None)

    def _tell(self, frame: CameraFrame | None) -> None:
        """Hand a picture, or the end, to the event loop; where that is closed there is nobody to tell."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, frame)

    def _take(self, frame: CameraFrame | None) -> None:
        if frame is None:
            self._failed = True
        else:
            self.dropped += self._newest is not None
            self._newest = frame
        self._arrived.set()

    async def _frames(self) -> AsyncIterator[CameraFrame]:
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    await self._arrived.wait()
            except TimeoutError as error:
                raise self._missing(f"no picture for {SILENT_S:.0f} s") from error
            self._arrived.clear()
            frame, self._newest = self._newest, None
            if frame is not None:
                yield frame
            if self._failed:
                raise self._missing("it stopped giving pictures")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        self._stop.set()
        await asyncio.to_thread(self._thread.join, JOIN_S)


def rgb(bgr: Any) -> Image:
    """OpenCV's order of colours to ours."""
    return np.ascontiguousarray(bgr[:, :, ::-1])
