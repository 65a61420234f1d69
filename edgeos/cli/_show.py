"""What a person sees while edgeos runs: one block per turn, as it happens, in plain lines."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from edgeos.events import (
    Event,
    Fact,
    SceneChanged,
    SourceEnded,
    SourceStarted,
    Token,
    Transcript,
    TurnEnded,
    TurnStarted,
    Warned,
)
from edgeos.metrics import Step, Timeline

_BAR = 44


def facts_line(facts: tuple[Fact, ...], most: int = 6) -> str:
    """Return facts for people: `reads "MEETING AT 3 PM" 99 % · espresso 83 %`."""
    words = [
        f'reads "{f.value}" {f.confidence:.0%}' if f.kind == "text" else f"{f.value} {f.confidence:.0%}" for f in facts
    ]
    more = [f"and {len(words) - most} more"] * (len(words) > most)
    return " · ".join(words[:most] + more) or "nothing it is sure of"


def waterfall(steps: list[Step]) -> list[str]:
    """Return the timeline of a turn, a line per stage: its bar lies where it happened."""
    total = max((s.start_ms + s.ms for s in steps), default=0.0) or 1.0
    lines = []
    for step in steps:
        left = round(step.start_ms / total * _BAR)
        width = max(1, round(step.ms / total * _BAR))
        lines.append(f"{step.name:>12} {' ' * left}{'█' * width:<{max(0, _BAR - left)}} {step.ms:6.0f} ms")
    return lines


class Show:
    """An observer that prints the conversation."""

    def __init__(self, console: Console) -> None:
        """Print on `console`."""
        self._console, self._timeline, self._writing = console, Timeline(), False

    def _line(self, label: str, text: str, style: str = "") -> None:
        if self._writing:
            self._console.print()
            self._writing = False
        body = f"[{style}]{escape(text)}[/]" if style else escape(text)
        self._console.print(f"[dim]{label:>7}[/] {body}", highlight=False, soft_wrap=True)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._timeline.see(event)
        match event:
            case SourceStarted():
                self._line({"audio": "ears", "camera": "eyes"}[event.kind], event.source)
            case SourceEnded() if event.dropped:
                self._line("lost", f"{event.dropped} records of {event.source}: the machine was too slow", "yellow")
            case TurnStarted():
                self._console.print()
                self._console.rule(f"turn {event.turn}", align="left", style="dim")
            case Transcript():
                self._line("heard", event.text or "(no words)", "bold")
            case SceneChanged():
                self._line("sees", facts_line(event.facts), "cyan")
            case Token():
                if not self._writing:
                    self._console.print(f"[dim]{'says':>7}[/] ", end="")
                    self._writing = True
                self._console.print(
                    event.text, end="", style="bold green", markup=False, highlight=False, soft_wrap=True
                )
            case TurnEnded():
                self._ended(event)
            case Warned():
                self._line("note", event.text, "yellow")
            case _:
                pass

    def _ended(self, event: TurnEnded) -> None:
        if event.reason != "done":
            self._line("ended", event.reason, "yellow")
            return
        if self._writing:
            self._console.print()
            self._writing = False
        for line in waterfall([step for step in self._timeline.steps() if step.ms >= 1]):
            self._console.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)
