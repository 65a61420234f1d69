"""The artefacts in models/ are those of their manifests, reports and recipes, and do their job on real data."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from edgeos import data, manifest
from edgeos.engines.classifier import ClassifierSettings, ClassifierSpec
from edgeos.engines.ort import OrtConfig
from edgeos.sources import picture
from edgeos_quantize import recipe, speech, testset, transcribe
from edgeos_quantize.measure import open_session

WHISPER, PICTURES = "whisper-tiny.en-int8", "efficientnet-lite0-int8"


def report_of(model_id):
    return json.loads((data.folder("models") / model_id / "report.json").read_bytes())


@pytest.mark.parametrize("model_id", [WHISPER, PICTURES])
def test_files_hash_to_what_manifest_and_report_say(model_id):
    found = manifest.find(model_id)
    for file in found.files:
        content = (data.folder("models") / model_id / file.name).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert len(content) < 50_000_000
    reported = {(file["name"], file["bytes"], file["sha256"]) for file in report_of(model_id)["files"]}
    assert reported == {(file.name, file.bytes, file.sha256) for file in found.files}


@pytest.mark.parametrize("model_id", [WHISPER, PICTURES])
def test_the_report_is_of_the_packaged_recipe_and_within_its_tolerance(model_id):
    report, wanted = report_of(model_id), recipe.load(recipe.locate(model_id))
    assert report["recipe"] == wanted.id == manifest.find(model_id).id
    assert report["tolerance"] == wanted.tolerance
    assert {file["sha256"] for file in report["sources"]} == {file.sha256 for file in wanted.files}
    assert sum(file["bytes"] for file in report["files"]) <= wanted.max_bytes
    losses = {score["name"]: score["loss"] for score in report["measured"]["scores"]}
    assert all(losses[name] <= points for name, points in wanted.tolerance.items())
    used = [file["path"] for file in report["measured"]["data"]]
    assert len(used) == len(set(used)), "a file both calibrated and scored"


def transcriber():
    folder, found = data.folder("models") / WHISPER, manifest.find(WHISPER)
    words = transcribe.vocabulary(found.settings, folder / "tokens.json")
    return speech.Transcriber(open_session(folder / "encoder.onnx"), open_session(folder / "decoder.onnx"), words)


def test_the_whisper_graphs_have_the_contract_of_the_decode_loop():
    settings, folder = manifest.find(WHISPER).settings, data.folder("models") / WHISPER
    heads, width = settings["heads"], settings["head_dim"]
    encoder, decoder = open_session(folder / "encoder.onnx"), open_session(folder / "decoder.onnx")
    kv = [f"{part}_{index}" for index in range(settings["layers"]) for part in "kv"]
    assert [i.name for i in encoder.get_inputs()] == ["mel"]
    assert {o.name for o in encoder.get_outputs()} == {f"cross_{one}" for one in kv}
    assert {i.name for i in decoder.get_inputs()} == {
        "tokens",
        *(f"{at}_{one}" for at in ("past", "cross") for one in kv),
    }
    assert {o.name for o in decoder.get_outputs()} == {"logits", *(f"present_{one}" for one in kv)}
    names = [f"cross_{one}" for one in kv]
    cross = dict(zip(names, encoder.run(names, {"mel": np.zeros((1, 80, 1000), np.float32)}), strict=True))
    assert {value.shape for value in cross.values()} == {(1, heads, 500, width)}
    empty = {f"past_{one}": np.zeros((1, heads, 0, width), np.float32) for one in kv}
    logits, present = decoder.run(
        ["logits", "present_k_0"],
        {"tokens": np.array([[settings["sot"], settings["no_timestamps"]]]), **empty, **cross},
    )
    assert logits.shape == (1, 2, len(json.loads((folder / "tokens.json").read_bytes())))
    assert present.shape == (1, heads, 2, width)


def test_whisper_ids_are_those_of_its_vocabulary():
    found = manifest.find(WHISPER)
    pieces = json.loads((data.folder("models") / WHISPER / "tokens.json").read_bytes())
    named = {"sot": "<|startoftranscript|>", "eot": "<|endoftext|>", "no_timestamps": "<|notimestamps|>"}
    assert {key: pieces[found.settings[key]] for key in named} == named
    assert pieces[found.settings["no_speech"]] == "<|nocaptions|>"


def test_whisper_hears_real_recordings(testdata):
    model = transcriber()
    clips = [clip for clip in testset.clips(testdata) if clip.path.name in ("weather_query.wav", "jfk_44k_stereo.flac")]
    assert len(clips) == 2
    for clip in clips:
        heard = model.transcribe(speech.samples_of(clip.path))
        assert speech.word_errors(clip.transcript, heard)[0] <= 1, heard


def test_the_classifier_names_real_photographs_as_well_as_the_report_says(testdata):
    folder, found = data.folder("models") / PICTURES, manifest.find(PICTURES)
    settings = ClassifierSettings(**found.settings)
    model = ClassifierSpec(folder / "model.onnx", folder / "labels.json", settings, OrtConfig(1)).build()
    scored = [photo for photo in testset.photos(testdata) if photo.labels]
    hits = 0
    for photo in scored:
        best = np.argsort(-model.probabilities(picture.read(photo.path)))[:5]
        hits += any(model.labels[index] in photo.labels for index in best)
    float_top5 = next(s["float_value"] for s in report_of(PICTURES)["measured"]["scores"] if s["name"] == "top5")
    assert 100 * hits / len(scored) >= float_top5 - 3
