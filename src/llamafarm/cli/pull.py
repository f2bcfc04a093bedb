"""`pull`: fetches model files, so that no request has to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from llamafarm.cli import printing
from llamafarm.cli.amounts import size
from llamafarm.cli.settings import common_options, settings_of
from llamafarm.errors import LlamaFarmError, ModelFileError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.cli.settings import Settings
    from llamafarm.models import ModelFile, ModelStore
    from llamafarm.types import Target

__all__ = ["pull"]


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@common_options
@click.pass_context
def pull(context: click.Context, /, names: tuple[str, ...]) -> None:
    """Fetch model files by name; without NAME, every model the strategy wants.

    A file is fetched once, checked by its hash and kept; an interrupted download goes on where it stopped.
    """
    from llamafarm.cli.opening import load
    from llamafarm.farm import Farm
    from llamafarm.models import ModelStore

    settings = settings_of(context)
    _, strategy = load(settings)
    targets = [target for target in Farm(strategy).routing.targets if target.settings is not None]
    store = ModelStore()
    models = _named(names, targets, store) if names else _all(targets, store, settings)
    results = asyncio.run(_fetch_all(models, store, settings))
    if settings.json:
        printing.document({"models": results})
    context.exit(ResourceError.exit_code if any(result["error"] for result in results) else 0)


def _named(names: Iterable[str], targets: Iterable[Target], store: ModelStore) -> list[ModelFile]:
    by_model = {target.model: target for target in reversed(list(targets))}
    return [_model(name, by_model.get(name), store) for name in dict.fromkeys(names)]


def _model(name: str, target: Target | None, store: ModelStore) -> ModelFile:
    if target is not None and target.dialect != "embedded":
        raise ResourceError(_not_ours(target))
    return store.resolve(name, target.settings if target else None)


def _all(targets: Iterable[Target], store: ModelStore, settings: Settings) -> list[ModelFile]:
    """Find every model that the strategy's local targets answer with. Raises ResourceError where none is for here."""
    models: dict[str, ModelFile] = {}
    others: list[str] = []
    for target in targets:
        if target.dialect == "embedded":
            model = store.resolve(target.model, target.settings)
            models.setdefault(model.key, model)
        else:
            others.append(_not_ours(target))
    if not models and others:
        raise ResourceError("; ".join(others))
    for line in others:
        printing.note(settings, line)
    if not models:
        raise ModelFileError("this strategy has no local model to fetch: name one, like `llamafarm pull NAME`")
    return list(models.values())


def _not_ours(target: Target) -> str:
    command = f": run `ollama pull {target.model}` yourself" if target.provider == "ollama" else ""
    return f"{target.model} is for {target.provider}, and this version fetches for the embedded engine only{command}"


async def _fetch_all(models: Iterable[ModelFile], store: ModelStore, settings: Settings) -> list[dict[str, Any]]:
    """Fetch one after the other; one that fails does not keep the rest from coming."""
    from llamafarm.cli.progress import Downloads

    results = []
    for model in models:
        with Downloads(settings) as downloads:
            results.append(await _fetch(model, store, downloads, settings))
    return results


async def _fetch(model: ModelFile, store: ModelStore, downloads: Any, settings: Settings) -> dict[str, Any]:
    result: dict[str, Any] = {"name": model.name, "path": None, "bytes": None, "fetched": False, "error": None}
    try:
        there = _is_there(model, store)
        path = await store.ensure(model, downloads)
    except LlamaFarmError as error:
        printing.say(f"llamafarm: {error}")
        return result | {"error": str(error)}
    result |= {"path": str(path), "bytes": path.stat().st_size, "fetched": not there}
    if not settings.json:
        state = "already there" if there else f"fetched, {size(result['bytes'])}"
        printing.write(f"{model.name}: {state}: {path}\n")
    return result


def _is_there(model: ModelFile, store: ModelStore) -> bool:
    """Tell whether a file is there and whole; a damaged one counts as missing, and is fetched again."""
    try:
        return store.find(model) is not None
    except ModelFileError:
        if model.local is not None:
            raise
        return False
