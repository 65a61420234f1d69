"""Putting an artefact in place: its folder and its manifest, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from edgeos.errors import StoreError
from edgeos.manifest import Manifest, load_file


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write TOML, and read it back through the runtime's own schema."""
    path.write_text(_toml(manifest), encoding="utf-8")
    if load_file(path) != manifest:
        raise AssertionError(f"{path} does not read back as it was written")


def place(made: Path, manifest: Path, target: Path) -> None:
    """Move the folder `made` to `target/<name>` and the manifest beside it; an older artefact goes away last.

    All three must be on one file system. Raises `StoreError`.
    """
    final, old = target / made.name, made.with_name(made.name + ".old")
    try:
        if final.exists():
            final.rename(old)
        made.rename(final)
        manifest.replace(target / manifest.name)
        if old.exists():
            shutil.rmtree(old)
    except OSError as error:
        raise StoreError(
            f"folder {target}", expected="a place to write to", found=str(error), fix="name another with --out"
        ) from error


def _toml(manifest: Manifest) -> str:
    """TOML in the order of the schema; arrays of tables last, as people write it."""
    values = msgspec.to_builtins(manifest)
    files, tables = values.pop("files"), {key: values.pop(key) for key in list(values) if isinstance(values[key], dict)}
    lines = [f"{key} = {_value(value)}" for key, value in values.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    for file in files:
        sources = file.pop("sources")
        lines += ["", "[[files]]", *(f"{key} = {_value(value)}" for key, value in file.items())]
        for source in sources:
            lines += ["", "[[files.sources]]", *(f"{key} = {_value(value)}" for key, value in source.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """One TOML value on one line; JSON's spelling of texts, numbers, booleans and lists is TOML's too."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
