"""Whisper -> the two ONNX graphs that the runtime's decode loop takes, exported by Optimum.

Optimum's own three-file export does not fit that loop: its encoder takes 3000 frames and no fewer, its decoders carry
the cross-attention's keys and values from step to step, and the first of them holds a second copy of all weights. So
Optimum exports two small modules around Transformers' layers, with an `OnnxConfig` that states the contract:

`encoder.onnx`: `mel` [1, 80, frames], frames even -> `cross_k_i`, `cross_v_i` [1, heads, frames/2, head_dim].
`decoder.onnx`: `tokens` int64 [1, n], `past_k_i`, `past_v_i` [1, heads, past, head_dim], `cross_*` ->
`logits` [1, n, vocabulary], `present_k_i`, `present_v_i` [1, heads, past + n, head_dim]. past may be 0.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from optimum.exporters.onnx.base import OnnxConfig
from optimum.exporters.onnx.convert import export_pytorch
from optimum.utils import NormalizedConfig
from torch import Tensor, nn

from edgeos_quantize import graph

if TYPE_CHECKING:
    from transformers import WhisperForConditionalGeneration

OPSET = 17
"""The first with LayerNormalization, which ONNX Runtime otherwise has to recognise in nine nodes."""


def _linear(*layers: nn.Linear, scales: tuple[float, ...] = ()) -> nn.Linear:
    """Stack linear layers over the same input into one: one product, and one quantization of its input, not three."""
    with torch.no_grad():
        pairs = list(zip(layers, scales or (1.0,) * len(layers), strict=True))
        fused = nn.Linear(layers[0].in_features, sum(layer.out_features for layer in layers))
        fused.weight.copy_(torch.cat([layer.weight * scale for layer, scale in pairs]))
        zeros = [torch.zeros(layer.out_features) for layer in layers]
        biases = [z if layer.bias is None else layer.bias for layer, z in zip(layers, zeros, strict=True)]
        fused.bias.copy_(torch.cat([bias * scale for bias, (_, scale) in zip(biases, pairs, strict=True)]))
    return fused


class Heads(nn.Module):  # type: ignore[misc]
    """[1, n, width] -> `count` tensors [1, heads, n, head_dim] by one product."""

    def __init__(self, heads: int, *layers: nn.Linear, scales: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.linear, self.heads, self.count = _linear(*layers, scales=scales), heads, len(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Project and split."""
        parts = self.linear(x).view(
            1, -1, self.count * self.heads, self.linear.out_features // self.count // self.heads
        )
        return tuple(parts.transpose(1, 2).split(self.heads, dim=1))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention; `q` comes scaled; `mask` [n, past + n] is added. -> [1, n, width]."""
    scores = q @ k.transpose(2, 3)
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    return (weights @ v).transpose(1, 2).flatten(2)


class Encoder(nn.Module):  # type: ignore[misc]
    """Mel -> the cross-attention's keys and values of every decoder layer; position embeddings cut to the length."""

    def __init__(self, model: WhisperForConditionalGeneration) -> None:
        super().__init__()
        self.config, self.body = model.config, model.model.encoder
        heads = model.config.encoder_attention_heads
        self.qkv = nn.ModuleList(
            Heads(heads, a.q_proj, a.k_proj, a.v_proj, scales=(a.scaling, 1.0, 1.0))
            for a in (layer.self_attn for layer in self.body.layers)
        )
        self.cross = nn.ModuleList(
            Heads(model.config.decoder_attention_heads, a.k_proj, a.v_proj)
            for a in (layer.encoder_attn for layer in model.model.decoder.layers)
        )

    def forward(self, mel: Tensor) -> tuple[Tensor, ...]:
        """[1, 80, frames] -> cross_k_0, cross_v_0, cross_k_1, …"""
        gelu = nn.functional.gelu
        x = gelu(self.body.conv2(gelu(self.body.conv1(mel)))).transpose(1, 2)
        x = x + self.body.embed_positions.weight[: x.shape[1]]
        for layer, qkv in zip(self.body.layers, self.qkv, strict=True):
            x = x + layer.self_attn.out_proj(attend(*qkv(layer.self_attn_layer_norm(x))))
            x = x + layer.fc2(gelu(layer.fc1(layer.final_layer_norm(x))))
        x = self.body.layer_norm(x)
        return tuple(part for cross in self.cross for part in cross(x))


class Decoder(nn.Module):  # type: ignore[misc]
    """One step, or several tokens at once, over a KV cache of any length."""

    def __init__(self, model: WhisperForConditionalGeneration) -> None:
        super().__init__()
        self.config, self.body, self.head = model.config, model.model.decoder, model.proj_out
        heads = model.config.decoder_attention_heads
        self.qkv = nn.ModuleList(
            Heads(heads, a.q_proj, a.k_proj, a.v_proj, scales=(a.scaling, 1.0, 1.0))
            for a in (layer.self_attn for layer in self.body.layers)
        )
        self.query = nn.ModuleList(
            Heads(heads, a.q_proj, scales=(a.scaling,)) for a in (layer.encoder_attn for layer in self.body.layers)
        )

    def forward(self, tokens: Tensor, past: tuple[Tensor, ...], cross: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """`past` and `cross` are k_0, v_0, k_1, … -> logits, then the new cache in the same order."""
        seen, count = past[0].shape[2], tokens.shape[1]
        at = torch.arange(seen + count)
        x = self.body.embed_tokens(tokens) + self.body.embed_positions.weight[seen : seen + count]
        mask = torch.where(at[None, :] <= at[seen:, None], 0.0, float("-inf"))
        present: list[Tensor] = []
        for index, layer in enumerate(self.body.layers):
            q, k, v = self.qkv[index](layer.self_attn_layer_norm(x))
            k = torch.cat((past[2 * index], k), dim=2)
            v = torch.cat((past[2 * index + 1], v), dim=2)
            present += [k, v]
            x = x + layer.self_attn.out_proj(attend(q, k, v, mask))
            (q,) = self.query[index](layer.encoder_attn_layer_norm(x))
            x = x + layer.encoder_attn.out_proj(attend(q, cross[2 * index], cross[2 * index + 1]))
            x = x + layer.fc2(nn.functional.gelu(layer.fc1(layer.final_layer_norm(x))))
        return (self.head(self.body.layer_norm(x)), *present)


def _kv(prefix: str, layers: int, axis: str) -> dict[str, dict[int, str]]:
    return {f"{prefix}_{part}_{index}": {2: axis} for index in range(layers) for part in ("k", "v")}


class EncoderConfig(OnnxConfig):  # type: ignore[misc]
    """Optimum's description of `encoder.onnx`."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Input names and their dynamic axes."""
        return {"mel": {2: "frames"}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """Output names and their dynamic axes."""
        return _kv("cross", self._config.decoder_layers, "positions")

    def generate_dummy_inputs(self, framework: str = "pt", **_: Any) -> dict[str, Any]:
        """Example inputs for tracing; the values do not matter."""
        return {"mel": torch.zeros(1, self._config.num_mel_bins, self._config.max_source_positions)}


class DecoderConfig(OnnxConfig):  # type: ignore[misc]
    """Optimum's description of `decoder.onnx`. `past.` is its spelling of "an item of `past`"; renamed afterwards."""

    NORMALIZED_CONFIG_CLASS = NormalizedConfig

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Input names and their dynamic axes."""
        layers = self._config.decoder_layers
        past, cross = _kv("past", layers, "past"), _kv("cross", layers, "positions")
        return {"tokens": {1: "n"}, **{name.replace("_", ".", 1): axes for name, axes in (past | cross).items()}}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        """Output names and their dynamic axes."""
        return {"logits": {1: "n"}, **_kv("present", self._config.decoder_layers, "past + n")}

    def generate_dummy_inputs(self, framework: str = "pt", **_: Any) -> dict[str, Any]:
        """Example inputs for tracing: three tokens after five, over eleven positions: no size repeats by chance."""
        heads = self._config.decoder_attention_heads
        shape = [1, heads, 0, self._config.d_model // heads]
        past, cross = ([*shape[:2], length, shape[3]] for length in (5, 11))
        kvs = 2 * self._config.decoder_layers
        return {
            "tokens": torch.zeros(1, 3, dtype=torch.int64),
            "past": tuple(torch.zeros(past) for _ in range(kvs)),
            "cross": tuple(torch.zeros(cross) for _ in range(kvs)),
        }


def export(model: WhisperForConditionalGeneration, folder: Path) -> tuple[Path, Path]:
    """Write `encoder.onnx` and `decoder.onnx`, float32, into `folder`, and return them."""
    encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
    config = model.config
    for module, contract, path in (
        (Encoder(model), EncoderConfig(config), encoder),
        (Decoder(model), DecoderConfig(config), decoder),
    ):
        with warnings.catch_warnings():
            # Tracing warns wherever a shape is read; the shapes that matter are dynamic, and the tests hold that.
            warnings.simplefilter("ignore")
            export_pytorch(module, contract, OPSET, path)
        graph.tidy(path)
    return encoder, decoder
