"""Text read from a picture: PP-OCR detector and recognizer on ONNX Runtime, with our own steps before and after.

The detector gives a map of text pixels ("differentiable binarization", https://arxiv.org/abs/1911.08947); its blobs
become boxes, boxes become upright strips of 48 pixels height, strips become characters by CTC, fragments become lines.
Facts about the models (normalisation, thresholds, the 1.6 of `unclip`) are those of PaddleOCR and RapidOCR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeos.engines import Vision
from edgeos.engines.ort import OrtConfig, need, session, shrinking
from edgeos.engines.reading import Line, Quad, join_lines
from edgeos.errors import ModelIncompatible
from edgeos.events import CameraFrame, Fact, Image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

HEIGHT = 48
"""Pixels of a text strip: what the recognizer was trained on."""


class PpocrSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[settings]` of the manifest. The numbers were chosen on the project's photographs (`benchmarks/vision.py`)."""

    short_side: int = 480
    """The detector sees the picture with its short side at least this…"""
    long_side: int = 800
    """…and its long side at most this, which bounds time and memory. On the project's photographs 544 and 1280 read 3
    legible characters of 1398 wrong, these 4, in two thirds of the time; beyond what is counted as legible, they lose
    lines of a small receipt and cards in a shop."""
    min_confidence: float = 0.65
    """Lines below are not facts. Legible text on the photographs reads at 0.72 and more; below come patterns."""
    alphabet: Literal["latin", "all"] = "latin"
    """`latin` reads only letters, digits and signs of Latin script: an icon beside a word is not a Chinese character
    then. `all` keeps the whole list of the model."""
    max_fragments: int = 120
    """Of more boxes than this the largest are read, so that a full page takes seconds, not minutes."""


@dataclass(frozen=True, slots=True)
class PpocrSpec:
    """The detector, the recognizer, and how they run."""

    det: Path
    rec: Path
    settings: PpocrSettings
    ort: OrtConfig
    source: str = "pp-ocr"
    """Name of the model, as facts cite it."""

    def build(self) -> Vision:
        """Open both models. Raises `ModelIncompatible`."""
        return Ppocr(self)


class Ppocr:
    """The engine: `look` for facts, `read` for lines with their places."""

    def __init__(self, spec: PpocrSpec) -> None:
        """Open both models; the recognizer must carry its character list."""
        self._settings, self._source = spec.settings, spec.source
        self._shrinking = shrinking()
        self._det, self._rec = session(spec.det, spec.ort, arena=False), session(spec.rec, spec.ort)
        need(self._det, spec.det, ["x"])
        need(self._rec, spec.rec, ["x"])
        characters = _characters(self._rec, spec.rec)
        kept = [i for i, c in enumerate(characters) if spec.settings.alphabet == "all" or _is_latin(c)]
        self._classes = np.array(kept)
        self._characters = [characters[i] for i in kept]

    def look(self, frame: CameraFrame) -> tuple[Fact, ...]:
        """Return one `text` fact per line, top to bottom."""
        return tuple(
            Fact("text", line.text, line.confidence, self._source, frame.t_ns) for line in self.read(frame.image)
        )

    def read(self, image: Image) -> list[Line]:
        """[h, w, 3] RGB -> the lines of text in reading order, those of low confidence left out."""
        if min(image.shape[:2]) < 8:
            return []
        quads = self._detect(image)
        if not quads:
            return []
        fragments = self._recognize(image, quads)
        # The detector finds upside-down text as well as upright text; the recognizer makes unsure nonsense of it.
        if _certainty(fragments) < UNSURE:
            turned = self._recognize(image, [np.roll(quad, 2, axis=0) for quad in quads])
            fragments = max(fragments, turned, key=_certainty)
        return join_lines([f for f in fragments if is_text(f, self._settings.min_confidence)])

    def _detect(self, image: Image) -> list[Quad]:
        import cv2

        height, width = image.shape[:2]
        scale = max(1.0, self._settings.short_side / min(height, width))
        scale = min(scale, self._settings.long_side / max(height, width))
        size = (_multiple_of_32(width * scale), _multiple_of_32(height * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if scale >= 1 else cv2.INTER_AREA)
        (heat,) = self._det.run(None, {"x": _normalised(np.asarray(small, np.uint8))[None]})
        boxes = boxes_of(heat[0, 0])[: self._settings.max_fragments]
        ratio = np.array([width / size[0], height / size[1]], np.float32)
        return _along_the_text([box * ratio for box in boxes])

    def _recognize(self, image: Image, quads: Sequence[Quad]) -> list[Line]:
        strips = [_strip(image, quad) for quad in quads]
        read: list[Line] = []
        order = sorted(range(len(strips)), key=lambda i: strips[i].shape[1])
        for batch in _batches(order, [strip.shape[1] for strip in strips]):
            width = max(MIN_WIDTH, *(strips[i].shape[1] for i in batch))
            # Zero after normalisation is grey: the padding that the recognizer was trained with.
            x = np.zeros((len(batch), 3, HEIGHT, width), np.float32)
            for row, i in enumerate(batch):
                x[row, :, :, : strips[i].shape[1]] = _normalised(strips[i])
            (probabilities,) = self._rec.run(None, {"x": x}, self._shrinking)
            for row, i in enumerate(batch):
                text, confidence = ctc(probabilities[row][:, self._classes], self._characters)
                read.append(Line(text, confidence, quads[i]))
        return read


# ---------------------------------------------------------------- detector


HEAT, BOX_SCORE, UNCLIP = 0.3, 0.5, 1.6
"""Text pixel, text box, growth of a box: RapidOCR's values for PP-OCRv6."""


def boxes_of(heat: NDArray[np.float32]) -> list[Quad]:
    """[h, w] probability of text per pixel -> boxes in its pixels, largest first.

    The model is trained on shrunken text areas, so each box grows outwards by area * 1.6 / perimeter (section 3.5 of
    the paper, with the length of its polygon offset); for a rectangle that is a wider and taller rectangle.
    """
    import cv2

    blobs = cv2.dilate((heat > HEAT).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(blobs, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found: list[tuple[float, Quad]] = []
    for contour in contours:
        centre, (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < 3 or _mean_inside(heat, cv2.boxPoints((centre, (width, height), angle))) < BOX_SCORE:
            continue
        grow = width * height * UNCLIP / (width + height)
        grown = (centre, (width + grow, height + grow), angle)
        found.append((width * height, np.asarray(cv2.boxPoints(grown), np.float32)))
    return [box for _, box in sorted(found, key=lambda pair: -pair[0])]


def _mean_inside(heat: NDArray[np.float32], box: NDArray[Any]) -> float:
    import cv2

    height, width = heat.shape
    (left, top), (right, bottom) = np.floor(box.min(axis=0)).astype(int), np.ceil(box.max(axis=0)).astype(int)
    left, top, right, bottom = max(0, left), max(0, top), min(width - 1, right), min(height - 1, bottom)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(box - [left, top]).astype(np.int32)], 1)
    return float(cv2.mean(heat[top : bottom + 1, left : right + 1], mask)[0])


def _along_the_text(boxes: Sequence[NDArray[Any]]) -> list[Quad]:
    """Order the corners of each box so that the first side runs along the text.

    A box much taller than wide holds a line turned by 90 degrees; a short one (a digit, "I") follows the majority.
    """
    if not boxes:
        return []
    upright = [_from_top_left(box) for box in boxes]
    sizes = [(np.linalg.norm(q[1] - q[0]), np.linalg.norm(q[3] - q[0])) for q in upright]
    wide = sum(w for w, h in sizes if w > 1.5 * h)
    tall = sum(h for w, h in sizes if h > 1.5 * w)
    return [
        np.roll(quad, -1, axis=0) if h > 1.5 * w or (tall > wide and h > 0.67 * w) else quad
        for quad, (w, h) in zip(upright, sizes, strict=True)
    ]


def _from_top_left(box: NDArray[Any]) -> Quad:
    """Corners clockwise on the screen, from the one that is top left once the box is turned to the nearest axis."""
    by_x = box[np.argsort(box[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1])]
    top_right, bottom_right = right[np.argsort(right[:, 1])]
    return np.array([top_left, top_right, bottom_right, bottom_left], np.float32)


# ---------------------------------------------------------------- recognizer


MIN_WIDTH, MAX_WIDTH = 160, 2400
"""Pixels of a strip: shorter ones are padded, longer ones squeezed."""

BATCH_PIXELS = 1200
"""Sum of the padded widths in one call, which bounds memory."""

UNSURE = 0.9
"""Mean confidence, weighted by length, below which the text may be upside down. A rendered page reads at 0.99 upright
and at 0.72 to 0.77 upside down; the legible photographs read at 0.96 and more."""

ONE_LETTER = 0.98
"""Confidence that a line of a single character needs."""


def ctc(probabilities: NDArray[np.float32], characters: Sequence[str]) -> tuple[str, float]:
    """[steps, classes] -> text and mean probability of its characters; class 0 is the blank (greedy CTC decoding)."""
    best = probabilities.argmax(axis=1)
    keep = best != 0
    keep[1:] &= best[1:] != best[:-1]
    text = "".join(characters[i] for i in best[keep])
    if not text.strip():
        return "", 0.0
    return " ".join(text.split()), float(probabilities.max(axis=1)[keep].mean())


def is_text(line: Line, min_confidence: float) -> bool:
    """Whether a line is worth a fact: it has letters or digits, and is read with confidence.

    A cat's eye reads as "9" (0.69), a round lid as "i" (0.95): a single character must be sure.
    """
    letters = sum(c.isalnum() for c in line.text)
    return letters > 0 and line.confidence >= (min_confidence if letters > 1 else ONE_LETTER)


def _characters(opened: InferenceSession, path: Path) -> list[str]:
    """Class number -> character: the blank, the model's own list, and the space that PaddleOCR appends."""
    listed = opened.get_modelmeta().custom_metadata_map.get("character", "")
    characters = ["", *listed.split("\n"), " "]
    classes = opened.get_outputs()[0].shape[-1]
    if not listed or len(characters) != classes:
        raise ModelIncompatible(
            f"model {path}",
            expected=f"a character list of {classes} entries, blank and space included, in its metadata",
            found=f"{len(characters) if listed else 0}",
            fix="name a PP-OCR recognizer made for ONNX Runtime, such as those of the rapidocr package",
        )
    return characters


def _is_latin(character: str) -> bool:
    """Latin letters with their accents, digits, punctuation and currency signs; true for the blank, which is empty."""
    code = ord(character or " ")
    return code < 0x250 or 0x2010 <= code < 0x2070 or 0x20A0 <= code < 0x20D0 or character == "™"


def _strip(image: Image, quad: Quad) -> Image:
    """Cut a box out and make it 48 pixels high."""
    import cv2

    top, right, bottom, left = (float(np.linalg.norm(quad[(i + 1) % 4] - quad[i])) for i in range(4))
    width, height = max(top, bottom, 1.0), max(left, right, 1.0)
    # Cut at the picture's own scale first: shrinking inside the warp would alias.
    size = (max(1, round(width)), max(1, round(height)))
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    warp = cv2.getPerspectiveTransform(quad, corners)
    cut = cv2.warpPerspective(image, warp, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    scaled = min(MAX_WIDTH, max(8, int(np.ceil(HEIGHT * width / height))))
    return np.asarray(cv2.resize(cut, (scaled, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)


def _batches(order: Sequence[int], widths: Sequence[int]) -> list[list[int]]:
    """Cut indices, sorted by width, into groups whose padded width stays under `BATCH_PIXELS`."""
    groups: list[list[int]] = []
    for i in order:
        if groups and max(MIN_WIDTH, widths[i]) * (len(groups[-1]) + 1) <= BATCH_PIXELS:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _certainty(lines: Sequence[Line]) -> float:
    letters = sum(len(line.text) for line in lines)
    return sum(line.confidence * len(line.text) for line in lines) / letters if letters else 0.0


def _normalised(image: Image) -> NDArray[np.float32]:
    """[h, w, 3] RGB 0..255 -> [3, h, w] BGR -1..1: the order and scale of PaddleOCR's training."""
    return np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1), np.float32) / np.float32(127.5) - np.float32(1)


def _multiple_of_32(pixels: float) -> int:
    return max(32, round(pixels / 32) * 32)
