"""`edgeos run` and `edgeos demo` with the real starter models, from files to files."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from edgeos import demo, profile
from edgeos.assemble import assemble
from edgeos.cli import app
from edgeos.hearing import hear
from edgeos.spoken import spoken
from edgeos.testing import silence

MODELS = list(profile.load("starter").models.values())


@pytest.fixture(scope="module")
def sample(starter, tmp_path_factory):
    """The demo's questions and pictures, made by the real voice."""
    for model in MODELS:
        starter(model)
    voice = assemble(profile.load("starter"), ["tts"]).specs.tts.build()
    return demo.make(tmp_path_factory.mktemp("demo"), voice)


def test_three_spoken_turns_from_files_to_files(sample, tmp_path):
    questions, pictures = sample
    answer, log = tmp_path / "answer.wav", tmp_path / "events.jsonl"
    words = ["run", "--mic", f"wav:{questions}", "--camera", f"dir:{pictures}?every={demo.EVERY_S:g}"]
    done = CliRunner().invoke(app, [*words, "--speaker", f"wav:{answer}", "--events", str(log)])
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in log.read_text().splitlines()]
    by_name = {name: [e for e in events if e["event"] == name] for name in {e["event"] for e in events}}
    assert all(list(e)[:3] == ["event", "t_ns", "turn"] for e in events)
    answers = [e["answer"] for e in by_name["TurnEnded"]]
    assert len(answers) == 3
    assert "3" in answers[0]
    assert "Paris" in answers[1]
    assert "3.50" in answers[2]
    assert [e["turn"] for e in by_name["FirstSound"]] == [1, 2, 3]
    started = next(e["t_ns"] for e in by_name["SourceStarted"] if e["kind"] == "audio")
    first = by_name["SpeechStarted"][0]["t_ns"]
    assert (first - started) / 1e9 == pytest.approx(3.0, abs=0.4), "the first question begins 3 s into the file"
    spoken, rate = soundfile.read(answer)
    assert len(spoken) / rate >= sum(e["spoken_s"] for e in by_name["TurnEnded"])
    for shown in ("heard", "sees", "says", "first sound"):
        assert shown in done.output


ANSWERS = (
    "The meeting is scheduled to take place at 3 PM.",
    "The coffee costs $3.50, and the tea is two dollars.",
    "It reads the word exit, above a green door.",
    "Water boils at 100 degrees Celsius.",
    "I can see a beagle sitting on the grass.",
    "Good morning! How can I help you today?",
)


def test_what_we_said_can_be_understood(starter):
    """Our own ears hear at least 90 % of the words that our own voice says."""
    import soxr

    specs = assemble(profile.load("starter"), ["vad", "asr", "tts"]).specs
    voice, vad, asr = specs.tts.build(), specs.vad.build(), specs.asr.build()
    found = total = 0
    for answer in ANSWERS:
        sound = soxr.resample(voice.synthesize(answer), voice.rate_hz, 16_000)
        heard = spoken(hear(np.concatenate([silence(0.3), sound, silence(0.3)]), vad, asr, lambda: False))
        words = re.findall(r"[a-z]+", spoken(answer).lower())
        found += sum(word in re.findall(r"[a-z]+", heard.lower()) for word in words)
        total += len(words)
    assert found >= 0.9 * total


def test_typed_questions_without_devices(sample):
    """No microphone, no camera, no speaker on this machine: each is named with its fix, and text goes in and out."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "edgeos",
            "run",
            "--mic",
            "mic:no such",
            "--camera",
            "camera:97",
            "--speaker",
            "speaker:no such",
        ],
        input="What is the capital of France?\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert done.stdout.count("Fix:") == 3


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_ends_cleanly(sample, tmp_path, signum):
    questions, pictures = sample
    answer, log = tmp_path / "answer.wav", tmp_path / "events.jsonl"
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "edgeos",
            "run",
            "--mic",
            f"wav:{questions}",
            "--camera",
            f"dir:{pictures}",
            "--speaker",
            f"wav:{answer}",
            "--events",
            str(log),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (log.exists() and "FirstToken" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signum)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 0, stderr
    assert "Traceback" not in stderr
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [e["reason"] for e in events if e["event"] == "TurnEnded"] == ["interrupted"]
    assert [p.name for p in tmp_path.iterdir() if p.name not in {"answer.wav", "events.jsonl"}] == []
    if answer.exists():
        assert len(soundfile.read(answer)[0])


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--mic", "fax:1", "wav:"),
        ("--camera", "fax:1", "image:"),
        ("--speaker", "fax:1", "wav:"),
        ("--mic", "wav:missing.wav", "missing.wav"),
        ("--camera", "image:missing.png", "missing.png"),
        ("--speaker", "wav:no/folder/a.wav", "no/folder"),
        ("--events", "no/folder/events.jsonl", "no/folder"),
    ],
)
def test_what_cannot_be_opened_is_named(sample, tmp_path, monkeypatch, option, value, says):
    monkeypatch.chdir(tmp_path)
    devices = {"--mic": "null:", "--camera": "null:", "--speaker": "null:", option: value}
    done = CliRunner().invoke(app, ["run", *(word for pair in devices.items() for word in pair)])
    assert done.exit_code == 1, done.output
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_chat_keeps_the_history(sample):
    done = subprocess.run(
        [sys.executable, "-m", "edgeos", "chat"],
        input="What is the capital of France?\nWhat is the capital of Italy?\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert "Rome" in done.stdout


def test_listen_prints_captions(sample):
    done = CliRunner().invoke(app, ["listen", f"wav:{sample[0]}?pace=fast"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 3
    assert "meeting" in lines[0].lower()
    assert "capital of France" in lines[1]


def test_watch_prints_the_scene_as_it_changes(sample):
    done = CliRunner().invoke(app, ["watch", f"dir:{sample[1]}?every=4", "--json"])
    assert done.exit_code == 0, done.output
    scenes = [json.loads(line) for line in done.stdout.splitlines()]
    read = [[f["value"] for f in scene["facts"] if f["kind"] == "text"] for scene in scenes]
    assert read[0] == ["MEETING AT 3 PM"]
    assert any("3.50" in text for text in read[-1])
    assert len(scenes) == 2, "the second picture shows the same as the first"
