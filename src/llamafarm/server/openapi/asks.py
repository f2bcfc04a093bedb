"""What requests in OpenAI's formats may hold: what is looked at here, and what is the target's business.

Fields of which nothing is said pass: every request is an object that may hold more.
"""

from __future__ import annotations

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

__all__ = ["MODEL", "OPENAI_ASKS", "metadata"]

MODEL = text(
    "The name of a strategy, of a target, a model or an alias in one, or `strategy/target`. Without it the first"
    " strategy is meant.",
    examples=["local_development"],
)


def metadata(said: str = "") -> Schema:
    """Describe metadata, whose tags are for rules."""
    tags = one_of(text(), listed(text()), {"type": "null"}, said="For the conditions of rules; not sent to a target.")
    return mapping(said or "Labels. `tags` are for rules; the rest goes to the target.", tags=tags)


_STREAM = switch("Whether the answer comes as server-sent events.")
_STREAM_OPTIONS = mapping(
    "Of a streamed answer.",
    **optional({
        "include_usage": switch("A last event with the usage."),
        "include_obfuscation": switch("Padding against those who measure traffic."),
    }),
)  # fmt: skip
_COMMON = {
    "model": MODEL,
    "metadata": metadata(),
    "user": text("Stands for an end user at the vendor. A private strategy does not send it."),
}
_SAMPLING = {
    "temperature": number(0, 2, "How freely the next token is drawn."),
    "top_p": number(0, 1, "Draws only from the most likely tokens that together have this share."),
    "frequency_penalty": number(-2, 2, "Against tokens by how often they have come."),
    "presence_penalty": number(-2, 2, "Against tokens that have come at all."),
    "seed": whole("For the same draw again, as far as the target can."),
    "stop": one_of(text(), listed(text()), said="Texts at which the answer ends."),
    "logit_bias": mapping("Tokens by number, and what is added to their likelihood."),
    "n": whole("How many answers.", least=1),
    "max_tokens": whole("The longest answer, in tokens.", least=1),
    "stream": _STREAM,
    "stream_options": _STREAM_OPTIONS,
}
_FUNCTION = mapping(
    "A function that the model may have called.",
    name=targets(text()),
    description=targets(text()),
    parameters=targets(mapping("JSON Schema of its arguments.")),
    strict=targets({"type": ["boolean", "null"]}),
)
_PARTS = one_of(
    mapping(required=("type", "text"), type=words("text"), text=text()),
    mapping(
        required=("type", "image_url"),
        type=words("image_url"),
        image_url=one_of(
            mapping(
                required=("url",),
                url=text("An address, or `data:` with the picture in base64.", minLength=1),
                detail=targets(words("auto", "low", "high")),
            ),
            text(minLength=1),
        ),
    ),
    {
        **mapping("`input_audio`, `file`, or what else the target takes.", required=("type",)),
        "properties": {"type": {"type": "string", "not": {"enum": ["text", "image_url"]}}},
    },
)
_MESSAGE = mapping(
    required=("role",),
    role=targets(words("system", "developer", "user", "assistant", "tool", "function")),
    content={**one_of(text(), listed(_PARTS), {"type": "null"}), "description": "A text, or parts: text, pictures."},
    tool_calls=one_of(listed(mapping()), {"type": "null"}, said="Of the assistant: the calls it made."),
    tool_call_id=targets(text("Of a tool: which call this is the result of.")),
    name=targets(text()),
)
_CHAT = mapping(
    "OpenAI's chat completion request.",
    required=("messages",),
    messages=listed(_MESSAGE, "The conversation so far.", least=1),
    **optional({
        **_COMMON,
        **_SAMPLING,
        "max_completion_tokens": whole("The longest answer with the reasoning, in tokens.", least=1),
        "tools": listed(mapping(function=targets(_FUNCTION), type=targets(words("function", "custom")))),
        "tool_choice": one_of(text(), mapping(), said="`none`, `auto`, `required`, or the tool to call."),
        "parallel_tool_calls": switch("Whether one answer may hold several calls."),
        "functions": listed(mapping(), "The deprecated form of `tools`."),
        "function_call": targets(one_of(text(), mapping(), said="The deprecated form of `tool_choice`.")),
        "response_format": mapping(
            "`text`, `json_object`, or `json_schema` with a schema.",
            required=("type",),
            type=text(),
            json_schema=targets(mapping(name=text(), schema=mapping(), strict={"type": ["boolean", "null"]})),
        ),
        "reasoning_effort": text("`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`."),
        "verbosity": targets(words("low", "medium", "high")),
        "logprobs": targets(switch("Whether tokens come with their likelihoods.")),
        "top_logprobs": whole("Of how many tokens at each place.", least=0),
        "modalities": targets(listed(text())),
        "audio": targets(mapping()),
        "prediction": targets(mapping()),
        "web_search_options": targets(mapping()),
        "service_tier": targets(text()),
        "store": targets(switch("A private strategy does not send it.")),
        "safety_identifier": targets(text()),
        "prompt_cache_key": targets(text()),
    }),
)  # fmt: skip
_PROMPT = one_of(
    text(),
    listed(text(), least=1),
    listed(whole(), least=1),
    listed(listed(whole(), least=1), least=1),
    said="A text, a list of texts, or tokens by number.",
)
_COMPLETION = mapping(
    "OpenAI's legacy completion request.",
    required=("prompt",),
    prompt=_PROMPT,
    **optional({
        **_COMMON,
        **_SAMPLING,
        "suffix": text("What follows the gap: a code model fills it in."),
        "best_of": whole("Of how many answers the best are given.", least=1),
        "echo": targets(switch("Whether the prompt comes back in front of the answer.")),
        "logprobs": targets(whole("Of how many tokens at each place there are likelihoods.", least=0)),
    }),
)  # fmt: skip
_EMBEDDING = mapping(
    "OpenAI's embedding request.",
    required=("input",),
    input=_PROMPT,
    **optional({
        **_COMMON,
        "encoding_format": words("float", "base64", said="`base64`: of little-endian 32-bit floats."),
        "dimensions": whole("How long a vector is; not every model can.", least=1),
    }),
)  # fmt: skip
_IMAGE = mapping(
    "OpenAI's image request.",
    required=("prompt",),
    prompt=text(),
    **optional({
        **_COMMON,
        "n": whole("How many pictures.", least=1),
        "size": text("`1024x1024`, or what the model can."),
        "quality": text(),
        "background": targets(words("transparent", "opaque", "auto")),
        "output_format": targets(words("png", "webp", "jpeg")),
        "output_compression": targets(whole(least=0, most=100)),
        "response_format": targets(words("url", "b64_json")),
        "moderation": targets(text()),
        "style": targets(text()),
        "stream": switch("Each picture comes as an event when all are there; `partial_images` has no effect."),
    }),
)  # fmt: skip
OPENAI_ASKS: dict[str, Schema] = {
    "ChatCompletionRequest": _CHAT,
    "CompletionRequest": _COMPLETION,
    "EmbeddingRequest": _EMBEDDING,
    "ImageRequest": _IMAGE,
}
