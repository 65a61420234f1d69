"""The engine protocols: synchronous, arrays and text only, used by one thread at a time (`worker.Worker`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from edgeos.events import CameraFrame, Fact, Samples
from edgeos.fusion import Prompt
from edgeos.worker import Stop


class Vad(Protocol):
    """Speech or not, chunk by chunk; keeps state between calls."""

    def __call__(self, samples: Samples) -> float:
        """[512] at 16 kHz -> probability of speech, 0..1."""
        ...

    def reset(self) -> None:
        """Forget what came before."""
        ...


class Asr(Protocol):
    """Speech to text."""

    def transcribe(self, samples: Samples, stop: Stop) -> str:
        """[n] at 16 kHz, at most 30 s -> text, empty where there are no words."""
        ...


class Vision(Protocol):
    """A picture to facts."""

    def look(self, frame: CameraFrame) -> tuple[Fact, ...]:
        """Return what is seen, stamped with the frame's capture time; nothing of low confidence."""
        ...


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the language model picks tokens; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 0.95
    top_k: int = 40
    repeat_penalty: float = 1.0
    seed: int = 0
    max_tokens: int = 96


@dataclass(frozen=True, slots=True)
class Prefilled:
    """The prompt is in the KV cache: `tokens` in all, `reused` of them were there before."""

    tokens: int
    reused: int


class Llm(Protocol):
    """A language model with one live context."""

    context_tokens: int

    def count(self, text: str) -> int:
        """Return how many tokens `text` costs."""
        ...

    def generate(self, prompt: Prompt, sampling: Sampling, stop: Stop) -> Iterator[Prefilled | str]:
        """Evaluate the prompt (yields one `Prefilled`), then yield pieces of the answer, whole characters only."""
        ...


class Tts(Protocol):
    """Text to speech."""

    rate_hz: int

    def synthesize(self, text: str) -> Samples:
        """One clause of plain text -> [n] at `rate_hz`; empty where there is nothing to say."""
        ...
