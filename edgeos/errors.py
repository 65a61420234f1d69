"""Every error that edgeos raises on purpose. The text names the thing, what was expected, what was found, and the fix.

EdgeosError
├── BadInput (ValueError)            what a person handed us cannot be used
│   ├── BadAudio                       not sound, no samples, NaN
│   ├── BadImage                       not a picture, cut short, too large
│   ├── BadConfig                      a TOML file or a URI that does not follow its schema
│   └── UnknownName (LookupError)      no such profile, model, command
├── FileMissing (FileNotFoundError)  a file or folder that a person named is not there
├── ModelError                       a model cannot be used
│   ├── ModelMissing (FileNotFoundError)
│   ├── ModelCorrupt (ValueError)      the bytes are not those of the manifest
│   └── ModelIncompatible (ValueError) the bytes are right, and do not fit this job or library
├── StoreError (OSError)             the cache, the disk or the network refused
│   └── DownloadFailed
├── DeviceMissing (OSError)          no microphone, speaker or camera, or no library for it
├── DependencyMissing (ImportError)  an optional package is not installed
└── EngineFailed (RuntimeError)      a native engine reported an error while it ran
"""

from __future__ import annotations


class EdgeosError(Exception):
    """Root of the tree. `str(error)` reads "thing: expected …, found …. Fix: …"."""

    def __init__(self, thing: str, *, expected: str = "", found: str = "", fix: str = "") -> None:
        """Keep the four parts; any of the last three may be empty."""
        self.thing, self.expected, self.found, self.fix = thing, expected, found, fix
        saw = ", ".join([f"expected {expected}"] * bool(expected) + [f"found {found}"] * bool(found))
        super().__init__(thing + (f": {saw}." if saw else ".") + (f" Fix: {fix}." if fix else ""))


class BadInput(EdgeosError, ValueError):
    """What a person handed us cannot be used."""


class BadAudio(BadInput):
    """Not sound, no samples in it, or values that are not numbers."""


class BadImage(BadInput):
    """Not a picture, cut short, or larger than we decode."""


class BadConfig(BadInput):
    """A TOML file, manifest or URI that does not follow its schema."""


class UnknownName(BadInput, LookupError):
    """No profile, model or command of that name."""


class FileMissing(EdgeosError, FileNotFoundError):
    """A file or folder that a person named is not there."""


class ModelError(EdgeosError):
    """A model cannot be used."""


class ModelMissing(ModelError, FileNotFoundError):
    """The model's files are not on this machine yet."""


class ModelCorrupt(ModelError, ValueError):
    """The bytes on disk are not those of the manifest."""


class ModelIncompatible(ModelError, ValueError):
    """The file is intact, and does not fit this job or this library."""


class StoreError(EdgeosError, OSError):
    """The cache folder, the disk or the network refused."""


class DownloadFailed(StoreError):
    """A download was refused, cut short, or brought other bytes."""


class DeviceMissing(EdgeosError, OSError):
    """No microphone, speaker or camera, or the library for it is not installed."""


class DependencyMissing(EdgeosError, ImportError):
    """An optional package is not installed."""


class EngineFailed(EdgeosError, RuntimeError):
    """A native engine reported an error while it ran."""
