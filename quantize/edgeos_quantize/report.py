"""The report beside an artefact: `report.json` for programs, `report.md` for people, from the same record."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from edgeos.manifest import ModelFile
from edgeos_quantize.family import Contract, Measured
from edgeos_quantize.measure import SEED, THREADS
from edgeos_quantize.recipe import Recipe

PACKAGES = (
    "torch",
    "transformers",
    "optimum",
    "optimum-onnx",
    "onnx",
    "onnxruntime",
    "numpy",
    "soxr",
    "soundfile",
    "opencv-python-headless",
)


class FileRecord(msgspec.Struct, frozen=True):
    """One file: name, size, sha256."""

    name: str
    bytes: int
    sha256: str


class Report(msgspec.Struct, frozen=True):
    """Everything that is needed to judge an artefact and to make it again."""

    recipe: str
    parameters: int
    export_difference: float
    method: str
    sources: tuple[FileRecord, ...]
    float_files: tuple[FileRecord, ...]
    files: tuple[FileRecord, ...]
    measured: Measured
    tolerance: dict[str, float]
    max_bytes: int
    machine: dict[str, str]
    versions: dict[str, str]
    threads: int
    seed: int


def record(path: Path) -> FileRecord:
    """Hash one file."""
    return FileRecord(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def make(
    recipe: Recipe, contract: Contract, reference: Iterable[Path], small: Iterable[Path], measured: Measured
) -> Report:
    """Put the record together."""
    return Report(
        recipe=recipe.id,
        parameters=contract.parameters,
        export_difference=contract.export_difference,
        method=msgspec.json.encode(recipe.method).decode(),
        sources=tuple(FileRecord(file.name, file.bytes, file.sha256) for file in recipe.files),
        float_files=tuple(map(record, reference)),
        files=tuple(map(record, small)),
        measured=measured,
        tolerance=dict(recipe.tolerance),
        max_bytes=recipe.max_bytes,
        machine=machine(),
        versions=versions(),
        threads=THREADS,
        seed=SEED,
    )


def model_files(report: Report) -> tuple[ModelFile, ...]:
    """The artefact's files as its manifest lists them."""
    from edgeos.manifest import RepoSource

    return tuple(
        ModelFile(file.name, file.bytes, file.sha256, (RepoSource(f"{report.recipe}/{file.name}"),))
        for file in report.files
    )


def machine() -> dict[str, str]:
    """The processor's name, its cores, the system."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        named = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = named[0] if named else name
    return {"cpu": name, "cores": str(os.cpu_count()), "system": f"{platform.system()} {platform.machine()}"}


def versions() -> dict[str, str]:
    """Python and the packages that take part."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def markdown(report: Report) -> str:
    """The report as one page."""
    measured = report.measured
    small = sum(file.bytes for file in report.files) / 1e6
    loss = [
        [s.meaning, f"{s.float_value:.2f} %", f"{s.small_value:.2f} %", f"{s.loss:+.2f}", _limit(report, s.name)]
        for s in measured.scores
    ]
    speed = [
        [t.name, f"{t.float_ms:.2f}", f"{t.small_ms:.2f}", f"{t.ratio:.2f} ({t.ratio_low:.2f} to {t.ratio_high:.2f})"]
        for t in measured.timings
    ]
    apart = measured.divergence
    uses = {use: [file for file in measured.data if file.use == use] for use in ("calibration", "scoring")}
    sections = (
        f"# {report.recipe}",
        f"Made by `edgeos quantize run {report.recipe}`, method `{report.method}`. "
        f"{report.parameters / 1e6:.2f} million weights, {4 * report.parameters / 1e6:.1f} MB in float32; "
        f"{small:.1f} MB now, all files together.",
        f"The float ONNX reference differs from the source's own framework by {report.export_difference:.1e} at most.",
        "## What it lost",
        _table(["metric", "float32", "this", "loss, points", "tolerated"], loss),
        f"Mean KL divergence of its probabilities from the float model's: {apart.kl:.4f} nats over {apart.count} rows; "
        f"same first choice in {apart.same_top:.2f} %.",
        "Data: "
        + "; ".join(f"{len(files)} files for {use}" for use, files in uses.items() if files)
        + ". Their names and sha256 are in `report.json`.",
        "## How fast it is",
        _table(["", "float32, ms", "this, ms", "ratio (95 % interval)"], speed),
        f"Medians, both measured in turns, {report.threads} thread, {report.machine['cpu']}, "
        f"{report.machine['cores']} cores. Below 1: this is faster.",
        "## Files",
        _table(["file", "bytes", "sha256"], [[f.name, str(f.bytes), f"`{f.sha256}`"] for f in report.files]),
        "Made from:",
        _table(["source", "bytes", "sha256"], [[f.name, str(f.bytes), f"`{f.sha256}`"] for f in report.sources]),
        "With " + ", ".join(f"{name} {number}" for name, number in report.versions.items()) + ".",
    )
    return "\n\n".join(sections) + "\n"


def _limit(report: Report, metric: str) -> str:
    return f"{report.tolerance[metric]:g}" if metric in report.tolerance else "not gated"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
