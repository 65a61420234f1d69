"""Pictures to calibrate a classifier with, and its task loss: a right name first, or among the best five."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeos.events import Image
from edgeos_quantize.testset import Photo


def views(image: Image) -> Iterator[Image]:
    """The picture, its middle and its four corners (two thirds of each side), each also mirrored: twelve views."""
    height, width = image.shape[:2]
    tall, wide = height * 2 // 3, width * 2 // 3
    corners = [(top, left) for top in (0, height - tall) for left in (0, width - wide)]
    parts = [image[top : top + tall, left : left + wide] for top, left in [(height // 6, width // 6), *corners]]
    for part in [image, *parts]:
        yield part
        yield np.ascontiguousarray(part[:, ::-1])


def hits(best: Sequence[Sequence[str]], scored: Sequence[Photo], among: int) -> float:
    """Share of the photographs, 0..1, with a right name among the first `among` of `best` (names, likeliest first)."""
    found = [bool(set(names[:among]) & set(photo.labels)) for names, photo in zip(best, scored, strict=True)]
    return sum(found) / len(found)


def ranked(scores: NDArray[np.float32], names: Sequence[str]) -> list[list[str]]:
    """[n, classes] -> the five likeliest names of every row."""
    return [[names[index] for index in np.argsort(-row, kind="stable")[:5]] for row in scores]


def run_all(
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]], inputs: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Stack the scores of single pictures, [n, classes]."""
    return np.concatenate([run(one) for one in inputs])
