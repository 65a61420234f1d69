"""The voice: a tiny real model through the true path, and the real starter voice where it is pulled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeos.engines.ort import OrtConfig
from edgeos.engines.piper import PiperSpec, tidy
from edgeos.errors import DependencyMissing, EngineFailed, ModelIncompatible, ModelMissing

pytest.importorskip("piper", reason="pip install 'edgeos[voice]'")
onnx = pytest.importorskip("onnx", reason="pip install onnx")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "assets"))
from make_tiny_voice import PER_ID, RATE_HZ, make_tiny_voice

FRAME = RATE_HZ // 100


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    return make_tiny_voice(tmp_path_factory.mktemp("voice"))


def spec(voice, **changes):
    return PiperSpec(*voice, **changes)


def test_speech_is_float32_within_range_at_the_voices_rate_and_ends_in_silence(voice):
    tts = spec(voice).build()
    samples = tts.synthesize("The meeting is at 3 PM.")
    assert tts.rate_hz == RATE_HZ
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert np.abs(samples).max() == pytest.approx(0.3 * 1.4, rel=0.05)
    assert not samples[-round(0.34 * RATE_HZ) :].any()
    assert abs(samples[0]) < 0.01, "the first sample clicks"


@pytest.mark.parametrize("nothing", ["", "  \n", "...", "😀", "**", "```", "\x00", "---"])
def test_nothing_to_say_is_no_sound(voice, nothing):
    assert len(spec(voice).build().synthesize(nothing)) == 0


def test_the_pause_fits_the_punctuation(voice):
    tts = spec(voice).build()

    def pause_s(text):
        return (len(samples := tts.synthesize(text)) - np.flatnonzero(samples)[-1]) / RATE_HZ

    stop, comma, none = pause_s("a cup."), pause_s("a cup,"), pause_s("a cup")
    assert stop == pytest.approx(comma + 0.23, abs=0.02)
    assert comma > none > 0.05


def test_figures_are_spoken_as_words(voice):
    tts = spec(voice, noise_scale=0.0).build()
    np.testing.assert_array_equal(
        tts.synthesize("It is **$4.50**."), tts.synthesize("It is four dollars and fifty cents.")
    )


def test_a_slower_pace_takes_longer(voice):
    normal, slow = (len(spec(voice, length_scale=s).build().synthesize("a b c d e f")) for s in (1.0, 2.0))
    assert slow > 1.5 * normal


def test_the_same_clauses_in_the_same_order_sound_the_same_in_every_session(voice):
    one, two = spec(voice).build(), spec(voice).build()
    for text in ("Hello.", "Hello.", "Good bye."):
        np.testing.assert_array_equal(one.synthesize(text), two.synthesize(text))
    assert not np.array_equal(one.synthesize("Hello."), one.synthesize("Hello.")), "the noise is meant to vary"


def test_loud_voices_are_kept_below_full_scale(tmp_path):
    samples = PiperSpec(*make_tiny_voice(tmp_path, loudness=3.0)).build().synthesize("Hello there.")
    assert np.abs(samples).max() == pytest.approx(0.95, abs=1e-3)


def test_phonemes_that_the_voice_does_not_know_are_left_out(tmp_path):
    model, config = make_tiny_voice(tmp_path)
    known = json.loads(config.read_text())
    for phoneme in "ɛəʊ":
        known["phoneme_id_map"].pop(phoneme)
    whole = PiperSpec(model, config).build().synthesize("hello")
    config.write_text(json.dumps(known))
    fewer = PiperSpec(model, config).build().synthesize("hello")
    assert 0 < len(fewer) < len(whole)
    assert len(whole) - len(fewer) > PER_ID


def test_one_of_many_speakers(tmp_path):
    voice = make_tiny_voice(tmp_path, speakers=3)
    loud, soft = (np.abs(spec(voice, speaker=n).build().synthesize("a cup")).max() for n in (0, 2))
    assert soft == pytest.approx(loud / 3, rel=0.05)


def test_a_very_long_clause_is_spoken_whole(voice):
    tts = spec(voice).build()
    short, long = len(tts.synthesize("banana " * 10)), len(tts.synthesize("banana " * 300))
    assert long == pytest.approx(30 * short, rel=0.2)


def test_nan_from_the_model_is_an_error_and_not_a_sound(tmp_path):
    tts = PiperSpec(*make_tiny_voice(tmp_path, loudness=float("nan"))).build()
    with pytest.raises(EngineFailed, match="not numbers"):
        tts.synthesize("Hello.")


def test_a_missing_config_names_the_file(voice, tmp_path):
    with pytest.raises(ModelMissing, match=r"none\.json"):
        PiperSpec(voice[0], tmp_path / "none.json").build()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("not json", "malformed"),
        ("{}", "audio"),
        ('{"audio": {"sample_rate": 1}, "espeak": {"voice": "x"}, "phoneme_id_map": {"a": [1]}}', r"without \['\$'"),
        (
            '{"audio": {"sample_rate": 1}, "espeak": {"voice": "x"}, "phoneme_type": "pinyin",'
            ' "phoneme_id_map": {"^": [1], "$": [2], "_": [0]}}',
            "'pinyin' phonemes",
        ),
    ],
)
def test_a_config_that_does_not_fit_is_refused(voice, tmp_path, content, told):
    path = tmp_path / "voice.json"
    path.write_text(content)
    with pytest.raises(ModelIncompatible, match=told):
        PiperSpec(voice[0], path).build()


def test_a_model_that_is_no_voice_is_refused(voice, tmp_path):
    broken = tmp_path / "voice.onnx"
    broken.write_bytes(voice[0].read_bytes()[:100])
    with pytest.raises(ModelIncompatible, match=r"voice\.onnx"):
        PiperSpec(broken, voice[1], OrtConfig()).build()


def test_without_piper_tts_the_fix_is_one_command(voice):
    code = (
        "import sys; sys.modules['piper'] = None\n"
        "from pathlib import Path\n"
        "from edgeos.engines.piper import PiperSpec\n"
        "from edgeos.errors import DependencyMissing\n"
        "try:\n    PiperSpec(Path(sys.argv[1]), Path(sys.argv[2])).build()\n"
        "except DependencyMissing as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code, *map(str, voice)], capture_output=True, text=True, check=True)
    assert "pip install 'edgeos[voice]'" in told.stdout
    assert issubclass(DependencyMissing, ImportError)


def test_tidy_shortens_silence_at_both_ends_and_inside_and_fades():
    tone = np.sin(np.arange(RATE_HZ) * 0.1).astype(np.float32)
    silence = np.zeros(RATE_HZ, np.float32)
    out = tidy(np.concatenate([silence, tone, silence, tone, silence]), RATE_HZ)
    assert len(out) == pytest.approx(2 * RATE_HZ + (0.03 + 0.45 + 0.06) * RATE_HZ, abs=4 * FRAME)
    np.testing.assert_array_equal(tidy(out, RATE_HZ)[200:-200], out[200:-200])
    assert out[0] == 0
    assert abs(out[-1]) < 0.01


def test_tidy_of_silence_and_of_nothing_is_empty():
    assert len(tidy(np.zeros(1000, np.float32), RATE_HZ)) == 0
    assert len(tidy(np.zeros(0, np.float32), RATE_HZ)) == 0


def test_tidy_leaves_its_input_alone():
    tone = np.ones(5000, np.float32)
    tidy(tone, RATE_HZ)
    assert (tone == 1).all()


def test_the_starter_voice_speaks(starter):
    files = starter("joe-medium")
    tts = PiperSpec(files["en_US-joe-medium.onnx"], files["en_US-joe-medium.onnx.json"]).build()
    short, long = tts.synthesize("Hi."), tts.synthesize("The meeting on the whiteboard is at three PM.")
    assert tts.rate_hz == 22_050
    assert 0.3 < len(short) / 22_050 < 1.2
    assert 1.8 < len(long) / 22_050 < 5.0
    assert 0.2 < np.abs(long).max() <= 0.9501
