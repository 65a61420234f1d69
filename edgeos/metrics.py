"""How long each stage of a turn took, computed from events alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edgeos.events import (
    Clause,
    Event,
    FirstSound,
    FirstToken,
    PromptFused,
    PromptReady,
    SpeechEnded,
    Transcript,
    TurnEnded,
    TurnStarted,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a turn: from the end of the step before it, `start_ms` after the person stopped, for `ms`."""

    name: str
    start_ms: float
    ms: float


_MARKS = {
    TurnStarted: "end of turn",
    Transcript: "hear",
    PromptFused: "see",
    PromptReady: "prefill",
    FirstToken: "first token",
    Clause: "first clause",
    FirstSound: "first sound",
    TurnEnded: "rest",
}


class Timeline:
    """Feed it every event of a conversation; it knows the steps of the turn that is going on."""

    def __init__(self) -> None:
        """Begin before the first turn."""
        self._origin_ns: int | None = None
        self._reached: dict[str, int] = {}

    def see(self, event: Event) -> None:
        """Take one event. A turn begins at the end of speech, or where it was typed."""
        typed = isinstance(event, TurnStarted) and (self._origin_ns is None or self._reached)
        if isinstance(event, SpeechEnded) or typed:
            self._origin_ns, self._reached = event.t_ns, {}
        name = _MARKS.get(type(event))
        if name is not None:
            self._reached.setdefault(name, event.t_ns)

    def steps(self) -> list[Step]:
        """Return the steps reached so far, in order of time."""
        steps, before = [], self._origin_ns or 0
        for name, t_ns in sorted(self._reached.items(), key=lambda item: item[1]):
            steps.append(Step(name, (before - (self._origin_ns or 0)) / 1e6, max(0, t_ns - before) / 1e6))
            before = max(before, t_ns)
        return steps

    def since_start_ms(self, name: str) -> float | None:
        """Milliseconds from the start of the turn's work (`TurnStarted`) to a mark; None where it was not reached."""
        if name not in self._reached or "end of turn" not in self._reached:
            return None
        return (self._reached[name] - self._reached["end of turn"]) / 1e6
