"""Judges what a target says when it is asked for its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import ModelMissingError
from llamafarm.providers.failures import classify
from llamafarm.providers.masking import one_line
from llamafarm.types import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.providers.failures import Peer
    from llamafarm.types import Target

__all__ = ["read_models"]

_SUCCESS, _REDIRECT = 200, 300
_SHOWN_MODELS = 5
_ANY_NAME = frozenset({"llamacpp", "tgi"})
"""Applications that serve their one model whatever name is asked for."""


def read_models(status: int, headers: Mapping[str, str], body: bytes, target: Target, peer: Peer) -> Status:
    """Turn the answer to ``GET …/models`` into a status."""
    if not _SUCCESS <= status < _REDIRECT:
        error = classify(status, headers, body, peer)
        if isinstance(error, ModelMissingError) and not target.local and target.provider != "custom":
            # The address is the vendor's own row, not something a user could have misspelt.
            return Status(ok=True, detail=f"{peer} answers, but has no list of models")
        if isinstance(error, ModelMissingError):
            detail = f"{peer} answered {status} to a request for its models; check base_url (it usually ends in /v1)"
            return Status(ok=False, detail=detail)
        return Status(ok=False, detail=str(error))
    try:
        listed = _names(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        style = "Anthropic" if target.dialect == "anthropic" else "OpenAI"
        what = one_line(headers.get("content-type", "").partition(";")[0], peer.secrets, 40) or "something else"
        return Status(ok=False, detail=f"{peer} answered {what}; is this an {style}-compatible endpoint?")
    given, serves_any = listed
    names = tuple(one_line(name, peer.secrets) for name in given)
    if not names or serves_any or target.provider in _ANY_NAME or _is_listed(target.model, given):
        return Status(ok=True, detail=f"{peer} answers", models=names)
    some = ", ".join(names[:_SHOWN_MODELS]) + (", …" if len(names) > _SHOWN_MODELS else "")
    detail = f"{peer} answers, but does not list the model {target.model!r}; it lists {some}"
    return Status(ok=False, detail=detail, models=names)


def _names(answer: Any) -> tuple[tuple[str, ...], bool]:
    """Give the models' names, and whether the server is one that serves any name."""
    models = answer.get("data", answer.get("models")) if isinstance(answer, dict) else answer
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise ValueError("not a list of models")
    names = (model.get("id", model.get("name")) for model in models)
    serves_any = any(model.get("owned_by") == "llamacpp" for model in models)
    return tuple(name for name in names if isinstance(name, str)), serves_any


def _is_listed(model: str, names: tuple[str, ...]) -> bool:
    # Gemini lists `models/gemini-…` and takes the name with and without the folder.
    return any(model in (name, name.removeprefix("models/")) for name in names)
