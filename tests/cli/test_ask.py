"""`edgeos ask` with the real starter models, and every kind of bad input: one message, exit code 1, nothing written."""

import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from edgeos import demo, profile
from edgeos.cli import app
from edgeos.testing import silence, tone

MODELS = list(profile.load("starter").models.values())


@pytest.fixture(scope="module")
def models(starter):
    """Skips where the starter models are not pulled."""
    for model in MODELS:
        starter(model)


def ask(*words):
    return CliRunner().invoke(app, ["ask", *map(str, words)])


@pytest.fixture
def whiteboard(tmp_path):
    import cv2

    path = tmp_path / "board.png"
    cv2.imwrite(str(path), demo.draw(("MEETING AT 3 PM",))[..., ::-1])
    return path


def test_a_picture_answers_the_question_and_the_voice_says_it(models, whiteboard, tmp_path, starter):
    spoken = tmp_path / "answer.wav"
    done = ask("What time is the meeting?", "--image", whiteboard, "--speak", spoken, "--json")
    assert done.exit_code == 0, done.output
    reply = json.loads(done.stdout)
    assert list(reply) == ["heard", "scene", "prompt", "answer", "spoken", "timings_ms", "models", "warnings"]
    assert [f["value"] for f in reply["scene"] if f["kind"] == "text"] == ["MEETING AT 3 PM"]
    assert all({"kind", "value", "confidence", "source", "age_ms"} == set(f) for f in reply["scene"])
    assert "3" in reply["answer"]
    kinds = [p["kind"] for p in reply["prompt"]]
    assert set(kinds[:-2]) == {"system"}
    assert kinds[-2:] == ["scene", "speech"], "stable first, volatile last"
    assert {p["kind"]: p["trust"] for p in reply["prompt"]}["scene"] == "world"
    names = {"load", "asr", "vision", "prefill", "first_token", "first_audio", "total"}
    assert set(reply["timings_ms"]) == names
    assert reply["timings_ms"]["asr"] is None
    assert 0 < reply["timings_ms"]["first_token"] <= reply["timings_ms"]["first_audio"] <= reply["timings_ms"]["total"]
    assert set(reply["models"]) == {"labels", "ocr", "llm", "tts"}
    assert reply["models"]["llm"]["backend"] == "cpu"
    assert reply["models"]["ocr"]["ep"] == "CPUExecutionProvider"
    sound, rate = soundfile.read(spoken)
    assert reply["spoken"]["path"] == str(spoken)
    assert reply["spoken"]["seconds"] == pytest.approx(len(sound) / rate, abs=0.05)
    assert np.abs(sound).max() > 0.1


def test_a_spoken_question_is_heard_and_answered(models, testdata):
    done = ask("--audio", testdata / "speech" / "weather_query.wav", "--json")
    assert done.exit_code == 0, done.output
    reply = json.loads(done.stdout)
    assert "weather" in reply["heard"].lower()
    assert reply["answer"]
    assert reply["spoken"] is None
    assert reply["timings_ms"]["asr"] > 0
    assert set(reply["models"]) == {"vad", "asr", "llm"}


def test_people_read_a_block_per_turn(models):
    done = ask("What is the capital of France?")
    assert done.exit_code == 0
    assert "Paris" in done.stdout
    assert "first clause" in done.stdout


def test_silence_is_no_question(models, tmp_path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, silence(3.0), 16_000)
    done = ask("--audio", path)
    assert done.exit_code == 1
    assert "no words" in done.stderr


@pytest.mark.parametrize("words", [[], [" "], ["text", "--audio", "x.wav"], ["hi", "--volume", "3"]])
def test_bad_usage_is_exit_code_2(words):
    assert ask(*words).exit_code == 2


def wav(samples, **how):
    def write(path):
        soundfile.write(path, samples, 16_000, format="WAV", **how)

    return write


def bytes_(content):
    return lambda path: path.write_bytes(content)


def cut_wav(path):
    wav(tone(1.0))(path)
    path.write_bytes(path.read_bytes()[:9000])


BAD_AUDIO = {
    "missing": lambda path: None,
    "empty": bytes_(b""),
    "text": bytes_(b"What time is it?\n" * 100),
    "truncated": cut_wav,
    "header-only": lambda path: (wav(tone(1.0))(path), path.write_bytes(path.read_bytes()[:30])),
    "no-samples": wav(np.zeros(0, np.float32)),
    "one-sample": wav(np.ones(1, np.float32)),
    "nan": wav(np.full(16_000, np.nan, np.float32), subtype="FLOAT"),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_audio_is_refused_by_name(kind, tmp_path):
    path = tmp_path / f"{kind}.wav"
    BAD_AUDIO[kind](path)
    refused(ask("--audio", path, "--speak", tmp_path / "answer.wav"), path, tmp_path)


def png_header(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress(b"\0" * 1000)
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def cut_picture(suffix):
    def write(path):
        import cv2

        ok, data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
        assert ok
        path.write_bytes(data.tobytes()[: len(data) // 2])

    return write


BAD_IMAGES = {
    "missing.png": lambda path: None,
    "empty.png": bytes_(b""),
    "text.png": bytes_(b"MEETING AT 3 PM\n" * 20),
    "cut.png": cut_picture(".png"),
    "cut.jpg": cut_picture(".jpg"),
    "huge.png": bytes_(png_header(20_000, 20_000)),
    "folder.png": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_pictures_are_refused_by_name(name, tmp_path):
    path = tmp_path / name
    BAD_IMAGES[name](path)
    refused(ask("What is this?", "--image", path, "--speak", tmp_path / "answer.wav"), path, tmp_path)


def refused(done, path, folder):
    assert done.exit_code == 1, done.output
    assert str(path) in done.stderr
    assert "Fix: " in done.stderr
    assert "Traceback" not in done.output
    assert not (folder / "answer.wav").exists()
    assert [p for p in folder.iterdir() if p != path] == []


def test_speaking_into_a_missing_folder_is_refused_before_anything_loads(tmp_path):
    done = ask("Hi", "--speak", tmp_path / "no" / "answer.wav")
    assert done.exit_code == 1
    assert "no" in done.stderr
    assert "mkdir" in done.stderr


def test_unknown_profiles_and_keys_are_refused(tmp_path):
    done = ask("Hi", "--profile", "toaster")
    assert done.exit_code == 1
    assert "starter" in done.stderr
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\ntitle = "Mine"\nthreads = 3\n[models]\n')
    done = ask("Hi", "--profile", mine)
    assert done.exit_code == 1
    assert "threads" in done.stderr


def test_a_model_with_one_flipped_byte_is_refused_by_its_hash(tmp_path, starter, monkeypatch):
    """The GGUF in the cache is a copy with one byte changed: no parser may see it."""
    source = starter("smollm2-135m-instruct")
    ((name, path),) = source.items()
    folder = tmp_path / "models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    monkeypatch.setenv("EDGEOS_CACHE", str(tmp_path))
    done = ask("Hi")
    assert done.exit_code == 1
    assert name in done.stderr
    assert "sha256" in done.stderr
    assert "edgeos pull" in done.stderr


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOS_CACHE", str(tmp_path))
    done = ask("Hi")
    assert done.exit_code == 1
    assert "edgeos pull" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    done = CliRunner().invoke(app, ["--debug", "ask", "Hi", "--image", str(tmp_path / "no.png")])
    assert done.exit_code == 1
    assert "Traceback" in done.stderr


def test_the_command_itself_ends_with_code_1_and_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "edgeos", "ask", "Hi", "--image", str(tmp_path / "no.png")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
