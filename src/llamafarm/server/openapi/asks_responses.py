"""What a request in the format of OpenAI's Responses may hold; fields of which nothing is said pass."""

from __future__ import annotations

from llamafarm.server.openapi.asks import MODEL, metadata
from llamafarm.server.openapi.shapes import (
    Schema,
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

__all__ = ["RESPONSES_ASKS"]

_TEXT_PART = mapping(required=("type", "text"), type=words("input_text", "output_text", "text"), text=text())
_PARTS = one_of(
    _TEXT_PART,
    mapping(
        required=("type", "image_url"),
        type=words("input_image"),
        image_url=text("An address, or `data:` with the picture in base64.", minLength=1),
        detail=targets(text()),
    ),
    mapping(required=("type", "file_data"), type=words("input_file"), file_data=text(), filename=targets(text())),
    mapping(required=("type",), type=words("input_audio"), input_audio=targets(mapping())),
)
_CONTENT = one_of(text(), listed(_PARTS))
_ITEM = one_of(
    mapping(
        required=("role", "content"),
        role=words("user", "system", "developer"),
        content=_CONTENT,
        type={"enum": ["message", None]},
    ),
    mapping(
        "An answer of before, as it was given.",
        required=("role", "content"),
        role=words("assistant"),
        content=one_of(text(), listed(_TEXT_PART)),
        type={"enum": ["message", None]},
    ),
    mapping(
        required=("type", "call_id", "name"),
        type=words("function_call"),
        call_id=text(minLength=1),
        name=text(minLength=1),
        arguments=targets(text()),
    ),
    mapping(
        required=("type", "call_id", "output"),
        type=words("function_call_output", "custom_tool_call_output"),
        call_id=text(minLength=1),
        output=_CONTENT,
    ),
    mapping(
        required=("type", "call_id", "name", "input"),
        type=words("custom_tool_call"),
        call_id=text(minLength=1),
        name=text(minLength=1),
        input=text(),
    ),
    mapping(
        "What the model thought, as it was given.",
        required=("type", "summary"),
        type=words("reasoning"),
        summary=listed(mapping(required=("text",), text=text())),
        **optional({"encrypted_content": targets(text())}),
    ),
)
_TOOL = mapping(
    "A function, or a custom tool that takes a text. Those that run at OpenAI are refused.",
    required=("type", "name"),
    type=words("function", "custom"),
    name=text(minLength=1),
    description=targets({"type": ["string", "null"]}),
    parameters=targets({"type": ["object", "null"]}),
    strict=targets({"type": ["boolean", "null"]}),
)
_FORM = one_of(
    mapping(type=words("text", "json_object")),
    mapping(required=("type", "name", "schema"), type=words("json_schema"), name=text(), schema=mapping()),
)
_VERBOSITY = words("low", "medium", "high")
_INCLUDABLE = ("reasoning.encrypted_content", "message.output_text.logprobs")
_KEEPS_NOTHING = "Refused: nothing is kept between requests."
RESPONSES_ASKS: dict[str, Schema] = {
    "ResponseRequest": mapping(
        "OpenAI's Responses request.",
        required=("input",),
        input=one_of(text(), listed(_ITEM, least=1), said="A text, or the items of the conversation so far."),
        **optional({
            "model": MODEL,
            "instructions": text("The system prompt."),
            "max_output_tokens": whole("The longest answer with the reasoning, in tokens.", least=1),
            "temperature": number(0, 2, "How freely the next token is drawn."),
            "top_p": number(0, 1, "Draws only from the most likely tokens that together have this share."),
            "tools": listed(_TOOL),
            "tool_choice": targets(one_of(text(), mapping(), said="`none`, `auto`, `required`, or the tool to call.")),
            "parallel_tool_calls": switch("Whether one answer may hold several calls."),
            "reasoning": mapping("How much effort.", **optional({"effort": text(), "summary": targets(text())})),
            "text": mapping("What form.", **optional({"format": _FORM, "verbosity": targets(_VERBOSITY)})),
            "top_logprobs": whole("Of how many tokens at each place there are likelihoods.", least=0),
            "include": listed(words(*_INCLUDABLE), "What else is told."),
            "metadata": metadata("Labels, which the answer repeats. `tags` are for the conditions of rules."),
            "stream": switch("Whether the answer comes as server-sent events."),
            "stream_options": targets(mapping("Has no effect.")),
            "store": targets(switch("Has no effect: nothing is kept.")),
            "truncation": words("auto", "disabled", said="Has no effect: nothing is left out."),
            "max_tool_calls": whole("Has no effect: no tool runs here.", least=1),
            "user": text(),
            "safety_identifier": text(),
            "prompt_cache_key": text(),
            "service_tier": targets(text()),
        }),
        previous_response_id={"enum": [None, False], "description": _KEEPS_NOTHING},
        conversation={"enum": [None, False], "description": _KEEPS_NOTHING},
        prompt={"enum": [None, False], "description": "Refused: there are no stored prompts."},
        background={"enum": [None, False], "description": "Refused: an answer is read as it comes."},
    ),
}  # fmt: skip
