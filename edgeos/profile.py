"""Device profiles: per job a model, and how the parts are set. Strict TOML; each part receives only its own section."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeos import data
from edgeos.engines import Sampling
from edgeos.errors import BadConfig, UnknownName
from edgeos.fusion import PromptConfig
from edgeos.manifest import Job
from edgeos.segment import SegmentConfig


class CameraConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the camera is looked at."""

    max_wait_s: float = 5.0
    """How long a question waits for the picture that was taken before it ended."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`device_profiles/<name>.toml`."""

    name: str
    title: str
    models: dict[Job, str]
    """Job to model id (or path of a manifest)."""
    context_tokens: int = 2048
    """Size of the language model's context."""
    listening: SegmentConfig = SegmentConfig()
    camera: CameraConfig = CameraConfig()
    prompt: PromptConfig = PromptConfig()
    sampling: Sampling = Sampling()


def names() -> list[str]:
    """Names of the packaged profiles."""
    return sorted(path.stem for path in data.folder("device_profiles").glob("*.toml"))


def load(name: str) -> Profile:
    """Return the profile of that name, or of that path ending in `.toml`. Raises `UnknownName`, `BadConfig`."""
    path = Path(name) if name.endswith(".toml") else data.folder("device_profiles") / f"{name}.toml"
    if not path.is_file():
        raise UnknownName(
            f"profile {name!r}",
            expected="one of " + ", ".join(names()) + ", or a .toml file",
            found="nothing of that name",
            fix="name one of these",
        )
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"profile {path}",
            expected="the keys of device_profiles/README.md",
            found=str(error),
            fix="correct that key",
        ) from error
