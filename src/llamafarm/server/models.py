"""The list of models: every name a request's `model` can be, in the shape of the API that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from llamafarm.errors import BadCallError, UnknownModelError
from llamafarm.server.formats.anthropic import Listed, model_of, models_page
from llamafarm.server.formats.openai import Model, model_list, one_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.server.http.messages import Head
    from llamafarm.server.serving import Serving

__all__ = ["PATH", "all_models", "is_anthropic", "the_model"]

PATH = "/v1/models"
_MOST_FIELDS = 100


def all_models(serving: Serving, head: Head, may_use: Callable[[str], bool]) -> bytes:
    """Write the names of those strategies that the caller may use, and of what is in them."""
    names = serving.names(may_use)
    if not is_anthropic(head):
        return model_list([Model(name, serving.since, serving.owner_of(name)) for name in names])
    query = _query(head.query)
    return models_page(
        [_listed(serving, name) for name in names],
        limit=query.get("limit"),
        after=query.get("after_id"),
        before=query.get("before_id"),
    )


def the_model(serving: Serving, head: Head, may_use: Callable[[str], bool]) -> bytes:
    """Write what is known of one name. Raises UnknownModelError."""
    name = unquote(head.path.removeprefix(f"{PATH}/"))
    if name not in serving.names(may_use):
        raise UnknownModelError(f"there is no model called {name[:200]!r}: {PATH} lists what there is")
    if is_anthropic(head):
        return model_of(_listed(serving, name))
    return one_model(Model(name, serving.since, serving.owner_of(name)))


def _listed(serving: Serving, name: str) -> Listed:
    target = serving.target_of(name)
    return Listed(name, serving.since, None if target is None else target.context_window)


def _query(text: str) -> dict[str, str]:
    """Read a query, of a name that comes several times the last. Raises BadCallError."""
    try:
        return dict(parse_qsl(text, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise BadCallError(f"the URL's query has more than {_MOST_FIELDS} fields") from None


def is_anthropic(head: Head) -> bool:
    """Tell Anthropic's clients from OpenAI's, which ask at the same URL."""
    return "anthropic-version" in head.headers
