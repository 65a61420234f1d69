"""Whisper on ONNX Runtime: our own greedy decode loop, its KV cache kept in OrtValues, with guards against invention.

Thresholds and their order come from openai/whisper `transcribe.py` (`decode_with_fallback`): compression ratio 2.4,
average log-probability -1.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeos.engines import Asr
from edgeos.engines.mel import HOP, log_mel
from edgeos.engines.ort import OrtConfig, bindable, need, session
from edgeos.engines.settings import checked
from edgeos.errors import BadAudio, EngineFailed, ModelIncompatible
from edgeos.events import RATE_HZ, Samples
from edgeos.worker import Stop

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_LONGEST_S = 30
_ALL_FRAMES = 100 * _LONGEST_S
_PADDING_FRAMES = 100
_QUIETEST_RMS = 10 ** (-60 / 20)
"""-60 dBFS in the loudest 100 ms: below the noise floor of a laptop's microphone there is nothing to hear."""

_MAX_COMPRESSION = 2.4
_MIN_LOG_PROBABILITY = -1.0
_MAX_NO_SPEECH = 0.7
"""Measured on tiny.en int8: speech under 5 dB of noise 0.54 at most, hum, typing, rain and white noise 0.8 to 0.96."""

_TEMPERATURES = (0.0, 0.4, 0.8)
_LOOPS = 3
_LOOP_TOKENS = range(4, 17)
"""A phrase of so many tokens, `_LOOPS` times in a row, is a loop: decoding stops. "No, no, no" is shorter."""


class WhisperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest's `settings`: token ids, lists of tokens never written, and the model's size."""

    sot: int
    eot: int
    no_speech: int
    no_timestamps: int
    suppress: tuple[int, ...]
    begin_suppress: tuple[int, ...]
    layers: int
    heads: int
    head_dim: int
    mels: Literal[80]
    positions: int
    """Text context; an answer takes half of it at most, as in openai/whisper."""


@dataclass(frozen=True, slots=True)
class WhisperSpec:
    """Verified files of an English-only Whisper; `settings` as in its manifest.

    `encoder`: `mel` [1, 80, frames] -> `cross_k_i`, `cross_v_i` [1, heads, frames / 2, head_dim]. `decoder`: `tokens`
    int64 [1, n], `past_k_i`, `past_v_i` [1, heads, past, head_dim], `cross_k_i`, `cross_v_i` -> `logits`
    [1, n, vocabulary], `present_k_i`, `present_v_i`. `tokens`: JSON list, id -> byte-level piece.
    """

    encoder: Path
    decoder: Path
    tokens: Path
    settings: Mapping[str, Any]
    ort: OrtConfig
    fewest_frames: int = 1500
    """Context that short sounds are padded to, 100 frames a second, even. Under 10 s Whisper repeats itself, 30 s cost
    time: `benchmarks/asr.py --contexts` compares."""

    def build(self) -> Asr:
        """Load the model. Raises `ModelIncompatible`, and `BadConfig` for the settings."""
        settings = checked(self.tokens.parent.name, self.settings, WhisperSettings)
        try:
            pieces = msgspec.json.decode(self.tokens.read_bytes(), type=list[str])
        except msgspec.MsgspecError as error:
            raise ModelIncompatible(
                f"model file {self.tokens}",
                expected="a JSON list of tokens",
                found=str(error),
                fix="make it again with `edgeos quantize run`",
            ) from error
        if max(settings.eot, settings.no_speech, *settings.suppress, *settings.begin_suppress) >= len(pieces):
            raise ModelIncompatible(
                f"model file {self.tokens}",
                expected="a piece for every token of the settings",
                found=f"{len(pieces)} pieces",
                fix="make it again with `edgeos quantize run`",
            )
        encoder, decoder = session(self.encoder, self.ort, arena=False), session(self.decoder, self.ort)
        cross, past, present = (_names(kind, settings.layers) for kind in ("cross", "past", "present"))
        need(encoder, self.encoder, ["mel"], cross)
        need(decoder, self.decoder, ["tokens", *past, *cross], ["logits", *present])
        return _Whisper(encoder, decoder, pieces, settings, self.fewest_frames)


def _names(kind: str, layers: int) -> list[str]:
    return [f"{kind}_{part}_{layer}" for layer in range(layers) for part in "kv"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One attempt: its text (loops cut), the mean log-probability of its tokens, the probability of no speech."""

    text: str
    log_probability: float
    no_speech: float
    looped: bool

    @property
    def doubtful(self) -> bool:
        """Repetitive or unlikely, by Whisper's thresholds."""
        raw = self.text.encode()
        ratio = len(raw) / len(zlib.compress(raw)) if raw else 0.0
        return self.looped or ratio > _MAX_COMPRESSION or self.log_probability < _MIN_LOG_PROBABILITY

    @property
    def silent(self) -> bool:
        """Nobody spoke, or nothing but punctuation came of it."""
        return self.no_speech > _MAX_NO_SPEECH or not any(c.isalnum() for c in self.text)


class _Whisper:
    def __init__(
        self,
        encoder: InferenceSession,
        decoder: InferenceSession,
        pieces: list[str],
        settings: WhisperSettings,
        fewest_frames: int,
    ) -> None:
        self._fewest_frames = fewest_frames
        self._encoder, self._decoder, self._settings = encoder, decoder, settings
        self._cross, self._past, self._present = (
            _names(kind, settings.layers) for kind in ("cross", "past", "present")
        )
        self._nothing = bindable(np.zeros((1, settings.heads, 0, settings.head_dim), np.float32))
        self._bytes = _piece_bytes(pieces)
        self._never = np.zeros(len(pieces), np.float32)
        # Timestamps and every other special token above eot are no text either.
        self._never[[*settings.suppress, *range(settings.eot + 1, len(pieces))]] = -np.inf
        self._never_first = self._never.copy()
        self._never_first[list(settings.begin_suppress)] = -np.inf

    def transcribe(self, samples: Samples, stop: Stop) -> str:
        """[n] at 16 kHz, at most 30 s -> text; empty where there are no words or where `stop` came first.

        Raises `BadAudio` for longer sound and for values that are not numbers, `EngineFailed` where ONNX Runtime fails.
        """
        if samples.ndim != 1 or len(samples) > _LONGEST_S * RATE_HZ or not np.isfinite(samples).all():
            raise BadAudio(
                "sound to transcribe",
                expected=f"[n] numbers, at most {_LONGEST_S} s of 16 kHz",
                found=f"{list(samples.shape)}",
                fix="cut it with segment.windows",
            )
        if _loudest(samples) < _QUIETEST_RMS:
            return ""
        best: Heard | None = None
        for frames, temperature in _attempts(len(samples), self._fewest_frames):
            heard = self._attempt(log_mel(samples, frames), temperature, stop)
            if stop() or heard.silent:
                return ""
            if best is None or (best.looped, -best.log_probability) > (heard.looped, -heard.log_probability):
                best = heard
            if not heard.doubtful:
                return heard.text
        return best.text if best and best.log_probability >= _MIN_LOG_PROBABILITY else ""

    def _attempt(self, mel: NDArray[np.float32], temperature: float, stop: Stop) -> Heard:
        try:
            return self._decode(self._encode(mel), temperature, stop)
        except RuntimeError as error:
            raise EngineFailed(
                "Whisper", found=str(error).split("\n")[0], fix="check it with `edgeos models verify`"
            ) from error

    def _encode(self, mel: NDArray[np.float32]) -> list[Any]:
        """Return the cross-attention keys and values as OrtValues: they never become numpy arrays."""
        binding = self._encoder.io_binding()
        binding.bind_cpu_input("mel", mel[None])
        for name in self._cross:
            binding.bind_output(name)
        self._encoder.run_with_iobinding(binding)
        return list(binding.get_outputs())

    def _decode(self, cross: list[Any], temperature: float, stop: Stop) -> Heard:
        """Greedy at temperature 0, else sampled with a fixed seed: the same sound always gives the same text."""
        settings, random = self._settings, np.random.default_rng(0)
        binding = self._decoder.io_binding()
        for name, value in zip(self._cross, cross, strict=True):
            binding.bind_ortvalue_input(name, value)
        past = [self._nothing] * len(self._past)
        feed = np.array([[settings.sot, settings.no_timestamps]], np.int64)
        tokens: list[int] = []
        total, no_speech, looped = 0.0, 0.0, 0
        while len(tokens) < settings.positions // 2 and not looped and not stop():
            logits, past = self._step(binding, feed, past)
            if not tokens:
                no_speech = float(np.exp(_log_softmax(logits[0])[settings.no_speech]))
            allowed = logits[-1] + (self._never if tokens else self._never_first)
            scores = _log_softmax(allowed)
            token = _pick(scores, temperature, random)
            total += float(scores[token])
            if token == settings.eot:
                break
            tokens.append(token)
            feed = np.array([[token]], np.int64)
            looped = _loop(tokens)
        said = tokens[: len(tokens) - looped]
        text = b"".join(self._bytes[token] for token in said).decode("utf-8", "replace").strip()
        return Heard(text, total / (len(tokens) + 1), no_speech, looped > 0)

    def _step(self, binding: Any, feed: NDArray[np.int64], past: list[Any]) -> tuple[NDArray[np.float32], list[Any]]:
        """Run the decoder over `feed`: [n, vocabulary] logits, and the present cache, to be bound as the next past."""
        binding.bind_cpu_input("tokens", feed)
        for name, value in zip(self._past, past, strict=True):
            binding.bind_ortvalue_input(name, value)
        binding.clear_binding_outputs()
        for name in ("logits", *self._present):
            binding.bind_output(name)
        self._decoder.run_with_iobinding(binding)
        logits, *present = binding.get_outputs()
        return logits.numpy()[0], present


def _attempts(n_samples: int, fewest: int) -> Iterator[tuple[int, float]]:
    """Yield (frames, temperature): a short context first, the full 30 s where that was doubtful, then some heat."""
    needed = -(-n_samples // HOP) + _PADDING_FRAMES
    frames = min(_ALL_FRAMES, max(fewest, needed + needed % 2))
    if frames < _ALL_FRAMES:
        yield frames, 0.0
    for temperature in _TEMPERATURES:
        yield _ALL_FRAMES, temperature


def _loudest(samples: Samples) -> float:
    """RMS of the loudest 100 ms."""
    whole = samples[: len(samples) // 1600 * 1600].reshape(-1, 1600) if len(samples) >= 1600 else samples[None]
    return float(np.sqrt(np.square(whole).mean(axis=1).max())) if len(samples) else 0.0


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


def _pick(scores: NDArray[np.float32], temperature: float, random: np.random.Generator) -> int:
    if temperature == 0.0:
        return int(np.argmax(scores))
    # Gumbel's trick samples softmax(scores / temperature) without normalising it.
    return int(np.argmax(scores / temperature + random.gumbel(size=len(scores))))


def _loop(tokens: list[int]) -> int:
    """Return how many tokens at the end only say again what was said before them: 0 where there is no loop."""
    for n in _LOOP_TOKENS:
        if len(tokens) >= _LOOPS * n and tokens[-_LOOPS * n :] == tokens[-n:] * _LOOPS:
            return (_LOOPS - 1) * n
    return 0


def _piece_bytes(pieces: list[str]) -> list[bytes]:
    """Undo GPT-2's byte-level alphabet (openai/gpt-2 `encoder.py`, `bytes_to_unicode`)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet |= {chr(256 + i): byte for i, byte in enumerate(b for b in range(256) if b not in set(printable))}
    return [bytes(alphabet[c] for c in piece if c in alphabet) for piece in pieces]
