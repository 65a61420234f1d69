"""`edgeos demo`: a conversation from sample files that edgeos makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Option(help="Where the sample questions and pictures go.")] = Path("demo"),
    answer: Annotated[Path, typer.Option(help="Where the spoken answers go.")] = Path("answer.wav"),
    profile: Annotated[str, typer.Option(help="Device profile: a name or a .toml file.")] = "starter",
) -> None:
    """Make sample questions and pictures, and hold a conversation about them. No microphone or camera needed.

    Example: edgeos demo --answer answer.wav
    """
    from rich.console import Console

    from edgeos import demo
    from edgeos import profile as profiles
    from edgeos.assemble import assemble
    from edgeos.cli import run as assistant

    specs = assemble(profiles.load(profile), ["tts"]).specs
    console = Console()
    if specs.tts is None:
        raise typer.BadParameter("the demo needs a profile with a voice", param_hint="--profile")
    sound, pictures = demo.make(folder, specs.tts.build())
    console.print(f"A person asks ({sound}) about what the camera shows ({pictures}), in real time.", highlight=False)
    assistant.command(
        mic=f"wav:{sound}", camera=f"dir:{pictures}?every={demo.EVERY_S:g}", speaker=f"wav:{answer}", profile=profile
    )
    console.print(f"\nThe spoken answers are in {answer}.", highlight=False)
