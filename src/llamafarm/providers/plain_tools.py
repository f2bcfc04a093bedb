"""Says in OpenAI's words the tools of a request, and the choice among them, that are in Anthropic's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llamafarm.errors import UntranslatableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Body = dict[str, Any]
    Note = Callable[[str], None]

__all__ = ["say_tools"]

_OWN = ("cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming")
_VENDORS = re.compile(r"_\d{8}$|^mcp_toolset$")
"""The types of tools that Anthropic itself runs, or has taught its models."""
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def say_tools(body: Body, takes: frozenset[str], note: Note, *, closed: bool) -> None:
    """Put OpenAI's words into the body; `takes` as `plain` has it. `closed`: nothing but OpenAI's may remain.

    Raises `UntranslatableError` for a tool of Anthropic's own.
    """
    tools, choice = body.get("tools"), body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("disable_parallel_tool_use"):
        body.setdefault("parallel_tool_calls", False)
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and isinstance(kind, str) and kind in _CHOICES:
        body["tool_choice"] = _CHOICES[kind]
    elif isinstance(choice, dict) and kind == "tool":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    if not tools or not isinstance(tools, list | tuple):
        return
    allowed = choice.get("allowed_tools") if isinstance(choice, dict) else None
    if isinstance(allowed, dict) and isinstance(allowed.get("tools"), list | tuple) and "custom" not in takes:
        names = [_name(tool) for tool in allowed["tools"] if isinstance(tool, dict)]
        tools = [tool for tool in tools if not isinstance(tool, dict) or _name(tool) in names]
        body |= {"tools": tools, "tool_choice": allowed.get("mode", "auto")}
    said = [_function(tool, takes, note, closed=closed) for tool in tools]
    body["tools"] = [tool for tool in said if tool is not None]
    if len(body["tools"]) == len(tools):
        return
    chosen = body.get("tool_choice")
    if not body["tools"]:
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
    elif (
        isinstance(chosen, dict)
        and chosen.get("type") in ("function", "custom")
        and _name(chosen) not in map(_name, body["tools"])
    ):
        body["tool_choice"] = "auto"
        note("tool_choice left out: {model} does not have the tool")


def _function(tool: Any, takes: frozenset[str], note: Note, *, closed: bool) -> Any:
    if not isinstance(tool, dict):
        return tool
    if "input_schema" in tool and "function" not in tool:
        function = {name: tool[name] for name in ("name", "description", "strict") if tool.get(name) is not None}
        rest = {name: tool[name] for name in _OWN if name in tool}
        tool = {"type": "function", "function": {**function, "parameters": tool["input_schema"]}, **rest}
    elif "unknown" in takes:
        return tool
    kind = tool.get("type")
    if (isinstance(kind, str) and _VENDORS.search(kind)) or (closed and "function" not in tool):
        raise UntranslatableError(f"the tool {str(kind)[:60]} is of Anthropic's own")
    if kind == "custom" and "custom" not in takes:
        note("custom tools left out: {model} takes tools with a JSON schema")
        return None
    said = {
        name: value
        for name, value in tool.items()
        if name in takes or (name in ("type", "function") if closed else name not in _OWN)
    }
    inner: Any = said.get("function")
    gone = [name for name in _OWN if name in tool and name not in said]
    if "cache_control" not in takes and isinstance(inner, dict) and "cache_control" in inner:
        said["function"] = {name: value for name, value in inner.items() if name != "cache_control"}
        gone.append("cache_control")
    for name in dict.fromkeys(gone):
        note(f"{name} of tools left out: only Anthropic has it")
    return said


def _name(tool: Mapping[str, Any]) -> Any:
    inner = tool.get("function") or tool.get("custom")
    return inner.get("name") if isinstance(inner, dict) else None
