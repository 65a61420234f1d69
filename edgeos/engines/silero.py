"""Silero VAD (16 kHz) on ONNX Runtime: 0.032 s of sound to a probability of speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeos.engines import Vad
from edgeos.engines.ort import OrtConfig, need, session
from edgeos.errors import BadAudio
from edgeos.events import CHUNK, RATE_HZ, Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_CONTEXT = 64
"""Samples of the chunk before that the network sees again (silero_vad/utils_vad.py, `OnnxWrapper`)."""


@dataclass(frozen=True, slots=True)
class SileroSpec:
    """`path`: a verified `silero_vad_16k_op15.onnx`."""

    path: Path
    ort: OrtConfig

    def build(self) -> Vad:
        """Load the model. Raises `ModelIncompatible`."""
        opened = session(self.path, self.ort)
        need(opened, self.path, ["input", "state", "sr"], ["output", "stateN"])
        return _Silero(opened)


class _Silero:
    """The recurrent state [2, 1, 128] and the last 64 samples, carried from chunk to chunk."""

    def __init__(self, opened: InferenceSession) -> None:
        self._session = opened
        self._rate = np.array(RATE_HZ, np.int64)
        self._input = np.zeros((1, _CONTEXT + CHUNK), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget what came before."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input[:] = 0.0

    def __call__(self, samples: Samples) -> float:
        """[512] at 16 kHz -> probability of speech. Raises `BadAudio` for another length.

        Values that are not numbers count as no speech and leave the state as it was: one NaN in a recurrent state would
        silence the assistant for good.
        """
        if samples.shape != (CHUNK,):
            raise BadAudio("a chunk for the VAD", expected=f"[{CHUNK}] samples", found=f"{list(samples.shape)}")
        if not np.isfinite(samples).all():
            return 0.0
        self._input[0, :_CONTEXT] = self._input[0, CHUNK:]
        self._input[0, _CONTEXT:] = samples
        feeds = {"input": self._input, "state": self._state, "sr": self._rate}
        probability, state = self._session.run(["output", "stateN"], feeds)
        self._state = state
        return float(probability[0, 0])
