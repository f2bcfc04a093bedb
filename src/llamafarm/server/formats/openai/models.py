"""``/v1/models``: the names a request's `model` can be, in OpenAI's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llamafarm.server.formats.openai.values import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Model", "model_list", "one_model"]


@dataclass(frozen=True, slots=True)
class Model:
    """A name that can be asked for."""

    id: str
    created: int
    """Unix seconds: since when it is served."""
    owned_by: str
    """The vendor or application behind it; of a strategy, this program."""


def model_list(models: Iterable[Model]) -> bytes:
    """Write the answer to ``GET /v1/models``."""
    return encode({"object": "list", "data": [_model(model) for model in models]})


def one_model(model: Model) -> bytes:
    """Write the answer to ``GET /v1/models/{id}``."""
    return encode(_model(model))


def _model(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}
