"""What the pipeline asks of a model family: float reference, smaller model, losses, manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from edgeos.manifest import Setting
from edgeos_quantize.measure import Divergence, Score, Timing
from edgeos_quantize.recipe import Recipe


class DataFile(msgspec.Struct, frozen=True):
    """One recording or picture that was used, and for what: "calibration" or "scoring"."""

    path: str
    sha256: str
    use: str


class Measured(msgspec.Struct, frozen=True):
    """What `evaluate` found."""

    scores: tuple[Score, ...]
    divergence: Divergence
    timings: tuple[Timing, ...]
    data: tuple[DataFile, ...]


class Contract(msgspec.Struct, frozen=True):
    """The part of the manifest that the family knows."""

    inputs: dict[str, str]
    outputs: dict[str, str]
    settings: dict[str, Setting]
    parameters: int
    """Weights of the model, a shared one counted once."""
    export_difference: float
    """Largest difference of any output between the source's own framework and the float ONNX files."""


class Family(Protocol):
    """One architecture. All folders exist; `data` holds recordings and photographs with their manifest.jsonl."""

    metrics: frozenset[str]
    """What `evaluate` scores, and a recipe may tolerate a loss of."""

    def reference(self, recipe: Recipe, files: Mapping[str, Path], folder: Path) -> Contract:
        """Export the verified source files to float ONNX in `folder`."""
        ...

    def shrink(self, recipe: Recipe, contract: Contract, reference: Path, folder: Path, data: Path) -> None:
        """Quantize the files of `reference` into `folder`."""
        ...

    def evaluate(self, contract: Contract, reference: Path, small: Path, data: Path) -> Measured:
        """Score and time both on real data."""
        ...
