"""Recipes: what is accepted, and what each mistake is answered with."""

from __future__ import annotations

import pytest

from edgeos.errors import BadConfig, FileMissing, UnknownName
from edgeos_quantize import recipe, testset

GOOD = """
id = "tiny"
family = "whisper"
title = "Tiny"
job = "asr"
engine = "whisper"
max_bytes = 1000000
[licence]
name = "MIT"
commercial = true
[method]
kind = "dynamic_int8"
[tolerance]
wer = 1.0
[[files]]
name = "model.bin"
bytes = 1
sha256 = "00"
sources = [{ kind = "file", path = "/nowhere" }]
"""


@pytest.fixture
def load(tmp_path):
    def loaded(text):
        path = tmp_path / "tiny.toml"
        path.write_text(text)
        return recipe.load(path)

    return loaded


def test_a_good_recipe_becomes_a_manifest_of_its_sources(load):
    good = load(GOOD)
    assert good.method == recipe.DynamicInt8(reduce_range=True, shared_table=False)
    assert [file.name for file in good.source().files] == ["model.bin"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[method]", "[method]\nbitz = 4", "bitz"),
        ('title = "Tiny"', 'title = "Tiny"\ncolour = "red"', "colour"),
        ("wer = 1.0", "wer = 150", "<= 100"),
        ("wer = 1.0", "wer = -1", ">= 0"),
        ("wer = 1.0", "", r"empty \[tolerance\]"),
        ('kind = "dynamic_int8"', 'kind = "magic"', "magic"),
        ("max_bytes = 1000000", "max_bytes = 0", "> 0|>= 1"),
        ('id = "tiny"', 'id = "../tiny"', "leave out folders"),
        ('family = "whisper"', 'family = "resnet"', "family"),
        ('id = "tiny"', "id = ", "correct the file"),
    ],
)
def test_each_mistake_is_named(load, old, new, said):
    assert old in GOOD
    with pytest.raises(BadConfig, match=said):
        load(GOOD.replace(old, new))


def test_every_packaged_recipe_is_good_and_named_after_its_file():
    packaged = recipe.packaged()
    assert {"whisper-tiny.en-int8", "efficientnet-lite0-int8"} <= set(packaged)
    for name, path in packaged.items():
        assert recipe.load(path).id == name


def test_an_unknown_recipe_is_answered_with_those_there_are():
    with pytest.raises(UnknownName, match="whisper-tiny"):
        recipe.locate("whisper-huge")


def test_data_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileMissing, match="EDGEOS_TESTDATA"):
        testset.need(tmp_path)
    (tmp_path / "manifest.jsonl").write_text('{"path": "a.png", "kind": "photos", "labels": []}\n')
    with pytest.raises(FileMissing, match="rows of kind speech"):
        testset.clips(tmp_path)
    with pytest.raises(FileMissing, match=r"a\.png"):
        testset.photos(tmp_path)
