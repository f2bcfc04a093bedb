"""Reads Anthropic's tools, the choice among them and the wanted form of the answer into OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamafarm.errors import BadCallError
from llamafarm.providers.anthropic.thinking import effort_of
from llamafarm.server.formats.anthropic.fields import LIST, OBJECT, SWITCH, TEXT, WHOLE, item, optional, required

__all__ = ["effort_in", "format_of", "tool_fields"]

_FUNCTION = {"name", "description", "input_schema", "strict", "type"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_ANSWER = "answer"


def tool_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give `tools`, `tool_choice` and `parallel_tool_calls`, as far as the request has them. Raises `BadCallError`.

    A tool of the vendor's own (one with a ``type`` other than ``custom``) stays what it is.
    """
    read: dict[str, Any] = {}
    tools = optional(body, "tools", LIST)
    if tools:
        read["tools"] = [_tool(tool, f"tools.{at}") for at, tool in enumerate(tools)]
    choice = optional(body, "tool_choice", OBJECT)
    if choice is not None:
        read["tool_choice"] = _choice(choice)
        if optional(choice, "disable_parallel_tool_use", SWITCH, "tool_choice"):
            read["parallel_tool_calls"] = False
    return read


def _tool(tool: Any, place: str) -> dict[str, Any]:
    tool = item(tool, OBJECT, place)
    kind = optional(tool, "type", TEXT, place)
    if kind not in (None, "custom"):
        return dict(tool)
    function: dict[str, Any] = {"name": required(tool, "name", TEXT, place)}
    description = optional(tool, "description", TEXT, place)
    if description is not None:
        function["description"] = description
    function["parameters"] = dict(required(tool, "input_schema", OBJECT, place))
    if optional(tool, "strict", SWITCH, place):
        function["strict"] = True
    rest = {name: value for name, value in tool.items() if name not in _FUNCTION and value is not None}
    return {"type": "function", "function": function, **rest}


def _choice(choice: Mapping[str, Any]) -> Any:
    kind = required(choice, "type", TEXT, "tool_choice")
    if kind == "tool":
        return {"type": "function", "function": {"name": required(choice, "name", TEXT, "tool_choice")}}
    if kind not in _CHOICES:
        raise BadCallError("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    return _CHOICES[kind]


def effort_in(body: Mapping[str, Any]) -> str | None:
    """Give `reasoning_effort` for the request's `thinking` and `output_config.effort`; None: it asks for neither.

    Raises `BadCallError`.
    """
    config = optional(body, "output_config", OBJECT) or {}
    effort: str | None = optional(config, "effort", TEXT, "output_config")
    thinking = optional(body, "thinking", OBJECT)
    if thinking is not None and required(thinking, "type", TEXT, "thinking") == "enabled":
        required(thinking, "budget_tokens", WHOLE, "thinking")
    return effort_of(thinking, effort)


def format_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give `response_format` for the request's `output_config.format`, or `output_format` as it was called before."""
    config = optional(body, "output_config", OBJECT) or {}
    place, wanted = "output_config.format", config.get("format")
    if wanted is None:
        place, wanted = "output_format", body.get("output_format")
    if wanted is None:
        return None
    if required(item(wanted, OBJECT, place), "type", TEXT, place) != "json_schema":
        raise BadCallError(f"{place}.type: Input should be 'json_schema'")
    schema = dict(required(wanted, "schema", OBJECT, place))
    strict = {"strict": True} if _is_strict(schema) else {}
    return {"type": "json_schema", "json_schema": {"name": _ANSWER, "schema": schema, **strict}}


def _is_strict(schema: Any) -> bool:
    """Tell whether OpenAI holds to a schema: every object in it is closed, and requires each of its fields."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
            if item.get("type") == "object" and not _is_closed(item):
                return False
    return True


def _is_closed(schema: Mapping[str, Any]) -> bool:
    named, required = schema.get("properties") or {}, schema.get("required") or []
    is_listed = isinstance(named, Mapping) and isinstance(required, list) and all(name in required for name in named)
    return is_listed and schema.get("additionalProperties") is False
