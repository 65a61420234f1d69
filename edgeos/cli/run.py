"""`edgeos run`: the assistant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgeos.events import Event


def command(
    mic: Annotated[
        str, typer.Option(help="Where sound comes from: mic:, mic:NAME, wav:PATH[?pace=fast], null:.")
    ] = "mic:",
    camera: Annotated[
        str, typer.Option(help="What is seen: camera:0, rtsp://…, video:PATH, dir:PATH, image:PATH, null:.")
    ] = "camera:0",
    speaker: Annotated[str, typer.Option(help="Where the voice goes: speaker:, wav:PATH, null:.")] = "speaker:",
    profile: Annotated[str, typer.Option(help="Device profile: a name or a .toml file.")] = "starter",
    events: Annotated[Path | None, typer.Option(help="Write every event to this file, one JSON object a line.")] = None,
) -> None:
    """Talk with the assistant. It ends when its sources end, or on Ctrl-C.

    Without a microphone, questions are typed; without a speaker, answers are only printed.

    Example: edgeos run --mic wav:questions.wav --camera image:whiteboard.png --speaker wav:answer.wav
    """
    from rich.console import Console

    from edgeos import profile as profiles
    from edgeos.assemble import assemble
    from edgeos.cli._common import events_file, run
    from edgeos.cli._show import Show
    from edgeos.clock import MonotonicClock
    from edgeos.session import Senses, converse
    from edgeos.sinks import open_speaker
    from edgeos.sources.audio import open_audio
    from edgeos.sources.camera import open_camera
    from edgeos.sources.typed import lines

    clock = MonotonicClock()
    senses = Senses(
        typed=lines,
        mic=None if mic == "null:" else lambda: open_audio(mic, clock),
        camera=None if camera == "null:" else lambda: open_camera(camera, clock),
        speaker=None if speaker == "null:" else lambda: open_speaker(speaker, clock),
    )
    chosen = profiles.load(profile)
    show = Show(Console())
    with events_file(events) as write:

        def observe(event: Event) -> None:
            write(event)
            show(event)

        assembly = assemble(chosen, list(chosen.models))
        run(converse(assembly.specs, chosen, senses, observe, clock))
