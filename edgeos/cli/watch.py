"""`edgeos watch`: the scene, as it changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgeos.events import Event


def command(
    source: Annotated[str, typer.Argument(help="camera:0, rtsp://…, video:PATH, dir:PATH or image:PATH.")] = "camera:0",
    profile: Annotated[str, typer.Option(help="Device profile: a name or a .toml file.")] = "starter",
    lines: Annotated[bool, typer.Option("--json", help="Print one JSON object per change.")] = False,
) -> None:
    """Show what the camera sees, whenever it changes.

    Example: edgeos watch "dir:pictures?every=1"
    """
    from edgeos import profile as profiles
    from edgeos.assemble import assemble
    from edgeos.cli._common import run
    from edgeos.cli._show import facts_line
    from edgeos.clock import MonotonicClock
    from edgeos.events import SceneChanged, Warned, as_json
    from edgeos.session import observe_scene
    from edgeos.sources.camera import open_camera

    clock, origin = MonotonicClock(), list[int]()
    chosen = profiles.load(profile)
    specs = assemble(chosen, ["labels", "ocr"]).specs

    def show(event: Event) -> None:
        origin[:] = origin or [event.t_ns]
        if lines and isinstance(event, SceneChanged | Warned):
            typer.echo(json.dumps(as_json(event), ensure_ascii=False))
        elif isinstance(event, SceneChanged):
            typer.echo(f"{(event.t_ns - origin[0]) / 1e9:7.2f} s  {facts_line(event.facts)}")

    run(observe_scene(specs, open_camera(source, clock), show, clock))
