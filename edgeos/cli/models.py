"""`edgeos models`: which models there are, where they are, and whether they are intact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edgeos.errors import EdgeosError
    from edgeos.manifest import Manifest, ModelFile
    from edgeos.store import Store

app = typer.Typer(
    no_args_is_help=True,
    help="List, show and verify models.",
    epilog="Example: edgeos models list",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List every model: id, job, size, licence, and whether it is here, missing or corrupt.

    Example: edgeos models list --json
    """
    from edgeos import manifest
    from edgeos.store import Store

    store = Store()
    rows: list[dict[str, Any]] = [
        {
            "id": model.id,
            "job": model.job,
            "bytes": model.total_bytes,
            "licence": model.licence.name,
            "commercial": model.licence.commercial,
            "state": _state(store, model),
        }
        for model in manifest.all_manifests().values()
    ]
    if as_json:
        typer.echo(json.dumps({"models": rows}))
        return
    width = max((len(row["id"]) for row in rows), default=2)
    for row in rows:
        licence = row["licence"] + ("" if row["commercial"] else ", not for commercial use")
        typer.echo(f"{row['id']:<{width}}  {row['job']:<6} {row['bytes'] / 1e6:>7.1f} MB  {row['state']:<7}  {licence}")


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(help="Model id, or a manifest (.toml file).")], as_json: AsJson = False
) -> None:
    """Show one model: what it is for, its licence, its files and where they are.

    Example: edgeos models show joe-medium
    """
    import msgspec

    from edgeos import manifest
    from edgeos.store import Store

    found, store = manifest.find(model), Store()
    places = {file.name: _place(store, found, file) for file in found.files}
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found) | {"places": places}, ensure_ascii=False))
        return
    use = "commercial use allowed" if found.licence.commercial else "not for commercial use"
    typer.echo(f"{found.id}: {found.title}")
    typer.echo(f"job      {found.job}, run by {found.engine}")
    typer.echo(f"licence  {found.licence.name} ({use}). {found.licence.note}".rstrip())
    typer.echo(f"made by  {found.made_by or 'not said'}")
    for title, nodes in (("inputs", found.inputs), ("outputs", found.outputs), ("settings", found.settings)):
        for name, value in nodes.items():
            typer.echo(f"{title:<8} {name}: {_short(value)}")
    for file in found.files:
        place = places[file.name]
        where = place["path"] or place["state"]
        typer.echo(f"file     {file.name}  {file.bytes} bytes  sha256 {file.sha256}\n         {where}")


@app.command("verify")
def verify(
    models: Annotated[list[str] | None, typer.Argument(help="Model ids; all of them where none is named.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hash every file. Exit code 1 where one is corrupt, or where a model that was named is missing.

    Example: edgeos models verify smollm2-135m-instruct
    """
    from edgeos import manifest
    from edgeos.store import Store

    store = Store()
    chosen = [manifest.find(name) for name in models] if models else list(manifest.all_manifests().values())
    results = []
    for model in chosen:
        problem = _problem(store, model)
        results.append({"id": model.id, "state": _word(problem), "problem": "" if problem is None else str(problem)})
    if as_json:
        typer.echo(json.dumps({"models": results}, ensure_ascii=False))
    else:
        for result in results:
            typer.echo(f"{result['id']}: {result['problem'] if result['state'] == 'corrupt' else result['state']}")
    if any(result["state"] == "corrupt" or (models and result["state"] == "missing") for result in results):
        raise typer.Exit(1)


def _problem(store: Store, model: Manifest) -> EdgeosError | None:
    """Return the worst thing about a model: a corrupt file before a missing one."""
    from edgeos.errors import ModelCorrupt, ModelMissing

    missing: EdgeosError | None = None
    for file in model.files:
        try:
            store.check(model, file)
        except ModelCorrupt as error:
            return error
        except ModelMissing as error:
            missing = missing or error
    return missing


def _word(problem: EdgeosError | None) -> str:
    from edgeos.errors import ModelCorrupt

    if problem is None:
        return "here"
    return "corrupt" if isinstance(problem, ModelCorrupt) else "missing"


def _state(store: Store, model: Manifest) -> str:
    return _word(_problem(store, model))


def _place(store: Store, model: Manifest, file: ModelFile) -> dict[str, str | None]:
    """Return the state of a file, and where it is (None unless it is here and intact)."""
    from edgeos.errors import ModelCorrupt, ModelMissing

    try:
        return {"path": str(store.check(model, file)), "state": "here"}
    except (ModelMissing, ModelCorrupt) as error:
        return {"path": None, "state": _word(error)}


def _short(value: object, most: int = 100) -> str:
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
