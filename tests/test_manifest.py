from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from edgeos import data, manifest
from edgeos.errors import BadConfig, UnknownName
from edgeos.manifest import FileSource, HubSource, Licence, Manifest, Member, ModelFile, PackageSource, RepoSource

GOOD = """
id = "tiny"
job = "llm"
engine = "llama"
title = "Tiny"
[licence]
name = "MIT"
commercial = true
[[files]]
name = "w.bin"
bytes = 3
sha256 = "abc"
[[files.sources]]
kind = "package"
parts = [{ requirement = "tiny-model==1.0", path = "tiny/w.bin" }]
[[files]]
name = "v.bin"
bytes = 4
sha256 = "def"
sources = [{ kind = "hub", repo = "a/b", revision = "c", path = "d" }, { kind = "file", path = "~/v.bin" }]
"""


def write(tmp_path, text):
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    return path


def test_a_manifest_of_ones_own(tmp_path):
    found = manifest.find(str(write(tmp_path, GOOD)))
    assert found.id == "tiny"
    assert found.total_bytes == 7
    assert found.files[0].sources == (PackageSource((Member("tiny-model==1.0", "tiny/w.bin"),)),)
    assert found.files[1].sources == (HubSource("a/b", "c", "d"), FileSource("~/v.bin"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "Tiny"', 'title = "Tiny"\nspeed = 3', "unknown field `speed`"),
        ('job = "llm"', 'job = "cook"', "Invalid enum value 'cook'"),
        ('engine = "llama"', "", "missing required field `engine`"),
        ("bytes = 3", 'bytes = "3"', r"Expected `int`, got `str` - at `\$\.files\[0\]\.bytes`"),
        ('kind = "package"', 'kind = "torrent"', "Invalid value 'torrent'"),
        ('name = "w.bin"', 'name = "../w.bin"', r"\.\./w\.bin"),
        ('name = "w.bin"', 'name = ""', "expected plain names"),
        ('id = "tiny"', 'id = "a/b"', "expected plain names"),
        ('id = "tiny"', "id =", "Invalid value"),
    ],
)
def test_a_wrong_manifest_names_the_file_and_the_key(tmp_path, old, new, said):
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(BadConfig, match=said) as failed:
        manifest.load_file(path)
    assert str(path) in str(failed.value)


def test_bytes_that_are_no_text_are_a_bad_manifest(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_bytes(b"GGUF\xff\xfe\x00")
    with pytest.raises(BadConfig, match=r"tiny\.toml"):
        manifest.load_file(path)


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"model 'nope': expected one of .*smollm2-135m-instruct"):
        manifest.find("nope")


def test_packaged_manifests_can_be_pulled_and_checked():
    folder = data.folder("models")
    assert manifest.all_manifests()
    for name, found in manifest.all_manifests().items():
        assert (folder / f"{name}.toml").is_file()
        assert found.licence.name
        assert found.files
        for file in found.files:
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256), (name, file.name)
            assert file.bytes > 0
            assert file.sources, (name, file.name)
            for source in file.sources:
                match source:
                    case RepoSource():
                        assert (folder / source.path).stat().st_size == file.bytes, (name, source.path)
                    case PackageSource():
                        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", part.requirement) for part in source.parts)
                    case HubSource():
                        assert re.fullmatch(r"[0-9a-f]{40}", source.revision)
                    case FileSource():
                        pytest.fail("a packaged manifest cannot know the user's files")


def test_the_readme_explains_every_key():
    text = (Path(__file__).resolve().parent.parent / "models" / "README.md").read_text()
    for struct in (Manifest, ModelFile, Licence, RepoSource, PackageSource, Member, HubSource, FileSource):
        for field in msgspec.structs.fields(struct):
            assert f"`{field.name}`" in text, f"{struct.__name__}.{field.name}"
