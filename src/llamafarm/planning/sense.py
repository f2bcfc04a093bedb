"""Refuses requests that make no sense, before anything is counted by what they say: a negative limit buys nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llamafarm.errors import BadCallError
from llamafarm.types import Operation

if TYPE_CHECKING:
    from llamafarm.types import Call

__all__ = ["check_request"]


class _Kind(NamedTuple):
    """What a parameter must be."""

    expected: str
    holds: Callable[[Any], bool]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_logprobs(value: Any) -> bool:
    return isinstance(value, bool) or (_is_whole(value) and value >= 0)


def _whole_from(least: int) -> _Kind:
    return _Kind(f"a whole number from {least}", lambda value: _is_whole(value) and value >= least)


def _number(least: float, most: float) -> _Kind:
    def holds(value: Any) -> bool:
        is_number = isinstance(value, float) or _is_whole(value)
        return is_number and least <= value <= most

    return _Kind(f"a number from {least:g} to {most:g}", holds)


def _is_list_of(kind: type[Any], value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, kind) for item in value)


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_SWITCH = _Kind("true or false", lambda value: isinstance(value, bool))
_OBJECT = _Kind("an object", lambda value: isinstance(value, Mapping))
_COUNT = _whole_from(1)
_OBJECTS = _Kind("a list of objects", lambda value: _is_list_of(Mapping, value))

_PARAMETERS: Mapping[str, _Kind] = {
    "max_tokens": _COUNT,
    "max_completion_tokens": _COUNT,
    "n": _COUNT,
    "best_of": _COUNT,
    "dimensions": _COUNT,
    "seed": _Kind("a whole number", _is_whole),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "stop": _Kind("a text or a list of texts", lambda value: isinstance(value, str) or _is_list_of(str, value)),
    "logprobs": _Kind("true or false (legacy completions: a whole number from 0)", _is_logprobs),
    "top_logprobs": _whole_from(0),
    "logit_bias": _OBJECT,
    "reasoning_effort": _TEXT,
    "response_format": _Kind(
        "an object with a type", lambda value: isinstance(value, Mapping) and isinstance(value.get("type"), str)
    ),
    "tools": _OBJECTS,
    "functions": _OBJECTS,
    "tool_choice": _Kind("a text or an object", lambda value: isinstance(value, str | Mapping)),
    "parallel_tool_calls": _SWITCH,
    "suffix": _TEXT,
    "size": _TEXT,
    "quality": _TEXT,
    "user": _TEXT,
    "encoding_format": _Kind("float or base64", lambda value: value in ("float", "base64")),
}
"""OpenAI's parameters of these names; the ranges are the strategy file's. Other fields are the target's business."""


_ITS_OWN = ("response_format", Operation.IMAGE)
"""What has another meaning there: url or b64_json."""


def check_request(call: Call) -> None:
    """Raise BadCallError where a known parameter is of another kind or out of its range, or the content is none."""
    for name, kind in _PARAMETERS.items():
        value = call.body.get(name)
        if value is not None and not kind.holds(value) and (name, call.operation) != _ITS_OWN:
            raise BadCallError(f"{name} is {value!r:.60}: expected {kind.expected}")
    match call.operation:
        case Operation.CHAT:
            _check_messages(call.body.get("messages"))
        case Operation.EMBEDDING:
            _check_prompt("input", call.body.get("input"))
        case Operation.COMPLETION:
            _check_prompt("prompt", call.body.get("prompt"))
        case Operation.IMAGE:
            if not isinstance(call.body.get("prompt"), str):
                raise BadCallError("there is no prompt: expected a text")


def _check_prompt(name: str, given: object) -> None:
    """Require a text, a list of texts, a list of token numbers, or a list of such lists."""
    if isinstance(given, str):
        return
    several = given if isinstance(given, list | tuple) else ()
    if not several or not (_is_list_of(str, several) or _are_tokens(several) or all(map(_are_tokens, several))):
        raise BadCallError(f"{name}: expected a text, a list of texts, or lists of token numbers")


def _are_tokens(given: object) -> bool:
    return isinstance(given, list | tuple) and bool(given) and all(map(_is_whole, given))


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list | tuple) or not messages:
        raise BadCallError("there are no messages: expected a list of objects with role and content")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadCallError(f"message {number} is not an object with role and content")
        fault = _fault_of(message.get("content"))
        if fault:
            raise BadCallError(f"message {number}: {fault}")
        if not _is_list_of(Mapping, message.get("tool_calls") or ()):
            raise BadCallError(f"message {number}: tool_calls is not a list of objects")


def _fault_of(content: object) -> str:
    """Say what is wrong with a message's content; empty where nothing is."""
    if content is None or isinstance(content, str):
        return ""
    if not isinstance(content, list | tuple):
        return "its content is neither a text nor a list of parts"
    faults = ((number, _fault_of_part(part)) for number, part in enumerate(content, 1))
    return next((f"part {number} of its content {fault}" for number, fault in faults if fault), "")


def _fault_of_part(part: object) -> str:
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        return "is not an object with a type"
    match part["type"]:
        case "text" if not isinstance(part.get("text"), str):
            return "has no text"
        case "image_url" if not _has_url(part.get("image_url")):
            return "has no url under image_url"
        case _:
            return ""


def _has_url(image: object) -> bool:
    url = image.get("url") if isinstance(image, Mapping) else image  # Mistral takes the bare address
    return isinstance(url, str) and bool(url)
