"""Says in OpenAI's words what a request says in Anthropic's or Ollama's, for a target that does not know those.

So a request falls over from one vendor to another. What both can say is translated; what only marks or tunes is left
out with a note; what was asked for and nobody but Anthropic does (a tool that the vendor runs, an MCP server, a
container, a file by its id) is refused, so that the next target is tried. What a target takes as it is stands in a set
of words: names of fields, and

``anthropic``   all that is Anthropic's
``custom``      OpenAI's newer words: tools without a JSON schema, a choice of those that are allowed
``efforts``     any `reasoning_effort`, or it translates them itself
``none``        `reasoning_effort: none` switches its reasoning off
``pictures``    pictures may stand in the results of tools
``unknown``     nothing is known of what it takes: only what has the same meaning in OpenAI's words is translated

A client that wrote in another format than OpenAI's did not choose its words for the target: of its fields, blocks and
tools nothing goes out but what OpenAI's format is known to have, to a target of which nothing is known, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.errors import UntranslatableError
from llamafarm.providers.anthropic.thinking import effort_of
from llamafarm.providers.plain_messages import plain_messages
from llamafarm.providers.plain_tools import say_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from llamafarm.types import Attempt

    Body = dict[str, Any]
    Note = Callable[[str], None]

__all__ = ["ONLY_ANTHROPIC", "UNKNOWN", "plain", "plain_body"]

UNKNOWN = frozenset({"custom", "unknown"})
"""What is taken by a target that nobody knows: what the caller says to it is between the two."""
_DONE_BY_ANTHROPIC = ("container", "mcp_servers")
_MARKS = ("cache_control", "context_management", "diagnostics", "speed", "user_profile_id")
ONLY_ANTHROPIC = (*_DONE_BY_ANTHROPIC, *_MARKS, "inference_geo")
"""Fields of a request that only Anthropic has, in no other words."""
_EVERYWHERE = "global"
_KNOWN = frozenset(
    (
        "frequency_penalty",
        "logit_bias",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "min_p",
        "model",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "repetition_penalty",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user",
        "verbosity",
    )
)
"""What a client can mean by a field of that name in whatever format it writes. What its vendor comes up with next is
not among it: an agent's request must not fail elsewhere on it."""
_BY_OTHER_NAMES: Mapping[str, str] = {"num_predict": "max_tokens"}
_OPTIONS = ("temperature", "top_p", "top_k", "min_p", "seed", "stop", "frequency_penalty", "presence_penalty")
"""Of Ollama's `options`, those that others have as a field of that name."""
_EFFORTS = {"xhigh": "high", "max": "high"}
"""Efforts that few know, and the nearest that all know who reason."""


def plain_body(attempt: Attempt, takes: frozenset[str], who: object, *, reasons: bool = True) -> Body:
    """Give an attempt's body as `plain` does, and note on it what is left out.

    `who` is named in what is raised: `UntranslatableError`, for what only Anthropic does.
    """
    call, model, notes = attempt.call, attempt.target.model, attempt.notes
    foreign = call.native is not None and call.native.dialect != attempt.target.dialect

    def note(sentence: str) -> None:
        told = sentence.replace("{model}", model)
        if told not in notes:
            notes.append(told)

    try:
        return plain(attempt.body, takes, note, reasons=reasons, foreign=call.body.keys() if foreign else ())
    except UntranslatableError as error:
        raise UntranslatableError(f"{who}: {error}; a target of Anthropic's may take it") from None


def plain(
    body: Mapping[str, Any],
    takes: frozenset[str],
    note: Note,
    *,
    reasons: bool = True,
    foreign: Collection[str] = (),
) -> Body:
    """Give the body in OpenAI's words, but for what the target takes as it is.

    `reasons`: whether the model may be told how hard to think. `foreign`: the fields of a client that wrote in another
    format than OpenAI's. Raises `UntranslatableError` for what nobody but Anthropic does.
    """
    result = dict(body)
    if foreign:
        takes -= {"unknown"}
    if "anthropic" not in takes:
        _say_stop(result)
        say_tools(result, takes, note, closed=bool(foreign))
    if "unknown" in takes:
        return result
    _say_format(result, takes)
    _say_effort(result, takes, note, reasons=reasons, is_read="reasoning_effort" in foreign)
    _say_options(result, takes, note)
    if "keep_alive" not in takes and result.pop("keep_alive", None) is not None:
        note("keep_alive left out: only Ollama has it")
    if "anthropic" in takes:
        return result
    if isinstance(result.get("messages"), list | tuple):
        result["messages"] = plain_messages(result["messages"], takes, note, closed=bool(foreign))
    _leave_out(result, takes, note)
    for name in (name for name in foreign if name not in _KNOWN and name not in takes):
        if result.pop(name, None):
            note(f"{' '.join(name[:40].split())} left out: it is none of OpenAI's")
    return result


def _leave_out(body: Body, takes: frozenset[str], note: Note) -> None:
    for name in _DONE_BY_ANTHROPIC:
        if name not in takes and body.pop(name, None):
            raise UntranslatableError(f"{name} is of Anthropic's own")
    place = body.pop("inference_geo", None) if "inference_geo" not in takes else None
    if place not in (None, _EVERYWHERE):  # where it must be answered, nobody else can be told
        raise UntranslatableError(f"inference_geo {str(place)[:20]} is of Anthropic's own")
    for name in _MARKS:
        if name not in takes and body.pop(name, None):
            note(f"{name} left out: only Anthropic has it")
    if body.get("service_tier") == "standard_only":
        del body["service_tier"]
        note("service_tier standard_only left out: only Anthropic has it")


def _say_stop(body: Body) -> None:
    sequences = body.pop("stop_sequences", None)
    if sequences:
        given = body.get("stop") or []
        body["stop"] = [*([given] if isinstance(given, str) else given), *sequences]


def _say_format(body: Body, takes: frozenset[str]) -> None:
    config: Any = None if "anthropic" in takes else body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else None
    if isinstance(form, dict) and form.get("type") == "json_schema" and body.get("response_format") is None:
        described = {"name": "answer", "schema": form.get("schema")}
        body["response_format"] = {"type": "json_schema", "json_schema": described}


def _say_effort(body: Body, takes: frozenset[str], note: Note, *, reasons: bool, is_read: bool) -> None:
    """Turn Anthropic's `thinking` and `output_config`, and Ollama's `think`, into `reasoning_effort`.

    `is_read`: who read the client's request has put that into `reasoning_effort` already.
    """
    own = takes | {"thinking", "output_config"} if "anthropic" in takes else takes
    given = {
        name: body.pop(name) for name in ("output_config", "thinking", "think") if name in body and name not in own
    }
    config, think = given.get("output_config"), given.get("think")
    named = config.get("effort") if isinstance(config, dict) else None
    if "thinking" in takes and isinstance(body.get("thinking"), dict):
        body["thinking"] = _switch(body["thinking"])
    asked = [name for name in ("thinking", "think") if given.get(name) is not None]
    asked += ["effort of output_config"] if named else []
    effort = effort_of(given.get("thinking"), named)
    if think is not None:
        effort = think if isinstance(think, str) else named or "medium" if think else "none"
    if is_read:
        asked, effort = ["effort"], body.pop("reasoning_effort", None)
    if not asked or not isinstance(effort, str) or body.get("reasoning_effort") is not None:
        return
    if "thinking" in takes and (is_read or think is not None):
        body.setdefault("thinking", {"type": "disabled" if effort == "none" else "enabled"})
        return
    names, said = " and ".join(asked), effort if "efforts" in takes else _EFFORTS.get(effort, effort)
    if not reasons:
        if effort != "none":
            note(f"{names} left out: {{model}} does not reason")
    elif effort == "none" and "none" not in takes:
        note(f"{names} left out: {{model}} has no switch for it")
    else:
        body["reasoning_effort"] = said
        if not is_read or said != effort:
            note(f"{names} sent as reasoning_effort {said}")


def _switch(thinking: Mapping[str, Any]) -> Body:
    """Give a `thinking` as those other than Anthropic have it: on or off."""
    kept = {name: value for name, value in thinking.items() if name not in ("budget_tokens", "display")}
    return {**kept, "type": "enabled"} if thinking.get("type") == "adaptive" else kept


def _say_options(body: Body, takes: frozenset[str], note: Note) -> None:
    options = None if "options" in takes else body.pop("options", None)
    if not isinstance(options, dict):
        return
    left = []
    for option, value in options.items():
        name = _BY_OTHER_NAMES.get(option, option)
        if name != option and any(body.get(limit) is not None for limit in ("max_tokens", "max_completion_tokens")):
            continue
        if name != option or name in _OPTIONS:
            if body.get(name) is None and not (name != option and isinstance(value, int) and value < 0):
                body[name] = value
        else:
            left.append(str(option)[:40])
    if left:
        note(f"{', '.join(left)} of options left out: only Ollama has it")
