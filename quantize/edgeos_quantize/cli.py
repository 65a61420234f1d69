"""`edgeos quantize`: make the models that we ship ourselves. Heavy libraries load when a recipe runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Make models smaller, and say what they lost.",
    epilog="Example: edgeos quantize list",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_recipes(as_json: AsJson = False) -> None:
    """List the recipes that come with edgeos.

    Example: edgeos quantize list --json
    """
    from edgeos_quantize.recipe import load, packaged

    recipes = [load(path) for path in packaged().values()]
    if as_json:
        rows = [{"id": r.id, "family": r.family, "title": r.title, "tolerance": r.tolerance} for r in recipes]
        typer.echo(json.dumps({"recipes": rows}))
        return
    for recipe in recipes:
        losses = ", ".join(f"{name} {points:g}" for name, points in recipe.tolerance.items())
        typer.echo(f"{recipe.id:<24} {recipe.title} (tolerates, in points: {losses})")


@app.command("run")
def run_recipe(
    recipe: Annotated[str, typer.Argument(help="Id of a recipe, or a .toml file.")],
    out: Annotated[Path, typer.Option(help="Folder for the artefact and its manifest.")] = Path("models"),
    data: Annotated[
        Path | None,
        typer.Option(
            help="Recordings and photographs with manifest.jsonl. [default: $EDGEOS_TESTDATA]", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = False,
) -> None:
    """Make one model: fetch the source, export, quantize, measure against float, and publish if the loss is tolerated.

    Example: edgeos quantize run whisper-tiny.en-int8 --data testdata --out models
    """
    import msgspec
    from rich.console import Console
    from rich.markdown import Markdown

    from edgeos.fetch import Quiet
    from edgeos_quantize.pipeline import run
    from edgeos_quantize.recipe import locate
    from edgeos_quantize.report import markdown

    folder = data or Path(os.environ.get("EDGEOS_TESTDATA", "testdata"))
    made = run(locate(recipe), out, folder, Quiet() if as_json else Steps())
    if as_json:
        typer.echo(msgspec.json.encode(made).decode())
    else:
        Console().print(Markdown(markdown(made)))


class Steps:
    """A `fetch.Progress` of plain lines."""

    def begin(self, what: str, total: int | None, done: int) -> None:
        """Name a transfer."""
        typer.echo(f"{what}: {'' if total is None else f'{total / 1e6:.0f} MB'}{', continued' if done else ''}")

    def at(self, done: int) -> None:
        """Leave out what a bar would show."""

    def say(self, text: str) -> None:
        """Print one line."""
        typer.echo(text)
