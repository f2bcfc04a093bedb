"""Decides how a Claude model thinks: `reasoning_effort`, or the caller's own `thinking`, as this model takes it.

From Claude 4.6 on a model thinks as it sees fit (``adaptive``) and `output_config.effort` says how hard; older ones
think up to a budget. Sources: platform.claude.com, the pages Effort, Thinking and the models' migration guides.
"""

from __future__ import annotations

from typing import Any

from llamafarm.errors import UntranslatableError
from llamafarm.providers.anthropic.notes import Notes

__all__ = ["BUDGETS", "add_thinking", "effort_of", "effort_taken", "fit_budget"]

BUDGETS = {"low": 1024, "medium": 4096, "high": 16384, "xhigh": 24576, "max": 32000}
"""Tokens. Above 32,000 the vendor advises against waiting for one answer."""
_LEAST_BUDGET = 1024
"""Tokens: the vendor refuses a smaller one."""
_ANSWER_TOKENS = 1024
"""What a budget leaves for the answer itself, where the limit allows both."""
_EFFORTS = ("none", "minimal", *BUDGETS)
_LEVELS = tuple(BUDGETS)
_DEFAULT_EFFORT = "high"
"""What the vendor takes where thinking is asked for and nothing is said of the effort (its page Effort, 2026-11)."""
_ADAPTIVE = {"type": "adaptive", "display": "summarized"}
"""The summary costs nothing more than none, and shows that the model is at work."""


def effort_of(thinking: Any, effort: Any = None) -> str | None:
    """Give the `reasoning_effort` that a `thinking` and `output_config.effort` stand for; None: for none.

    A budget stands for the least effort that allows as much.
    """
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind in ("disabled", "between_tools"):
        return "none"
    if effort is not None:
        return str(effort)
    budget = thinking.get("budget_tokens") if kind == "enabled" else None
    if isinstance(budget, int):
        return next((level for level, most in BUDGETS.items() if budget <= most), "max")
    return None if kind is None else _DEFAULT_EFFORT


def add_thinking(
    body: dict[str, Any], request: dict[str, Any], quirks: frozenset[str], notes: Notes, *, limited: bool
) -> None:
    """Put `thinking` and `output_config.effort` into a request that has its `max_tokens` and `tool_choice`.

    A budget counts towards `max_tokens`. Where the caller or a limit gave that (`limited`), the budget is fitted into
    it, for it bounds what the answer may cost; else it is raised by the budget.
    """
    given = body.get("thinking")
    if given is not None:
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            raise UntranslatableError("thinking is no object with a type")
        _set(_as_taken(dict(given), request, quirks, notes), request, notes)
    effort = body.get("reasoning_effort")
    if effort is not None:
        _add_effort(effort, request, quirks, notes, limited=limited, given=given is not None)
    if given is None and "thinking" not in request and "thinks_unasked" in quirks and request.get("stream"):
        # Else it thinks without a word, which cannot be told from a stream that has stalled.
        _set(dict(_ADAPTIVE), request, Notes())


def fit_budget(
    body: dict[str, Any], request: dict[str, Any], quirks: frozenset[str], notes: Notes, *, limited: bool
) -> None:
    """Fit the caller's own budget to the output limit, or that to it where nothing limits the output.

    The vendor refuses a budget that leaves nothing of `max_tokens`.
    """
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if not isinstance(thinking, dict) or not isinstance(budget, int) or "no_thinking_budget" in quirks:
        return
    limit = request["max_tokens"]
    if budget < limit or "no_thinking" in quirks:
        return
    if not limited:
        request["max_tokens"] = budget + limit
        return
    fitted = max(_LEAST_BUDGET, limit - _ANSWER_TOKENS if limit > 2 * _ANSWER_TOKENS else limit // 2)
    if fitted >= limit:
        notes.left_out("thinking", f"max_tokens {limit} leaves no room for it")
        del body["thinking"]
        return
    notes.add(f"thinking.budget_tokens lowered to {fitted}, for max_tokens is {limit}")
    body["thinking"] = {**thinking, "budget_tokens": fitted}


def _add_effort(
    effort: Any, request: dict[str, Any], quirks: frozenset[str], notes: Notes, *, limited: bool, given: bool
) -> None:
    if effort not in _EFFORTS:
        notes.left_out(f"reasoning_effort {str(effort)[:20]!r}", f"Anthropic knows {', '.join(_LEVELS)}")
    elif effort == "none":
        if not given:
            _set(_as_taken({"type": "disabled"}, request, quirks, notes), request, notes)
    else:
        _think(effort_taken(effort, quirks, notes), request, quirks, notes, limited=limited, given=given)


def effort_taken(effort: str, quirks: frozenset[str], notes: Notes) -> str:
    """Give the effort nearest to the wanted one that a model takes which takes any."""
    level = "low" if effort == "minimal" else effort
    if level == "max" and "no_max_effort" in quirks:
        level = "high" if "no_xhigh_effort" in quirks else "xhigh"
    if level == "xhigh" and "no_xhigh_effort" in quirks:
        level = "high"
    if level != effort:
        notes.add(f"reasoning_effort {effort} sent as {level}")
    return level


def _think(
    level: str, request: dict[str, Any], quirks: frozenset[str], notes: Notes, *, limited: bool, given: bool
) -> None:
    if "no_thinking" in quirks:
        notes.left_out("reasoning_effort", "the model does not think")
        return
    if "no_effort" not in quirks:
        request["output_config"] = {"effort": level, **request.get("output_config", {})}
    if given:
        return
    if "no_adaptive_thinking" not in quirks:
        _set(dict(_ADAPTIVE), request, notes)
        return
    budget = BUDGETS[level]
    if limited:
        budget = min(budget, max(request["max_tokens"] - _ANSWER_TOKENS, min(request["max_tokens"] // 2, budget)))
    if budget < _LEAST_BUDGET:
        notes.left_out("reasoning_effort", f"max_tokens {request['max_tokens']} leaves no room for thinking")
        return
    if _set({"type": "enabled", "budget_tokens": budget}, request, notes) and not limited:
        request["max_tokens"] += budget


def _as_taken(
    thinking: dict[str, Any], request: dict[str, Any], quirks: frozenset[str], notes: Notes
) -> dict[str, Any] | None:
    """Translate a `thinking` into one that the model does not refuse; None: it is left out."""
    kind = thinking["type"]
    if "no_thinking" in quirks:
        if kind != "disabled":
            notes.left_out("thinking", "the model does not think")
        return None
    if kind == "enabled" and "no_thinking_budget" in quirks:
        notes.add("thinking enabled sent as adaptive: the model takes no budget")
        return {"type": "adaptive", **{key: value for key, value in thinking.items() if key == "display"}}
    if kind == "adaptive" and "no_adaptive_thinking" in quirks:
        notes.left_out("thinking adaptive", "the model takes only a budget")
        return None
    if kind == "disabled" and "always_thinks" in quirks:
        notes.add("thinking disabled sent as effort low: the model always thinks")
        request["output_config"] = {"effort": "low", **request.get("output_config", {})}
        return None
    if kind == "disabled" and "thinks_between_tools" in quirks:
        notes.add("thinking disabled sent as between_tools: the model cannot do without")
        return {"type": "between_tools"}
    return thinking


def _set(thinking: dict[str, Any] | None, request: dict[str, Any], notes: Notes) -> bool:
    """Put it in where nothing stands against it: a forced tool, an answer that has begun, or one without thinking."""
    if thinking is None:
        return False
    if thinking["type"] in ("enabled", "adaptive"):
        if request.get("tool_choice", {}).get("type") in ("any", "tool"):
            notes.left_out("thinking", "Anthropic refuses it where a tool has to be called")
            return False
        if request["messages"][-1]["role"] == "assistant":
            notes.left_out("thinking", "Anthropic refuses it where the answer has begun")
            return False
    if thinking["type"] == "enabled" and _is_in_turn_without_thinking(request["messages"]):
        notes.left_out("thinking", "the tool calls before came without their thinking blocks")
        return False
    request["thinking"] = thinking
    return True


def _is_in_turn_without_thinking(messages: list[dict[str, Any]]) -> bool:
    """Whether the model is about to go on from tool calls that it seems to have made without thinking."""
    said = next((message["content"] for message in reversed(messages) if message["role"] == "assistant"), ())
    answered = messages[-1]["content"]
    if not isinstance(said, list) or not isinstance(answered, list):
        return False
    called = any(block.get("type") == "tool_use" for block in said)
    results = any(block.get("type") == "tool_result" for block in answered)
    return called and results and said[0].get("type") not in ("thinking", "redacted_thinking")
