"""Recipe in, artefact out: fetch, export, quantize, measure, judge, publish."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import msgspec

from edgeos import data as folders
from edgeos.errors import BadConfig, DependencyMissing, ModelIncompatible, StoreError
from edgeos.manifest import Manifest
from edgeos.store import Store
from edgeos_quantize import publish, report, testset
from edgeos_quantize.family import Contract, Family
from edgeos_quantize.measure import Score
from edgeos_quantize.recipe import FamilyName, Recipe, load
from edgeos_quantize.report import Report

if TYPE_CHECKING:
    from edgeos.fetch import Progress


PACKAGES = ("torch", "transformers", "optimum", "onnx")
"""What the `quantize` extra brings."""

MOST_DIFFERENCE = 1e-3
"""Between a float export and its source: the exports here are within 1e-4, and a wrong graph is off by whole units."""


def family(name: FamilyName) -> Family:
    """The exporter and the task of a family. Raises `DependencyMissing` where the `quantize` extra is not installed."""
    lacking = [package for package in PACKAGES if find_spec(package) is None]
    if lacking:
        raise DependencyMissing(
            "edgeos quantize",
            expected="its packages",
            found="no " + ", no ".join(lacking),
            fix="pip install 'edgeos[quantize]'",
        )
    match name:
        case "whisper":
            from edgeos_quantize.transcribe import Transcribe

            return Transcribe()
        case "efficientnet_lite0":
            from edgeos_quantize.classify import Classify

            return Classify()
        case _:
            assert_never(name)


def run(recipe_path: Path, out: Path, data: Path, progress: Progress) -> Report:
    """Make the artefact `out/<id>/` and its manifest `out/<id>.toml`, and return the report that lies in the folder.

    `data`: recordings and photographs with their `manifest.jsonl`. Raises `BadConfig`, `FileMissing`,
    `DependencyMissing`, `DownloadFailed`, and `ModelIncompatible` where the gate fails; then `out` is as it was before.
    """
    recipe = load(recipe_path)
    testset.need(data)
    maker = family(recipe.family)
    unknown = set(recipe.tolerance) - maker.metrics
    if unknown:
        raise BadConfig(
            f"recipe {recipe_path}, [tolerance]",
            expected="metrics among " + ", ".join(sorted(maker.metrics)),
            found=", ".join(sorted(unknown)),
            fix="correct the file",
        )
    store, source = Store(folders.cache() / "quantize"), recipe.source()
    store.pull(source, progress)
    files = store.files(source)
    with _workshop(out) as shop:
        reference, small = shop / "float", shop / recipe.id
        reference.mkdir()
        small.mkdir()
        progress.say("exporting the float reference")
        contract = maker.reference(recipe, files, reference)
        progress.say("quantizing")
        maker.shrink(recipe, contract, reference, small, data)
        progress.say("scoring and timing both")
        measured = maker.evaluate(contract, reference, small, data)
        made = report.make(recipe, contract, sorted(reference.iterdir()), sorted(small.iterdir()), measured)
        judge(recipe, made)
        _write(recipe, contract, made, small)
        publish.place(small, shop / f"{recipe.id}.toml", out)
    return made


def judge(recipe: Recipe, made: Report) -> None:
    """Raise `ModelIncompatible` where a loss, or the size, is over what the recipe tolerates. A loss of NaN is over."""
    over = [s for s in made.measured.scores if not s.loss <= recipe.tolerance.get(s.name, float("inf"))]
    total = sum(file.bytes for file in made.files)
    problems = [_says(score, recipe) for score in over]
    if not made.measured.divergence.kl < float("inf"):
        problems.append("scores that are not numbers")
    if not made.export_difference <= MOST_DIFFERENCE:
        problems.append(f"a float export that is {made.export_difference:.1e} away from its source")
    if total > recipe.max_bytes:
        problems.append(f"{total} bytes, at most {recipe.max_bytes} tolerated")
    if problems:
        raise ModelIncompatible(
            f"artefact {recipe.id}",
            expected="losses within the recipe's tolerance",
            found="; ".join(problems),
            fix="change the method, or tolerate more in the recipe; nothing was written",
        )


def _says(score: Score, recipe: Recipe) -> str:
    return f"{score.name} {score.float_value} -> {score.small_value} %, a loss of {score.loss} points where " + (
        f"{recipe.tolerance[score.name]:g} are tolerated"
    )


def _write(recipe: Recipe, contract: Contract, made: Report, folder: Path) -> None:
    """Write manifest (beside the folder) and reports (in it)."""
    manifest = Manifest(
        id=recipe.id,
        job=recipe.job,
        engine=recipe.engine,
        title=recipe.title,
        licence=recipe.licence,
        files=report.model_files(made),
        made_by=f"edgeos quantize run {recipe.id}",
        inputs=contract.inputs,
        outputs=contract.outputs,
        settings=contract.settings,
    )
    publish.write_manifest(manifest, folder.parent / f"{recipe.id}.toml")
    as_json = msgspec.json.format(msgspec.json.encode(made), indent=2)
    (folder / "report.json").write_bytes(as_json + b"\n")
    (folder / "report.md").write_text(report.markdown(made), encoding="utf-8")


@contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    """A folder inside `out`, so that what is made there can be moved into place; gone afterwards."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        shop = tempfile.TemporaryDirectory(prefix=".quantize-", dir=out)
    except OSError as error:
        raise StoreError(
            f"folder {out}", expected="a place to write to", found=str(error), fix="name another with --out"
        ) from error
    with shop as path:
        yield Path(path)
