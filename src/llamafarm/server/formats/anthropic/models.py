"""Writes the list of models, and one model, in Anthropic's shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Listed", "model_of", "models_page"]

_MOST = 1000
"""Models to a page, the vendor's own figure."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A name that `model` can be."""

    name: str
    created: float = 0.0
    """Unix seconds; 0 where nobody knows."""
    context_window: int | None = None
    max_output: int | None = None


def model_of(model: Listed) -> bytes:
    """Write one model."""
    return msgspec.json.encode(_described(model))


def models_page(
    models: Sequence[Listed], *, limit: str | None = None, after: str | None = None, before: str | None = None
) -> bytes:
    """Write a page of the list; without a limit, all that there are.

    `limit`, `after` and `before` are the query's ``limit``, ``after_id`` and ``before_id``. What is asked for behind
    a model that is not there any more begins at the beginning. Raises `BadCallError` for a limit that is none.
    """
    size = _size(limit, len(models))
    names = [model.name for model in models]
    if before in names:
        end = names.index(before)
        start = max(0, end - size)
        more = start > 0
    else:
        start = names.index(after) + 1 if after in names else 0
        end = start + size
        more = end < len(names)
    page = [_described(model) for model in models[start:end]]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return msgspec.json.encode({"data": page, "has_more": more, "first_id": first, "last_id": last})


def _size(limit: str | None, most: int) -> int:
    if limit is None:
        return most
    if not limit.isascii() or not limit.isdigit() or len(limit) > len(str(_MOST)) or not 1 <= int(limit) <= _MOST:
        raise BadCallError(f"limit: Input should be a whole number from 1 to {_MOST}")
    return int(limit)


def _described(model: Listed) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }
    if model.context_window is not None:
        described["max_input_tokens"] = model.context_window
    if model.max_output is not None:
        described["max_tokens"] = model.max_output
    return described
