"""Changes a request for vendors that refuse or misunderstand a part of OpenAI's format: one word, one pure function."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.providers.plain import UNKNOWN, plain_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from llamafarm.types import Attempt

    Body = dict[str, Any]
    Note = Callable[[str], None]
    Change = Callable[[Body, Note], Body]

__all__ = ["QUIRKS", "TAKES", "adapt", "said_plainly"]

_MOST_STOPS = 4
_SAMPLING = ("temperature", "top_p")
_LOGPROBS = ("logprobs", "top_logprobs")
_REFUSED = "{model} does not take it"
_OURS = frozenset({"stream_options"})
"""Fields that are put in for our own sake: where they are left out, the caller misses nothing."""


def _drop(*names: str) -> Change:
    return partial(_without, names=names, why=_REFUSED)


def _without(body: Body, note: Note, *, names: Iterable[str], why: str) -> Body:
    dropped = [name for name in names if name in body]
    told = [name for name in dropped if body[name] is not None and name not in _OURS]
    if told:
        note(f"{' and '.join(told)} left out: {why}")
    return {name: value for name, value in body.items() if name not in dropped}


def _rename(old: str, new: str) -> Change:
    def change(body: Body, note: Note) -> Body:
        if old not in body:
            return body
        rest = {name: value for name, value in body.items() if name != old}
        if body[old] is None:
            return rest
        note(f"{old} sent as {new}: {{model}} takes only that")
        limits = [value for value in (body[old], body.get(new)) if isinstance(value, int)]
        # Where a caller gave both, the lower limit holds: it is what the answer may cost.
        return {**rest, new: min(limits) if limits else body[old]}

    return change


def _thinking(*, usually: bool) -> Change:
    """Leave sampling parameters out while the model reasons, which `reasoning_effort` decides."""

    def change(body: Body, note: Note) -> Body:
        effort = body.get("reasoning_effort")
        thinks = usually if effort is None else effort != "none"
        why = "{model} does not take it while it reasons (reasoning_effort)"
        return _without(body, note, names=(*_SAMPLING, *_LOGPROBS), why=why) if thinks else body

    return change


def _count_logprobs(body: Body, note: Note) -> Body:
    if not isinstance(body.get("logprobs"), bool):
        return body
    rest = {name: value for name, value in body.items() if name not in _LOGPROBS}
    if not body["logprobs"]:
        return rest
    note("logprobs and top_logprobs sent as one number: {model} takes only that")
    return {**rest, "logprobs": body.get("top_logprobs") or 1}


def _no_required_tool(body: Body, note: Note) -> Body:
    if body.get("tool_choice") != "required":
        return body
    note(f"tool_choice required sent as auto: {_REFUSED}")
    return {**body, "tool_choice": "auto"}


def _no_forced_tool(body: Body, note: Note) -> Body:
    choice, thinking = body.get("tool_choice"), body.get("thinking")
    if choice in (None, "auto", "none") or (isinstance(thinking, dict) and thinking.get("type") == "disabled"):
        return body
    note("tool_choice sent as auto: {model} takes no other while it reasons")
    return {**body, "tool_choice": "auto"}


def _few_stops(body: Body, note: Note) -> Body:
    stop = body.get("stop")
    if not isinstance(stop, list | tuple) or len(stop) <= _MOST_STOPS:
        return body
    note(f"stop after the first {_MOST_STOPS} left out: {{model}} takes no more")
    return {**body, "stop": list(stop[:_MOST_STOPS])}


def _no_json_schema(body: Body, note: Note) -> Body:
    """Ask for any JSON object, and put the schema where the model still reads it."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return body
    note(f"response_format json_schema sent as json_object, the schema as an instruction: {_REFUSED}")
    described = wanted.get("json_schema")
    schema = msgspec.json.encode(described.get("schema") if isinstance(described, dict) else None).decode()
    told = {"role": "system", "content": f"Answer with one JSON object that follows this JSON schema: {schema}"}
    return {**body, "response_format": {"type": "json_object"}, "messages": [told, *_messages(body)]}


def _messages(body: Body) -> list[Any]:
    messages = body.get("messages")
    return list(messages) if isinstance(messages, list | tuple) else []


def _each_message(one: Callable[[dict[str, Any]], dict[str, Any]], said: str) -> Change:
    """Change every message that `one` changes, and say so once."""

    def change(body: Body, note: Note) -> Body:
        messages = _messages(body)
        changed = [one(message) if isinstance(message, dict) else message for message in messages]
        if changed == messages:
            return body
        note(said)
        return {**body, "messages": changed}

    return change


def _as_system(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else message


_THOUGHTS = ("reasoning_content", "reasoning", "thinking_blocks")


def _without_thoughts(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in _THOUGHTS}


def _with_one_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    given = message.get("reasoning") or message.get("reasoning_content")
    return {**_without_thoughts(message), **({"reasoning": given} if given else {})}


def _same(body: Body, _: Note) -> Body:
    return body


QUIRKS: Mapping[str, Change] = {
    "no_stream_options": _drop("stream_options"),
    "max_completion_tokens": _rename("max_tokens", "max_completion_tokens"),
    "no_max_completion_tokens": _rename("max_completion_tokens", "max_tokens"),
    "random_seed": _rename("seed", "random_seed"),
    "no_temperature": _drop(*_SAMPLING),
    "thinks_when_asked": _thinking(usually=False),
    "thinks_unless_told": _thinking(usually=True),
    "no_penalties": _drop("frequency_penalty", "presence_penalty"),
    "no_stop": _drop("stop"),
    "few_stops": _few_stops,
    "no_seed": _drop("seed"),
    "no_top_k": _drop("top_k"),
    "no_logprobs": _drop(*_LOGPROBS),
    "count_logprobs": _count_logprobs,
    "no_logit_bias": _drop("logit_bias"),
    "no_parallel_tool_calls": _drop("parallel_tool_calls"),
    "no_required_tool": _no_required_tool,
    "no_forced_tool": _no_forced_tool,
    "no_json_schema": _no_json_schema,
    "no_reasoning_effort": _drop("reasoning_effort"),
    "no_verbosity": _drop("verbosity"),
    "no_prediction": _drop("prediction"),
    "no_service_tier": _drop("service_tier"),
    "no_store": _drop("store"),
    "no_metadata": _drop("metadata"),
    "no_user": _drop("user"),
    "no_safety_identifier": _drop("safety_identifier"),
    "no_cache_key": _drop("prompt_cache_key"),
    "no_developer_role": _each_message(_as_system, "the role developer sent as system: {model} does not take it"),
    "no_reasoning_back": _each_message(_without_thoughts, "the reasoning of earlier answers left out: " + _REFUSED),
    "reasoning_back": _each_message(
        _with_one_reasoning, "the reasoning of earlier answers sent as reasoning: {model} takes only that"
    ),
    "stores": _same,
    "resells": _same,
    "echoes_beginning": _same,
    "no_trailing_space": _same,
}
"""The words of `Target.quirks` that this dialect knows; what each means stands in `providers.openai`."""


TAKES: Mapping[str, frozenset[str]] = {
    "takes_cache_control": frozenset({"cache_control"}),
    "takes_custom_tools": frozenset({"custom"}),
    "takes_pictures_from_tools": frozenset({"pictures"}),
    "takes_thinking": frozenset({"thinking"}),
    "takes_unknown": UNKNOWN,
}
"""Words of `Target.quirks` for what of other formats a target takes, in those of `providers.plain`."""
_SWITCHED = frozenset({"thinks_unless_told", "thinks_when_asked"})
"""Quirks of models that `reasoning_effort: none` keeps from reasoning."""


def said_plainly(attempt: Attempt, who: object) -> dict[str, Any]:
    """Give an attempt's body in OpenAI's words, as its target takes them. Raises `UntranslatableError`."""
    quirks, supports = attempt.target.quirks, attempt.target.supports
    takes: frozenset[str] = frozenset().union(*(TAKES[word] for word in quirks & TAKES.keys()))
    if quirks & _SWITCHED:
        takes |= {"none"}
    reasons = "no_reasoning_effort" not in quirks and (supports is None or "reasoning" in supports)
    return plain_body(attempt, takes, who, reasons=reasons)


def adapt(
    body: dict[str, Any], quirks: frozenset[str], model: str = "the model", notes: list[str] | None = None
) -> dict[str, Any]:
    """Give the body as a target with these quirks takes it, and note each change of what the caller asked for.

    ValueError names a word that is not in `QUIRKS`.
    """

    def note(sentence: str) -> None:
        if notes is not None:
            notes.append(sentence.replace("{model}", model))

    for word in sorted(quirks - TAKES.keys()):
        if word not in QUIRKS:
            raise ValueError(f"{word!r} is not a quirk of the openai dialect; it knows {', '.join([*QUIRKS, *TAKES])}")
        body = QUIRKS[word](body, note)
    return body
