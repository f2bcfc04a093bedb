"""Reads a request of the Responses API into a chat call: what it means there, and what nobody behind a chat can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadCallError
from llamafarm.server.formats.reading import call_of
from llamafarm.server.formats.responses.asked import Asked, ResponsesCall
from llamafarm.server.formats.responses.items import messages_of
from llamafarm.server.formats.responses.tools import tools_of
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.server.http.messages import Head

__all__ = ["read"]

_STATELESS = "this endpoint keeps nothing between requests: "
_REFUSED: Mapping[str, str] = {
    "previous_response_id": _STATELESS + "send the whole conversation as input, the items of earlier answers in it",
    "conversation": _STATELESS + "send the whole conversation as input, the items of earlier answers in it",
    "prompt": _STATELESS + "send the text of the stored prompt as instructions and input",
    "background": _STATELESS + "leave background out, and read the answer as it comes (stream)",
    "moderation": "nobody behind this endpoint moderates: leave it out, or ask a moderation service yourself",
}
"""Fields that would change the answer and cannot be had; None and false ask for nothing."""
_TRANSLATED = frozenset((
    "include", "input", "instructions", "max_output_tokens", "parallel_tool_calls", "reasoning", "text", "tool_choice",
    "tools", "top_logprobs",
))  # fmt: skip
_WITHOUT_EFFECT = frozenset((
    "access_programs", "background_options", "context_management", "image", "max_tool_calls", "metadata", "n", "store",
    "stream_options", "truncation",
))  # fmt: skip
"""Fields that are known and not sent to a target: they are about what only OpenAI's service has (tools it runs, a
store, pictures it shrinks, conversations it shortens), or a chat takes them only with a store (`metadata`). The answer
says of `store` and `truncation` what is true."""
_OWN = _TRANSLATED | _WITHOUT_EFFECT | _REFUSED.keys()
_INCLUDABLE = frozenset((
    "reasoning.encrypted_content", "message.output_text.logprobs",
    # What these add to belongs to items that no answer here has, so there is never any of it.
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
))  # fmt: skip
_LOGPROBS = "message.output_text.logprobs"


def read(body: dict[str, Any], head: Head) -> ResponsesCall:
    """Understand a request. Raises `BadCallError`, which names the field."""
    for name, why in _REFUSED.items():
        if body.get(name) is not None and body[name] is not False:
            raise BadCallError(f"{name} cannot be had here: {why}")
    if body.get("n") not in (None, 1):
        raise BadCallError(f"n is {body['n']!r:.40}: a response is one answer; ask again for another")
    known = call_of(body, head, Operation.CHAT, own=_OWN)
    tools = tools_of(body)
    include = _include(body.get("include"))
    chat: dict[str, Any] = {
        "messages": messages_of(body.get("input"), _text(body, "instructions")),
        **tools.chat,
        **_limit(body),
        **_reasoning(body),
        **_format(body),
    }
    top = _whole(body, "top_logprobs", 0)
    logprobs = _LOGPROBS in include or bool(top)
    if logprobs:
        chat["logprobs"] = True
        chat |= {"top_logprobs": top} if top is not None else {}
    return ResponsesCall(
        body={**known.body, **chat},
        operation=Operation.CHAT,
        model=known.model,
        stream=known.stream,
        tags=known.tags,
        metadata=known.metadata,
        user=known.user,
        id=known.id,
        asked=Asked(_echo(body), tools.custom, logprobs),
    )


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadCallError(f"{name} is {value!r:.40}: expected a text")
    return value


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise BadCallError(f"{name} is {value!r:.40}: expected an object")
    return value or {}


def _whole(body: Mapping[str, Any], name: str, least: int) -> int | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise BadCallError(f"{name} is {value!r:.40}: expected a whole number from {least}")
    return value


def _include(given: Any) -> list[str]:
    if given is not None and not isinstance(given, list):
        raise BadCallError(f"include is {given!r:.40}: expected a list of texts")
    for name in given or ():
        if not isinstance(name, str) or name not in _INCLUDABLE:
            raise BadCallError(f"include names {name!r:.60}: expected any of {', '.join(sorted(_INCLUDABLE))}")
    return given or []


def _limit(body: Mapping[str, Any]) -> dict[str, Any]:
    limit = _whole(body, "max_output_tokens", 1)
    return {} if limit is None else {"max_completion_tokens": limit}


def _reasoning(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read the effort. A summary is not asked for: what a target tells of its reasoning is passed on anyway."""
    effort = _text(_object(body, "reasoning"), "effort")
    return {} if effort is None else {"reasoning_effort": effort}


def _format(body: Mapping[str, Any]) -> dict[str, Any]:
    text = _object(body, "text")
    found: dict[str, Any] = {}
    if text.get("verbosity") is not None:
        found["verbosity"] = text["verbosity"]
    form = _object(text, "format")
    match form.get("type", "text"):
        case "text":
            return found
        case "json_object":
            return {**found, "response_format": {"type": "json_object"}}
        case "json_schema" if isinstance(form.get("name"), str) and isinstance(form.get("schema"), dict):
            schema = {name: value for name, value in form.items() if name != "type" and value is not None}
            return {**found, "response_format": {"type": "json_schema", "json_schema": schema}}
        case "json_schema":
            raise BadCallError("text.format lacks its name or its schema: both stand beside its type")
        case kind:
            raise BadCallError(f"text.format is of type {kind!r:.40}: expected text, json_schema or json_object")


def _echo(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of the response that repeat the request, all that OpenAI's schema has."""
    truncation = body.get("truncation")
    if truncation not in (None, "auto", "disabled"):
        raise BadCallError(f"truncation is {truncation!r:.40}: expected auto or disabled")
    if not isinstance(body.get("parallel_tool_calls"), bool | None):
        raise BadCallError(f"parallel_tool_calls is {body['parallel_tool_calls']!r:.40}: expected true or false")
    reasoning, text = _object(body, "reasoning"), _object(body, "text")
    return {
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": _whole(body, "max_tool_calls", 1),
        "metadata": {str(name): _as_text(value) for name, value in (body.get("metadata") or {}).items()},
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "background": False,
        "store": False,
        "truncation": "disabled",
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "top_logprobs": body.get("top_logprobs") or 0,
        "presence_penalty": body.get("presence_penalty") or 0,
        "frequency_penalty": body.get("frequency_penalty") or 0,
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [_as_told(tool) for tool in body.get("tools") or ()],
        "service_tier": None,
        "safety_identifier": _text(body, "safety_identifier"),
        "prompt_cache_key": _text(body, "prompt_cache_key"),
        # The schema has no null for it.
        **({"user": body["user"]} if _text(body, "user") is not None else {}),
    }


def _as_text(value: Any) -> str:
    """Give a value of the metadata as the text it has to be: tags may also come as a list."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return msgspec.json.encode(value).decode()


def _as_told(tool: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": None, "strict": None, **tool} if tool["type"] == "function" else tool
