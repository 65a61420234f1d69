"""ONNX quantization: what a recipe's `method` can be."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeos.errors import ModelIncompatible


def rows_to_int8(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """[rows, width] -> symmetric int8 of the same shape in -127..127, and one scale a row, [rows]."""
    scale = np.abs(table).max(axis=1) / np.float32(127)
    scale[scale == 0] = 1
    return np.clip(np.rint(table / scale[:, None]), -127, 127).astype(np.int8), scale.astype(np.float32)


def share_table(source: Path, target: Path) -> None:
    """Make the token embedding and the tied output head read one int8 table, one scale a token.

    The exporter writes the matrix twice, [vocabulary, width] for the Gather and its transpose for the MatMul. Here both
    read the transpose: the head as MatMulInteger, the embedding by gathering columns. Raises `ModelIncompatible` where
    the graph has no such pair.

    The table keeps the full range where the other weights may be reduced: over real hidden states of tiny.en the
    largest sum of two products was 30298 of 32767 (418 million pairs), and half the range took the decoder's mean
    divergence from its float logits from 0.0036 to 0.0063 nats.
    """
    model = onnx.load(source)
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    gathers = [n for n in graph.node if n.op_type == "Gather" and n.input[0] in weights and n.input[1] == "tokens"]
    heads = [n for n in graph.node if n.op_type == "MatMul" and n.output[0] == "logits" and n.input[1] in weights]
    if len(gathers) != 1 or len(heads) != 1:
        raise ModelIncompatible(
            f"graph {source}",
            expected="one Gather by `tokens` and one MatMul into `logits`",
            found=f"{len(gathers)} and {len(heads)}",
            fix="export a decoder with a tied output head",
        )
    (gather,), (head,) = gathers, heads
    table = numpy_helper.to_array(weights[gather.input[0]])
    if not np.array_equal(table.T, numpy_helper.to_array(weights[head.input[1]])):
        raise ModelIncompatible(
            f"graph {source}", expected="embedding and head to be equal", found="two matrices", fix="use dynamic_int8"
        )
    quantized, scale = rows_to_int8(table)
    for name in {gather.input[0], head.input[1]}:
        graph.initializer.remove(weights[name])
    graph.initializer.extend(
        (
            numpy_helper.from_array(np.ascontiguousarray(quantized.T), "table"),
            numpy_helper.from_array(scale, "table_scale"),
            numpy_helper.from_array(np.array(-1, np.int64), "last_axis"),
        )
    )
    _replace(graph, gather, _embedding(gather.output[0]))
    _replace(graph, head, _head(head.input[0], head.output[0]))
    onnx.save(model, target)


def _embedding(output: str) -> list[onnx.NodeProto]:
    """Tokens [1, n] -> columns [width, 1, n] -> rows [1, n, width] x their scales [1, n, 1]."""
    return [
        helper.make_node("Gather", ["table", "tokens"], ["columns"], axis=1),
        helper.make_node("Cast", ["columns"], ["columns_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["columns_float"], ["rows"], perm=[1, 2, 0]),
        helper.make_node("Gather", ["table_scale", "tokens"], ["row_scale"], axis=0),
        helper.make_node("Unsqueeze", ["row_scale", "last_axis"], ["row_scale_column"]),
        helper.make_node("Mul", ["rows", "row_scale_column"], [output]),
    ]


def _head(hidden: str, output: str) -> list[onnx.NodeProto]:
    """Hidden [1, n, width] -> logits, in the form that ONNX Runtime fuses into one DynamicQuantizeMatMul."""
    return [
        helper.make_node("DynamicQuantizeLinear", [hidden], ["head_int8", "head_scale", "head_zero"]),
        helper.make_node("MatMulInteger", ["head_int8", "table", "head_zero"], ["head_int32"]),
        helper.make_node("Cast", ["head_int32"], ["head_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["head_scale", "table_scale"], ["head_scales"]),
        helper.make_node("Mul", ["head_float", "head_scales"], [output]),
    ]


def _replace(graph: onnx.GraphProto, old: onnx.NodeProto, new: list[onnx.NodeProto]) -> None:
    nodes = list(graph.node)
    at = nodes.index(old)
    del graph.node[:]
    graph.node.extend([*nodes[:at], *new, *nodes[at + 1 :]])


def dynamic_int8(source: Path, target: Path, *, reduce_range: bool) -> None:
    """Weights of every MatMul by a constant to int8, one scale a column; activations quantized while running."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _without_advice():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )


def static_int8(
    source: Path, target: Path, batches: Iterable[dict[str, NDArray[np.float32]]], *, reduce_range: bool
) -> None:
    """Weights to int8 (one scale an output channel), activations to uint8 with the ranges seen on `batches`, as QDQ.

    Ranges by percentile or by entropy came out the same on EfficientNet-Lite0: ReLU6 bounds most of them.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with _without_advice():
        quantize_static(
            source,
            target,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep the quantizer from printing, every time, its advice to prepare the graph: `graph` has done that."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Reader:
    """ONNX Runtime's calibration reader over any iterable; None at the end."""

    def __init__(self, batches: Iterable[dict[str, NDArray[np.float32]]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)
