"""Judges what Ollama says when it is asked whether it is there and has a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.providers.ollama.failures import classify
from llamafarm.providers.ollama.show import is_cloud_name
from llamafarm.types import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.providers.failures import Peer
    from llamafarm.types import Target

__all__ = ["full_name", "read_models", "read_version"]

_SUCCESS, _REDIRECT, _CLIENT_ERROR = 200, 300, 400
_NOT_FOUND = 404
_SHOWN_MODELS = 5
_LIBRARY = ("registry.ollama.ai/library/", "registry.ollama.ai/", "library/")


def full_name(model: str) -> str:
    """Give a model's name as Ollama lists it: with a tag, and without the place that is meant anyway."""
    name = model.lower()
    for place in _LIBRARY:
        name = name.removeprefix(place)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def read_version(status: int, headers: Mapping[str, str], body: bytes, _target: Target, peer: Peer) -> Status:
    """Turn the answer to ``GET /api/version`` into a status."""
    if status == _NOT_FOUND or _REDIRECT <= status < _CLIENT_ERROR:
        return _not_ollama(f"{status}", peer)
    if not _SUCCESS <= status < _REDIRECT:
        return Status(ok=False, detail=str(classify(status, headers, body, peer)))
    said = _decoded(body)
    version = said.get("version") if isinstance(said, dict) else None
    if not isinstance(version, str):
        return _not_ollama(headers.get("content-type", "").partition(";")[0][:40] or "something", peer)
    return Status(ok=True, detail=f"{peer} answers, version {version[:40]}")


def _not_ollama(what: str, peer: Peer) -> Status:
    detail = f"{peer} answered {what} to /api/version, as Ollama never does: something else is there; check base_url"
    return Status(ok=False, detail=detail)


def read_models(status: int, headers: Mapping[str, str], body: bytes, target: Target, peer: Peer) -> Status:
    """Turn the answer to ``GET /api/tags`` into a status."""
    if not _SUCCESS <= status < _REDIRECT:
        return Status(ok=False, detail=str(classify(status, headers, body, peer)))
    said = _decoded(body)
    listed = said.get("models") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        return Status(ok=False, detail=f"{peer} answered something else than a list of models; is this Ollama?")
    rows = {row["name"]: row for row in listed if isinstance(row, dict) and isinstance(row.get("name"), str)}
    names = tuple(rows)
    wanted = full_name(target.model)
    row = next((rows[name] for name in names if full_name(name) == wanted), None)
    if target.privacy == "local_only" and (is_cloud_name(target.model) or (row and _is_remote(row))):
        detail = f"{peer}: privacy_mode is local_only, and {target.model} runs in Ollama's cloud; name one it runs here"
        return Status(ok=False, detail=detail, models=names)
    if row is not None:
        return Status(ok=True, detail=f"{peer} answers", models=names)
    some = f"it has {', '.join(names[:_SHOWN_MODELS])}{', …' if len(names) > _SHOWN_MODELS else ''}"
    detail = (
        f"{peer} answers, but does not have the model {target.model!r} ({some if names else 'it has none'}); "
        f"fetch it with `ollama pull {target.model}`"
    )
    return Status(ok=False, detail=detail, models=names)


def _is_remote(row: Mapping[str, Any]) -> bool:
    return bool(row.get("remote_host") or row.get("remote_model"))


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
