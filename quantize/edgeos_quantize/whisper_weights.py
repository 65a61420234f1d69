"""A CTranslate2 Whisper file -> Transformers' `WhisperForConditionalGeneration` with every weight filled."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeos.errors import ModelIncompatible
from edgeos_quantize.ct2 import Ct2Model, Weights

SPEC = "WhisperSpec"


def to_transformers(source: Ct2Model) -> Any:
    """Build the model in float32 on the CPU, in `eval` mode. Raises `ModelIncompatible` where a weight has no place."""
    import torch
    from transformers import WhisperForConditionalGeneration

    if source.spec != SPEC:
        raise ModelIncompatible("Whisper source", expected=SPEC, found=source.spec, fix="name a Whisper model.bin")
    try:
        model = WhisperForConditionalGeneration(config_of(source.weights)).eval()
        named = rename(source.weights)
        state = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in named.items()}
        model.load_state_dict(state, strict=True)
    except (KeyError, RuntimeError) as error:
        raise ModelIncompatible(
            "Whisper weights", expected="those of one Whisper model", found=str(error), fix="name a complete model.bin"
        ) from error
    return model


def config_of(weights: Weights) -> Any:
    """Read the sizes off the weights: `WhisperConfig`, tied output head, no dropout."""
    from transformers import WhisperConfig

    vocabulary, width = weights["decoder/embeddings/weight"].shape
    return WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        num_mel_bins=weights["encoder/conv1/weight"].shape[1],
        encoder_layers=_layers(weights, "encoder"),
        decoder_layers=_layers(weights, "decoder"),
        encoder_attention_heads=int(weights["encoder/num_heads"]),
        decoder_attention_heads=int(weights["decoder/num_heads"]),
        encoder_ffn_dim=weights["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        decoder_ffn_dim=weights["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        max_source_positions=weights["encoder/position_encodings/encodings"].shape[0],
        max_target_positions=weights["decoder/position_encodings/encodings"].shape[0],
        tie_word_embeddings=True,
        pad_token_id=None,
    )


def _layers(weights: Weights, side: str) -> int:
    return len({name.split("/")[1] for name in weights if name.startswith(f"{side}/layer_") and "/ffn/" in name})


def rename(weights: Weights) -> Weights:
    """CTranslate2's names -> Transformers', the fused q/k/v of `linear_0` (and k/v of cross-attention) split."""
    out: Weights = {
        "model.encoder.embed_positions.weight": weights["encoder/position_encodings/encodings"],
        "model.decoder.embed_positions.weight": weights["decoder/position_encodings/encodings"],
        "model.decoder.embed_tokens.weight": weights["decoder/embeddings/weight"],
        "proj_out.weight": weights["decoder/projection/weight"],
    }
    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            out[f"model.encoder.{conv}.{part}"] = weights[f"encoder/{conv}/{part}"]
    for side in ("encoder", "decoder"):
        out |= _norm(weights, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for index in range(_layers(weights, side)):
            old, new = f"{side}/layer_{index}", f"model.{side}.layers.{index}"
            out |= _attention(weights, f"{old}/self_attention", f"{new}.self_attn", ("q", "k", "v"))
            if side == "decoder":
                out |= _attention(weights, f"{old}/attention", f"{new}.encoder_attn", ("q",), ("k", "v"))
            out |= _norm(weights, f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")
            for linear, name in (("linear_0", "fc1"), ("linear_1", "fc2")):
                for part in ("weight", "bias"):
                    out[f"{new}.{name}.{part}"] = weights[f"{old}/ffn/{linear}/{part}"]
    return out


def _norm(weights: Weights, old: str, new: str) -> Weights:
    return {f"{new}.weight": weights[f"{old}/gamma"], f"{new}.bias": weights[f"{old}/beta"]}


def _attention(weights: Weights, old: str, new: str, *fused: tuple[str, ...]) -> Weights:
    """`linear_0`, `linear_1`, … hold the projections of `fused` as row blocks in that order; the last is the output."""
    out = _norm(weights, f"{old}/layer_norm", f"{new}_layer_norm")
    for index, names in enumerate((*fused, ("out",))):
        for part in ("weight", "bias"):
            blocks = np.split(weights[f"{old}/linear_{index}/{part}"], len(names))
            out |= {f"{new}.{name}_proj.{part}": block for name, block in zip(names, blocks, strict=True)}
    bias = out.pop(f"{new}.k_proj.bias")
    if np.any(bias):
        raise ModelIncompatible(
            f"Whisper weights {old}", expected="keys without bias", found="a bias", fix="name a Whisper model.bin"
        )
    return out
