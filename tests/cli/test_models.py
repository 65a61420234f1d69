from __future__ import annotations

import hashlib
import json

import pytest
from typer.testing import CliRunner

from edgeos import data, manifest
from edgeos.cli import app


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tiny(tmp_path):
    """A manifest of two files, none of them here."""
    files = "".join(
        f'[[files]]\nname = "{name}"\nbytes = 3\nsha256 = "{hashlib.sha256(content).hexdigest()}"\nsources = []\n'
        for name, content in (("a.bin", b"aaa"), ("b.bin", b"bbb"))
    )
    path = tmp_path / "tiny.toml"
    head = (
        'id = "tiny"\njob = "llm"\nengine = "llama"\ntitle = "A tiny model"\nlicence = {name = "X", commercial = false}'
    )
    path.write_text(f"{head}\nsettings = {{many = {list(range(99))}}}\n{files}")
    return str(path)


def put(tmp_path, **contents):
    folder = tmp_path / "cache" / "models" / "tiny"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.bin").write_bytes(content)


def models(*args):
    return CliRunner().invoke(app, ["models", *args])


def test_list_has_every_manifest():
    done = models("list", "--json")
    rows = {row["id"]: row for row in json.loads(done.stdout)["models"]}
    assert rows.keys() == manifest.all_manifests().keys()
    assert rows["smollm2-135m-instruct"] == {
        "id": "smollm2-135m-instruct",
        "job": "llm",
        "bytes": 98362432,
        "licence": "Apache-2.0",
        "commercial": True,
        "state": "missing",
    }
    assert all(row["state"] == "here" for row in rows.values() if (data.folder("models") / row["id"]).is_dir())


def test_list_for_people_is_a_line_per_model():
    lines = models("list").stdout.splitlines()
    assert len(lines) == len(manifest.all_manifests())
    assert any(
        line.split() == ["smollm2-135m-instruct", "llm", "98.4", "MB", "missing", "Apache-2.0"] for line in lines
    )


def test_show_says_where_each_file_is(tiny, tmp_path):
    put(tmp_path, a=b"aaa", b=b"bbX")
    shown = json.loads(models("show", tiny, "--json").stdout)
    assert shown["id"] == "tiny"
    assert shown["licence"]["commercial"] is False
    assert shown["places"] == {
        "a.bin": {"path": str(tmp_path / "cache" / "models" / "tiny" / "a.bin"), "state": "here"},
        "b.bin": {"path": None, "state": "corrupt"},
    }
    text = models("show", tiny).stdout
    assert "tiny: A tiny model" in text
    assert "X (not for commercial use)" in text
    assert str(tmp_path / "cache" / "models" / "tiny" / "a.bin") in text
    assert "corrupt" in text
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize(
    ("contents", "state", "code"),
    [
        ({"a": b"aaa", "b": b"bbb"}, "here", 0),
        ({"a": b"aaa"}, "missing", 1),
        ({}, "missing", 1),
        ({"a": b"aab", "b": b"bbb"}, "corrupt", 1),
        ({"b": b"bbbb"}, "corrupt", 1),
    ],
)
def test_verify_a_model_by_name(tiny, tmp_path, contents, state, code):
    put(tmp_path, **contents)
    done = models("verify", tiny, "--json")
    assert done.exit_code == code
    assert json.loads(done.stdout)["models"][0]["state"] == state
    plain = models("verify", tiny)
    assert plain.exit_code == code
    assert ("expected 3 bytes with sha256" if state == "corrupt" else f"tiny: {state}") in plain.stdout


def test_verify_all_does_not_mind_what_was_never_pulled(tmp_path):
    assert models("verify").exit_code == 0
    folder = tmp_path / "cache" / "models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    done = models("verify")
    assert done.exit_code == 1
    assert "found 4 bytes. Fix: edgeos pull smollm2-135m-instruct" in done.stdout


def test_an_unknown_model_is_one_message():
    done = models("show", "nope")
    assert done.exit_code == 1
    assert done.stderr.startswith("edgeos: model 'nope'")
