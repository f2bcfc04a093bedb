"""Writes a request in OpenAI's format, as this target takes it: where it goes, and its body."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llamafarm.continuing import with_beginning, without_trailing_space
from llamafarm.errors import UntranslatableError
from llamafarm.providers.openai.quirks import adapt
from llamafarm.providers.requesting import encode, endpoint_of
from llamafarm.types import Operation

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer
    from llamafarm.transport import Endpoint
    from llamafarm.types import Attempt, Target

__all__ = ["body_of", "given_to", "place_of"]

_PATHS = {
    Operation.CHAT: "chat/completions",
    Operation.COMPLETION: "completions",
    Operation.EMBEDDING: "embeddings",
    Operation.IMAGE: "images/generations",
}
_MARKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "last_message": ({}, {}),
    "prefix": ({"prefix": True}, {}),
    "partial": ({"partial": True}, {}),
    "continue_final_message": ({}, {"continue_final_message": True, "add_generation_prompt": False}),
}
"""What the message with the beginning, and the body around it, have besides, by `Target.prefill`."""


def place_of(attempt: Attempt) -> Endpoint:
    """Give the URL an attempt is sent to. Raises `ConnectError` where the target has no address."""
    target, operation = attempt.target, attempt.call.operation
    path = _PATHS[operation]
    base_url = target.base_url
    if operation is Operation.COMPLETION and target.fim is not None:
        # A vendor's place for filling in continues a prompt without a suffix as well, and is the only one that does.
        base_url = target.fim_url or base_url
        path = f"fim/{path}" if target.fim == "fim" else path
    elif operation is Operation.CHAT and attempt.beginning:
        base_url = target.prefill_url or base_url
    return endpoint_of(replace(target, base_url=base_url)).join(path)


def given_to(attempt: Attempt) -> tuple[str, str]:
    """Split the beginning of an answer into what its target is given, and white space it must not see at the end."""
    chat = attempt.call.operation is Operation.CHAT
    if chat and "no_trailing_space" in attempt.target.quirks:
        return without_trailing_space(attempt.beginning)
    return attempt.beginning, ""


def body_of(attempt: Attempt, peer: Peer, *, streamed: bool) -> bytes:
    """Encode an attempt's body, asking a stream for its usage, and note what is changed for the target's sake.

    Raises `UntranslatableError` where that cannot be.
    """
    body: dict[str, Any] = dict(attempt.body)
    options = body.pop("stream_options", None)
    body.pop("stream", None)
    if streamed:
        body["stream"] = True
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    if attempt.beginning:
        body |= _begun(body, attempt, peer)
    target = attempt.target
    try:
        adapted = adapt(body, target.quirks, target.model, attempt.notes)
    except ValueError as error:
        raise UntranslatableError(f"{peer}: the request cannot be written: {error}") from None
    return encode(adapted, peer)


def _begun(body: dict[str, Any], attempt: Attempt, peer: Peer) -> dict[str, Any]:
    """Give the fields of a body by which the target goes on from the beginning."""
    beginning, _ = given_to(attempt)
    if attempt.call.operation is Operation.COMPLETION:
        prompt = body.get("prompt")
        if not isinstance(prompt, str):
            raise UntranslatableError(f"{peer} goes on from a beginning only where the prompt is one text")
        return {"prompt": prompt + beginning}
    messages = body.get("messages")
    if attempt.target.prefill not in _MARKS or not isinstance(messages, list | tuple):
        raise UntranslatableError(f"{peer} cannot go on from a given beginning: {_no_prefill(attempt.target)}")
    if not beginning:
        return {}
    in_message, around = _MARKS[attempt.target.prefill]
    return {"messages": _with_beginning(messages, beginning, in_message), **around}


def _with_beginning(
    messages: list[Any] | tuple[Any, ...], beginning: str, marks: dict[str, Any]
) -> list[dict[str, Any]]:
    """Put a beginning behind a conversation, or behind the one that the caller has given already."""
    last = messages[-1] if messages else {}
    if isinstance(last, dict) and last.get("role") == "assistant" and last.get("content") is not None:
        return [*messages[:-1], {**last, "content": with_beginning(last["content"], beginning), **marks}]
    return [*messages, {"role": "assistant", "content": beginning, **marks}]


def _no_prefill(target: Target) -> str:
    return f"{target.model} is not known to; supports: [prefill] says that it can"
