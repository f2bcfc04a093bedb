"""Writes a request in OpenAI's format, as this target takes it: where it goes, and its body."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llamafarm.continuing import callers_own, with_beginning, without_trailing_space
from llamafarm.errors import UntranslatableError
from llamafarm.providers.openai.quirks import adapt, said_plainly
from llamafarm.providers.requesting import encode, endpoint_of
from llamafarm.types import Operation

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer
    from llamafarm.transport import Endpoint
    from llamafarm.types import Attempt, Target

__all__ = ["begun_by", "body_of", "given_to", "goes_on", "place_of"]

_OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens")
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
_IN_MESSAGES = frozenset(name for in_message, _ in _MARKS.values() for name in in_message)
_ASKED = frozenset(name for _, around in _MARKS.values() for name in around)
"""Fields by which a caller says for itself whether the target goes on."""


def place_of(attempt: Attempt) -> Endpoint:
    """Give the URL an attempt is sent to. Raises `ConnectError` where the target has no address."""
    target, operation = attempt.target, attempt.call.operation
    path = _PATHS[operation]
    base_url = target.base_url
    if operation is Operation.COMPLETION and target.fim is not None:
        # A vendor's place for filling in continues a prompt without a suffix as well, and is the only one that does.
        base_url = target.fim_url or base_url
        path = f"fim/{path}" if target.fim == "fim" else path
    elif operation is Operation.CHAT and (attempt.beginning or goes_on(attempt)):
        base_url = target.prefill_url or base_url
    return endpoint_of(replace(target, base_url=base_url)).join(path)


def goes_on(attempt: Attempt) -> bool:
    """Whether the caller's own last message is the beginning of an answer that the target can go on from."""
    messages: Any = attempt.body.get("messages")
    if attempt.call.operation is not Operation.CHAT or attempt.target.prefill not in _MARKS:
        return False
    says_so = attempt.target.prefill == "continue_final_message" and not _ASKED.isdisjoint(attempt.body)
    return not says_so and bool(messages and callers_own(messages)) and not messages[-1].get("tool_calls")


def given_to(attempt: Attempt) -> tuple[str, str]:
    """Split the beginning of an answer into what its target is given, and white space it must not see at the end."""
    chat = attempt.call.operation is Operation.CHAT
    if chat and "no_trailing_space" in attempt.target.quirks:
        return without_trailing_space(attempt.beginning)
    return attempt.beginning, ""


def begun_by(attempt: Attempt) -> str:
    """Give all of the text that the target goes on with as its own: the caller's beginning, then the answer's."""
    given, _ = given_to(attempt)
    chat = attempt.call.operation is Operation.CHAT
    return callers_own(attempt.body.get("messages")) + given if chat else given


def body_of(attempt: Attempt, peer: Peer, *, streamed: bool) -> bytes:
    """Encode an attempt's body, asking a stream for its usage, and note what is changed for the target's sake.

    Raises `UntranslatableError` where that cannot be.
    """
    body = said_plainly(attempt, peer)
    options = body.pop("stream_options", None)
    body.pop("stream", None)
    if streamed:
        body["stream"] = True
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    target = attempt.target
    if "takes_unknown" not in target.quirks:
        body = _without_marks(body, target)
    if attempt.beginning or goes_on(attempt):
        body |= _begun(body, attempt, peer)
    try:
        adapted = adapt(body, target.quirks, target.model, attempt.notes)
    except ValueError as error:
        raise UntranslatableError(f"{peer}: the request cannot be written: {error}") from None
    _lower_output(adapted, target, attempt.notes)
    return encode(adapted, peer)


def _lower_output(body: dict[str, Any], target: Target, notes: list[str]) -> None:
    """Ask for no more output than the model gives: a higher limit is refused."""
    for name in _OUTPUT_LIMITS:
        limit = body.get(name)
        if isinstance(limit, int) and target.max_output is not None and limit > target.max_output:
            body[name] = target.max_output
            notes.append(f"{name} lowered to {target.max_output}, the most {target.model} gives")


def _without_marks(body: dict[str, Any], target: Target) -> dict[str, Any]:
    """Give the body without the words by which other vendors are told to go on from the last message."""
    if target.prefill != "continue_final_message":
        body = {name: value for name, value in body.items() if name not in _ASKED}
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list | tuple) and messages else None
    own = _MARKS[target.prefill][0] if target.prefill in _MARKS else {}
    if messages and isinstance(last, dict) and (_IN_MESSAGES - own.keys()) & last.keys():
        plain = {name: value for name, value in last.items() if name in own or name not in _IN_MESSAGES}
        body = {**body, "messages": [*messages[:-1], plain]}
    return body


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
    if not beginning and not goes_on(attempt):
        return {}
    in_message, around = _MARKS[attempt.target.prefill]
    return {"messages": _with_beginning(messages, beginning, in_message), **around}


def _with_beginning(
    messages: list[Any] | tuple[Any, ...], beginning: str, marks: dict[str, Any]
) -> list[dict[str, Any]]:
    """Put a beginning behind a conversation, or behind the one that the caller has given already."""
    last = messages[-1] if messages else {}
    if isinstance(last, dict) and last.get("role") == "assistant" and last.get("content") is not None:
        content = with_beginning(last["content"], beginning) if beginning else last["content"]
        return [*messages[:-1], {**last, "content": content, **marks}]
    return [*messages, {"role": "assistant", "content": beginning, **marks}]


def _no_prefill(target: Target) -> str:
    return f"{target.model} is not known to; supports: [prefill] says that it can"
