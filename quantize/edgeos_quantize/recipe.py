"""Recipes: strict TOML that says what a model is made from, how, and how much it may lose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edgeos.errors import BadConfig, UnknownName
from edgeos.manifest import Job, Licence, Manifest, ModelFile, Setting

FOLDER = Path(__file__).resolve().parent / "recipes"

Points: TypeAlias = Annotated[float, Meta(ge=0, le=100)]
"""Percentage points."""


FamilyName: TypeAlias = Literal["whisper", "efficientnet_lite0"]


class DynamicInt8(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="dynamic_int8", tag_field="kind"):
    """Weights of matrix products to int8, one scale a column; activations quantized while running."""

    reduce_range: bool = True
    """Weights in -64..64: processors with AVX2 and no VNNI add two products in 16 bits, which full range overflows."""
    shared_table: bool = False
    """Token embedding and tied output head read one int8 table."""


class StaticInt8(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="static_int8", tag_field="kind"):
    """Weights to int8, one scale an output channel; activations to uint8 with ranges from the least to the most
    that was seen on calibration data."""

    reduce_range: bool = True
    """As above."""


Method: TypeAlias = DynamicInt8 | StaticInt8


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`recipes/<id>.toml`."""

    id: str
    """Of the artefact: its manifest is `<id>.toml`, its folder `<id>/`."""
    family: FamilyName
    """The architecture: which exporter, which task, which losses."""
    title: str
    job: Job
    engine: str
    licence: Licence
    files: tuple[ModelFile, ...]
    """What it is made from, as in a manifest: size, sha256, sources."""
    method: Method
    tolerance: dict[str, Points]
    """Loss against the float reference that is still accepted, by metric, in percentage points."""
    max_bytes: Annotated[int, Meta(gt=0)]
    """The largest artefact accepted, all files together."""
    settings: dict[str, Setting] = {}
    """Copied into the manifest, beside what the family derives from the source."""

    def source(self) -> Manifest:
        """What it is made from as a manifest, so that the model store fetches and verifies it."""
        return Manifest(f"{self.id}-source", self.job, self.engine, f"source of {self.title}", self.licence, self.files)


def load(path: Path) -> Recipe:
    """Read one recipe. Raises `BadConfig` naming the file and the key."""
    try:
        recipe = msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"recipe {path}", expected="the keys of quantize/README.md", found=str(error), fix="correct the file"
        ) from error
    if not recipe.tolerance:
        raise BadConfig(f"recipe {path}", expected="a tolerated loss", found="an empty [tolerance]", fix="set one")
    if Path(recipe.id).name != recipe.id or recipe.id in {"", ".", ".."}:
        raise BadConfig(f"recipe {path}", expected="a plain name as id", found=repr(recipe.id), fix="leave out folders")
    return recipe


def packaged() -> dict[str, Path]:
    """The recipes that come with the tool, by id."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def locate(name: str) -> Path:
    """Return the file of a packaged recipe, or of a path ending in `.toml`. Raises `UnknownName`."""
    if name.endswith(".toml") and Path(name).is_file():
        return Path(name)
    known = packaged()
    if name not in known:
        raise UnknownName(
            f"recipe {name!r}",
            expected="a .toml file or one of " + ", ".join(known),
            found="no such recipe",
            fix="see `edgeos quantize list`",
        )
    return known[name]
