from __future__ import annotations

import asyncio
import threading

import cv2
import numpy as np
import pytest

from edgeos.clock import MonotonicClock
from edgeos.errors import BadConfig, BadImage, DeviceMissing, FileMissing
from edgeos.events import CameraFrame
from edgeos.sources import live
from edgeos.sources.camera import open_camera
from edgeos.sources.live import LiveCamera
from edgeos.testing import VirtualClock


def take(uri: str, clock: VirtualClock | None = None, most: int = 1000) -> list[CameraFrame]:
    async def run() -> list[CameraFrame]:
        taken = []
        async with open_camera(uri, clock or VirtualClock()) as frames:
            async for frame in frames:
                taken.append(frame)
                if len(taken) == most:
                    break
        return taken

    return asyncio.run(run())


@pytest.fixture
def folder(tmp_path):
    for k, name in enumerate(["b.png", "a.jpg", "c.bmp"]):
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 50 * k, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


@pytest.mark.parametrize(
    "uri", ["", "camera", "camera:", "usb:0", "null", "null:x", "image:", "video:", "dir:", "rtsp:", "rtsp://", "0"]
)
def test_an_unknown_name_lists_the_possible_ones(uri):
    with pytest.raises(BadConfig, match=r"camera:0, rtsp://HOST/PATH, video:PATH, dir:PATH, image:PATH, null:"):
        open_camera(uri, VirtualClock())


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("dir:/x?evry=2", "expected every, pace"),
        ("video:/x?every=2", "expected fps, pace"),
        ("camera:0?pace=fast", "expected fps, width, height"),
        ("image:/x?fps=1", "expected no options"),
        ("dir:/x?every=0", "a number above 0"),
        ("dir:/x?every=-1", "a number above 0"),
        ("dir:/x?every=nan", "a number above 0"),
        ("video:/x?fps=", "a number above 0"),
        ("video:/x?pace=slow", "fast or real"),
    ],
)
def test_an_option_that_is_wrong_is_named(uri, wanted):
    with pytest.raises(BadConfig, match=wanted):
        open_camera(uri, VirtualClock())


def test_a_folder_is_a_camera_that_pans(folder):
    clock = VirtualClock()
    frames = take(f"dir:{folder}", clock)
    assert [frame.source.rpartition("/")[2] for frame in frames] == ["a.jpg", "b.png", "c.bmp"]
    assert [frame.t_ns - frames[0].t_ns for frame in frames] == [0, 2_000_000_000, 4_000_000_000]
    assert clock.now_ns() == frames[-1].t_ns  # it waited for each
    assert frames[1].image.max() == 0
    assert frames[0].image.dtype == np.uint8


def test_fast_does_not_wait_and_stamps_all_the_same(folder):
    clock = VirtualClock()
    frames = take(f"dir:{folder}?every=0.5&pace=fast", clock)
    assert [frame.t_ns - frames[0].t_ns for frame in frames] == [0, 500_000_000, 1_000_000_000]
    assert clock.now_ns() == frames[0].t_ns


def test_one_picture_and_none(folder):
    (frame,) = take(f"image:{folder}/b.png")
    assert frame.image.shape == (20, 30, 3)
    assert take("null:") == []


def test_what_is_not_there_is_said_on_entering(tmp_path, folder):
    for uri in (f"image:{tmp_path}/no.png", f"dir:{tmp_path}/no", f"video:{tmp_path}/no.mp4"):
        with pytest.raises(FileMissing, match="check the path"):
            take(uri)
    with pytest.raises(BadImage, match="begins with"):
        take(f"image:{folder}/notes.txt")
    with pytest.raises(BadImage, match="no video decoder"):
        take(f"video:{folder}/notes.txt")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadImage, match=r"files ending in .*\.png.*found none"):
        take(f"dir:{empty}")


def test_a_video_is_sampled_at_its_own_times(testdata):
    frames = take(f"video:{testdata}/video/bottles.mp4?fps=2&pace=fast", most=20)
    at_s = [(frame.t_ns - frames[0].t_ns) / 1e9 for frame in frames]
    assert frames[0].image.shape == (360, 640, 3)
    assert at_s == pytest.approx([0.5 * k for k in range(20)], abs=1.5 / 29.83)  # within a frame of the file
    assert len({frame.image.tobytes() for frame in frames}) > 15


def test_a_video_ends_and_waits_for_its_times(testdata):
    clock = VirtualClock()
    frames = take(f"video:{testdata}/video/desk_plant.mp4?fps=10", clock)
    assert 10 <= len(frames) <= 13  # 36 frames at 30 a second
    assert clock.now_ns() == frames[-1].t_ns


def test_leaving_a_video_early_closes_it(testdata):
    async def run() -> None:
        source = open_camera(f"video:{testdata}/video/bottles.mp4?pace=fast&fps=30", MonotonicClock())
        async with source as frames:
            reader = asyncio.create_task(anext(aiter(frames)))
            await asyncio.sleep(0)
            reader.cancel()  # while the decoder works on its thread
        with pytest.raises((asyncio.CancelledError, StopAsyncIteration)):
            await reader

    asyncio.run(run())


def test_a_missing_camera_says_what_to_do():
    with pytest.raises(DeviceMissing, match="`--camera null:` for none") as caught:
        take("camera:/dev/no-such-camera")
    assert "camera:/dev/no-such-camera" in str(caught.value)


def test_a_password_does_not_get_into_names():
    source = open_camera("rtsp://me:secret@127.0.0.1:1/live?token=hidden", VirtualClock())
    assert source.name == "rtsp://127.0.0.1:1/live"
    assert source.live


class Device:
    """A camera driver as OpenCV shows it: frames counted in their pixels, then blocked, failing, or raising."""

    def __init__(self, frames: int, then: str = "fails", opens: bool = True) -> None:
        self.left, self.then, self.opens, self.number = frames, then, opens, 0
        self.unblock, self.released = threading.Event(), threading.Event()

    def isOpened(self) -> bool:  # noqa: N802
        return self.opens

    def grab(self) -> bool:
        if self.number < self.left:
            self.number += 1
            return True
        if self.then == "blocks":
            self.unblock.wait(30)
        return False

    def retrieve(self):
        return True, np.full((4, 6, 3), (1, 2, self.number), np.uint8)

    def get(self, prop: int) -> float:
        return 0.0

    def release(self) -> None:
        self.released.set()


async def drain(source: LiveCamera, taken: list[CameraFrame]) -> None:
    async with source as frames:
        async for frame in frames:
            taken.append(frame)


def test_a_camera_that_stops_ends_with_an_error_after_its_newest_picture():
    device = Device(3)

    async def run() -> list[CameraFrame]:
        taken: list[CameraFrame] = []
        source = LiveCamera("camera:7", lambda: device, MonotonicClock(), fps=1e9)
        with pytest.raises(DeviceMissing, match=r"camera:7.*stopped giving pictures"):
            await drain(source, taken)
        assert len(taken) + source.dropped == 3
        return taken

    taken = asyncio.run(run())
    assert tuple(taken[-1].image[0, 0]) == (3, 2, 1)  # the newest, as RGB
    assert device.released.is_set()


def test_at_most_so_many_pictures_a_second():
    device = Device(1000)

    async def run() -> list[CameraFrame]:
        taken: list[CameraFrame] = []
        with pytest.raises(DeviceMissing):
            await drain(LiveCamera("camera:7", lambda: device, VirtualClock(), fps=5), taken)
        return taken

    assert len(asyncio.run(run())) == 1  # all 1000 came in the same instant of that clock


def test_a_camera_that_falls_silent_is_an_error_and_a_blocked_read_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(live, "SILENT_S", 0.2)
    monkeypatch.setattr(live, "JOIN_S", 0.1)
    device = Device(1, then="blocks")

    taken: list[CameraFrame] = []
    with pytest.raises(DeviceMissing, match="no picture for"):
        asyncio.run(drain(LiveCamera("camera:7", lambda: device, MonotonicClock(), fps=5), taken))
    assert [frame.source for frame in taken] == ["camera:7"]
    assert not device.released.is_set()  # still blocked, and nobody waited for it
    device.unblock.set()
    assert device.released.wait(5)
    for thread in threading.enumerate():
        if thread.name == "edgeos-camera":
            thread.join(5)


def test_a_camera_that_does_not_open_in_time_is_closed_when_it_does(monkeypatch):
    monkeypatch.setattr(live, "OPEN_S", 0.1)
    monkeypatch.setattr(live, "JOIN_S", 0.1)
    device, opening = Device(10**9), threading.Event()

    def slow() -> Device:
        opening.wait(30)
        return device

    async def run() -> None:
        with pytest.raises(DeviceMissing, match="no answer in"):
            async with LiveCamera("camera:7", slow, MonotonicClock(), fps=5):
                pytest.fail("opened")

    asyncio.run(run())
    opening.set()
    assert device.released.wait(5)
    for thread in threading.enumerate():
        if thread.name == "edgeos-camera":
            thread.join(5)


def test_a_driver_that_does_not_open_is_released():
    device = Device(0, opens=False)

    async def run() -> None:
        with pytest.raises(DeviceMissing, match="none that opens"):
            async with LiveCamera("camera:7", lambda: device, MonotonicClock(), fps=5):
                pytest.fail("opened")

    asyncio.run(run())
    assert device.released.is_set()
