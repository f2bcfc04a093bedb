"""Fills in what an answer in OpenAI's format lacks of OpenAI's schema, and leaves all else as its source wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from llamafarm.providers.finishing import finish_of
from llamafarm.server.formats.openai.schema import (
    FINISH_REASONS,
    ChatFrame,
    ContentLogprobs,
    Counts,
    Delta,
    Logprobs,
    Message,
    TextLogprobs,
    fits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llamafarm.server.formats.openai.schema import TokenLogprob

__all__ = [
    "Identity",
    "as_count",
    "identity_of",
    "mend",
    "mended_event_choice",
    "mended_text_choice",
    "mended_whole_choice",
]

Fields = dict[str, Any]
"""An object of which only the names are decoded, so that what is not looked at keeps its bytes."""

_fields = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)
_count = msgspec.json.Decoder(int)


def _decoder_of(struct: type[msgspec.Struct], name: str) -> msgspec.json.Decoder[Any]:
    kinds = {field.name: field.type for field in msgspec.structs.fields(struct)}
    return msgspec.json.Decoder(kinds[name])


_FRAME = {
    "usage": msgspec.json.Decoder(Counts | None),
    **{name: _decoder_of(ChatFrame, name) for name in ("system_fingerprint", "service_tier", "obfuscation")},
}
"""What need not be there, but has to be of its kind: a misfit is left out."""
_role = _decoder_of(Delta, "role")
_MESSAGE = {name: _decoder_of(Message, name) for name in ("annotations", "audio", "refusal")}
_NULL = Raw(b"null")
_logprobs = msgspec.json.Decoder(Logprobs | None)
_chat_logprobs = msgspec.json.Decoder(ContentLogprobs)
_text_logprobs = msgspec.json.Decoder(TextLogprobs | None)


@dataclass(frozen=True, slots=True)
class Identity:
    """What all events of an answer have in common."""

    id: str
    created: int
    """Unix seconds."""
    model: str


def identity_of(raw: bytes, own: Identity) -> Identity:
    """Read it from an answer or its first event; what is not there, or is empty, is our own."""
    try:
        fields = _fields.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return own
    return Identity(
        _read(fields.get("id"), _text) or own.id,
        _read(fields.get("created"), _count) or own.created,
        _read(fields.get("model"), _text) or own.model,
    )


def as_count(raw: Raw | None, otherwise: int) -> int:
    """Read a number of a field; another where there is none."""
    count = _read(raw, _count)
    return otherwise if count is None else count


def mend(raw: bytes, kind: str, identity: Identity, choice: Callable[[int, Fields], Fields]) -> Fields | None:
    """Fill in an answer or an event, each choice by `choice`; None where it is no JSON object with choices.

    What cannot be filled in is left, so whoever needs the schema kept judges the outcome.
    """
    try:
        fields: Fields = dict(_fields.decode(raw))
        given = None if _is_null(fields.get("choices")) else _list.decode(fields["choices"])
        each = enumerate(map(_fields.decode, given or ()))
        choices = [choice(place, dict(one)) for place, one in each]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    _drop_misfits(fields, _FRAME)
    if given is None and _is_null(fields.get("usage")):
        return None
    fields |= {"id": identity.id, "object": kind, "created": identity.created, "model": identity.model}
    fields["choices"] = choices
    return fields


def mended_event_choice(place: int, choice: Fields) -> Fields:
    """Fill in a choice of a streamed chat completion's event."""
    delta = _object(choice.get("delta"))
    if "role" in delta and not fits(delta["role"], _role):
        delta["role"] = "assistant"
    _drop_misfits(delta, {"refusal": _MESSAGE["refusal"]})
    if not _is_null(delta.get("tool_calls")):
        delta["tool_calls"] = [_tool(at, one, whole=False) for at, one in enumerate(_items(delta["tool_calls"]))]
    choice["delta"] = delta
    _fill_in(place, choice, _logprobs, ended=False)
    return choice


def mended_whole_choice(place: int, choice: Fields) -> Fields:
    """Fill in a choice of a whole chat completion."""
    message = _object(choice.get("message"))
    _drop_misfits(message, _MESSAGE)
    for name in ("content", "refusal"):
        message.setdefault(name, None)
    message["role"] = "assistant"
    if not _is_null(message.get("tool_calls")):
        message["tool_calls"] = [_tool(at, one, whole=True) for at, one in enumerate(_items(message["tool_calls"]))]
    choice["message"] = message
    _fill_in(place, choice, _logprobs, ended=True)
    return choice


def mended_text_choice(place: int, choice: Fields, *, ended: bool, offset: int = 0) -> Fields:
    """Fill in a choice of a legacy completion; `ended` says that it is the whole one.

    `offset` is how many characters of its text came before.
    """
    given = choice.get("logprobs", _NULL)
    if fits(given, _chat_logprobs):
        choice["logprobs"] = Raw(msgspec.json.encode(_as_legacy(_chat_logprobs.decode(given).content, offset)))
    _fill_in(place, choice, _text_logprobs, ended=ended)
    if choice.get("finish_reason") in ("tool_calls", "function_call"):
        choice["finish_reason"] = "stop"
    return choice


def _as_legacy(tokens: Sequence[TokenLogprob], offset: int) -> TextLogprobs:
    ends = list(accumulate((len(token.token) for token in tokens), initial=offset))
    return TextLogprobs(
        text_offset=ends[:-1],
        token_logprobs=[token.logprob for token in tokens],
        tokens=[token.token for token in tokens],
        top_logprobs=[{other.token: other.logprob for other in token.top_logprobs} for token in tokens],
    )


def _fill_in(place: int, choice: Fields, logprobs: msgspec.json.Decoder[Any], *, ended: bool) -> None:
    if not fits(choice.get("index", _NULL), _count):
        choice["index"] = place
    reason = _read(choice.get("finish_reason"), _text)
    if reason:
        known = finish_of(reason)
        choice["finish_reason"] = known if known in FINISH_REASONS else "stop"
    else:
        choice["finish_reason"] = "stop" if ended else None
    if not fits(choice.setdefault("logprobs", _NULL), logprobs):
        choice["logprobs"] = _mended_logprobs(choice["logprobs"], logprobs)


def _mended_logprobs(raw: Raw, logprobs: msgspec.json.Decoder[Any]) -> Any:
    """Fill in what many servers leave out of each token: its bytes, and the others that were likely."""
    try:
        given = msgspec.json.decode(raw)
        for token in given["content"]:
            token.setdefault("bytes", None)
            token["top_logprobs"] = token.get("top_logprobs") or []
            for other in token["top_logprobs"]:
                other.setdefault("bytes", None)
        return given if fits(msgspec.json.encode(given), logprobs) else None
    except (AttributeError, KeyError, TypeError, msgspec.MsgspecError):
        return None


def _tool(place: int, raw: Raw, *, whole: bool) -> Fields:
    """Fill in a tool call, or a piece of one: some servers leave out its index, or give its arguments as an object."""
    call = _object(raw)
    if not whole and not fits(call.get("index", _NULL), _count):
        call["index"] = place
    if not _is_null(call.get("custom")):
        return {**call, "type": "custom"} if whole else call
    if whole or not _is_null(call.get("type")):
        call["type"] = "function"
    if whole and not _read(call.get("id"), _text):
        call["id"] = f"call_{place}"
    function = _object(call.get("function"))
    arguments = function.get("arguments")
    if whole and _is_null(arguments):
        function["arguments"] = ""
    elif arguments is not None and bytes(arguments).startswith((b"{", b"[")):
        function["arguments"] = bytes(arguments).decode("utf-8", "replace")
    if function:
        call["function"] = function
    return call


def _is_null(raw: Raw | None) -> bool:
    return raw is None or bytes(raw) == b"null"


def _object(raw: Raw | None) -> Fields:
    try:
        return dict(_fields.decode(raw)) if raw is not None else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _items(raw: Raw) -> list[Raw]:
    try:
        return _list.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def _read(raw: Raw | None, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(raw) if raw is not None else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _drop_misfits(fields: Fields, kinds: Mapping[str, msgspec.json.Decoder[Any]]) -> None:
    for name, decoder in kinds.items():
        if name in fields and not fits(fields[name], decoder):
            del fields[name]
