"""`edgeos listen`: live captions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgeos.events import Event


def command(
    source: Annotated[str, typer.Argument(help="mic:, mic:NAME or wav:PATH[?pace=fast].")] = "mic:",
    profile: Annotated[str, typer.Option(help="Device profile: a name or a .toml file.")] = "starter",
    lines: Annotated[bool, typer.Option("--json", help="Print one JSON object per utterance.")] = False,
) -> None:
    """Show what is said, utterance by utterance.

    Example: edgeos listen "wav:talk.flac?pace=fast"
    """
    from edgeos import profile as profiles
    from edgeos.assemble import assemble
    from edgeos.cli._common import run
    from edgeos.clock import MonotonicClock
    from edgeos.events import Transcript, as_json
    from edgeos.session import caption
    from edgeos.sources.audio import open_audio

    clock, origin = MonotonicClock(), list[int]()
    chosen = profiles.load(profile)
    specs = assemble(chosen, ["vad", "asr"]).specs

    def show(event: Event) -> None:
        origin[:] = origin or [event.t_ns]
        if not isinstance(event, Transcript):
            return
        if lines:
            typer.echo(json.dumps(as_json(event), ensure_ascii=False))
        elif event.text:
            typer.echo(f"{(event.t_start_ns - origin[0]) / 1e9:7.2f} s  {event.text}")

    run(caption(specs, chosen, open_audio(source, clock), show, clock))
