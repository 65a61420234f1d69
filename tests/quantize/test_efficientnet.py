"""EfficientNet-Lite0 with random weights: architecture, export, static int8."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("onnx", reason="pip install 'edgeos[quantize]'")

import onnx
import onnxruntime
import torch

from edgeos.errors import ModelIncompatible
from edgeos_quantize import efficientnet, graph, methods

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporter announces its retirement


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = efficientnet.EfficientNetLite0()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # what training would have left there
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("float") / "model.onnx"
    efficientnet.export(network, path)
    graph.fold_constants(path)
    graph.fold_pads(path)
    return path


def runner(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: session.run(["logits"], {"image": image})[0]


def images():
    return list(np.random.default_rng(3).standard_normal((3, 1, 3, efficientnet.SIZE, efficientnet.SIZE), np.float32))


def small(source, path):
    methods.static_int8(source, path, ({"image": image} for image in images()), reduce_range=True)
    return path


def test_the_graph_says_what_pytorch_says_and_keeps_no_padding_nodes(network, exported):
    assert efficientnet.difference(network, runner(exported)) < 1e-4
    kinds = {node.op_type for node in onnx.load(exported).graph.node}
    assert kinds == {"Conv", "Clip", "Add", "ReduceMean", "Gemm"}


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (1, 1)])
def test_padding_is_tensorflows_same(kernel, stride):
    """TensorFlow: out = ceil(in / stride), total = (out - 1) * stride + kernel - in, the smaller half first."""
    side = 224
    total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    conv = efficientnet.SameConv(2, 2, kernel, stride)
    assert conv.sides == (total // 2, total - total // 2) * 2
    assert conv(torch.zeros(1, 2, side, side)).shape[2:] == (side // stride, side // stride)


def test_int8_is_a_quarter_of_the_size_and_near_float(exported, tmp_path):
    path = small(exported, tmp_path / "int8.onnx")
    assert path.stat().st_size < 0.3 * exported.stat().st_size
    before, after = (np.concatenate([runner(one)(image) for image in images()]) for one in (exported, path))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.9


def test_the_same_weights_and_pictures_give_the_same_bytes(network, exported, tmp_path):
    again = tmp_path / "model.onnx"
    efficientnet.export(network, again)
    graph.fold_constants(again)
    graph.fold_pads(again)
    one, two = small(exported, tmp_path / "one.onnx"), small(again, tmp_path / "two.onnx")
    assert one.read_bytes() == two.read_bytes()


def test_only_a_complete_state_dict_without_code_is_read(network, tmp_path):
    class Payload:
        def __reduce__(self):
            return (print, ("code ran",))

    state = network.state_dict()
    state.pop("_fc.bias")
    for name, content in (("short.pth", state), ("code.pth", {"_fc.bias": Payload()})):
        torch.save(content, tmp_path / name)
        with pytest.raises(ModelIncompatible, match=name):
            efficientnet.load(tmp_path / name)
