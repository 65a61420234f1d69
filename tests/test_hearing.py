"""Sound of any length to text, as the product does it: VAD, windows, Whisper."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from edgeos import manifest
from edgeos.engines.ort import OrtConfig
from edgeos.engines.silero import SileroSpec
from edgeos.engines.whisper import WhisperSpec
from edgeos.hearing import hear
from edgeos.sources import audiofile


def go():
    return False


class Loud:
    """Speech is what is not silence."""

    def __call__(self, samples):
        return float(np.abs(samples).max() > 0)

    def reset(self):
        pass


class Lengths:
    """Writes down what it was given."""

    def __init__(self):
        self.heard = []

    def transcribe(self, samples, stop):
        self.heard.append(samples)
        return "word" if len(self.heard) != 2 else ""


def test_every_sample_of_a_long_speech_is_transcribed_once():
    samples = np.arange(1, 100 * 16_000, dtype=np.float32)
    asr = Lengths()
    text = hear(samples, Loud(), asr, go)
    assert np.array_equal(np.concatenate(asr.heard), samples)
    assert all(len(piece) <= 30 * 16_000 for piece in asr.heard)
    assert text == " ".join(["word"] * (len(asr.heard) - 1))


def test_silence_is_never_transcribed():
    asr = Lengths()
    assert hear(np.zeros(50_000, np.float32), Loud(), asr, go) == ""
    assert hear(np.zeros(0, np.float32), Loud(), asr, go) == ""
    assert asr.heard == []


def test_stop_returns_what_was_heard_so_far():
    asr = Lengths()
    assert hear(np.ones(100 * 16_000, np.float32), Loud(), asr, lambda: len(asr.heard) == 1) == "word"


# ---------------------------------------------------------------- the real models


@pytest.fixture(scope="module")
def ears(starter):
    vad = SileroSpec(starter("silero-vad")["silero_vad_16k_op15.onnx"], OrtConfig(1)).build()
    files = starter("whisper-tiny.en-int8")
    settings = manifest.find("whisper-tiny.en-int8").settings
    names = ("encoder.onnx", "decoder.onnx", "tokens.json")
    return vad, WhisperSpec(*(files[name] for name in names), settings, OrtConfig(2)).build()


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower().replace("'", ""))


CLIPS = [
    "harvard_spk1_1.wav",
    "librispeech_1272_quilter.wav",
    "jfk_44k_stereo.flac",
    "coffee_order_04.wav",
    "lj001-0004_22k.wav",
    "coffee_order_02.wav",
    "harvard_spk1_4.wav",
    "coffee_order_01.wav",
    "order_americano.wav",
    "harvard_spk1_5.wav",
    "weather_query.wav",
    "coffee_order_05.wav",
]


def test_more_than_a_minute_loses_nothing_at_the_seams(ears, testdata):
    lines = map(json.loads, (testdata / "manifest.jsonl").read_text().splitlines())
    truth = {record["path"]: record.get("transcript") for record in lines}
    samples = np.concatenate([audiofile.read(testdata / "speech" / name) for name in CLIPS])
    assert len(samples) > 60 * 16_000
    wanted = words(" ".join(truth[f"speech/{name}"] for name in CLIPS))
    got = words(hear(samples, *ears, go))
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    assert row[-1] <= 0.03 * len(wanted), f"{row[-1]} of {len(wanted)} words wrong: {' '.join(got)}"


@pytest.mark.parametrize("name", ["applause", "arcade_music", "piano", "rain", "room_noise_8s", "snoring", "typing"])
def test_noise_and_music_give_no_words(ears, testdata, name):
    assert hear(audiofile.read(testdata / "wakeword" / f"neg_{name}.wav"), *ears, go) == ""


def test_white_noise_hum_and_silence_give_no_words(ears):
    t = np.arange(10 * 16_000) / 16_000
    random = np.random.default_rng(3)
    for sound in (
        np.zeros(len(t)),
        random.normal(size=len(t)) * 0.3,
        random.normal(size=len(t)) * 0.001,
        0.2 * np.sin(2 * np.pi * 60 * t) + 0.1 * np.sin(2 * np.pi * 120 * t),
        0.3 * np.sin(2 * np.pi * 300 * t * t / 10),
    ):
        assert hear(sound.clip(-1, 1).astype(np.float32), *ears, go) == ""
