"""Whisper's log-mel spectrogram in numpy.

Source of every constant: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", section
2.2, and openai/whisper `audio.py`; agrees with transformers' `WhisperFeatureExtractor` to 1e-4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeos.events import RATE_HZ, Samples

N_FFT = 400
HOP = 160
"""Samples from one frame to the next: 100 frames a second."""

MELS = 80

Mel: TypeAlias = NDArray[np.float32]
"""[80, frames] float32, about -1..1.5."""

_FLOOR = np.float32(1e-10)


def _hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale (Auditory Toolbox): linear below 1 kHz, logarithmic above."""
    return np.where(hz < 1000.0, 3.0 * hz / 200.0, 15.0 + 27.0 * np.log(np.maximum(hz, 1.0) / 1000.0) / np.log(6.4))


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0)))


@lru_cache(maxsize=1)
def filters() -> NDArray[np.float32]:
    """Return the mel filter bank, [80, 201] float32: triangles of unit area from 0 to 8 kHz (`norm="slaney"`)."""
    bins = np.linspace(0.0, RATE_HZ / 2, N_FFT // 2 + 1)
    top = _hz_to_mel(np.array(RATE_HZ / 2))
    edges = _mel_to_hz(np.linspace(0.0, float(top), MELS + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    bank = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
    return bank.astype(np.float32)


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float32]:
    """Periodic Hann window, [400]."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)


def log_mel(samples: Samples, frames: int) -> Mel:
    """[n] at 16 kHz -> [80, frames]: the sound padded with silence, or cut, to `frames` x 10 ms.

    Frames are centred on their sample, the edges mirrored. Only frames that touch sound are transformed: the padding
    that Whisper needs is constant.
    """
    samples = np.asarray(samples[: frames * HOP], np.float32)
    sounding = min(frames, (len(samples) + N_FFT // 2) // HOP + 1)
    padded = np.zeros(sounding * HOP + N_FFT, np.float32)
    padded[N_FFT // 2 : N_FFT // 2 + len(samples)] = samples[: len(padded) - N_FFT // 2]
    padded[: N_FFT // 2] = padded[N_FFT : N_FFT // 2 : -1]
    if len(samples) > frames * HOP - N_FFT // 2:
        end = N_FFT // 2 + frames * HOP
        padded[end : end + N_FFT // 2] = padded[end - 2 : end - 2 - N_FFT // 2 : -1]
    strided = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP][:sounding]
    spectrum = np.fft.rfft(strided * _window(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    mel = np.full((MELS, frames), np.log10(_FLOOR), np.float32)
    mel[:, :sounding] = np.log10(np.maximum(filters() @ power.astype(np.float32).T, _FLOOR))
    np.maximum(mel, mel.max() - 8.0, out=mel)
    mel += 4.0
    mel /= 4.0
    return mel
