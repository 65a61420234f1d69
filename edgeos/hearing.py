"""Sound of any length to text: windows by VAD, each transcribed, joined. Written against the engine protocols alone."""

from __future__ import annotations

import numpy as np

from edgeos.engines import Asr, Vad
from edgeos.events import CHUNK, Samples
from edgeos.segment import SegmentConfig, windows
from edgeos.worker import Stop


def probabilities(samples: Samples, vad: Vad) -> list[float]:
    """[n] at 16 kHz -> the probability of speech of each 32 ms, the last chunk padded with zeros."""
    vad.reset()
    padded = np.pad(samples, (0, -len(samples) % CHUNK))
    return [vad(chunk) for chunk in padded.reshape(-1, CHUNK)]


def hear(samples: Samples, vad: Vad, asr: Asr, stop: Stop, config: SegmentConfig = SegmentConfig()) -> str:
    """[n] at 16 kHz -> text, empty where nobody speaks. Returns what it has once `stop()` is true.

    Raises what the engines raise.
    """
    texts: list[str] = []
    for start, end in windows(probabilities(samples, vad), len(samples), config):
        if stop():
            break
        texts.append(asr.transcribe(samples[start:end], stop))
    return " ".join(text for text in texts if text)
