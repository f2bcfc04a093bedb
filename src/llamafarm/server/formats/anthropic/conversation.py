"""Reads Anthropic's `system` and `messages` into OpenAI's messages: the reverse of `providers.anthropic.messages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadCallError
from llamafarm.server.formats.anthropic.blocks import content_of, part_of
from llamafarm.server.formats.anthropic.fields import LIST, OBJECT, SWITCH, TEXT, item, optional, required

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["messages_of"]

_ROLES = ("user", "assistant", "system")
_MESSAGE = ("role", "content")
_OPENAIS = frozenset(("tool_calls", "tool_call_id", "function_call", "thinking_blocks", "reasoning_content", "refusal"))
"""What would mean something else in a message of OpenAI's."""
_CALL = {"type", "id", "name", "input"}
_encode = msgspec.json.Encoder().encode
_RESULT = {"type", "tool_use_id", "content"}


def messages_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the conversation, the system prompt first. Raises `BadCallError` naming the place."""
    messages = [{"role": "system", "content": content} for content in _system(body.get("system"))]
    given = required(body, "messages", LIST)
    if not given:
        raise BadCallError("messages: at least one message is required")
    for at, message in enumerate(given):
        messages += _read(item(message, OBJECT, f"messages.{at}"), f"messages.{at}")
    return messages


def _system(system: Any) -> Iterator[str | list[dict[str, Any]]]:
    content = "" if system is None else content_of(system, "system")
    if not content:
        return
    if (
        isinstance(content, list)
        and (at := next((n for n, part in enumerate(content) if part["type"] != "text"), -1)) >= 0
    ):
        raise BadCallError(f"system.{at}.type: Input should be 'text'")
    yield content


def _read(message: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    read = _said(message, place)
    if len(message) > len(_MESSAGE):  # unknown fields: they are counted with the rest, and only Anthropic is sent them
        read[-1] = {**{name: value for name, value in message.items() if name not in _OPENAIS}, **read[-1]}
    return read


def _said(message: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    role = required(message, "role", TEXT, place)
    if role not in _ROLES:
        raise BadCallError(f"{place}.role: Input should be 'user', 'assistant' or 'system'")
    content, place = message.get("content"), f"{place}.content"
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    blocks = item(content, LIST, place)
    if role == "assistant":
        return [_answer(blocks, place)]
    return _question(role, blocks, place)


def _question(role: str, blocks: list[Any], place: str) -> list[dict[str, Any]]:
    """Give the results of tools, one message each as OpenAI has it, and behind them what else was said."""
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for at, block in enumerate(blocks):
        where = f"{place}.{at}"
        if required(item(block, OBJECT, where), "type", TEXT, where) == "tool_result":
            results.append(_result(block, where))
        else:
            parts.append(part_of(block, where))
    said = [{"role": role, "content": parts}] if parts or not results else []
    return [*results, *said]


def _result(block: Mapping[str, Any], place: str) -> dict[str, Any]:
    call_id = required(block, "tool_use_id", TEXT, place)
    optional(block, "is_error", SWITCH, place)
    given = block.get("content")
    content = "" if given is None else content_of(given, f"{place}.content")
    rest = {name: value for name, value in block.items() if name not in _RESULT and value is not None}
    return {"role": "tool", "tool_call_id": call_id, "content": content, **rest}


def _answer(blocks: list[Any], place: str) -> dict[str, Any]:
    thoughts: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for at, block in enumerate(blocks):
        where = f"{place}.{at}"
        match required(item(block, OBJECT, where), "type", TEXT, where):
            case "thinking":
                required(block, "thinking", TEXT, where)
                thoughts.append(dict(block))
            case "redacted_thinking":
                required(block, "data", TEXT, where)
                thoughts.append(dict(block))
            case "tool_use":
                calls.append(_call(block, where))
            case _:
                parts.append(part_of(block, where))
    message: dict[str, Any] = {"role": "assistant", "content": parts or None}
    if thoughts:
        message["thinking_blocks"] = thoughts
        # Vendors that want an earlier turn's reasoning back take it by this name.
        if reasoning := "".join(block.get("thinking", "") for block in thoughts):
            message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    if not parts and not calls:
        message["content"] = ""
    return message


def _call(block: Mapping[str, Any], place: str) -> dict[str, Any]:
    call_id, name = (required(block, key, TEXT, place) for key in ("id", "name"))
    arguments = _encode(required(block, "input", OBJECT, place)).decode()
    rest = {name: value for name, value in block.items() if name not in _CALL and value is not None}
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **rest}
