"""Turns OpenAI's tools, the choice among them and the format of the answer into what Anthropic has for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llamafarm.errors import UntranslatableError
from llamafarm.providers.anthropic.content import cache_mark
from llamafarm.providers.anthropic.schema import fitted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.providers.anthropic.notes import Notes

__all__ = ["add_tools", "answer_format", "is_strict_taken", "unforced"]

_OWN_FIELDS = ("defer_loading", "allowed_callers", "input_examples", "eager_input_streaming")
_EMPTY_SCHEMA = {"type": "object", "properties": {}}
_ANSWER = "answer"


def answer_format(body: dict[str, Any], quirks: frozenset[str], notes: Notes) -> dict[str, Any] | None:
    """Read `response_format`: a schema as ``{name, schema}``, fitted to the model; None where there is none."""
    wanted = body.get("response_format")
    if wanted is None:
        return None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        notes.left_out(
            "response_format json_object", "Anthropic has none without a schema; only the prompt asks for it"
        )
        return None
    given = wanted.get("json_schema") if kind == "json_schema" else None
    schema = given.get("schema") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(schema, dict):
        raise UntranslatableError("response_format is neither text, json_object nor a json_schema with a schema")
    name = given.get("name")
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] if isinstance(name, str) and name else _ANSWER
    return {
        "name": name,
        "schema": schema if "no_json_schema" in quirks else _fit(schema, "response_format", notes),
        "description": given.get("description"),
    }


def _fit(schema: dict[str, Any], where: str, notes: Notes) -> dict[str, Any]:
    result: dict[str, Any] = fitted(schema)
    if result is not schema:
        notes.add(f"the schema of {where} was fitted to the subset that Anthropic takes")
    return result


def add_tools(
    body: dict[str, Any],
    request: dict[str, Any],
    quirks: frozenset[str],
    notes: Notes,
    *,
    used: Iterable[str],
    answer: dict[str, Any] | None,
) -> str | None:
    """Put `tools` and `tool_choice` into the request; an `answer` that is to come as a tool's arguments among them.

    `used` are the tools called in the conversation. Gives the name of the answer's tool. Raises `UntranslatableError`.
    """
    tools = _tools(body, quirks, notes)
    choice = body.get("tool_choice", _legacy_choice(body))
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(choice, tools)
    if not tools and answer is None:
        if used := list(used):  # calls of tools in the conversation are refused without their definitions
            request["tools"] = [{"name": name, "input_schema": _EMPTY_SCHEMA} for name in used]
            request["tool_choice"] = {"type": "none"}
        return None
    chosen = _choice(choice, tools, notes)
    if answer is not None:
        tool = _answer_tool(answer, tools)
        if not tools or chosen["type"] == "none":
            chosen = {"type": "tool", "name": tool["name"]}
        elif chosen["type"] == "auto":
            chosen = {"type": "any"}
        tools = [*tools, tool]
        notes.add(
            "response_format json_schema sent as a tool whose arguments are the answer: the model has no other way"
        )
    chosen = unforced(chosen, quirks, notes)
    single = body.get("parallel_tool_calls") is False or answer is not None
    if chosen["type"] != "none" and (single or (isinstance(choice, dict) and choice.get("disable_parallel_tool_use"))):
        chosen["disable_parallel_tool_use"] = True
    request["tools"] = tools
    if chosen != {"type": "auto"} or choice is not None:
        request["tool_choice"] = chosen
    return tools[-1]["name"] if answer is not None else None


def unforced(choice: dict[str, Any], quirks: frozenset[str], notes: Notes) -> dict[str, Any]:
    """Give a `tool_choice` of Anthropic's as the model takes it, which may not be made to call a tool."""
    if choice["type"] not in ("any", "tool") or "no_forced_tools" not in quirks:
        return choice
    notes.add(f"tool_choice {choice['type']} sent as auto: the model cannot be made to call a tool")
    return {**{name: value for name, value in choice.items() if name != "name"}, "type": "auto"}


def is_strict_taken(quirks: frozenset[str], notes: Notes) -> bool:
    """Whether a tool may be strict; notes it where it may not."""
    if "no_json_schema" in quirks:
        notes.left_out("strict of tools", "the model cannot hold to a schema")
        return False
    return True


def _answer_tool(answer: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    name = answer["name"]
    while any(tool.get("name") == name for tool in tools):
        name += "_"
    described = answer["description"] or "Give the answer to the user by calling this tool, and in no other way."
    return {"name": name, "description": str(described), "input_schema": {"type": "object", **answer["schema"]}}


def _tools(body: dict[str, Any], quirks: frozenset[str], notes: Notes) -> list[dict[str, Any]]:
    given, legacy = body.get("tools") or [], body.get("functions") or []
    if not isinstance(given, list | tuple) or not isinstance(legacy, list | tuple):
        raise UntranslatableError("tools is no list")
    given = [*given, *({"type": "function", "function": function} for function in legacy)]
    tools = (_tool(tool, f"tools[{at}]", quirks, notes) for at, tool in enumerate(given))
    return [tool for tool in tools if tool is not None]


def _tool(tool: Any, place: str, quirks: frozenset[str], notes: Notes) -> dict[str, Any] | None:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if isinstance(tool, dict) and ("input_schema" in tool or (isinstance(kind, str) and re.search(r"_\d{8}$", kind))):
        return dict(tool)  # one of Anthropic's own
    if kind == "custom":
        notes.left_out(f"the custom tool {place}", "Anthropic takes tools with a JSON schema")
        return None
    function = tool.get("function") if kind == "function" and isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise UntranslatableError(f"{place} is no function with a name")
    schema = function.get("parameters")
    if schema is not None and not isinstance(schema, dict):
        raise UntranslatableError(f"{place}.function.parameters is no JSON schema")
    result = {"name": function["name"], "input_schema": {"type": "object", **schema} if schema else dict(_EMPTY_SCHEMA)}
    if isinstance(function.get("description"), str) and function["description"]:
        result["description"] = function["description"]
    if function.get("strict") and is_strict_taken(quirks, notes):
        result |= {"strict": True, "input_schema": _fit(result["input_schema"], "a strict tool", notes)}
    own = {name: tool[name] for name in _OWN_FIELDS if tool.get(name) is not None}
    return {**result, **own, **cache_mark(function), **cache_mark(tool)}


def _legacy_choice(body: dict[str, Any]) -> Any:
    choice = body.get("function_call")
    if isinstance(choice, dict):
        return {"type": "function", "function": choice}
    return choice


def _choice(choice: Any, tools: list[dict[str, Any]], notes: Notes) -> dict[str, Any]:
    if choice is None:
        return {"type": "auto"}
    if isinstance(choice, str):
        kinds = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
        if choice in kinds:
            return {"type": kinds[choice]}
        raise UntranslatableError(f"tool_choice {choice!r} is neither auto, none nor required")
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and kind in ("auto", "any", "none"):
        return {"type": kind}
    if kind == "custom":
        notes.left_out("tool_choice", "Anthropic takes tools with a JSON schema")
        return {"type": "auto"}
    function = choice.get("function", choice) if isinstance(choice, dict) and kind in ("function", "tool") else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise UntranslatableError("tool_choice names no function")
    if tools and all(tool.get("name") != name for tool in tools):
        raise UntranslatableError(f"tool_choice names {name!r}, which is not among the tools")
    return {"type": "tool", "name": name}


def _allowed(choice: dict[str, Any], tools: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], Any]:
    allowed = choice.get("allowed_tools")
    listed = allowed.get("tools") if isinstance(allowed, dict) else None
    if not isinstance(allowed, dict) or not isinstance(listed, list):
        raise UntranslatableError("tool_choice allowed_tools lists no tools")
    functions = [item.get("function") for item in listed if isinstance(item, dict)]
    names = [function.get("name") for function in functions if isinstance(function, dict)]
    return [tool for tool in tools if tool.get("name") in names], allowed.get("mode", "auto")
