"""Fakes for every port, public: test your own code with the doubles that edgeos tests itself with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np

from edgeos.engines import Prefilled, Sampling
from edgeos.events import CHUNK, RATE_HZ, AudioChunk, CameraFrame, Event, Fact, Samples, Speech
from edgeos.fusion import Prompt
from edgeos.worker import Stop

T = TypeVar("T")


class VirtualClock:
    """A Clock that moves only when somebody sleeps on it: hours pass at once."""

    def __init__(self, now_ns: int = 1_000_000_000) -> None:
        """Start at `now_ns`."""
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The virtual time."""
        return self._now_ns

    async def sleep_until(self, t_ns: int) -> None:
        """Jump to `t_ns`, letting other tasks run."""
        await asyncio.sleep(0)
        self._now_ns = max(self._now_ns, t_ns)


@dataclass(frozen=True, slots=True)
class Ready(Generic[T]):
    """A spec for a fake: `build` hands out the very object, so that the test can look into it afterwards."""

    engine: T

    def build(self) -> T:
        """Return the engine."""
        return self.engine


class FakeVad:
    """Says 1.0 where a chunk is louder than `floor` (root mean square), else 0.0."""

    def __init__(self, floor: float = 0.01) -> None:
        """Set the floor."""
        self.floor, self.resets = floor, 0

    def __call__(self, samples: Samples) -> float:
        """[n] -> 1.0 or 0.0."""
        return float(np.sqrt(np.square(samples).mean()) > self.floor)

    def reset(self) -> None:
        """Count the call."""
        self.resets += 1


@dataclass
class FakeAsr:
    """Returns the queued texts, one per call, then nothing; `heard` keeps the samples it was given."""

    texts: list[str] = field(default_factory=list)
    heard: list[Samples] = field(default_factory=list)

    def transcribe(self, samples: Samples, stop: Stop) -> str:
        """Return the next text."""
        self.heard.append(samples)
        return self.texts.pop(0) if self.texts else ""


@dataclass
class FakeVision:
    """Returns what `see` makes of the picture."""

    see: Callable[[CameraFrame], tuple[Fact, ...]] = lambda _: ()

    def look(self, frame: CameraFrame) -> tuple[Fact, ...]:
        """Return the facts."""
        return self.see(frame)


@dataclass
class FakeLlm:
    """Answers with the queued texts, word by word; one word is one token. `prompts` keeps what it was asked.

    With `endless` it never stops by itself.
    """

    texts: list[str] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    endless: bool = False
    context_tokens: int = 2048

    def count(self, text: str) -> int:
        """Return the number of words."""
        return len(text.split())

    def generate(self, prompt: Prompt, sampling: Sampling, stop: Stop) -> Iterator[Prefilled | str]:
        """Yield the next text."""
        yield Prefilled(prompt.tokens, 0)
        if not sampling.max_tokens:
            return
        self.prompts.append(prompt)
        for word in (self.texts.pop(0) if self.texts else "Yes.").split():
            if stop():
                return
            yield word + " "
        while self.endless and not stop():
            yield "more "


@dataclass
class FakeTts:
    """Says every word as 0.1 s of a tone; `said` keeps the texts."""

    rate_hz: int = 22_050
    said: list[str] = field(default_factory=list)

    def synthesize(self, text: str) -> Samples:
        """[n] at `rate_hz`."""
        self.said.append(text)
        return tone(0.1 * len(text.split()), self.rate_hz)


class FakeSpeaker:
    """Keeps what it is given in `speeches`; `live` as you like."""

    name = "fake:"

    def __init__(self, clock: VirtualClock | None = None, live: bool = False) -> None:
        """Stamp with `clock`."""
        self._clock, self.live = clock or VirtualClock(), live
        self.speeches: list[Speech] = []
        self.flushes = 0

    @property
    def played_s(self) -> float:
        """Seconds taken."""
        return sum(len(s.samples) / s.rate_hz for s in self.speeches)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def play(self, speech: Speech) -> int:
        """Keep the clause."""
        await asyncio.sleep(0)
        self.speeches.append(speech)
        return self._clock.now_ns()

    async def drain(self) -> None:
        """Return at once."""

    async def flush(self) -> None:
        """Count the call."""
        self.flushes += 1


class FakeSource(Generic[T]):
    """Yields the records it was given; with `fails` it raises that at the end."""

    def __init__(self, records: Sequence[T], *, live: bool = False, fails: Exception | None = None) -> None:
        """Keep the records."""
        self.name, self.live, self.dropped, self.warnings = "fake:", live, 0, list[str]()
        self._records, self._fails = records, fails
        self.open = False

    async def __aenter__(self) -> AsyncIterator[T]:
        self.open = True

        async def records() -> AsyncIterator[T]:
            for record in self._records:
                await asyncio.sleep(0)
                yield record
            if self._fails:
                raise self._fails

        return records()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open = False


class Recorder:
    """An observer that keeps every event."""

    def __init__(self) -> None:
        """Begin empty."""
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Keep one."""
        self.events.append(event)

    def of(self, kind: type[T]) -> list[T]:
        """Return the events of one class."""
        return [event for event in self.events if isinstance(event, kind)]

    def names(self) -> list[str]:
        """Return the class names, in order."""
        return [type(event).__name__ for event in self.events]


def tone(seconds: float, rate_hz: int = RATE_HZ, hz: float = 220.0) -> Samples:
    """[n] of a sine at half scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def silence(seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    """[n] of zeros."""
    return np.zeros(round(seconds * rate_hz), np.float32)


def chunks(samples: Samples, t_ns: int = 0) -> list[AudioChunk]:
    """Cut 16 kHz samples into stamped chunks, the last one padded with zeros."""
    padded = np.concatenate([samples, np.zeros(-len(samples) % CHUNK, np.float32)])
    step_ns = CHUNK * 1_000_000_000 // RATE_HZ
    return [AudioChunk(part, t_ns + i * step_ns) for i, part in enumerate(padded.reshape(-1, CHUNK))]
