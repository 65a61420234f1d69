"""`edgeos ask`: one question, one answer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edgeos.once import Reply


def command(
    text: Annotated[str, typer.Argument(help="The question, as text.")] = "",
    audio: Annotated[Path | None, typer.Option(help="The question, as a sound file.")] = None,
    image: Annotated[list[Path] | None, typer.Option(help="A picture the assistant sees; may be repeated.")] = None,
    speak: Annotated[Path | None, typer.Option(help="Write the spoken answer to this WAV.")] = None,
    profile: Annotated[str, typer.Option(help="Device profile: a name or a .toml file.")] = "starter",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Ask one question and get one answer.

    Example: edgeos ask "What time is the meeting?" --image whiteboard.jpg --speak answer.wav
    """
    if bool(text.strip()) == bool(audio):
        raise typer.BadParameter("give one question: either TEXT or --audio FILE")

    from rich.console import Console

    from edgeos import profile as profiles
    from edgeos.cli._common import run
    from edgeos.cli._show import Show
    from edgeos.once import Request, ask

    request = Request(text, audio, tuple(image or ()), speak)
    reply = run(ask(request, profiles.load(profile), (lambda _: None) if as_json else Show(Console())))
    if reply is None:
        raise typer.Exit(130)
    if as_json:
        typer.echo(json.dumps(_object(reply, speak), ensure_ascii=False, indent=2))


def _object(reply: Reply, speak: Path | None) -> dict[str, Any]:
    """Return the reply as `--json` prints it."""
    now_ns = time.monotonic_ns()
    return {
        "heard": reply.heard,
        "scene": [
            {
                "kind": fact.kind,
                "value": fact.value,
                "confidence": round(fact.confidence, 4),
                "source": fact.source,
                "age_ms": round((now_ns - fact.t_ns) / 1e6),
            }
            for fact in reply.scene
        ],
        "prompt": [
            {"kind": part.kind, "trust": part.trust, "tokens": part.tokens, "text": part.text} for part in reply.prompt
        ],
        "answer": reply.answer,
        "spoken": {"path": str(speak), "seconds": round(reply.spoken_s, 3)} if speak else None,
        "timings_ms": {name: None if ms is None else round(ms, 1) for name, ms in reply.timings_ms.items()},
        "models": {
            job: {"id": chosen.id, chosen.kind: chosen.runs_on, "threads": chosen.threads}
            for job, chosen in reply.models.items()
        },
        "warnings": list(reply.warnings),
    }
