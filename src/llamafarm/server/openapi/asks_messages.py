"""What requests in the format of Anthropic's Messages may hold; fields of which nothing is said pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.server.openapi.asks import metadata
from llamafarm.server.openapi.shapes import (
    Schema,
    anything,
    listed,
    mapping,
    number,
    one_of,
    optional,
    switch,
    targets,
    text,
    whole,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ANTHROPIC_ASKS"]

_OWN = "Of the vendor's own; for targets that speak Anthropic's format only."


def _typed(kind: str, *, required: Iterable[str] = (), **properties: Schema) -> Schema:
    """Describe a block of this type."""
    return mapping(required=("type", *required), type=words(kind), **properties)


def _other(*known: str, said: str = _OWN) -> Schema:
    """Describe a block of any type but these; `said` of those that no other dialect has a word for."""
    shape = {**mapping(said, required=("type",)), "properties": {"type": {"type": "string", "not": {"enum": [*known]}}}}
    return {**shape, "x-llamafarm-only": "anthropic"} if said == _OWN else shape


_MARK: dict[str, Any] = {"cache_control": targets(mapping("Where the vendor's cache of the prompt may end."))}
_INLINE = _typed("base64", required=("media_type", "data"), media_type=text(), data=text())
_TEXT = _typed("text", required=("text",), text=text(), **_MARK)
_IMAGE = _typed(
    "image",
    required=("source",),
    source=one_of(
        _INLINE,
        _typed("url", required=("url",), url=text()),
        _other("base64", "url"),
    ),
    **_MARK,
)
_DOCUMENT = _typed(
    "document",
    required=("source",),
    source=one_of(
        _typed("base64", required=("media_type", "data"), media_type=targets(words("application/pdf")), data=text()),
        _other("base64"),
    ),
    title=targets(text()),
    **_MARK,
)
_LOOKED_AT = ("text", "image", "document")
_CONTENT = one_of(text(), listed(one_of(_TEXT, _IMAGE, _DOCUMENT, _other(*_LOOKED_AT))))
_RESULT = _typed(
    "tool_result",
    required=("tool_use_id",),
    tool_use_id=text(),
    content=one_of(*_CONTENT["anyOf"], {"type": "null"}),
    is_error={"type": ["boolean", "null"]},
    **_MARK,
)
_CALL = _typed("tool_use", required=("id", "name", "input"), id=text(), name=text(), input=mapping(), **_MARK)
_THOUGHT = _typed("thinking", required=("thinking",), thinking=text(), signature=targets(text()))
_HIDDEN = _typed("redacted_thinking", required=("data",), data=text())
_ASKED = one_of(_TEXT, _IMAGE, _DOCUMENT, _RESULT, _other(*_LOOKED_AT, "tool_result"))
_ANSWERED = one_of(
    _TEXT,
    _IMAGE,
    _DOCUMENT,
    _CALL,
    _THOUGHT,
    _HIDDEN,
    _other(*_LOOKED_AT, "tool_use", "thinking", "redacted_thinking"),
)
_MESSAGE = one_of(
    mapping(required=("role", "content"), role=words("user", "system"), content=one_of(text(), listed(_ASKED))),
    mapping(required=("role", "content"), role=words("assistant"), content=one_of(text(), listed(_ANSWERED))),
)
_SYSTEM = one_of(text(), listed(_TEXT), {"type": "null"}, said="The system prompt.")
_TOOL = one_of(
    mapping(
        "A tool of the client's.",
        required=("name", "input_schema"),
        name=text(),
        input_schema=mapping("JSON Schema of its input."),
        **optional({"type": words("custom"), "description": text(), "strict": switch()}),
        **_MARK,
    ),
    _other("custom"),
)
_CHOICE = one_of(
    mapping(
        required=("type",),
        type=words("auto", "any", "none"),
        **optional({"disable_parallel_tool_use": switch("Whether one answer may hold one call only.")}),
    ),
    _typed("tool", required=("name",), name=text(), **optional({"disable_parallel_tool_use": switch()})),
)
_THINKING = one_of(
    _typed("enabled", required=("budget_tokens",), budget_tokens=whole()),
    _other("enabled", said="`adaptive`, `disabled`, `between_tools`."),
    said="Whether the model thinks before it answers.",
)
_FORM = _typed("json_schema", required=("schema",), schema=mapping("What the answer has to be."))
_PROMPT: dict[str, Any] = {
    "model": text(
        "The name of a strategy, of a target, a model or an alias in one, or `strategy/target`.",
        examples=["local_development"],
    ),
    "messages": listed(_MESSAGE, "The conversation so far.", least=1),
    "system": _SYSTEM,
    **optional({
        "tools": listed(_TOOL),
        "tool_choice": {**_CHOICE, "description": "Which tool is called."},
        "thinking": _THINKING,
        "output_config": mapping(
            "How much effort, and what form.", **optional({"effort": text("`low` to `max`."), "format": _FORM})
        ),
        "output_format": targets(anything("The name that `output_config.format` had before.")),
        "metadata": mapping(
            "`user_id` stands for an end user; `tags` are for the conditions of rules.",
            **optional({"user_id": text()}),
            tags=metadata()["properties"]["tags"],
        ),
    }),
}  # fmt: skip
_SAMPLING = optional(
    {
        "stop_sequences": listed(text(), "Texts at which the answer ends."),
        "temperature": number(0, 2, "How freely the next token is drawn; Anthropic's own goes to 1."),
        "top_p": number(0, 1, "Draws only from the most likely tokens that together have this share."),
        "top_k": whole("Draws only from so many of the most likely tokens."),
        "service_tier": text(),
    }
)
ANTHROPIC_ASKS: dict[str, Schema] = {
    "MessageRequest": mapping(
        "Anthropic's Messages request.",
        required=("model", "messages", "max_tokens"),
        max_tokens=whole("The longest answer, in tokens.", least=1),
        **_PROMPT,
        **_SAMPLING,
        **optional({"stream": switch("Whether the answer comes as server-sent events.")}),
    ),
    "CountTokensRequest": mapping(
        "Anthropic's request for a prompt's tokens.", required=("model", "messages"), **_PROMPT
    ),
}
