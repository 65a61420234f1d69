"""Write a tiny llama model: one layer, random weights, a byte vocabulary with a few merges, ChatML control tokens.

It says nothing sensible; it is a real model to llama.cpp, and often writes a character in several tokens, or bytes that
are no character at all.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

WIDTH, FEED, HEADS, CONTEXT = 64, 128, 4, 512
CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("t h", "Ġ t", "th e", "Ġt he", "i n", "e r", "a n", "o n", "Ġ a", "Ġ s", "r e", "s t")


def byte_symbols() -> list[str]:
    """The 256 printable stand-ins for bytes that GPT-2's vocabulary uses, in byte order."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    extra = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(extra)) for byte in range(256)]


def make(path: Path, seed: int = 0, controls: tuple[str, ...] = CONTROLS) -> None:
    """Write the model to `path` (about 300 KB)."""
    tokens = [*controls, *byte_symbols(), *(merge.replace(" ", "") for merge in MERGES)]
    kinds = [gguf.TokenType.CONTROL] * len(controls) + [gguf.TokenType.NORMAL] * (len(tokens) - len(controls))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(min(1, len(controls) - 1))
    writer.add_eos_token_id(len(controls) - 1)
    writer.add_add_bos_token(False)
    random = np.random.default_rng(seed)
    half = WIDTH // 2
    shapes = {
        "token_embd": (len(tokens), WIDTH),
        "output": (len(tokens), WIDTH),
        "output_norm": (WIDTH,),
        "blk.0.attn_norm": (WIDTH,),
        "blk.0.ffn_norm": (WIDTH,),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (half, WIDTH),
        "blk.0.attn_v": (half, WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_gate": (FEED, WIDTH),
        "blk.0.ffn_up": (FEED, WIDTH),
        "blk.0.ffn_down": (WIDTH, FEED),
    }
    for name, shape in shapes.items():
        values = np.ones(shape) if len(shape) == 1 else random.normal(0, shape[1] ** -0.5, shape)
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
