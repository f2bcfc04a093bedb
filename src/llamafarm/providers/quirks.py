"""Changes a request for vendors that refuse or misunderstand a part of OpenAI's format: one word, one pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Change = Callable[[dict[str, Any]], dict[str, Any]]

__all__ = ["QUIRKS", "adapt"]


def _drop(*names: str) -> Change:
    def change(body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name not in names}

    return change


def _rename(old: str, new: str) -> Change:
    def change(body: dict[str, Any]) -> dict[str, Any]:
        if old not in body:
            return body
        rest = {name: value for name, value in body.items() if name != old}
        limits = [value for value in (body[old], body.get(new)) if isinstance(value, int)]
        # Where a caller gave both, the lower limit holds: it is what the answer may cost.
        return {**rest, new: min(limits) if limits else body[old]}

    return change


def _system_role(body: dict[str, Any]) -> dict[str, Any]:
    messages = body.get("messages")
    if not isinstance(messages, list | tuple):
        return body
    return {**body, "messages": [_as_system(message) for message in messages]}


def _as_system(message: Any) -> Any:
    if isinstance(message, dict) and message.get("role") == "developer":
        return {**message, "role": "system"}
    return message


def _same(body: dict[str, Any]) -> dict[str, Any]:
    return body


QUIRKS: Mapping[str, Change] = {
    "no_stream_options": _drop("stream_options"),
    "max_completion_tokens": _rename("max_tokens", "max_completion_tokens"),
    "no_max_completion_tokens": _rename("max_completion_tokens", "max_tokens"),
    "random_seed": _rename("seed", "random_seed"),
    "no_temperature": _drop("temperature", "top_p"),
    "no_penalties": _drop("frequency_penalty", "presence_penalty"),
    "no_stop": _drop("stop"),
    "no_seed": _drop("seed"),
    "no_logprobs": _drop("logprobs", "top_logprobs"),
    "no_parallel_tool_calls": _drop("parallel_tool_calls"),
    "no_reasoning_effort": _drop("reasoning_effort"),
    "no_store": _drop("store"),
    "no_user": _drop("user"),
    "no_developer_role": _system_role,
    "stores": _same,
}
"""The words of `Target.quirks` that this dialect knows; what each means stands in `providers.openai`."""


def adapt(body: dict[str, Any], quirks: frozenset[str]) -> dict[str, Any]:
    """Give the body as a target with these quirks takes it. ValueError names a word that is not in `QUIRKS`."""
    for word in sorted(quirks):
        if word not in QUIRKS:
            raise ValueError(f"{word!r} is not a quirk of the openai dialect; it knows {', '.join(QUIRKS)}")
        body = QUIRKS[word](body)
    return body
