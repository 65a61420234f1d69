"""Cameras, and files that stand in for one, named by URI. The only file that opens a video device.

    camera:0[?fps=5&width=1280&height=720]   a camera of this machine (or camera:/dev/video2)
    rtsp://HOST/PATH[?…]                       a network camera; what follows "?" belongs to it
    video:PATH[?fps=1&pace=fast]             a video file, sampled
    dir:PATH[?every=2&pace=fast]             the pictures of a folder in the order of their names, one every 2 s
    image:PATH                               one picture, once
    null:                                    no pictures at all

A file paces itself in real time unless `pace=fast`; its pictures are stamped as if it did.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from edgeos.clock import Clock
from edgeos.errors import BadConfig, BadImage, FileMissing
from edgeos.events import CameraFrame, Image
from edgeos.sources import Source, picture
from edgeos.sources.live import SILENT_S, Capture, LiveCamera, rgb

SCHEMES = "camera:0, rtsp://HOST/PATH, video:PATH, dir:PATH, image:PATH, null:"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def open_camera(uri: str, clock: Clock) -> Source[CameraFrame]:
    """Return the source of that name; nothing is opened before it is entered. Raises `BadConfig`."""
    scheme, _, rest = uri.partition(":")
    place, _, query = rest.partition("?")
    if scheme == "rtsp" and urlsplit(uri).hostname:
        return LiveCamera(_without_password(uri), lambda: _network_camera(uri), clock, 5.0)
    if scheme == "camera" and place:
        options = _options(uri, query, fps=5.0, width=1280.0, height=720.0)
        size = (int(options["width"]), int(options["height"]))
        return LiveCamera(uri, lambda: _local_camera(place, size), clock, options["fps"])
    if scheme == "video" and place:
        options = _options(uri, query, fps=1.0, pace=0.0)
        return VideoFile(uri, Path(place), clock, options["fps"], fast=bool(options["pace"]))
    if scheme == "dir" and place:
        options = _options(uri, query, every=2.0, pace=0.0)
        return Pictures(uri, Path(place), clock, options["every"], fast=bool(options["pace"]))
    if scheme == "image" and place:
        _options(uri, query)
        return Pictures(uri, Path(place), clock, 0.0, fast=True)
    if uri == "null:":
        return Pictures(uri, None, clock, 0.0, fast=True)
    raise BadConfig(f"camera {uri!r}", expected=f"one of {SCHEMES}", found=uri, fix="name one of these")


def _options(uri: str, query: str, **defaults: float) -> dict[str, float]:
    """Parse `key=value&…`. `pace` is 1 for "fast", 0 for "real"; everything else is a number above 0."""
    options = dict(defaults)
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in defaults:
            allowed = ", ".join(defaults) or "no options"
            raise BadConfig(f"camera {uri!r}", expected=allowed, found=f"option {key!r}", fix="leave it out")
        if key == "pace":
            number = {"fast": 1.0, "real": 0.0}.get(value, -1.0)
        else:
            number = float(value) if value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit() else 0
        if number < 0 or (number == 0 and key != "pace"):
            wanted = "fast or real" if key == "pace" else "a number above 0"
            raise BadConfig(
                f"camera {uri!r}", expected=f"{key} to be {wanted}", found=repr(value), fix="correct the value"
            )
        options[key] = number
    return options


def _without_password(uri: str) -> str:
    """Names go into events and logs; a password must not."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="").geturl()


# ---------------------------------------------------------------- files


class _FromFile:
    """What sources that end have in common: nothing to drop, nothing to close."""

    live = False
    dropped = 0
    warnings: list[str] = []  # noqa: RUF012 - none, ever

    def __init__(self, name: str, clock: Clock, fast: bool) -> None:
        self.name, self._clock, self._fast = name, clock, fast

    async def _due(self, t_ns: int) -> None:
        if not self._fast:
            await self._clock.sleep_until(t_ns)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Pictures(_FromFile):
    """`dir:`, `image:` and `null:`: picture files, the k-th captured `every_s` * k after the start."""

    def __init__(self, name: str, place: Path | None, clock: Clock, every_s: float, *, fast: bool) -> None:
        """`place` is a folder, a file, or None for no pictures."""
        super().__init__(name, clock, fast)
        self._place, self._every_ns = place, int(every_s * 1e9)

    async def __aenter__(self) -> AsyncIterator[CameraFrame]:
        paths = await asyncio.to_thread(self._paths) if self._place else []
        return self._frames(paths)

    def _paths(self) -> Sequence[Path]:
        place = self._place
        assert place is not None
        if not self.name.startswith("dir:"):
            if not place.exists():
                raise FileMissing(f"picture {place}", expected="a file", found="nothing", fix="check the path")
            return [place]
        if not place.is_dir():
            raise FileMissing(f"folder {place}", expected="a folder of pictures", found="none", fix="check the path")
        paths = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            wanted = "files ending in " + ", ".join(sorted(SUFFIXES))
            raise BadImage(f"folder {place}", expected=wanted, found="none", fix="put pictures there, or name another")
        return paths

    async def _frames(self, paths: Sequence[Path]) -> AsyncIterator[CameraFrame]:
        begin_ns = self._clock.now_ns()
        for k, path in enumerate(paths):
            image = await asyncio.to_thread(picture.read, path)
            t_ns = begin_ns + k * self._every_ns
            await self._due(t_ns)
            yield CameraFrame(image, t_ns, str(path))


class VideoFile(_FromFile):
    """`video:`: frames of a file, at most `fps` a second, captured at the start plus their place in the file."""

    def __init__(self, name: str, path: Path, clock: Clock, fps: float, *, fast: bool) -> None:
        """Keep the settings; entering opens the file."""
        super().__init__(name, clock, fast)
        self._path, self._step_ns = path, int(1e9 / fps)
        self._capture: Capture | None = None
        self._one_at_a_time = threading.Lock()

    async def __aenter__(self) -> AsyncIterator[CameraFrame]:
        self._capture = await asyncio.to_thread(self._open)
        return self._frames()

    def _open(self) -> Capture:
        if not self._path.is_file():
            raise FileMissing(f"video {self._path}", expected="a file", found="nothing", fix="check the path")
        capture = _opened(str(self._path))
        if not capture.isOpened():
            raise self._unreadable("a file that no video decoder opens")
        return capture

    def _unreadable(self, found: str) -> BadImage:
        return BadImage(
            f"video {self._path}", expected="a video that OpenCV reads", found=found, fix="convert it to MP4 with H.264"
        )

    async def _frames(self) -> AsyncIterator[CameraFrame]:
        begin_ns, next_ns = self._clock.now_ns(), 0
        while found := await asyncio.to_thread(self._read_from, next_ns):
            image, at_ns = found
            next_ns = (at_ns // self._step_ns + 1) * self._step_ns
            await self._due(begin_ns + at_ns)
            yield CameraFrame(image, begin_ns + at_ns, str(self._path))
        if next_ns == 0:
            raise self._unreadable("no frame in it")

    def _read_from(self, wanted_ns: int) -> tuple[Image, int] | None:
        """Return the first frame at or after `wanted_ns` of the file with its time, or None at the end."""
        import cv2

        with self._one_at_a_time:
            while self._capture is not None and self._capture.grab():
                at_ns = int(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
                if at_ns >= wanted_ns:
                    ok, bgr = self._capture.retrieve()
                    return (rgb(bgr), at_ns) if ok else None
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        # A read that was cancelled still runs on its thread: releasing under it would crash the decoder.
        with self._one_at_a_time:
            if self._capture is not None:
                self._capture.release()
                self._capture = None


# ---------------------------------------------------------------- OpenCV


def _opened(*arguments: Any) -> Capture:
    import cv2

    cv2.utils.logging.setLogLevel(
        cv2.utils.logging.LOG_LEVEL_SILENT
    )  # OpenCV writes to stderr what our errors say better
    return cv2.VideoCapture(*arguments)


def _local_camera(place: str, size: tuple[int, int]) -> Capture:
    import cv2

    wanted = [cv2.CAP_PROP_FRAME_WIDTH, size[0], cv2.CAP_PROP_FRAME_HEIGHT, size[1]]
    return _opened(int(place) if place.isdigit() else place, cv2.CAP_ANY, wanted)


def _network_camera(uri: str) -> Capture:
    import cv2

    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(SILENT_S * 1000)]
    return _opened(uri, cv2.CAP_FFMPEG, patience)
