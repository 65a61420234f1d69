"""Speech to text: the decode loop and its guards on a tiny scripted model, then the real model on real recordings."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("onnx", reason="pip install onnx")

from assets.make_speech_models import EOT, PIECES, SETTINGS, make_whisper, table

from edgeos import manifest
from edgeos.engines.ort import OrtConfig
from edgeos.engines.whisper import WhisperSpec
from edgeos.errors import BadAudio, BadConfig, ModelIncompatible
from edgeos.sources import audiofile

TURN, IT, OFF, PLEASE, HELLO, WORLD, NO, NEVER, A, B, DOTS, SPACE = range(len(PIECES))
TONE = (0.1 * np.sin(np.arange(32_000) / 10)).astype(np.float32)


def go():
    return False


def spec(folder, settings=SETTINGS):
    files = (folder / name for name in ("encoder.onnx", "decoder.onnx", "tokens.json"))
    return WhisperSpec(*files, settings, OrtConfig(1))


def said(folder, tokens, full=None, no_speech=0.01, sure=20.0):
    """What a model with this script makes of a tone; `full` is its script with 30 s of context."""
    whole = None if full is None else table(full, no_speech, sure)
    return spec(make_whisper(folder, table(tokens, no_speech, sure), whole)).build().transcribe(TONE, go)


def test_the_cache_is_carried_from_step_to_step(tmp_path):
    assert said(tmp_path, [HELLO, WORLD, PLEASE, TURN, IT, OFF]) == "hello world please turn it off"


def test_bytes_of_one_character_may_come_in_two_tokens(tmp_path):
    assert said(tmp_path, [HELLO, A, B]) == "helloé"


def test_a_character_cut_in_two_is_no_error(tmp_path):
    assert said(tmp_path, [HELLO, A]) == "hello\N{REPLACEMENT CHARACTER}"


def test_suppressed_tokens_and_timestamps_are_never_written(tmp_path):
    rows = table([HELLO], 0.01, 20.0)
    rows[1, [NEVER, EOT, SPACE, len(rows[1]) - 1]] = 30.0
    rows[2, [NEVER, len(rows[2]) - 1]] = 30.0
    assert spec(make_whisper(tmp_path, rows)).build().transcribe(TONE, go) == "hello"


def test_no_speech_gives_no_words_however_sure_they_are(tmp_path):
    assert said(tmp_path / "a", [HELLO], no_speech=0.69) == "hello"
    assert said(tmp_path / "b", [HELLO], no_speech=0.75) == ""


def test_unlikely_words_are_not_said(tmp_path):
    assert said(tmp_path, [HELLO, WORLD], sure=0.5) == ""


def test_punctuation_alone_is_no_words(tmp_path):
    assert said(tmp_path, [DOTS, DOTS]) == ""


def test_a_loop_is_tried_again_with_the_whole_context(tmp_path):
    loop = [TURN, IT, OFF, PLEASE] * 15
    assert said(tmp_path, loop, full=[TURN, IT, OFF, PLEASE]) == "turn it off please"


def test_a_loop_that_stays_is_said_once(tmp_path):
    assert said(tmp_path, [HELLO] + [TURN, IT, OFF, PLEASE] * 15) == "hello turn it off please"


def test_a_word_said_a_few_times_is_no_loop(tmp_path):
    assert said(tmp_path, [NO] * 5, full=[HELLO]) == "no no no no no"


def test_decoding_ends_at_half_the_text_context(tmp_path):
    words = [HELLO, WORLD, PLEASE, TURN, IT, OFF, NO]
    # No phrase comes three times in a row, and it never ends by itself.
    tokens = [words[(k * k + k // 7) % 7] for k in range(60)]
    assert len(said(tmp_path, tokens).split()) == SETTINGS["positions"] // 2


def test_stop_ends_decoding_without_words(tmp_path):
    asr = spec(make_whisper(tmp_path, table([HELLO, WORLD], 0.01, 20.0))).build()
    polls = iter([False, True])
    assert asr.transcribe(TONE, lambda: next(polls, True)) == ""


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(16_000, np.float32), TONE * 1e-3], ids=len)
def test_silence_and_what_is_nearly_silence_give_no_words(tmp_path, samples):
    asr = spec(make_whisper(tmp_path, table([HELLO], 0.01, 20.0))).build()
    assert asr.transcribe(samples, go) == ""
    assert asr.transcribe(TONE, go) == "hello"


@pytest.mark.parametrize(
    "samples",
    [np.zeros(30 * 16_000 + 1, np.float32), np.full(16_000, np.nan, np.float32), np.zeros((2, 16_000), np.float32)],
    ids=["too long", "NaN", "stereo"],
)
def test_sound_that_no_whisper_takes_is_refused(tmp_path, samples):
    asr = spec(make_whisper(tmp_path, table([HELLO], 0.01, 20.0))).build()
    with pytest.raises(BadAudio, match="at most 30 s"):
        asr.transcribe(samples, go)


def test_thirty_seconds_exactly_are_taken(tmp_path):
    asr = spec(make_whisper(tmp_path, table([HELLO], 0.01, 20.0))).build()
    assert asr.transcribe(np.resize(TONE, 30 * 16_000), go) == "hello"


def test_settings_are_checked(tmp_path):
    folder = make_whisper(tmp_path, table([HELLO], 0.01, 20.0))
    with pytest.raises(BadConfig, match="beams"):
        spec(folder, {**SETTINGS, "beams": 5}).build()
    with pytest.raises(BadConfig, match="eot"):
        spec(folder, {key: value for key, value in SETTINGS.items() if key != "eot"}).build()


def test_a_model_of_another_shape_is_refused(tmp_path):
    folder = make_whisper(tmp_path, table([HELLO], 0.01, 20.0))
    with pytest.raises(ModelIncompatible, match="cross_k_1"):
        spec(folder, {**SETTINGS, "layers": 2}).build()
    (folder / "tokens.json").write_text('["a"]')
    with pytest.raises(ModelIncompatible, match=r"tokens\.json.*1 pieces"):
        spec(folder).build()
    (folder / "tokens.json").write_text('{"a": 1}')
    with pytest.raises(ModelIncompatible, match=r"tokens\.json"):
        spec(folder).build()


# ---------------------------------------------------------------- the real model


@pytest.fixture(scope="module")
def real(starter):
    files = starter("whisper-tiny.en-int8")
    settings = manifest.find("whisper-tiny.en-int8").settings
    return WhisperSpec(
        files["encoder.onnx"], files["decoder.onnx"], files["tokens.json"], settings, OrtConfig(2)
    ).build()


def words(text):
    return "".join(c if c.isalnum() else " " for c in text.lower().replace("'", "")).split()


@pytest.mark.parametrize(
    "name",
    [
        "weather_query.wav",
        "weather_query_mulaw.wav",
        "weather_query.mp3",
        "harvard_spk1_4.wav",
        "librispeech_1272_quilter.wav",
        "jfk_44k_stereo.flac",
        "lj001-0004_22k.wav",
        "coffee_order_05_8k.wav",
    ],
)
def test_clear_speech_is_heard_word_for_word(real, testdata, name):
    lines = (testdata / "manifest.jsonl").read_text().splitlines()
    truth = {record["path"]: record for record in map(json.loads, lines)}
    heard = real.transcribe(audiofile.read(testdata / "speech" / name), go)
    assert words(heard) == words(truth[f"speech/{name}"]["transcript"])


def test_the_same_sound_gives_the_same_text(real, testdata):
    samples = audiofile.read(testdata / "wakeword" / "neg_snoring.wav")
    assert real.transcribe(samples, go) == real.transcribe(samples, go)


@pytest.mark.parametrize("kind", ["white", "hum", "silence"])
def test_noise_alone_gives_no_words_even_without_a_vad(real, kind):
    t = np.arange(6 * 16_000) / 16_000
    samples = {
        "white": np.random.default_rng(1).normal(size=len(t)) * 0.05,
        "hum": 0.1 * np.sin(2 * np.pi * 50 * t) + 0.05 * np.sin(2 * np.pi * 100 * t),
        "silence": np.zeros(len(t)),
    }[kind]
    assert real.transcribe(samples.astype(np.float32), go) == ""
