"""The vocabulary: records that carry samples and pixels, and events that tell what happened.

Records travel through channels from stage to stage. Events go to the one observer, `on_event`: the terminal prints
them, `metrics` times with them, `--events FILE.jsonl` writes them. An event never holds audio or pixels.

All times are nanoseconds of one monotonic clock (`clock.Clock.now_ns`); `t_ns` of a record is the capture time of its
first sample or of the picture. `turn` counts questions from 1; 0 means "not part of a turn".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
"""Sample rate of every `AudioChunk` and `Utterance`: sources convert once, at the edge."""

CHUNK = 512
"""Samples of one `AudioChunk` (32 ms at 16 kHz): what Silero VAD takes."""

Samples: TypeAlias = NDArray[np.float32]
"""[n] float32, mono, -1..1."""

Image: TypeAlias = NDArray[np.uint8]
"""[height, width, 3] uint8, RGB."""


# ---------------------------------------------------------------- records


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """32 ms of sound: `samples` is [512] at 16 kHz, the last one of a file padded with zeros."""

    samples: Samples
    t_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class CameraFrame:
    """One picture, upright; `source` is the URI or file it came from."""

    image: Image
    t_ns: int
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One stretch of speech at 16 kHz, pre-roll included; the times are those of the first and last speech sample."""

    samples: Samples
    t_start_ns: int
    t_end_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """One synthesized clause of the answer of `turn`; `samples` at `rate_hz`."""

    turn: int
    text: str
    samples: Samples
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing the camera shows.

    `kind`: "label" (an ImageNet class) or "text" (a line that was read). `confidence` is 0..1, `source` names the
    model, `t_ns` is the capture time of the picture.
    """

    kind: Literal["label", "text"]
    value: str
    confidence: float
    source: str
    t_ns: int


# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class SourceStarted:
    """A source delivers; `t_ns` is the time of sample 0 or of the first picture."""

    t_ns: int
    source: str
    kind: Literal["audio", "camera"]
    turn: int = 0


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A source has no more to give; `dropped` counts the records that no stage took."""

    t_ns: int
    source: str
    kind: Literal["audio", "camera"]
    dropped: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """A person began to speak at `t_ns`."""

    t_ns: int
    turn: int = 0


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """A person stopped at `t_ns` (the last speech sample, not the moment of the decision)."""

    t_ns: int
    turn: int


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """A question is complete (spoken or typed) and work on it begins."""

    t_ns: int
    turn: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard, ready at `t_ns`, spoken between `t_start_ns` and `t_end_ns`; `compute_ms` went into it."""

    t_ns: int
    turn: int
    text: str
    t_start_ns: int
    t_end_ns: int
    compute_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class SceneChanged:
    """The camera shows something new, captured at `t_ns`; `compute_ms` went into seeing it."""

    t_ns: int
    facts: tuple[Fact, ...]
    compute_ms: float = 0.0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class PromptFused:
    """Scene, words and history of a turn are one prompt of `tokens`, before any of it is evaluated."""

    t_ns: int
    turn: int
    tokens: int


@dataclass(frozen=True, slots=True)
class PromptReady:
    """The prompt of a turn is evaluated: `tokens` in all, `reused` of them were in the KV cache before."""

    t_ns: int
    turn: int
    tokens: int
    reused: int
    compute_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The first piece of the answer left the language model."""

    t_ns: int
    turn: int


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of the answer's text, as it is written."""

    t_ns: int
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the answer was handed to the voice."""

    t_ns: int
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class FirstSound:
    """The first sample of the answer was handed to the sink."""

    t_ns: int
    turn: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn is over; `spoken_s` is the seconds of sound handed to the sink."""

    t_ns: int
    turn: int
    reason: Literal["done", "interrupted", "failed", "nothing heard"]
    heard: str = ""
    answer: str = ""
    spoken_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the person should know, with what to do about it."""

    t_ns: int
    text: str
    turn: int = 0


Event: TypeAlias = (
    SourceStarted
    | SourceEnded
    | SpeechStarted
    | SpeechEnded
    | TurnStarted
    | Transcript
    | SceneChanged
    | PromptFused
    | PromptReady
    | FirstToken
    | Token
    | Clause
    | FirstSound
    | TurnEnded
    | Warned
)


def as_json(event: Event) -> dict[str, Any]:
    """Return the event as plain values: `event` (its class name), `t_ns`, `turn`, then its other fields."""
    import dataclasses

    fields = dataclasses.asdict(event)
    return {"event": type(event).__name__, "t_ns": fields.pop("t_ns"), "turn": fields.pop("turn"), **fields}
