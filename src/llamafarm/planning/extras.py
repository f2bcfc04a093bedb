"""Finds what a request asks for that vendors bill apart from tokens, so that no price row covers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["asked_extras"]

_FREE_FIELDS = frozenset(
    (
        "best_of",
        "chat_template_kwargs",
        "dimensions",
        "echo",
        "encoding_format",
        "frequency_penalty",
        "function_call",
        "functions",
        "grammar",
        "input",
        "json_schema",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "min_p",
        "min_tokens",
        "modalities",
        "model",
        "n",
        "output_config",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt",
        "prompt_cache_key",
        "reasoning_effort",
        "repetition_penalty",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "stop_sequences",
        "store",
        "stream",
        "stream_options",
        "suffix",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "typical_p",
        "user",
        "verbosity",
    )
)
"""Fields that cost no more than the tokens they lead to. Any other may be billed in a way no price row knows: OpenAI's
`web_search_options`, `prediction` (rejected tokens, beyond any output limit) and `audio`, routers' `models` and
`plugins`, and what a vendor comes up with next."""
_USUAL_TIERS = (None, "auto", "default")
_PARTS = frozenset(("text", "image_url", "refusal", "thinking"))
_PART_FIELDS = _PARTS | {"type", "cache_control"}
_MESSAGE_FIELDS = frozenset(
    (
        "cache_control",
        "content",
        "function_call",
        "is_error",
        "name",
        "partial",
        "prefix",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
        "role",
        "thinking_blocks",
        "tool_call_id",
        "tool_calls",
        "tool_name",
    )
)
"""Parts of a conversation that are read as the text they are; an image's tokens are bounded apart."""


def asked_extras(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the fields and parts of a request in OpenAI's format that cost something besides its tokens."""
    return tuple(dict.fromkeys(_extras(body)))


def _extras(body: Mapping[str, Any]) -> Iterator[str]:
    yield from sorted(name for name in body.keys() - _FREE_FIELDS if body[name] is not None)
    if body.get("service_tier") not in _USUAL_TIERS:
        yield "service_tier"
    yield from (f"modalities: {modality}" for modality in _list(body.get("modalities")) if modality != "text")
    for tool in _mappings(body.get("tools")):
        if tool.get("type") not in ("function", "custom"):
            yield f"the tool {tool.get('type')}"
    for message in _mappings(body.get("messages")):
        yield from (f"a message's {name}" for name in sorted(message.keys() - _MESSAGE_FIELDS, key=str))
        for part in _mappings(message.get("content")):
            if part.get("type", "text") not in _PARTS:
                yield f"{part['type']} parts"
            else:
                yield from (f"a part's {name}" for name in sorted(part.keys() - _PART_FIELDS, key=str))


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in _list(value) if isinstance(item, Mapping)]


def _list(value: Any) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, list | tuple) else ()
