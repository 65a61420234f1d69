"""What the camera shows now, and a short past. Pure: numbers in, facts out, no clock and no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeos.events import CameraFrame, Fact, Image

KEPT = 8
"""Understood pictures kept: a question may be about one taken before it ended, while newer ones arrive."""

BLOCK = 8
"""Side in pixels of the blocks that are compared."""

BLOCK_DIFFERS, PART_DIFFERS = 12.0, 0.002
"""Grey levels by which one block must change, and the part of all blocks that must, for a picture to be a new one."""


@dataclass(frozen=True, slots=True)
class _Seen:
    t_ns: int
    facts: tuple[Fact, ...]


class Scene:
    """The facts of the last pictures, in the order of their capture."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._past: deque[_Seen] = deque(maxlen=KEPT)
        self._looked_at: NDArray[np.float32] | None = None

    def differs(self, frame: CameraFrame) -> bool:
        """Whether the frame shows something other than the picture last understood: then the encoders should look."""
        return self._looked_at is None or _differ(self._looked_at, blocks(frame.image))

    def update(self, frame: CameraFrame, facts: tuple[Fact, ...]) -> bool:
        """Keep what a frame shows. Returns whether its facts are others than before, whatever their confidence."""
        before = {(fact.kind, fact.value) for fact in self._past[-1].facts} if self._past else None
        self._looked_at = blocks(frame.image)
        self._past.append(_Seen(frame.t_ns, facts))
        return before != {(fact.kind, fact.value) for fact in facts}

    def at(self, t_ns: int) -> tuple[Fact, ...]:
        """Return the facts of the newest picture captured at or before `t_ns`; none where there is no such picture."""
        return next((seen.facts for seen in reversed(self._past) if seen.t_ns <= t_ns), ())


def most_useful(facts: Iterable[Fact]) -> list[Fact]:
    """Rank facts for a prompt that cannot hold all: the surest label, the text from top to bottom, the other labels.

    Text keeps its reading order: half a page from the top is worth more than its surest words.
    """
    facts = list(facts)
    labels = sorted((f for f in facts if f.kind == "label"), key=lambda f: -f.confidence)
    return labels[:1] + [f for f in facts if f.kind == "text"] + labels[1:]


def changed(previous: Image | None, current: Image) -> bool:
    """Whether two pictures, [h, w, 3] RGB, show different things, noise and a change of light set aside."""
    return previous is None or _differ(blocks(previous), blocks(current))


def blocks(image: Image) -> NDArray[np.float32]:
    """[h, w, 3] -> [h // 8, w // 8] mean grey of each block, 0..255; every second pixel of a row and column counts."""
    rows, columns = max(1, image.shape[0] // BLOCK), max(1, image.shape[1] // BLOCK)
    sampled = image[: rows * BLOCK : 2, : columns * BLOCK : 2]
    if min(image.shape[:2]) < BLOCK:
        return np.full((1, 1), image.mean(), np.float32)
    half = BLOCK // 2
    return np.asarray(sampled.reshape(rows, half, columns, half * 3).mean(axis=(1, 3), dtype=np.float32))


def _differ(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    if a.shape != b.shape:
        return True
    step = b - a
    # A camera that adapts its exposure moves all blocks alike: the median is that move.
    return bool((np.abs(step - np.median(step)) > BLOCK_DIFFERS).mean() > PART_DIFFERS)
