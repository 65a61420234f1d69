"""Measuring a smaller model beside its float reference, in turns: what else the machine does falls on both."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeos.engines.ort import OrtConfig, session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

THREADS = 1
"""Of every session that is measured: the starter profiles give small models one thread."""

SEED = 0
"""Of the bootstrap."""


class Timing(msgspec.Struct, frozen=True):
    """Medians in ms, the median of the paired ratios small / float, and its 95 % bootstrap interval."""

    name: str
    float_ms: float
    small_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    rounds: int


class Score(msgspec.Struct, frozen=True):
    """One task metric in percent; `loss` is how much worse the small model is, in points, negative where better."""

    name: str
    meaning: str
    float_value: float
    small_value: float
    loss: float


class Divergence(msgspec.Struct, frozen=True):
    """How far apart the probabilities are: mean KL(float || small) in nats, same first choice in percent."""

    kl: float
    same_top: float
    count: int


def open_session(path: Path) -> InferenceSession:
    """A session as the runtime opens it, on `THREADS` threads."""
    return session(path, OrtConfig(threads=THREADS))


def paired(name: str, reference: Callable[[], object], small: Callable[[], object], rounds: int) -> Timing:
    """Time both `rounds` times in turns, after one call each to warm up."""
    reference(), small()
    times = np.array([(_seconds(reference), _seconds(small)) for _ in range(rounds)])
    ratios = times[:, 1] / times[:, 0]
    draws = np.random.default_rng(SEED).integers(0, rounds, (2000, rounds))
    low, high = np.percentile(np.median(ratios[draws], axis=1), (2.5, 97.5))
    before, after = (round(1e3 * float(median), 3) for median in np.median(times, axis=0))
    ratio, lowest, highest = (round(float(value), 3) for value in (np.median(ratios), low, high))
    return Timing(name, before, after, ratio, lowest, highest, rounds)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def log_softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """[n, classes] -> log-probabilities."""
    shifted = scores.astype(np.float64) - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float64)


def divergence(reference: NDArray[np.floating], small: NDArray[np.floating]) -> Divergence:
    """Compare two [n, classes] arrays of scores before softmax."""
    a, b = log_softmax(reference), log_softmax(small)
    kl = float((np.exp(a) * (a - b)).sum(axis=-1).mean())
    return Divergence(round(kl, 5), round(100 * float((a.argmax(-1) == b.argmax(-1)).mean()), 2), len(a))


def score(name: str, meaning: str, reference: float, small: float, *, higher_is_better: bool) -> Score:
    """Two shares 0..1 as percent, with the loss in points."""
    before, after = round(100 * reference, 2), round(100 * small, 2)
    return Score(name, meaning, before, after, round(before - after if higher_is_better else after - before, 2))
