"""Tiny real ONNX models that see: a classifier of colours, a detector of dark pixels, a recognizer of dark strips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 9


def _save(path: Path, nodes: list, inputs: list, outputs: list, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return model


def make_classifier(path: Path, output: str = "logits") -> None:
    """`image` [1, 3, 8, 8] -> [1, 3]: ten times the mean of each colour, or the softmax of that."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "ten"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    _save(
        path,
        nodes[: 3 if output == "probabilities" else 2],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 3])],
        {"ten": np.float32([10])},
    )


def make_detector(path: Path) -> None:
    """`x` [1, 3, h, w] -> [1, 1, h, w]: near 1 where the picture is dark."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["grey", "steep"], ["sharp"]),
        helper.make_node("Sigmoid", ["sharp"], ["heat"]),
    ]
    _save(
        path,
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("heat", TensorProto.FLOAT, [1, 1, "h", "w"])],
        {"steep": np.float32([-20])},
    )


def make_recognizer(path: Path, characters: Sequence[str] = ("A", "é"), classes: int | None = None) -> None:
    """`x` [n, 3, 48, w] -> [n, w / 8, classes]: the first character where a strip holds dark pixels, else the blank."""
    classes = classes or len(characters) + 2
    dark = np.zeros((1, classes), np.float32)
    dark[0, 1] = -20
    nodes = [
        helper.make_node("ReduceMin", ["x"], ["row"], axes=[1, 2], keepdims=1),
        helper.make_node("AveragePool", ["row"], ["steps"], kernel_shape=[1, 8], strides=[1, 8]),
        helper.make_node("Reshape", ["steps", "shape"], ["column"]),
        helper.make_node("MatMul", ["column", "dark"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["out"], axis=2),
    ]
    model = _save(
        path,
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 48, "w"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", "steps", classes])],
        {"dark": dark, "shape": np.int64([0, -1, 1])},
    )
    if characters:
        entry = model.metadata_props.add()
        entry.key, entry.value = "character", "\n".join(characters)
        onnx.save(model, str(path))
