"""The log-mel spectrogram against a plain float64 computation of its definition, and numbers of transformers."""

from __future__ import annotations

import numpy as np
import pytest

from edgeos.engines import mel


def sound(n, seed=0):
    """A rising tone in noise, the same on every machine."""
    t = np.arange(n) / 16_000
    noise = np.random.default_rng(seed).normal(size=n)
    return (0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t) + 0.01 * noise).astype(np.float32)


def by_definition(samples, frames):
    """openai/whisper `log_mel_spectrogram` word for word, in float64."""
    padded = np.zeros(frames * 160)
    padded[: len(samples)] = samples[: frames * 160]
    padded = np.pad(padded, 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.stack([np.abs(np.fft.rfft(padded[i * 160 : i * 160 + 400] * window)) ** 2 for i in range(frames)], 1)
    log = np.log10(np.maximum(mel.filters().astype(float) @ power, 1e-10))
    return (np.maximum(log, log.max() - 8) + 4) / 4


@pytest.mark.parametrize("n", [1, 100, 400, 16_000, 79_999, 159_700, 159_900, 160_000, 170_000])
def test_it_is_the_definition_for_every_length(n):
    got = mel.log_mel(sound(n), 1000)
    assert got.dtype == np.float32
    assert got.shape == (80, 1000)
    np.testing.assert_allclose(got, by_definition(sound(n), 1000), atol=1e-4)


def test_silence_is_finite_and_flat():
    got = mel.log_mel(np.zeros(16_000, np.float32), 1000)
    np.testing.assert_allclose(got, -1.5, atol=1e-6)


def test_filters_are_those_of_transformers():
    """Sums per band of `WhisperFeatureExtractor(feature_size=80).mel_filters` (transformers 4.57.6)."""
    bank = mel.filters()
    assert bank.shape == (80, 201)
    np.testing.assert_allclose(bank.sum(axis=1)[FILTER_BANDS], FILTER_SUMS, rtol=1e-5)


def test_values_are_those_of_transformers():
    """Of `WhisperFeatureExtractor` (transformers 4.57.6) over `sound(80_000)`: bands and frames of all its range."""
    got = mel.log_mel(sound(80_000), 3000)
    np.testing.assert_allclose(got[np.ix_(BANDS, FRAMES)], EXPECTED, atol=1e-4)


FILTER_BANDS = [0, 20, 40, 60, 79]
BANDS, FRAMES = [0, 10, 25, 40, 60, 79], [0, 1, 100, 250, 499, 500, 2999]
FILTER_SUMS = [0.02486259, 0.02486259, 0.02666486, 0.02510154, 0.02492534]
EXPECTED = [
    [1.06113, 0.48853, 0.08444, 0.07327, 0.25277, 0.31016, -0.65815],
    [0.77715, 0.23876, 0.12625, 0.01568, 0.10853, 0.29986, -0.65815],
    [0.33214, 0.09771, 0.02887, 0.24788, -0.00673, 0.34393, -0.65815],
    [0.07536, 0.03398, 0.06239, 1.27965, 0.17951, 0.39814, -0.65815],
    [0.14234, 0.09624, 0.13138, 0.102, 0.18815, 0.53648, -0.65815],
    [0.15504, 0.20291, 0.0937, 0.16737, 0.08193, 0.17358, -0.65815],
]
