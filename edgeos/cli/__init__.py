"""The command line. One file per command, named after it: it holds `command`, or `app` for a group of them.

Another package adds a command through the entry point group `edgeos.commands` (a `typer.Typer` or a function).
"""

from __future__ import annotations

import pkgutil
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edgeos import __version__
from edgeos.errors import EdgeosError


class _Group(TyperGroup):
    """Turns our errors into one message and exit code 1. Usage errors are 2, by click."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a traceback is shown only under `--debug`."""
        try:
            return super().invoke(ctx)
        except (EdgeosError, BaseExceptionGroup) as error:
            ours = _first(error)
            if ours is None:
                raise
            if ctx.params.get("debug"):
                traceback.print_exception(error)
            typer.echo(f"edgeos: {ours}", err=True)
            raise typer.Exit(1) from error


def _first(error: BaseException) -> EdgeosError | None:
    """Return the first of our errors in a group that a task group raised."""
    if isinstance(error, EdgeosError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := _first(inner))), None)
    return None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An assistant that sees, hears, thinks and talks, wholly on this device.",
    epilog="Begin with: edgeos pull, then edgeos run",
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"edgeos {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """See `app`."""


def _add(name: str, target: typer.Typer | Callable[..., Any]) -> None:
    if isinstance(target, typer.Typer):
        app.add_typer(target, name=name)
    else:
        app.command(name)(target)


def _register() -> None:
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            found = import_module(f"{__name__}.{module.name}")
            _add(module.name, found.app if hasattr(found, "app") else found.command)
    for point in entry_points(group="edgeos.commands"):
        try:
            _add(point.name, point.load())
        except Exception as error:  # somebody else's code: it must not take our own commands away
            typer.echo(f"edgeos: command {point.name!r} of {point.value} does not load: {error}", err=True)


_register()


def main() -> None:
    """Entry point of the `edgeos` command."""
    app()
