"""Writes a CTranslate2 model.bin of a tiny random Whisper, as CTranslate2's own converter lays it out."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

MELS, WIDTH, HEADS, INNER, POSITIONS, TEXT_POSITIONS = 80, 16, 2, 48, 1500, 64
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|nocaptions|>", "<|notimestamps|>", "<|0.00|>"]
PIECES = [*(chr(0x61 + index) for index in range(26)), "Ġ", *SPECIAL]


def weights(seed: int = 0, layers: int = 2) -> dict[str, np.ndarray[Any, Any]]:
    """Random float16 weights under CTranslate2's names; norms near one, keys without bias."""
    random = np.random.default_rng(seed)
    out: dict[str, np.ndarray[Any, Any]] = {}

    def put(name: str, *shape: int, around: float = 0.0) -> None:
        out[name] = (around + 0.3 * random.standard_normal(shape)).astype(np.float16)

    def linear(name: str, into: int, of: int) -> None:
        put(f"{name}/weight", of, into)
        put(f"{name}/bias", of)

    def norm(name: str) -> None:
        put(f"{name}/gamma", WIDTH, around=1.0)
        put(f"{name}/beta", WIDTH)

    put("encoder/conv1/weight", WIDTH, MELS, 3)
    put("encoder/conv2/weight", WIDTH, WIDTH, 3)
    for conv in ("conv1", "conv2"):
        put(f"encoder/{conv}/bias", WIDTH)
    put("encoder/position_encodings/encodings", POSITIONS, WIDTH)
    put("decoder/position_encodings/encodings", TEXT_POSITIONS, WIDTH)
    put("decoder/embeddings/weight", len(PIECES), WIDTH)
    for side in ("encoder", "decoder"):
        out[f"{side}/num_heads"] = np.array(HEADS, np.int16)
        norm(f"{side}/layer_norm")
        for index in range(layers):
            at = f"{side}/layer_{index}"
            for block in ("self_attention", "attention")[: 1 if side == "encoder" else 2]:
                norm(f"{at}/{block}/layer_norm")
                fused = (3,) if block == "self_attention" else (1, 2)
                for number, count in enumerate((*fused, 1)):
                    linear(f"{at}/{block}/linear_{number}", WIDTH, count * WIDTH)
                keys = f"{at}/{block}/linear_{0 if block == 'self_attention' else 1}/bias"
                start = WIDTH if block == "self_attention" else 0
                out[keys][start : start + WIDTH] = 0
            norm(f"{at}/ffn/layer_norm")
            linear(f"{at}/ffn/linear_0", WIDTH, INNER)
            linear(f"{at}/ffn/linear_1", INNER, WIDTH)
    return out


def _text(value: str) -> bytes:
    return struct.pack("<H", len(value.encode()) + 1) + value.encode() + b"\0"


def serialized(values: dict[str, np.ndarray[Any, Any]], spec: str = "WhisperSpec", version: int = 6) -> bytes:
    """The bytes of model.bin, with the output head as an alias of the embedding."""
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    parts = [struct.pack("<I", version), _text(spec), struct.pack("<II", 3, len(values))]
    for name, value in values.items():
        parts += [_text(name), struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)]
        parts += [struct.pack("<BI", kinds[value.dtype.name], value.nbytes), value.tobytes()]
    parts += [struct.pack("<I", 1), _text("decoder/projection/weight"), _text("decoder/embeddings/weight")]
    return b"".join(parts)


def write(folder: Path, seed: int = 0) -> dict[str, Path]:
    """`model.bin`, `config.json`, `vocabulary.txt` of a tiny model."""
    eot = PIECES.index("<|endoftext|>")
    config = {"suppress_ids": [PIECES.index("<|nocaptions|>")], "suppress_ids_begin": [PIECES.index("Ġ"), eot]}
    (folder / "model.bin").write_bytes(serialized(weights(seed)))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocabulary.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return {name: folder / name for name in ("model.bin", "config.json", "vocabulary.txt")}
