"""The sample conversation: questions spoken by our own voice, pictures that we draw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeos.engines import Tts
from edgeos.events import Image, Samples

EVERY_S = 12.0
"""Seconds between two pictures."""
_LEAD_S = 3.0
"""From a picture to its question: time to look at it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is shown, and what is then asked."""

    name: str
    lines: tuple[str, ...]
    question: str


SCRIPT = (
    Moment("1-whiteboard", ("MEETING AT 3 PM",), "What time is the meeting?"),
    Moment("2-whiteboard", ("MEETING AT 3 PM",), "What is the capital of France?"),
    Moment("3-menu", ("COFFEE  $3.50", "TEA  $2.00"), "How much is the coffee?"),
)


def draw(lines: tuple[str, ...]) -> Image:
    """Return a whiteboard in a frame, [540, 960, 3] RGB, with the lines written on it."""
    import cv2

    board = np.full((540, 960, 3), (120, 116, 110), np.uint8)
    cv2.rectangle(board, (40, 40), (920, 500), (176, 180, 184), -1)
    cv2.rectangle(board, (56, 56), (904, 484), (246, 247, 245), -1)
    for i, line in enumerate(lines):
        (width, _), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_DUPLEX, 2.2, 4)
        scale = min(2.2, 2.2 * 800 / width)
        y = 270 + round((i - (len(lines) - 1) / 2) * 110) + 22
        x = 480 - round(width * scale / 2.2 / 2)
        cv2.putText(board, line, (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, (32, 44, 120), 4, cv2.LINE_AA)
    return board


def questions(voice: Tts) -> Samples:
    """Return one recording at the voice's rate: question k begins `_LEAD_S` after picture k is shown."""
    track = np.zeros(round((EVERY_S * len(SCRIPT)) * voice.rate_hz), np.float32)
    for k, moment in enumerate(SCRIPT):
        said = voice.synthesize(moment.question)
        begin = round((k * EVERY_S + _LEAD_S) * voice.rate_hz)
        track[begin : begin + len(said)] = said[: len(track) - begin]
    return track


def make(folder: Path, voice: Tts) -> tuple[Path, Path]:
    """Write `questions.wav` and `pictures/*.png` into `folder`, and return the two paths."""
    import cv2
    import soundfile

    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for moment in SCRIPT:
        cv2.imwrite(str(pictures / f"{moment.name}.png"), cv2.cvtColor(draw(moment.lines), cv2.COLOR_RGB2BGR))
    sound = folder / "questions.wav"
    soundfile.write(sound, questions(voice), voice.rate_hz, subtype="PCM_16")
    return sound, pictures
