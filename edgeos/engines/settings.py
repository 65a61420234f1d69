"""The `[settings]` of a model manifest, checked against what the adapter that reads them documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from edgeos.errors import BadConfig

S = TypeVar("S", bound=msgspec.Struct)


def checked(model_id: str, settings: Mapping[str, object], wanted: type[S]) -> S:
    """Return the settings as `wanted`. Raises `BadConfig` for a key that is missing, unknown or of another type."""
    try:
        return msgspec.convert(dict(settings), wanted)
    except msgspec.ValidationError as error:
        keys = ", ".join(wanted.__struct_fields__)
        raise BadConfig(
            f"settings of model {model_id}",
            expected=f"the keys {keys}",
            found=str(error),
            fix="correct [settings] in its manifest",
        ) from error
