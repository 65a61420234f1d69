"""Small edits of ONNX graphs that exporters leave to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def tidy(path: Path) -> None:
    """Rename `past.k_0` to `past_k_0`, `cross.…` alike, leave out the exporter's notes on source lines, in place."""
    model = onnx.load(path)
    new = {
        value.name: value.name.replace(".", "_")
        for value in model.graph.input
        if value.name.startswith(("past.", "cross."))
    }
    for value in model.graph.input:
        value.name = new.get(value.name, value.name)
    for node in model.graph.node:
        node.doc_string = ""
        node.input[:] = [new.get(name, name) for name in node.input]
    model.graph.doc_string = ""
    onnx.save(model, path)


def fold_constants(path: Path) -> None:
    """Replace what does not depend on an input by its value, by ONNX Runtime's passes within the standard, in place."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    standard = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    onnx.save(model, path)


def fold_pads(path: Path) -> None:
    """Move every constant zero `Pad` in front of a `Conv` into that Conv's `pads`, in place.

    PyTorch cannot write uneven padding into a convolution, and a quantizer would round at each Pad once more.
    """
    model = onnx.load(path)
    graph = model.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    pads = {n.output[0]: n for n in graph.node if n.op_type == "Pad" and n.input[1] in values}
    for conv in graph.node:
        pad = pads.get(conv.input[0]) if conv.op_type == "Conv" else None
        if pad is None or any(values.get(name, np.zeros(1)).any() for name in pad.input[2:3] if name):
            continue
        before, after = np.split(values[pad.input[1]], 2)
        kept = [attribute for attribute in conv.attribute if attribute.name not in ("pads", "auto_pad")]
        del conv.attribute[:]
        conv.attribute.extend([*kept, helper.make_attribute("pads", [*map(int, before[2:]), *map(int, after[2:])])])
        conv.input[0] = pad.input[0]
    _drop_unread(graph)
    onnx.save(model, path)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Remove the Pads and the constants that nothing reads any more."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for node in [n for n in graph.node if n.op_type == "Pad" and not set(n.output) & read]:
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name not in read]:
        graph.initializer.remove(tensor)
