"""Recipe in, artefact out: the whole way with a tiny Whisper and two short sounds, and what a failed gate leaves."""

from __future__ import annotations

import hashlib
import json
import math
import sys

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("transformers", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("optimum.exporters.onnx", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("onnx", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("soundfile", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("soxr", reason="pip install 'edgeos[quantize]'")

import soundfile
from assets.make_ct2_whisper import write

from edgeos import manifest
from edgeos.errors import BadConfig, DependencyMissing, ModelCorrupt, ModelIncompatible, StoreError
from edgeos.fetch import Quiet
from edgeos_quantize import pipeline
from edgeos_quantize.measure import Divergence, Score
from edgeos_quantize.recipe import load

pytestmark = pytest.mark.filterwarnings("ignore")  # torch, transformers and optimum warn about each other

RECIPE = """
id = "tiny"
family = "whisper"
title = "Tiny"
job = "asr"
engine = "whisper"
max_bytes = {most}
[licence]
name = "CC0-1.0"
commercial = true
note = "Random numbers."
[method]
kind = "dynamic_int8"
shared_table = true
[tolerance]
{tolerance}
"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEOS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    """Two recordings; what a random model makes of them is as random as their transcripts."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for index, seconds in enumerate((1, 2)):
        noise = 0.1 * np.random.default_rng(index).standard_normal(seconds * 16_000)
        soundfile.write(folder / f"{index}.wav", noise, 16_000)
        rows.append({"path": f"{index}.wav", "kind": "speech", "transcript": " ".join(["word"] * 50)})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "source").mkdir()
    files = write(tmp_path / "source")

    def written(tolerance="same_top = 100", most=10_000_000, sha256=None):
        text = RECIPE.format(tolerance=tolerance, most=most)
        for name, path in files.items():
            digest = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
            text += f'[[files]]\nname = "{name}"\nbytes = {path.stat().st_size}\nsha256 = "{digest}"\n'
            text += f'sources = [{{ kind = "file", path = "{path}" }}]\n'
        (tmp_path / "tiny.toml").write_text(text)
        return tmp_path / "tiny.toml"

    return written


def everything(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_artefact_is_what_its_manifest_and_report_say(recipe, data, tmp_path):
    made = pipeline.run(recipe(), tmp_path / "out", data, Quiet())
    found = manifest.load_file(tmp_path / "out" / "tiny.toml")
    assert (found.id, found.licence.name, found.made_by) == ("tiny", "CC0-1.0", "edgeos quantize run tiny")
    assert {file.name for file in found.files} == {"encoder.onnx", "decoder.onnx", "tokens.json"}
    for file in found.files:
        content = (tmp_path / "out" / "tiny" / file.name).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert file.sources == (manifest.RepoSource(f"tiny/{file.name}"),)
    assert sorted(everything(tmp_path / "out")) == [
        "tiny.toml",
        "tiny/decoder.onnx",
        "tiny/encoder.onnx",
        "tiny/report.json",
        "tiny/report.md",
        "tiny/tokens.json",
    ]
    report = json.loads((tmp_path / "out" / "tiny" / "report.json").read_bytes())
    assert report == json.loads(msgspec.json.encode(made))
    assert made.export_difference < 1e-4
    assert {score.name for score in made.measured.scores} == {"wer", "wer_short", "same_top"}
    noise = hashlib.sha256((data / "0.wav").read_bytes()).hexdigest()
    assert (made.measured.data[0].sha256, made.measured.data[0].use) == (noise, "scoring")
    assert f"`{found.files[0].sha256}`" in (tmp_path / "out" / "tiny" / "report.md").read_text()


def test_a_second_run_gives_the_same_bytes(recipe, data, tmp_path):
    for out in ("one", "two"):
        pipeline.run(recipe(), tmp_path / out, data, Quiet())
    one, two = everything(tmp_path / "one"), everything(tmp_path / "two")
    for name in one.keys() - {"tiny/report.json", "tiny/report.md"}:  # these hold times
        assert one[name] == two[name], name


def test_a_failed_gate_leaves_nothing_and_keeps_what_was_there(recipe, data, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ModelIncompatible, match="at most 1000 tolerated"):
        pipeline.run(recipe(most=1000), out, data, Quiet())
    assert list(out.iterdir()) == []
    pipeline.run(recipe(), out, data, Quiet())
    before = everything(out)
    with pytest.raises(ModelIncompatible, match="at most 1000 tolerated"):
        pipeline.run(recipe(most=1000), out, data, Quiet())
    assert everything(out) == before
    pipeline.run(recipe(), out, data, Quiet())
    assert everything(out).keys() == before.keys()


def test_the_gate_looks_at_every_loss_at_numbers_and_at_the_export(recipe, data, tmp_path):
    made, wanted = pipeline.run(recipe(), tmp_path / "out", data, Quiet()), load(recipe("same_top = 2.0"))
    with_loss = {loss: Score("same_top", "", 100.0, 100.0 - loss, loss) for loss in (2.0, 2.1, math.nan)}
    apart = made.measured.divergence

    def judge(scored=with_loss[2.0], divergence=apart, difference=0.0):
        measured = msgspec.structs.replace(made.measured, scores=(scored,), divergence=divergence)
        pipeline.judge(wanted, msgspec.structs.replace(made, measured=measured, export_difference=difference))

    judge()
    with pytest.raises(
        ModelIncompatible, match=r"same_top 100\.0 -> 97\.9 %, a loss of 2\.1 points where 2 are tolerated"
    ):
        judge(with_loss[2.1])
    with pytest.raises(ModelIncompatible, match="a loss of nan"):
        judge(with_loss[math.nan])
    with pytest.raises(ModelIncompatible, match="not numbers"):
        judge(divergence=Divergence(math.nan, 0.0, 1))
    with pytest.raises(ModelIncompatible, match="away from its source"):
        judge(difference=math.nan)


def test_a_metric_that_the_family_does_not_have_is_refused_before_any_work(recipe, data, tmp_path):
    with pytest.raises(BadConfig, match=r"same_top, wer, wer_short.*top5"):
        pipeline.run(recipe("top5 = 3"), tmp_path / "out", data, Quiet())
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_named_before_any_work(recipe, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyMissing, match=r"torch.*edgeos\[quantize\]"):
        pipeline.run(recipe(), tmp_path / "out", data, Quiet())
    assert not (tmp_path / "out").exists()


def test_a_source_with_other_bytes_is_refused_before_it_is_read(recipe, data, tmp_path):
    with pytest.raises((ModelCorrupt, StoreError)):
        pipeline.run(recipe(sha256="0" * 64), tmp_path / "out", data, Quiet())
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_named(recipe, data, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="--out"):
        pipeline.run(recipe(), tmp_path / "out", data, Quiet())
