"""Decides what of OpenAI's request parameters Ollama takes, under which name, and says what it does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.errors import UntranslatableError
from llamafarm.spec.components import OLLAMA_CONTEXT, AppConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.providers.failures import Peer
    from llamafarm.types import Target

__all__ = ["format_of", "note_left_out", "options_of", "think_of", "tools_of"]

_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "repeat_penalty",
    "repeat_last_n",
    "num_keep",
)
"""Parameters whose name is also that of one of Ollama's options."""
_SEARCH = "web_search_options"
"""Asks for something by being there."""
_LIMITS = ("max_tokens", "max_completion_tokens")
_ALL_LAYERS = -1

_EFFORTS: Mapping[str, tuple[bool | str, str]] = {
    "none": (False, ""),
    "minimal": ("low", "low"),
    "low": ("low", ""),
    "medium": ("medium", ""),
    "high": ("high", ""),
    "xhigh": ("max", "max"),
    "max": ("max", ""),
}
"""Of `reasoning_effort`: what `think` is then, and the nearest effort where Ollama has none of that name."""

_TAKEN = frozenset(
    {
        *_SAMPLING,
        *_LIMITS,
        "model",
        "stream",
        "stream_options",
        "stop",
        "options",
        "keep_alive",
        "n",
        "best_of",
        "think",
        "reasoning_effort",
        "response_format",
        "logprobs",
        "top_logprobs",
    }
)
"""What every request's translation looks at; the parts of one operation come on top."""


def options_of(body: Mapping[str, Any], target: Target, peer: Peer, notes: list[str]) -> dict[str, Any]:
    """Give Ollama's options; how the model is loaded is always the strategy file's word, or it would load again."""
    given = body.get("options")
    if given is not None and not isinstance(given, dict):
        raise UntranslatableError(f"{peer}: the request's options are not an object")
    options: dict[str, Any] = dict(given or {})
    options |= {name: body[name] for name in _SAMPLING if body.get(name) is not None}
    limits = [body[name] for name in _LIMITS if body.get(name) is not None]
    if limits:
        numbers = [limit for limit in limits if isinstance(limit, int)]
        options["num_predict"] = min(numbers) if numbers else limits[0]
    if body.get("stop"):
        options["stop"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    load = _load_options(target)
    if any(name in options and options[name] != value for name, value in load.items()):
        notes.append(
            f"how the model is loaded is set by the strategy file: {', '.join(load)} of the request do not count"
        )
    return {**options, **load}


def _load_options(target: Target) -> dict[str, Any]:
    load: dict[str, Any] = {"num_ctx": target.context_window or OLLAMA_CONTEXT}
    settings = target.settings
    if isinstance(settings, AppConfig):
        if settings.gpu_layers is not None and settings.gpu_layers != _ALL_LAYERS:
            load["num_gpu"] = settings.gpu_layers
        if settings.cpu_threads is not None:
            load["num_thread"] = settings.cpu_threads
    return load


def think_of(body: Mapping[str, Any], notes: list[str]) -> bool | str | None:
    """Give the `think` field; None: as the model does by itself."""
    think = body.get("think")
    if isinstance(think, bool | str):
        return think
    effort = body.get("reasoning_effort")
    if effort is None:
        return None
    if not isinstance(effort, str) or effort not in _EFFORTS:
        notes.append(f"Ollama knows no reasoning_effort {effort!r:.40}: it was left out")
        return None
    value, nearest = _EFFORTS[effort]
    if nearest:
        notes.append(f"Ollama knows no reasoning_effort {effort}: it was sent as {nearest}")
    return value


def format_of(body: Mapping[str, Any], peer: Peer) -> Any:
    """Give the `format` field: ``json``, a JSON Schema, or None for plain text."""
    wanted = body.get("response_format")
    if wanted is None:
        return None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return "json"
    schema = wanted.get("json_schema") if kind == "json_schema" else None
    if isinstance(schema, dict) and isinstance(schema.get("schema"), dict):
        return schema["schema"]
    raise UntranslatableError(
        f"{peer}: Ollama knows no response_format like this; use json_object, or json_schema with a schema"
    )


def tools_of(body: Mapping[str, Any], peer: Peer, notes: list[str]) -> list[Any]:
    """Give the tools the model may call: it always decides by itself whether it does."""
    tools, functions = body.get("tools") or [], body.get("functions") or []
    if not isinstance(tools, list | tuple) or not isinstance(functions, list | tuple):
        raise UntranslatableError(f"{peer}: the request's tools are not a list")
    tools = list(tools or [{"type": "function", "function": one} for one in functions])
    choice = body.get("tool_choice", body.get("function_call"))
    if not tools or choice in (None, "auto"):
        return tools
    if choice == "none":
        return []
    name = _chosen(choice)
    if name is None:
        notes.append("Ollama cannot be made to call a tool: tool_choice was left out, and the model decides")
        return tools
    notes.append(f"Ollama cannot be made to call a tool: it was offered {name[:64]} alone, and the model decides")
    return [tool for tool in tools if _name_of(tool) == name]


def _chosen(choice: Any) -> str | None:
    function = choice.get("function", choice) if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def _name_of(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def note_left_out(body: Mapping[str, Any], own: frozenset[str], notes: list[str]) -> None:
    """Say of each parameter that has no counterpart that it was left out; `own` are those its operation looks at."""
    for name, value in body.items():
        if name in _TAKEN or name in own or (value in (None, "", [], {}) and not (name == _SEARCH and value == {})):
            continue
        if value is not False or name == "parallel_tool_calls":
            notes.append(f"Ollama does not take {name[:64]}: it was left out")
