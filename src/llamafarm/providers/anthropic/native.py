"""Makes of a request that a client wrote in Anthropic's own format what one target is sent. Does no I/O.

It is sent as it came, unknown fields and all, but for what the strategy file demands and what the model is known to
refuse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llamafarm.providers.anthropic.messages import require_no_beginning
from llamafarm.providers.anthropic.notes import Notes
from llamafarm.providers.anthropic.request import DEFAULT_OUTPUT, Translation, add_sampling, output_limit, translate
from llamafarm.providers.anthropic.thinking import add_thinking, effort_taken, fit_budget
from llamafarm.providers.anthropic.tools import is_strict_taken, unforced
from llamafarm.providers.privacy import leave_out_kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.types import Attempt, Target

__all__ = ["native_request", "with_headers"]

_DIALECT = "anthropic"
_SAMPLING = ("temperature", "top_p", "top_k")
_OURS = "tags"
"""What of `metadata` is for the gateway alone."""
_HANDLED = frozenset({"model", "messages", "max_tokens", "max_completion_tokens", "stream", "store", *_SAMPLING})
"""Fields of the attempt's body that are looked at one by one."""


def native_request(attempt: Attempt) -> Translation | None:
    """Give the client's own request as the target takes it; None where it has to be translated.

    That is where the client wrote it in another format, and where the model gives a schema's answer only as a tool's
    arguments. Raises `UntranslatableError`.
    """
    native, target = attempt.call.native, attempt.target
    if native is None or native.dialect != _DIALECT:
        return None
    config = native.body.get("output_config")
    wanted = native.body.get("output_format") or (config.get("format") if isinstance(config, dict) else None)
    if wanted and "no_json_schema" in target.quirks:
        return None
    notes = Notes()
    request = {name: value for name, value in native.body.items() if name not in ("thinking", *_SAMPLING)}
    request["model"] = target.model
    request["messages"] = _messages(native.body["messages"], attempt.beginning, notes)
    require_no_beginning(request["messages"], target.quirks)
    limit = output_limit(attempt.body, target.max_output, notes)
    request["max_tokens"] = limit if limit is not None else target.max_output or DEFAULT_OUTPUT
    request.pop("stream", None)
    if attempt.call.stream:
        request["stream"] = True
    _adapt_tools(request, target, notes)
    _adapt_effort(request, target, notes)
    asked = {"thinking": native.body.get("thinking")}
    if request["max_tokens"] < native.body["max_tokens"]:  # else it stands as the client has it, even if it is refused
        fit_budget(asked, request, target.quirks, notes, limited=True)
    add_thinking(asked, request, target.quirks, notes, limited=True)
    _add_defaults(attempt, request, notes)
    add_sampling(
        {name: attempt.body[name] for name in _SAMPLING if attempt.body.get(name) is not None},
        request,
        target.quirks,
        notes,
    )
    _adapt_privacy(request, target)
    return Translation(request, notes.all)


def with_headers(attempt: Attempt) -> Attempt:
    """Give the attempt with the headers that belong to the client's request: the betas it takes part in."""
    native = attempt.call.native
    given = native.headers.get("anthropic-beta") if native is not None and native.dialect == _DIALECT else None
    if not given:
        return attempt
    target = attempt.target
    own = {name.lower(): value for name, value in target.headers.items()}
    betas = ",".join(dict.fromkeys([*filter(None, own.get("anthropic-beta", "").split(",")), *given.split(",")]))
    return replace(attempt, target=replace(target, headers={**own, "anthropic-beta": betas}))


def _messages(messages: Any, beginning: str, notes: Notes) -> list[Any]:
    """Give the messages without thoughts that another vendor's model had, and with the beginning of the answer."""
    kept = [_signed(message, notes) for message in messages]
    kept = [message for message in kept if message["content"] != []]
    text = beginning.rstrip()
    if not text:
        return kept
    block = {"type": "text", "text": text}
    last = kept[-1] if kept else {}
    if last.get("role") != "assistant":
        return [*kept, {"role": "assistant", "content": [block]}]
    content = last["content"]
    before = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [*kept[:-1], {**last, "content": [*before, block]}]


def _signed(message: Mapping[str, Any], notes: Notes) -> Mapping[str, Any]:
    content = message["content"]
    if not isinstance(content, list) or all(block["type"] != "thinking" or block.get("signature") for block in content):
        return message
    notes.left_out("a thinking block without its signature", "Anthropic refuses it")
    return {**message, "content": [b for b in content if b["type"] != "thinking" or b.get("signature")]}


def _adapt_tools(request: dict[str, Any], target: Target, notes: Notes) -> None:
    choice = request.get("tool_choice")
    if choice is None:
        request.pop("tool_choice", None)
    else:
        request["tool_choice"] = unforced(choice, target.quirks, notes)
    tools = request.get("tools") or ()
    if any(tool.get("strict") for tool in tools) and not is_strict_taken(target.quirks, notes):
        request["tools"] = [{name: value for name, value in tool.items() if name != "strict"} for tool in tools]


def _adapt_effort(request: dict[str, Any], target: Target, notes: Notes) -> None:
    config = request.pop("output_config", None)
    if config is None:
        return
    effort = config.get("effort")
    config = {name: value for name, value in config.items() if name != "effort"}
    if effort is not None and not target.quirks.isdisjoint(("no_effort", "no_thinking")):
        notes.left_out("output_config.effort", "the model does not take it")
    elif effort is not None:
        config["effort"] = effort_taken(effort, target.quirks, notes)
    if config:
        request["output_config"] = config


def _add_defaults(attempt: Attempt, request: dict[str, Any], notes: Notes) -> None:
    """Put in what the file has for parameters of which the caller said nothing."""
    call, body = attempt.call.body, attempt.body
    messages = body["messages"]
    if messages is not call["messages"] and len(messages) > len(call["messages"]):
        request["system"] = messages[0]["content"]
    added = {name: value for name, value in body.items() if name not in _HANDLED and call.get(name) is None}
    if not added:
        return
    stub = {"messages": [{"role": "user", "content": "."}], "max_tokens": request["max_tokens"]}
    translated = translate({**added, **stub}, attempt.target.quirks)
    for note in translated.notes:
        notes.add(note)
    for name, value in translated.body.items():
        if name not in ("model", "messages", "max_tokens") and request.get(name) is None:
            request[name] = value


def _adapt_privacy(request: dict[str, Any], target: Target) -> None:
    if target.privacy != "public":
        leave_out_kept(request)
    metadata = request.get("metadata")
    if isinstance(metadata, dict) and _OURS in metadata:
        request["metadata"] = {name: value for name, value in metadata.items() if name != _OURS}
