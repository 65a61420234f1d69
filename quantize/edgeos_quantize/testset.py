"""The folder of real recordings and photographs that recipes calibrate and score on: files and a `manifest.jsonl`.

Each line of the manifest is one JSON object: `path`, `kind` ("speech", "photos", others are left out), and the truth:
`transcript` of a recording, `labels` of a photograph (names any of which is right; none: it is not scored).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeos.errors import FileMissing


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording and what is said in it."""

    path: Path
    sha256: str
    transcript: str


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph and the names that are right for it."""

    path: Path
    sha256: str
    labels: tuple[str, ...]


def need(folder: Path) -> Path:
    """Return the folder. Raises `FileMissing` where it has no manifest.jsonl."""
    if not (folder / "manifest.jsonl").is_file():
        raise FileMissing(
            f"calibration and scoring data {folder}",
            expected="a folder with manifest.jsonl",
            found="no such file",
            fix="name one with --data DIR or EDGEOS_TESTDATA",
        )
    return folder


def clips(folder: Path) -> list[Clip]:
    """Every recording, in the manifest's order. Raises `FileMissing`."""
    return [Clip(path, _hash(path), row["transcript"]) for path, row in _rows(folder, "speech")]


def photos(folder: Path) -> list[Photo]:
    """Every photograph, in the manifest's order. Raises `FileMissing`."""
    return [Photo(path, _hash(path), tuple(row["labels"])) for path, row in _rows(folder, "photos")]


def _rows(folder: Path, kind: str) -> list[tuple[Path, dict[str, Any]]]:
    lines = (need(folder) / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["kind"] == kind]
    if not rows:
        raise FileMissing(f"data {folder}", expected=f"rows of kind {kind}", found="none", fix="name another folder")
    return [(folder / row["path"], row) for row in rows]


def _hash(path: Path) -> str:
    if not path.is_file():
        raise FileMissing(f"{path}", expected="the file that the manifest lists", found="nothing", fix="get it again")
    return hashlib.sha256(path.read_bytes()).hexdigest()
