"""Reader of CTranslate2's binary model format, version 6, in plain numpy: nothing of it is executed.

Source of the layout: OpenNMT/CTranslate2, `python/ctranslate2/specs/model_spec.py`, `ModelSpec._serialize`. Numbers are
little-endian. A string is a uint16 length (its final zero byte counted), then the bytes. A variable is its name, a
uint8 rank, uint32 dimensions, a uint8 data type, a uint32 byte count, the bytes. After them come pairs of strings: an
alias and what it stands for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeos.errors import ModelIncompatible

Weights: TypeAlias = "dict[str, NDArray[Any]]"

VERSION = 6

_TYPES: dict[int, str] = {0: "<f4", 1: "|i1", 2: "<i2", 3: "<i4", 4: "<f2"}
"""CTranslate2's `DataType` ids; 5 is bfloat16, which numpy does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class Ct2Model:
    """`spec` such as "WhisperSpec", its `revision`, and every variable by its path, aliases resolved."""

    spec: str
    revision: int
    weights: Weights


class _Cursor:
    """Reads forward through a buffer; `struct.error` and `ValueError` where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self._data, self._at)
        self._at += struct.calcsize("<" + code)
        return int(value)

    def raw(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) != count:
            raise ValueError(f"{count} bytes wanted at offset {self._at}, {len(piece)} left")
        self._at += count
        return piece

    def text(self) -> str:
        return self.raw(self.number("H")).rstrip(b"\0").decode()

    def variable(self) -> NDArray[Any]:
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind, count = self.number("B"), self.number("I")
        if kind not in _TYPES:
            raise ValueError(f"data type id {kind}")
        return np.frombuffer(self.raw(count), _TYPES[kind]).reshape(shape)


def read(path: Path) -> Ct2Model:
    """Read a `model.bin`. Raises `ModelIncompatible` for another version, and for a file that is cut short."""
    cursor = _Cursor(path.read_bytes())
    try:
        version = cursor.number("I")
        if version != VERSION:
            raise ValueError(f"version {version}")
        spec, revision = cursor.text(), cursor.number("I")
        weights: Weights = {}
        for _ in range(cursor.number("I")):
            name = cursor.text()
            weights[name] = cursor.variable()
        for _ in range(cursor.number("I")):
            alias = cursor.text()
            weights[alias] = weights[cursor.text()]
    except (struct.error, ValueError, KeyError) as error:
        raise ModelIncompatible(
            f"CTranslate2 file {path}",
            expected=f"binary version {VERSION}, complete",
            found=str(error),
            fix="name a model.bin that ct2-transformers-converter wrote in float16 or float32",
        ) from error
    return Ct2Model(spec, revision, weights)
