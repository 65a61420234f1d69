"""Fragments of text on a picture become lines in reading order. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Quad: TypeAlias = NDArray[np.float32]
"""[4, 2] float32, x and y in pixels: top left, top right, bottom right, bottom left, as the text runs."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run of text: `quad` in pixels of the picture that was read, `confidence` the mean of its characters, 0..1."""

    text: str
    confidence: float
    quad: Quad


def join_lines(fragments: Sequence[Line]) -> list[Line]:
    """Join fragments that continue one another, and order the lines top to bottom, then left to right.

    "Top" is meant in the frame of the text, turned by the mean direction of its boxes: a page on its side keeps its
    order. Fragments more than 1.2 heights apart stay separate lines (columns, the price in a receipt).
    """
    if not fragments:
        return []
    direction = np.sum([_run(f) for f in fragments], axis=0)
    x_axis = direction / max(1e-6, float(np.linalg.norm(direction)))
    y_axis = np.array([-x_axis[1], x_axis[0]])
    lines: list[Line] = []
    for fragment in sorted(fragments, key=lambda f: float(f.quad.min(axis=0) @ x_axis)):
        near = [(gap, i) for i, line in enumerate(lines) if (gap := _gap(line, fragment)) is not None]
        if near:
            _, i = min(near)
            lines[i] = _joined(lines[i], fragment)
        else:
            lines.append(fragment)
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda f: float(f.quad.mean(axis=0) @ y_axis)):
        if rows and abs(float((line.quad.mean(axis=0) - rows[-1][0].quad.mean(axis=0)) @ y_axis)) < 0.5 * min(
            _tall(line), _tall(rows[-1][0])
        ):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda f: float(f.quad.mean(axis=0) @ x_axis))]


def _run(line: Line) -> NDArray[np.float64]:
    """Return the vector along the text, from its start to its end."""
    q = line.quad.astype(np.float64)
    return np.asarray((q[1] + q[2] - q[0] - q[3]) / 2)


def _tall(line: Line) -> float:
    q = line.quad.astype(np.float64)
    return float(np.linalg.norm((q[3] + q[2] - q[0] - q[1]) / 2))


def _gap(line: Line, after: Line) -> float | None:
    """Return the pixels between a line and the fragment that continues it; None where it does not."""
    run, low, high = _run(line), *sorted((_tall(line), _tall(after)))
    along = run / max(1e-6, float(np.linalg.norm(run)))
    end = (line.quad[1] + line.quad[2]) / 2
    step = (after.quad[0] + after.quad[3]) / 2 - end
    gap = float(step @ along)
    aside = abs(float(step[0] * along[1] - step[1] * along[0]))
    # Neighbouring boxes overlap a little, since each one grew.
    return gap if high < 2 * low and -0.7 * low < gap < 1.2 * low and aside < 0.4 * low else None


def _joined(a: Line, b: Line) -> Line:
    weight = len(a.text) / (len(a.text) + len(b.text))
    confidence = weight * a.confidence + (1 - weight) * b.confidence
    quad = np.array([a.quad[0], b.quad[1], b.quad[2], a.quad[3]], np.float32)
    return Line(f"{a.text} {b.text}", confidence, quad)
