from __future__ import annotations

import hashlib
import json
import os

import pytest
from assets.index_server import Fault, loopback, make_wheel, pip_uses, serving
from typer.testing import CliRunner

from edgeos import manifest, profile
from edgeos.cli import app
from edgeos.cli.pull import _chosen

WEIGHTS = os.urandom(300_000)


def write_manifest(folder, model_id="tiny", content=WEIGHTS, commercial="true"):
    path = folder / f"{model_id}.toml"
    path.write_text(f"""
id = "{model_id}"
job = "llm"
engine = "llama"
title = "A tiny [model]"
[licence]
name = "CC-BY-4.0"
commercial = {commercial}
note = "Weights by somebody."
[[files]]
name = "w.bin"
bytes = {len(content)}
sha256 = "{hashlib.sha256(content).hexdigest()}"
[[files.sources]]
kind = "package"
parts = [{{ requirement = "tiny-model==1.0", path = "tiny_model/w.bin" }}]
""")
    return str(path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    if why := loopback():
        pytest.skip(why)
    monkeypatch.setenv("EDGEOS_CACHE", str(tmp_path / "cache"))
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    with serving() as running:
        running.add_wheel(make_wheel(tmp_path / "built", "tiny-model", "1.0", {"tiny_model/w.bin": WEIGHTS}))
        pip_uses(running.url + "/simple/", monkeypatch)
        yield running


def pull(*args, **env):
    return CliRunner(env=env).invoke(app, ["pull", *args])


def test_plain_lines_into_a_pipe(server, tmp_path):
    done = pull(write_manifest(tmp_path))
    assert done.exit_code == 0
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert done.stdout.splitlines() == [
        "tiny  A tiny [model]  0.3 MB",
        "  licence: CC-BY-4.0. Weights by somebody.",
        "  w.bin: downloading (0.3 MB)",
        f"  w.bin: verified sha256 {sha256[:8]}",
    ]
    assert (tmp_path / "cache" / "models" / "tiny" / "w.bin").read_bytes() == WEIGHTS


def test_the_second_time_nothing_is_downloaded(server, tmp_path):
    path = write_manifest(tmp_path)
    pull(path)
    asked = len(server.asked)
    done = pull(path)
    assert done.exit_code == 0
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert done.stdout.splitlines()[-1] == f"  already here, verified sha256: w.bin {sha256[:8]}"
    assert len(server.asked) == asked


def test_json_is_one_object(server, tmp_path):
    path = write_manifest(tmp_path)
    first, second = json.loads(pull(path, "--json").stdout), json.loads(pull(path, "--json").stdout)
    assert first == {
        "models": [
            {
                "id": "tiny",
                "licence": "CC-BY-4.0",
                "files": [
                    {
                        "name": "w.bin",
                        "bytes": len(WEIGHTS),
                        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
                        "path": str(tmp_path / "cache" / "models" / "tiny" / "w.bin"),
                        "fetched": True,
                    }
                ],
            }
        ]
    }
    assert second["models"][0]["files"][0]["fetched"] is False


def test_bars_on_a_terminal(server, tmp_path):
    server.faults["/files/tiny_model-1.0-py3-none-any.whl"] = Fault("cut", at=100_000)
    done = pull(write_manifest(tmp_path), FORCE_COLOR="1", TERM="xterm", COLUMNS="120")
    assert done.exit_code == 0
    assert "━" in done.stdout
    assert "\x1b[" in done.stdout
    assert "trying again" in done.stdout
    assert f"verified sha256 {hashlib.sha256(WEIGHTS).hexdigest()[:8]}" in done.stdout


def test_a_non_commercial_licence_is_said_aloud(server, tmp_path):
    done = pull(write_manifest(tmp_path, commercial="false"))
    assert "licence: CC-BY-4.0, NOT for commercial use. Weights by somebody." in done.stdout


def test_other_bytes_end_with_one_message_and_exit_code_1(server, tmp_path):
    done = pull(write_manifest(tmp_path, content=WEIGHTS[::-1]))
    assert done.exit_code == 1
    assert done.stderr.startswith("edgeos: model tiny, file w.bin: expected 300000 bytes with sha256")
    assert f"found package tiny-model==1.0: sha256 {hashlib.sha256(WEIGHTS).hexdigest()}" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "cache" / "models" / "tiny").iterdir()) == []


def test_the_models_of_a_profile(server, tmp_path):
    chosen = tmp_path / "mine.toml"
    chosen.write_text(f'name = "mine"\ntitle = "Mine"\n[models]\nllm = "{write_manifest(tmp_path)}"\n')
    done = pull("--profile", str(chosen), "--json")
    assert [model["id"] for model in json.loads(done.stdout)["models"]] == ["tiny"]


def test_without_a_name_the_starter_profile_is_pulled():
    assert [model.id for model in _chosen([], None)] == list(profile.load("starter").models.values())


def test_models_named_beside_a_profile_come_too_and_once():
    starter = list(profile.load("starter").models.values())
    assert [model.id for model in _chosen([starter[-1]], "starter")] == [starter[-1], *starter[:-1]]


def test_an_unknown_model_lists_the_known_ones():
    done = pull("nope")
    assert done.exit_code == 1
    assert all(name in done.stderr for name in manifest.all_manifests())
