"""Task loss of a speech model: word error rate over real recordings, by a plain greedy loop.

The loop is Whisper's simplest: one window, no timestamps, suppressed tokens left out, no temperature fallback, no
guards. It is for comparing a smaller model with its float reference, not for use; the runtime has its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeos.engines.mel import HOP, log_mel
from edgeos.events import RATE_HZ, Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FRAMES = 3000
"""Mel frames of Whisper's 30 s window."""

Arrays: TypeAlias = "dict[str, NDArray[Any]]"


def samples_of(path: Path) -> Samples:
    """Decode, mix to mono, resample to 16 kHz: [n] float32."""
    import soundfile
    import soxr

    sound, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(sound.mean(axis=1), rate_hz, RATE_HZ, "VHQ"), np.float32)


def frames_for(samples: Samples) -> int:
    """The shortest even window that the runtime may use: the sound and 1 s, at least 10 s, at most 30 s."""
    return min(FRAMES, max(1000, (len(samples) // HOP + 100) // 2 * 2))


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Token ids and pieces that the loop needs."""

    pieces: tuple[str, ...]
    prompt: tuple[int, ...]
    eot: int
    suppress: tuple[int, ...]
    begin_suppress: tuple[int, ...]
    limit: int
    """Most tokens of one window."""

    def text(self, tokens: Sequence[int]) -> str:
        """Join the pieces and undo GPT-2's spelling of bytes as printable characters."""
        table = _bytes_of()
        joined = "".join(self.pieces[token] for token in tokens if token < self.eot)
        return bytes(table[char] for char in joined).decode("utf-8", "replace").strip()


def _bytes_of() -> dict[str, int]:
    """GPT-2's character to byte table (openai/gpt-2 `encoder.py`, `bytes_to_unicode`, inverted)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + index): byte for index, byte in enumerate(other)}


class Transcriber:
    """An encoder and a decoder session of our contract, and the greedy loop over them."""

    def __init__(self, encoder: InferenceSession, decoder: InferenceSession, vocabulary: Vocabulary) -> None:
        self._encoder, self._decoder, self._vocabulary = encoder, decoder, vocabulary
        self._past = {i.name: (1, i.shape[1], 0, i.shape[3]) for i in decoder.get_inputs() if i.name.startswith("past")}

    def encode(self, mel: NDArray[np.float32]) -> Arrays:
        """[80, frames] -> the cross-attention's keys and values."""
        names = [output.name for output in self._encoder.get_outputs()]
        return dict(zip(names, self._encoder.run(names, {"mel": mel[None]}), strict=True))

    def greedy(self, cross: Arrays) -> list[int]:
        """Most likely token after token, until the end or the limit."""
        words = self._vocabulary
        past, fresh, tokens = self._empty(), list(words.prompt), list[int]()
        while len(tokens) < words.limit:
            logits, past = self._step(fresh, past, cross)
            allowed = np.array(logits[-1, : words.prompt[-1]])
            allowed[[token for token in words.suppress if token < len(allowed)]] = -np.inf
            if not tokens:
                allowed[list(words.begin_suppress)] = -np.inf
            fresh = [int(np.argmax(allowed))]
            if fresh[0] == words.eot:
                break
            tokens += fresh
        return tokens

    def steps(self, cross: Arrays, count: int) -> None:
        """Decode `count` times, one token each, whatever comes out: a fixed amount of work to time."""
        past = self._empty()
        for _ in range(count):
            _, past = self._step([self._vocabulary.prompt[0]], past, cross)

    def all_scores(self, mel: NDArray[np.float32], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Scores after each of `tokens`, any tokens, given [80, frames]: [len(tokens), vocabulary]."""
        return self._step(tokens, self._empty(), self.encode(mel))[0]

    def scores(self, cross: Arrays, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Scores of each of `tokens` and of the end, given those before it: [len(tokens) + 1, vocabulary]."""
        prompt = self._vocabulary.prompt
        logits, _ = self._step([*prompt, *tokens], self._empty(), cross)
        return logits[len(prompt) - 1 :]

    def _empty(self) -> Arrays:
        return {name: np.zeros(shape, np.float32) for name, shape in self._past.items()}

    def _step(self, tokens: Sequence[int], past: Arrays, cross: Arrays) -> tuple[NDArray[np.float32], Arrays]:
        """Scores [n, vocabulary] and the cache after `tokens`."""
        names = [output.name for output in self._decoder.get_outputs()]
        feed = {"tokens": np.array([tokens], np.int64), **past, **cross}
        found = dict(zip(names, self._decoder.run(names, feed), strict=True))
        logits = found.pop("logits")[0]
        return logits, {name.replace("present", "past"): value for name, value in found.items()}

    def transcribe(self, samples: Samples, frames: int = FRAMES) -> str:
        """[n] at 16 kHz, at most 30 s -> text."""
        return self._vocabulary.text(self.greedy(self.encode(log_mel(samples, frames))))


def words_of(text: str) -> list[str]:
    """Lower case, letters, digits and apostrophes only; numbers stay as they are written."""
    return re.findall(r"[a-z0-9']+", text.lower().replace("’", "'").replace("-", " "))


def word_errors(reference: str, heard: str) -> tuple[int, int]:
    """Levenshtein distance in words (substitution, insertion, deletion: one each), and the reference's length."""
    want, got = words_of(reference), words_of(heard)
    row = list(range(len(got) + 1))
    for index, word in enumerate(want, 1):
        previous, row[0] = row[0], index
        for at, other in enumerate(got, 1):
            previous, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, previous + (word != other))
    return row[-1], len(want)


def error_rate(references: Sequence[str], heard: Sequence[str]) -> float:
    """Word errors per reference word over all recordings: 0, up to 1 and above."""
    counts = [word_errors(want, got) for want, got in zip(references, heard, strict=True)]
    return sum(errors for errors, _ in counts) / sum(words for _, words in counts)
