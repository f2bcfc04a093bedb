"""Turns a chat request in OpenAI's format into one in Anthropic's, and notes what it could not say. Does no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llamafarm.errors import UntranslatableError
from llamafarm.providers.anthropic.messages import conversation_of
from llamafarm.providers.anthropic.notes import Notes
from llamafarm.providers.anthropic.thinking import add_thinking, fit_budget
from llamafarm.providers.anthropic.tools import add_tools, answer_format
from llamafarm.providers.plain import ONLY_ANTHROPIC, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_OUTPUT", "QUIRKS", "Translation", "add_sampling", "output_limit", "translate"]

DEFAULT_OUTPUT = 4096
"""Tokens of output asked for where neither the caller nor the model's row gives a limit: Anthropic demands one."""
QUIRKS = frozenset(
    {
        "always_thinks",
        "no_adaptive_thinking",
        "no_beginning",
        "no_effort",
        "no_forced_tools",
        "no_json_schema",
        "no_max_effort",
        "no_temperature",
        "no_thinking",
        "no_thinking_budget",
        "no_xhigh_effort",
        "one_sampler",
        "system_in_turns",
        "thinks_between_tools",
        "thinks_unasked",
    },
)
"""The words of `Target.quirks` that this dialect knows; what each means stands in `providers.anthropic`."""

_OWN_WORDS = frozenset({"anthropic", "efforts", "none", "pictures"})
"""What `plain` leaves as it is."""
_READ = frozenset(
    {
        *ONLY_ANTHROPIC,
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "stop_sequences",
        "n",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking",
        "output_config",
        "user",
        "safety_identifier",
        "metadata",
        "service_tier",
    },
)
_SAYS_NOTHING: Mapping[str, tuple[Any, ...]] = {"store": (False,), "modalities": (["text"],)}
"""Values that ask for nothing, besides None, False, 0 and what is empty."""
_ASKED_BY_BEING_THERE = ("web_search_options",)
_MOST_TEMPERATURE = 1.0
_LEAST_TOP_P_WITH_THINKING = 0.95


@dataclass(frozen=True, slots=True)
class Translation:
    """A request as Anthropic takes it."""

    body: dict[str, Any]
    notes: tuple[str, ...]
    answer_tool: str | None = None
    """The tool whose arguments are the text of the answer, for a model without structured outputs."""


def translate(
    body: Mapping[str, Any],
    quirks: frozenset[str] = frozenset(),
    *,
    max_output: int | None = None,
    beginning: str = "",
    streamed: bool = False,
) -> Translation:
    """Translate a request. Raises `UntranslatableError` where Anthropic cannot be asked for it."""
    if quirks - QUIRKS:
        raise UntranslatableError(f"{min(quirks - QUIRKS)!r} is not a quirk of the anthropic dialect")
    notes = Notes()
    given = {name: value for name, value in body.items() if value is not None}
    given = plain(given, _OWN_WORDS, lambda note: notes.add(note.replace("{model}", "the model")))
    if given.get("n", 1) != 1:
        raise UntranslatableError("n: Anthropic gives one answer to a request; ask again for another")
    conversation = conversation_of(given.get("messages"), notes, quirks, beginning)
    limit = output_limit(given, max_output, notes)
    request: dict[str, Any] = {
        "model": given.get("model"),
        "max_tokens": limit if limit is not None else max_output or DEFAULT_OUTPUT,
        "messages": [_short(message) for message in conversation.messages],
        **{name: given[name] for name in ONLY_ANTHROPIC if name in given},
    }
    if conversation.system:
        request["system"] = _short({"content": conversation.system})["content"]
    if streamed:
        request["stream"] = True
    _add_output_config(given, request)
    answer = answer_format(given, quirks, notes)
    if answer is not None and "no_json_schema" not in quirks:
        form = {"type": "json_schema", "schema": answer["schema"]}
        request["output_config"] = {"format": form, **request.get("output_config", {})}
        answer = None
    answer_tool = add_tools(given, request, quirks, notes, used=conversation.tools_used, answer=answer)
    # As asked for, or as a limit of the file has it: what is not raised, for it bounds the cost.
    limited = limit is not None or max_output is not None
    fit_budget(given, request, quirks, notes, limited=limited)
    add_thinking(given, request, quirks, notes, limited=limited)
    add_sampling(given, request, quirks, notes)
    _add_stop(given, request, notes)
    _add_user(given, request, notes)
    _add_tier(given, request, notes)
    for name, value in given.items():
        asked = bool(value) or name in _ASKED_BY_BEING_THERE
        if name not in _READ and asked and value not in _SAYS_NOTHING.get(name, ()):
            notes.left_out(" ".join(str(name)[:40].split()))
    return Translation(request, notes.all, answer_tool)


def _short(message: dict[str, Any]) -> dict[str, Any]:
    """Write a content that is a single plain text as that text."""
    content = message["content"]
    if len(content) == 1 and content[0].keys() == {"type", "text"} and content[0]["type"] == "text":
        return {**message, "content": content[0]["text"]}
    return message


def output_limit(body: Mapping[str, Any], max_output: int | None, notes: Notes) -> int | None:
    """Give the output limit of a body in OpenAI's format, and no more than the model gives; None: it has none."""
    limits = []
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UntranslatableError(f"{name} is no whole number of tokens")
        limits.append(value)
    if not limits:
        return None
    limit = min(limits)  # where a caller gave both, the lower one holds: it is what the answer may cost
    if max_output is not None and limit > max_output:
        notes.add(f"max_tokens lowered to {max_output}, the most the model gives")
        return max_output
    return limit


def _add_output_config(body: dict[str, Any], request: dict[str, Any]) -> None:
    given = body.get("output_config")
    if given is None:
        return
    if not isinstance(given, dict):
        raise UntranslatableError("output_config is no object")
    request["output_config"] = dict(given)


def add_sampling(body: Mapping[str, Any], request: dict[str, Any], quirks: frozenset[str], notes: Notes) -> None:
    """Put in the sampling parameters of a body that the model takes, in a request that has its `thinking`."""
    names = ("temperature", "top_p", "top_k")
    given: dict[str, int | float] = {name: _number(name, body[name]) for name in names if name in body}
    if "no_temperature" in quirks:
        for name in given:
            notes.left_out(name, "the model takes no sampling parameters")
        return
    if request.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        for name in ("temperature", "top_k", "top_p"):
            if name in given and not (name == "top_p" and given[name] >= _LEAST_TOP_P_WITH_THINKING):
                notes.left_out(name, "Anthropic refuses it where the model thinks")
                del given[name]
    if given.get("temperature", 0) > _MOST_TEMPERATURE:
        notes.add(f"temperature {given['temperature']:g} sent as 1, the most Anthropic takes")
        given["temperature"] = _MOST_TEMPERATURE
    if "one_sampler" in quirks and "temperature" in given and given.pop("top_p", None) is not None:
        notes.left_out("top_p", "the model takes it or temperature, not both")
    request.update(given)


def _number(name: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UntranslatableError(f"{name} is no number")
    return value


def _add_stop(body: dict[str, Any], request: dict[str, Any], notes: Notes) -> None:
    sequences: list[str] = []
    for name in ("stop", "stop_sequences"):
        value = body.get(name, ())
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list | tuple) or not all(isinstance(sequence, str) for sequence in value):
            raise UntranslatableError(f"{name} is neither a text nor a list of texts")
        sequences += value
    if not all(sequence.strip() for sequence in sequences):
        notes.left_out("a blank stop sequence", "Anthropic refuses it")
    if kept := [sequence for sequence in sequences if sequence.strip()]:
        request["stop_sequences"] = kept


def _add_user(body: dict[str, Any], request: dict[str, Any], notes: Notes) -> None:
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise UntranslatableError("metadata is no object")
    if set(metadata) - {"user_id"}:
        notes.left_out("metadata", "Anthropic takes only user_id")
    user = metadata.get("user_id") or body.get("user") or body.get("safety_identifier")
    if isinstance(user, str) and user:
        request["metadata"] = {"user_id": user}


def _add_tier(body: dict[str, Any], request: dict[str, Any], notes: Notes) -> None:
    tier = body.get("service_tier")
    if tier in ("auto", "standard_only"):
        request["service_tier"] = tier
    elif tier in ("priority", "default", "standard"):
        request["service_tier"] = "auto" if tier == "priority" else "standard_only"
        notes.add(f"service_tier {tier} sent as {request['service_tier']}")
    elif tier is not None:
        notes.left_out(f"service_tier {str(tier)[:20]}")
