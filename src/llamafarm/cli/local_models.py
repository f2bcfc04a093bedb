"""The model files of this machine, as the commands show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.models import BUILTIN, ModelStore

if TYPE_CHECKING:
    from llamafarm.types import Target

__all__ = ["known_models", "presence"]


def known_models(store: ModelStore | None = None) -> list[dict[str, Any]]:
    """Give the models that come by name alone, and every other that was fetched."""
    store = store or ModelStore()
    stored = {row.name: row for row in store.list()}
    built_in = [
        {
            "name": model.name,
            "description": model.description,
            "bytes": model.size,
            "licence": model.licence,
            "present": model.name in stored,
            "path": str(stored[model.name].path) if model.name in stored else None,
            "source": model.sources[0],
        }
        for model in BUILTIN.values()
    ]
    fetched = [
        {
            "name": row.name,
            "description": "",
            "bytes": row.size,
            "licence": None,
            "present": True,
            "path": str(row.path),
            "source": row.source,
        }
        for row in stored.values()
        if row.name not in BUILTIN
    ]
    return built_in + fetched


def presence(target: Target, store: ModelStore | None = None) -> str:
    """Say in a few words whether the embedded engine's file for a target is on this machine.

    Raises ModelFileError where there is none and none can be fetched.
    """
    store = store or ModelStore()
    model = store.resolve(target.model, target.settings)
    if store.find(model) is not None:
        return "on this machine"
    return "fetched at the first request" if model.pull else f"not here yet: `llamafarm pull {target.model}`"
