"""What a caller may say about a request besides its content."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from llamafarm.errors import BadCallError
from llamafarm.types import Call, Operation

__all__ = ["Options", "make_call"]


class Options(TypedDict, total=False):
    """Keyword arguments of every method that asks; all but the first five are OpenAI's parameters of these names."""

    model: str
    """A target, an alias or a model of the strategy: tried first. ``strategy/target``: it alone.

    The strategy's own name, or nothing: rules, then order decide.
    """
    tags: Sequence[str]
    """What rules can see by ``tag("x")`` or a bare word; ``metadata["tags"]`` adds to them."""
    metadata: Mapping[str, Any]
    """The caller's own keys and texts; under ``tags`` a list of tags, or a text with commas between them."""
    user: str
    extra_body: Mapping[str, Any]
    """Further fields of the request, passed on as they are; not the model, the content or whether to stream."""
    temperature: float
    top_p: float
    max_tokens: int
    max_completion_tokens: int
    stop: str | Sequence[str]
    seed: int
    n: int
    frequency_penalty: float
    presence_penalty: float
    logprobs: bool
    top_logprobs: int
    reasoning_effort: str
    response_format: Mapping[str, Any]
    tools: Sequence[Mapping[str, Any]]
    tool_choice: str | Mapping[str, Any]
    parallel_tool_calls: bool
    suffix: str
    dimensions: int
    size: str
    quality: str


_KNOWN = frozenset(Options.__annotations__)
_CONTENT = frozenset(("messages", "prompt", "input"))
_PLACES = {
    "model": "give it as the option model",
    "stream": "whether the answer is streamed is said by the method that asks",
}
"""Fields that extra_body cannot have, and where they belong."""


def make_call(
    content: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    operation: Operation = Operation.CHAT,
    stream: bool = False,
) -> Call:
    """Make a call of a request's content in OpenAI's format and what its caller says about it.

    Raises BadCallError for an unknown option, where tags are not texts, model is no text, metadata or extra_body no
    object, or extra_body has what is given elsewhere.
    """
    own = dict(options)
    for name in own.keys() - _KNOWN:
        near = difflib.get_close_matches(name, _KNOWN, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        raise BadCallError(f"{name} is not an option{hint} (further fields of the request go into extra_body)")
    model, user = own.pop("model", None), own.pop("user", None)
    tags, metadata = own.pop("tags", ()), own.pop("metadata", None)
    extra = _extra(own.pop("extra_body", None), content)
    if model is not None and not isinstance(model, str):
        raise BadCallError(f"model is {model!r:.40}: expected the name of a target, an alias or a model")
    body = {**content, **own, **extra}
    if user is not None:
        body["user"] = user
    return Call(
        body=body,
        operation=operation,
        model=model,
        stream=stream,
        tags=frozenset((*_tags_in(tags), *_tags_of(metadata), *_tags_of(body.get("metadata")))),
        metadata=metadata or {},
        user=user,
    )


def _extra(given: Any, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the further fields of a request. Raises BadCallError for one that would be lost, or replace the content."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise BadCallError(f"extra_body is {given!r:.40}: expected an object with the names of fields")
    for name in given:
        if name in _PLACES or name in content.keys() & _CONTENT:
            raise BadCallError(
                f"extra_body has {name}: {_PLACES.get(name, 'what is asked is given by the method itself')}"
            )
    return given


def _tags_of(metadata: Any) -> Iterable[str]:
    if metadata is None:
        return ()
    if not isinstance(metadata, Mapping):
        raise BadCallError(f"metadata is {metadata!r}: expected an object")
    return _tags_in(metadata.get("tags") or ())


def _tags_in(given: Any) -> Iterable[str]:
    """Give the tags of a list, or of a text with commas between them."""
    if isinstance(given, str):
        return [tag.strip() for tag in given.split(",") if tag.strip()]
    tags = list(given) if isinstance(given, Iterable) and not isinstance(given, Mapping) else [given]
    if not all(isinstance(tag, str) for tag in tags):
        raise BadCallError(f"tags are {given!r}: expected a list of texts, or one text with commas between them")
    return tags
