"""The VAD: its carried context and state on a tiny model, the real one on real recordings."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="pip install onnx")

from assets.make_speech_models import make_vad, make_whisper, table

from edgeos.engines.ort import OrtConfig
from edgeos.engines.silero import SileroSpec
from edgeos.errors import BadAudio, ModelIncompatible
from edgeos.hearing import probabilities
from edgeos.sources import audiofile


def full(value):
    return np.full(512, value, np.float32)


@pytest.fixture
def tiny(tmp_path):
    return SileroSpec(make_vad(tmp_path / "vad.onnx"), OrtConfig(1)).build()


def test_the_last_64_samples_come_again_before_the_next_chunk(tiny):
    assert tiny(full(0.0)) == 0.0
    chunk = full(0.0)
    chunk[-64:] = [1.0, -1.0] * 32
    assert tiny(chunk) == pytest.approx(64 / 576)
    assert tiny(full(0.0)) == pytest.approx(64 / 576)
    assert tiny(full(0.0)) == 0.0


def test_the_state_is_carried_and_reset_forgets_it(tiny):
    first, second = tiny(full(0.25)), tiny(full(0.25))
    assert second > first
    tiny.reset()
    assert tiny(full(0.25)) == first


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_values_that_are_not_numbers_leave_no_trace(tiny, poison):
    tiny(full(0.25))
    bad = full(0.25)
    bad[7] = poison
    assert tiny(bad) == 0.0
    after = tiny(full(0.25))
    tiny.reset()
    tiny(full(0.25))
    assert tiny(full(0.25)) == after


@pytest.mark.parametrize("shape", [(0,), (511,), (1, 512), (1024,)])
def test_another_length_is_refused(tiny, shape):
    with pytest.raises(BadAudio, match="512"):
        tiny(np.zeros(shape, np.float32))


def test_a_model_for_another_job_is_refused(tmp_path):
    folder = make_whisper(tmp_path, table([0], 0.01, 20.0))
    with pytest.raises(ModelIncompatible, match="stateN"):
        SileroSpec(folder / "encoder.onnx", OrtConfig(1)).build()


# ---------------------------------------------------------------- the real model


@pytest.fixture
def vad(starter):
    return SileroSpec(starter("silero-vad")["silero_vad_16k_op15.onnx"], OrtConfig(1)).build()


@pytest.mark.parametrize("name", ["weather_query.wav", "harvard_spk1_1.wav", "coffee_order_05_8k.wav"])
def test_speech_is_found_between_its_silences(vad, testdata, name):
    found = np.array(probabilities(audiofile.read(testdata / "speech" / name), vad))
    assert found.max() > 0.95
    assert (found > 0.5).mean() > 0.5
    assert probabilities(np.zeros(16_000, np.float32), vad)[-1] < 0.1


def test_a_quiet_silence_before_coffee_is_ordered_is_not_speech(vad, testdata):
    found = np.array(probabilities(audiofile.read(testdata / "speech" / "coffee_order_01.wav"), vad))
    assert found[:70].max() < 0.35


@pytest.mark.parametrize("name", ["applause", "arcade_music", "piano", "rain", "room_noise_8s", "snoring", "typing"])
def test_noise_and_music_are_no_speech(vad, testdata, name):
    assert max(probabilities(audiofile.read(testdata / "wakeword" / f"neg_{name}.wav"), vad)) < 0.5


def test_a_nan_chunk_in_the_middle_of_speech_changes_nothing_after_it(vad, testdata):
    chunks = audiofile.read(testdata / "speech" / "harvard_spk1_1.wav")[: 80 * 512].reshape(-1, 512)
    clean = [vad(chunk) for chunk in chunks]
    vad.reset()
    spoilt = []
    for k, chunk in enumerate(chunks):
        if k == 20:
            assert vad(np.full(512, np.nan, np.float32)) == 0.0
        spoilt.append(vad(chunk))
    assert spoilt == clean
