from __future__ import annotations

import numpy as np
import pytest

from edgeos.events import CameraFrame, Fact
from edgeos.scene import BLOCK_DIFFERS, KEPT, Scene, blocks, changed, most_useful


def frame(t_ns: int, level: int = 128) -> CameraFrame:
    return CameraFrame(np.full((48, 64, 3), level, np.uint8), t_ns, "test:")


def fact(value: str, kind: str = "label", confidence: float = 0.9, t_ns: int = 0) -> Fact:
    return Fact(kind, value, confidence, "test", t_ns)  # type: ignore[arg-type]


def noisy(image: np.ndarray, seed: int, sigma: float = 12.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def room() -> np.ndarray:
    ramp = np.linspace(30, 200, 640, dtype=np.float32)
    return np.broadcast_to(ramp[None, :, None], (480, 640, 3)).astype(np.uint8).copy()


def test_facts_are_those_of_the_newest_picture_at_or_before_the_question():
    scene = Scene()
    assert scene.at(10**12) == ()
    cup, dog = (fact("cup"),), (fact("dog"),)
    assert scene.update(frame(100), cup)
    assert scene.update(frame(200), dog)
    assert scene.at(99) == ()
    assert scene.at(100) == cup
    assert scene.at(199) == cup
    assert scene.at(200) == dog
    assert scene.at(10**12) == dog


def test_the_past_is_short():
    scene = Scene()
    for k in range(KEPT + 3):
        scene.update(frame(k), (fact(str(k)),))
    assert scene.at(2) == ()
    assert scene.at(3) == (fact("3"),)


def test_a_change_is_another_set_of_facts_and_not_another_confidence():
    scene = Scene()
    assert scene.update(frame(0), ())  # the first look is news, also when it shows nothing
    assert not scene.update(frame(1), ())
    assert scene.update(frame(2), (fact("cup", confidence=0.5),))
    assert not scene.update(frame(3), (fact("cup", confidence=0.8),))
    assert scene.update(frame(4), (fact("cup"), fact("EXIT", "text")))
    assert scene.update(frame(5), ())


def test_a_picture_is_new_until_it_was_understood():
    scene = Scene()
    first, other = frame(0), CameraFrame(np.eye(64, dtype=np.uint8)[:48, :, None].repeat(3, 2) * 255, 1, "test:")
    assert scene.differs(first)
    assert scene.differs(first)
    scene.update(first, ())
    assert not scene.differs(first)
    assert scene.differs(other)


def test_slow_change_is_noticed_against_the_picture_last_understood(room):
    scene = Scene()
    scene.update(CameraFrame(room, 0, "test:"), ())
    seen = []
    for k in range(1, 9):
        moved = room.copy()
        moved[100:200, 100:200] += np.uint8(3 * k)
        seen.append(scene.differs(CameraFrame(moved, k, "test:")))
    assert seen == [3 * k > BLOCK_DIFFERS for k in range(1, 9)]


def test_noise_and_exposure_are_no_change(room):
    assert not changed(noisy(room, 1), noisy(room, 2))
    assert not changed(noisy(room, 1), noisy(room + np.uint8(25), 2))


def test_a_word_that_changes_on_a_wall_is_a_change(room):
    written = room.copy()
    written[200:240, 300:340] = 0
    assert changed(noisy(room, 1), noisy(written, 2))
    assert changed(None, room)
    assert changed(room, room[:240])


def test_real_video_changes_when_the_hand_comes_and_not_before(testdata):
    import cv2

    capture = cv2.VideoCapture(str(testdata / "video" / "bottles.mp4"))
    frames = []
    while len(frames) < 130:
        ok, image = capture.read()
        assert ok
        frames.append(image)
    capture.release()
    # Read off the video: the shelf lies still in frames 75 to 115, a hand comes in before frame 45.
    assert not changed(frames[75], frames[115])
    assert changed(frames[0], frames[60])


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 640, 3), (8, 8, 3), (9, 17, 3), (480, 641, 3)])
def test_any_size_has_blocks(shape):
    image = np.full(shape, 77, np.uint8)
    assert np.all(blocks(image) == 77)
    assert not changed(image, image)


def test_the_surest_label_comes_first_and_text_keeps_its_order():
    facts = [
        fact("mug", confidence=0.5),
        fact("MEETING", "text", 0.7),
        fact("desk", confidence=0.8),
        fact("AT 3 PM", "text", 0.99),
    ]
    assert [f.value for f in most_useful(facts)] == ["desk", "MEETING", "AT 3 PM", "mug"]
    assert most_useful([]) == []
