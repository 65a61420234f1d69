"""Where things live: the packaged data folders, and the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from edgeos.errors import EdgeosError

_HERE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the packaged data folder `models` or `device_profiles`: inside the wheel, else in the checkout.

    An editable install leaves a stale copy of the data in site-packages, so only the places beside this file count.
    """
    packaged = _HERE / "_data" / name
    if packaged.is_dir():
        return packaged
    checkout = _HERE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise EdgeosError(
        f"data folder {name!r}", expected=f"it at {packaged}", found="nothing", fix="install edgeos again"
    )


def cache() -> Path:
    """Return the cache folder: `$EDGEOS_CACHE`, else `$XDG_CACHE_HOME/edgeos`, else `~/.cache/edgeos`. Not created."""
    own = os.environ.get("EDGEOS_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgeos"
