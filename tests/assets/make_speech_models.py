"""Tiny ONNX models with the inputs and outputs of Silero VAD and of our Whisper export, a few KB each.

The Whisper says what its script says: row `p` of a table holds the logits after position `p`, and the position comes
from the length of the KV cache, so a cache that is not carried from step to step gives wrong words.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PIECES = ["Ġturn", "Ġit", "Ġoff", "Ġplease", "Ġhello", "Ġworld", "Ġno", "Ġnever", "Ã", "©", "...", "Ġ"]
EOT, SOT, NO_SPEECH, NO_TIMESTAMPS = (len(PIECES) + i for i in range(4))
VOCABULARY = [*PIECES, "<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>"]
SETTINGS = {
    "sot": SOT,
    "eot": EOT,
    "no_speech": NO_SPEECH,
    "no_timestamps": NO_TIMESTAMPS,
    "suppress": [7],
    "begin_suppress": [11, EOT],
    "layers": 1,
    "heads": 2,
    "head_dim": 4,
    "mels": 80,
    "positions": 64,
}
HEADS, DIM = 2, 4


def _value(name: str, kind: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> None:
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def table(tokens: Sequence[int], no_speech: float, sure: float) -> np.ndarray:
    """[64, vocabulary] logits: `tokens` one after another, then the end; `sure` is the lead of each in logits."""
    rows = np.zeros((64, len(VOCABULARY)), np.float32)
    rows[0, NO_SPEECH] = np.log(no_speech / (1 - no_speech)) + np.log(len(VOCABULARY) - 1)
    for row, token in zip(rows[1:], [*tokens, *[EOT] * 62], strict=False):
        row[token] = sure
    return rows


def make_whisper(folder: Path, short: np.ndarray, full: np.ndarray | None = None) -> Path:
    """Write `encoder.onnx`, `decoder.onnx`, `tokens.json`; `full` is what it says with the whole 30 s of context."""
    folder.mkdir(parents=True, exist_ok=True)
    cross = [_value(f"cross_{kv}_0", TensorProto.FLOAT, [1, HEADS, "time", DIM]) for kv in "kv"]
    nodes = [
        helper.make_node("AveragePool", ["mel"], ["pooled"], kernel_shape=[2], strides=[2]),
        helper.make_node("Slice", ["pooled", "zero", "eight", "one"], ["few"]),
        helper.make_node("Reshape", ["few", "heads"], ["split"]),
        helper.make_node("Transpose", ["split"], ["cross_k_0"], perm=[0, 1, 3, 2]),
        helper.make_node("Neg", ["cross_k_0"], ["cross_v_0"]),
    ]
    constants = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "eight": np.array([HEADS * DIM]),
        "heads": np.array([1, HEADS, DIM, -1]),
    }
    _save(folder / "encoder.onnx", nodes, [_value("mel", TensorProto.FLOAT, [1, 80, "frames"])], cross, constants)

    past = [_value(f"past_{kv}_0", TensorProto.FLOAT, [1, HEADS, "past", DIM]) for kv in "kv"]
    present = [_value(f"present_{kv}_0", TensorProto.FLOAT, [1, HEADS, "total", DIM]) for kv in "kv"]
    nodes = [
        helper.make_node("Cast", ["tokens"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["ids", "column"], ["tall"]),
        helper.make_node("Mul", ["tall", "ones"], ["new"]),
        helper.make_node("Concat", ["past_k_0", "new"], ["present_k_0"], axis=2),
        helper.make_node("Concat", ["past_v_0", "new"], ["present_v_0"], axis=2),
        helper.make_node("Shape", ["past_k_0"], ["begin"], start=2, end=3),
        helper.make_node("Shape", ["present_v_0"], ["end"], start=2, end=3),
        helper.make_node("Shape", ["cross_k_0"], ["context"], start=2, end=3),
        helper.make_node("Div", ["context", "whole"], ["which"]),
        helper.make_node("Gather", ["tables", "which"], ["script"], axis=0),
        helper.make_node("Slice", ["script", "begin", "end", "one"], ["logits"]),  # axis 1 of [1, 64, vocabulary]
    ]
    constants = {
        "column": np.array([1, 1, -1, 1]),
        "ones": np.ones((1, HEADS, 1, DIM), np.float32),
        "one": np.array([1]),
        "whole": np.array([1500]),
        "tables": np.stack([short, short if full is None else full]),
    }
    inputs = [_value("tokens", TensorProto.INT64, [1, "n"]), *past, *cross]
    outputs = [_value("logits", TensorProto.FLOAT, [1, "n", len(VOCABULARY)]), *present]
    _save(folder / "decoder.onnx", nodes, inputs, outputs, constants)
    (folder / "tokens.json").write_text(json.dumps(VOCABULARY))
    return folder


def make_vad(path: Path) -> Path:
    """Write a VAD whose probability is the mean magnitude of its input plus the mean of its state, which sums up."""
    nodes = [
        helper.make_node("Abs", ["input"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["loud"], keepdims=1),
        helper.make_node("ReduceMean", ["state"], ["past"], axes=[0, 2], keepdims=0),
        helper.make_node("Add", ["loud", "past"], ["output"]),
        helper.make_node("ReduceMean", ["input"], ["level"], keepdims=0),
        helper.make_node("Add", ["state", "level"], ["stateN"]),
        helper.make_node("Identity", ["sr"], ["rate"]),
    ]
    inputs = [
        _value("input", TensorProto.FLOAT, [1, "n"]),
        _value("state", TensorProto.FLOAT, [2, 1, 128]),
        _value("sr", TensorProto.INT64, []),
    ]
    outputs = [
        _value("output", TensorProto.FLOAT, [1, 1]),
        _value("stateN", TensorProto.FLOAT, [2, 1, 128]),
        _value("rate", TensorProto.INT64, []),
    ]
    _save(path, nodes, inputs, outputs, {})
    return path
