"""The family `whisper`: a CTranslate2 file -> Transformers -> ONNX by Optimum -> int8, scored by word error rate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeos.engines.mel import log_mel
from edgeos.errors import BadConfig, ModelIncompatible
from edgeos.manifest import Setting
from edgeos_quantize import ct2, methods, speech, testset
from edgeos_quantize.family import Contract, DataFile, Measured
from edgeos_quantize.measure import Timing, divergence, open_session, paired, score
from edgeos_quantize.recipe import DynamicInt8, Recipe

MODEL, CONFIG, VOCABULARY = "model.bin", "config.json", "vocabulary.txt"
ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
STEPS = 24


class Transcribe:
    """See `family.Family`."""

    metrics = frozenset({"wer", "wer_short", "same_top"})

    def reference(self, recipe: Recipe, files: Mapping[str, Path], folder: Path) -> Contract:
        """Write `encoder.onnx`, `decoder.onnx` and `tokens.json`."""
        from edgeos_quantize import whisper_export, whisper_weights

        model = whisper_weights.to_transformers(ct2.read(files[MODEL]))
        whisper_export.export(model, folder)
        pieces = files[VOCABULARY].read_text(encoding="utf-8").removesuffix("\n").split("\n")
        if len(pieces) != model.config.vocab_size:
            raise ModelIncompatible(
                f"vocabulary {files[VOCABULARY]}",
                expected=f"{model.config.vocab_size} pieces",
                found=f"{len(pieces)}",
                fix="name the vocabulary.txt beside the model.bin",
            )
        (folder / "tokens.json").write_text(
            json.dumps(pieces, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8"
        )
        contract = _contract(recipe, model, pieces, json.loads(files[CONFIG].read_bytes()))
        return msgspec.structs.replace(contract, export_difference=_difference(model, contract, folder))

    def shrink(self, recipe: Recipe, contract: Contract, reference: Path, folder: Path, data: Path) -> None:
        """Quantize both graphs; no data is needed."""
        method = recipe.method
        if not isinstance(method, DynamicInt8):
            raise BadConfig(
                f"recipe {recipe.id}",
                expected="method dynamic_int8",
                found="static_int8",
                fix="ranges vary with speech",
            )
        decoder = reference / DECODER
        if method.shared_table:
            decoder = folder / DECODER
            methods.share_table(reference / DECODER, decoder)
        methods.dynamic_int8(decoder, folder / DECODER, reduce_range=method.reduce_range)
        methods.dynamic_int8(reference / ENCODER, folder / ENCODER, reduce_range=method.reduce_range)
        (folder / "tokens.json").write_bytes((reference / "tokens.json").read_bytes())

    def evaluate(self, contract: Contract, reference: Path, small: Path, data: Path) -> Measured:
        """Word error rate with Whisper's 30 s window and with the shortest, and logits along the float transcripts."""
        found = testset.clips(data)
        words = vocabulary(contract.settings, small / "tokens.json")
        before, after = (
            speech.Transcriber(open_session(folder / ENCODER), open_session(folder / DECODER), words)
            for folder in (reference, small)
        )
        sounds = [speech.samples_of(clip.path) for clip in found]
        whole, short = ([speech.FRAMES] * len(sounds), [speech.frames_for(sound) for sound in sounds])
        scores = [
            score(name, meaning, *(_wer(m, found, sounds, windows) for m in (before, after)), higher_is_better=False)
            for name, meaning, windows in (
                ("wer", "word error rate, 30 s window", whole),
                ("wer_short", "word error rate, window of the sound and 1 s, at least 10 s", short),
            )
        ]
        apart = divergence(*_along(before, after, sounds, short))
        same = score("same_top", "next tokens that agree", 1.0, apart.same_top / 100, higher_is_better=True)
        used = tuple(DataFile(clip.path.relative_to(data).as_posix(), clip.sha256, "scoring") for clip in found)
        return Measured((*scores, same), apart, _timings(before, after, sounds[0], (reference, small)), used)


def _difference(model: Any, contract: Contract, folder: Path) -> float:
    """Largest difference of a logit between Transformers and the exported graphs: noise as mel, 40 tokens, seed 0."""
    import torch

    random, config = np.random.default_rng(0), model.config
    mel = random.standard_normal((config.num_mel_bins, 2 * config.max_source_positions), np.float32)
    tokens = random.integers(0, config.vocab_size, 40).tolist()
    words = vocabulary(contract.settings, folder / "tokens.json")
    exported = speech.Transcriber(open_session(folder / ENCODER), open_session(folder / DECODER), words)
    with torch.no_grad():
        wanted = model(input_features=torch.from_numpy(mel[None]), decoder_input_ids=torch.tensor([tokens])).logits
    return float(np.abs(wanted[0].numpy() - exported.all_scores(mel, tokens)).max())


def _contract(recipe: Recipe, model: Any, pieces: Sequence[str], ids: Mapping[str, Any]) -> Contract:
    """Token ids by their names in the vocabulary, suppressed ids from CTranslate2's config, sizes from the model."""
    config = model.config
    heads, width = config.decoder_attention_heads, config.d_model // config.decoder_attention_heads
    named = {
        "sot": "<|startoftranscript|>",
        "eot": "<|endoftext|>",
        "no_speech": "<|nocaptions|>",
        "no_timestamps": "<|notimestamps|>",
    }
    settings: dict[str, Setting] = {key: pieces.index(piece) for key, piece in named.items()}
    settings |= {
        "suppress": ids["suppress_ids"],
        "begin_suppress": ids["suppress_ids_begin"],
        "layers": config.decoder_layers,
        "heads": heads,
        "head_dim": width,
        "mels": config.num_mel_bins,
        "positions": config.max_target_positions,
    }
    cache = f"float32 [1, {heads}, past, {width}]"
    cross = f"float32 [1, {heads}, frames / 2, {width}]"
    return Contract(
        inputs={
            "mel": f"float32 [1, {config.num_mel_bins}, frames], 100 frames a second, frames even, 1000 to 3000",
            "tokens": "int64 [1, n]",
            "past_k_i": cache,
            "past_v_i": cache,
        },
        outputs={
            "cross_k_i": cross,
            "cross_v_i": cross,
            "logits": f"float32 [1, n, {config.vocab_size}]",
            "present_k_i": cache.replace("past", "past + n"),
            "present_v_i": cache.replace("past", "past + n"),
        },
        settings={**settings, **recipe.settings},
        parameters=sum(weight.numel() for weight in model.parameters()),
        export_difference=float("nan"),
    )


def vocabulary(settings: Mapping[str, Any], tokens: Path) -> speech.Vocabulary:
    """What the greedy loop needs, out of a manifest's settings."""
    return speech.Vocabulary(
        tuple(json.loads(tokens.read_text(encoding="utf-8"))),
        (settings["sot"], settings["no_timestamps"]),
        settings["eot"],
        tuple(settings["suppress"]),
        tuple(settings["begin_suppress"]),
        settings["positions"] // 2,  # as openai/whisper, decoding.py
    )


def _wer(
    model: speech.Transcriber, found: Sequence[testset.Clip], sounds: Sequence[Any], windows: Sequence[int]
) -> float:
    heard = [model.transcribe(sound, frames) for sound, frames in zip(sounds, windows, strict=True)]
    return speech.error_rate([clip.transcript for clip in found], heard)


def _along(
    before: speech.Transcriber, after: speech.Transcriber, sounds: Sequence[Any], windows: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores of every next token, [n, vocabulary] each, both models fed the float model's transcripts."""
    rows: tuple[list[Any], list[Any]] = ([], [])
    for sound, frames in zip(sounds, windows, strict=True):
        mel = log_mel(sound, frames)
        tokens = before.greedy(before.encode(mel))
        for model, out in zip((before, after), rows, strict=True):
            out.append(model.scores(model.encode(mel), tokens))
    return np.concatenate(rows[0]), np.concatenate(rows[1])


def _timings(
    before: speech.Transcriber, after: speech.Transcriber, sound: Any, folders: tuple[Path, Path]
) -> tuple[Timing, ...]:
    """Load, encode at both windows, decode a fixed number of steps."""

    def load(folder: Path) -> None:
        for part in (ENCODER, DECODER):
            open_session(folder / part)

    whole, short = log_mel(sound, speech.FRAMES), log_mel(sound, 1000)
    cross = before.encode(short), after.encode(short)
    return (
        paired("load", lambda: load(folders[0]), lambda: load(folders[1]), 5),
        paired("encode 30 s", lambda: before.encode(whole), lambda: after.encode(whole), 11),
        paired("encode 10 s", lambda: before.encode(short), lambda: after.encode(short), 21),
        paired(
            f"decode {STEPS} tokens", lambda: before.steps(cross[0], STEPS), lambda: after.steps(cross[1], STEPS), 15
        ),
    )
