"""Turns the tools of a request, and the choice among them, into those of OpenAI's chat format.

A custom tool takes a text. Hardly a target knows such tools, so each goes out as a function with one text for an
argument, and a call of it comes back as a custom one. A grammar for that text is told to the model, not enforced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.types import ToolCall

__all__ = ["Tools", "custom_arguments", "custom_input", "tools_of"]

_INPUT = "input"
_FUNCTION = ("name", "description", "parameters", "strict")
_OWN = "which only OpenAI's own service can offer a model: leave it out, or offer a function that your program runs"


class Tools(NamedTuple):
    """The tools of one request."""

    chat: dict[str, Any]
    """`tools`, `tool_choice` and `parallel_tool_calls` of a chat; without tools there is none of them."""
    custom: frozenset[str]
    """Names of the tools that take a text."""


def custom_arguments(given: str) -> str:
    """Write a custom tool's input as the arguments of the function it is sent as."""
    return msgspec.json.encode({_INPUT: given}).decode()


def custom_input(call: ToolCall) -> str:
    """Give the input of a custom tool's call: for a tool sent as a function, it is in its arguments.

    Where a model kept to no format, they are the input.
    """
    if call.kind == "custom":
        return call.arguments
    try:
        value = msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return call.arguments
    given = value.get(_INPUT) if isinstance(value, dict) else None
    return given if isinstance(given, str) else call.arguments


def tools_of(body: Mapping[str, Any]) -> Tools:
    """Read a request's tools. Raises `BadCallError` naming the tool, or what is wrong with the choice."""
    given = body.get("tools")
    if given is not None and not isinstance(given, list):
        raise BadCallError(f"tools is {given!r:.40}: expected a list of tools")
    tools = {}
    custom = set()
    for at, tool in enumerate(given or ()):
        name, kind = _name_of(tool, f"tools[{at}]")
        tools[name] = _function(tool) if kind == "function" else _custom(tool)
        if kind == "custom":
            custom.add(name)
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(choice, tools)
    if not tools:
        if choice not in (None, "auto", "none"):
            raise BadCallError(f"tool_choice is {choice!r:.60}, and there are no tools: give some")
        return Tools({}, frozenset())
    chat: dict[str, Any] = {"tools": list(tools.values())}
    if choice is not None:
        chat["tool_choice"] = _choice(choice, tools)
    if body.get("parallel_tool_calls") is not None:
        chat["parallel_tool_calls"] = body["parallel_tool_calls"]
    return Tools(chat, frozenset(custom))


def _name_of(tool: Any, place: str) -> tuple[str, str]:
    if not isinstance(tool, dict):
        raise BadCallError(f"{place} is {tool!r:.40}: expected a tool")
    kind, name = tool.get("type"), tool.get("name")
    if kind not in ("function", "custom"):
        raise BadCallError(f"{place} is of type {kind!r:.40}, {_OWN}")
    if not isinstance(name, str) or not name:
        raise BadCallError(
            f"{place}.name is {name!r:.40}: expected a text, beside the tool's type and not inside {kind}"
        )
    return name, kind


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    function = {name: tool[name] for name in _FUNCTION if tool.get(name) is not None}
    beside = {name: value for name, value in tool.items() if name not in (*_FUNCTION, "type") and value is not None}
    return {"type": "function", "function": function, **beside}


def _custom(tool: dict[str, Any]) -> dict[str, Any]:
    described = tool.get("description")
    text = [described] if isinstance(described, str) and described else []
    form = tool.get("format")
    if isinstance(form, dict) and form.get("type") == "grammar":
        text.append(f"The input follows this {form.get('syntax')} grammar:\n{form.get('definition')}")
    parameters = {
        "type": "object",
        "properties": {_INPUT: {"type": "string"}},
        "required": [_INPUT],
        "additionalProperties": False,
    }
    function = {"name": tool["name"], "description": "\n\n".join(text), "parameters": parameters}
    return {"type": "function", "function": {key: value for key, value in function.items() if value}}


def _choice(choice: Any, tools: Mapping[str, Any]) -> Any:
    if choice in ("auto", "none", "required"):
        return choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or kind is None:
        raise BadCallError(
            f"tool_choice is {choice!r:.60}: expected auto, none, required or an object that names a tool"
        )
    if kind not in ("function", "custom"):
        raise BadCallError(f"tool_choice names a tool of type {kind!r:.40}, {_OWN}")
    name = choice.get("name")
    if not isinstance(name, str) or name not in tools:
        raise BadCallError(f"tool_choice names {name!r:.60}, which is none of the tools: {', '.join(tools)}")
    return {"type": "function", "function": {"name": name}}


def _allowed(choice: dict[str, Any], tools: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Keep the tools that are allowed: few targets know such a choice, and all can be sent fewer tools."""
    listed = choice.get("tools")
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        raise BadCallError(f"tool_choice.tools is {listed!r:.40}: expected a list of tools")
    for at, tool in enumerate(listed):
        name, _ = _name_of(tool, f"tool_choice.tools[{at}]")
        if name not in tools:
            raise BadCallError(
                f"tool_choice.tools[{at}] is {name!r:.60}, which is none of the tools: {', '.join(tools)}"
            )
    mode = choice.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise BadCallError(f"tool_choice.mode is {mode!r:.40}: expected auto or required")
    names = {tool["name"] for tool in listed}
    return {name: tool for name, tool in tools.items() if name in names}, mode
