"""`edgeos chat`: a conversation in text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgeos.events import Event


def command(
    profile: Annotated[str, typer.Option(help="Device profile: a name or a .toml file.")] = "starter",
) -> None:
    """Type questions and read the answers as they are written. Ends with Ctrl-D or Ctrl-C.

    Example: echo "What is the capital of France?" | edgeos chat
    """
    from edgeos import profile as profiles
    from edgeos.assemble import assemble
    from edgeos.cli._common import run
    from edgeos.clock import MonotonicClock
    from edgeos.events import Token, TurnEnded
    from edgeos.session import Senses, converse
    from edgeos.sources.typed import lines

    chosen = profiles.load(profile)
    assembly = assemble(chosen, ["llm"])
    prompt = "> " if sys.stdin.isatty() else ""

    def show(event: Event) -> None:
        if isinstance(event, Token):
            typer.echo(event.text, nl=False)
        elif isinstance(event, TurnEnded):
            typer.echo("\n" + prompt, nl=False)

    typer.echo(prompt, nl=False)
    run(converse(assembly.specs, chosen, Senses(typed=lines), show, MonotonicClock()))
    typer.echo()
