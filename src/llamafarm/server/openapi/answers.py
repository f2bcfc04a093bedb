"""What answers hold: the types that are kept to elsewhere, and those that are written by hand, here."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from llamafarm.server.formats.openai import embeddings, images, schema

__all__ = ["ANSWERS"]


class OpenAIErrorBody(Struct):
    """What went wrong, in OpenAI's words."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(Struct):
    """An error as OpenAI's clients expect it."""

    error: OpenAIErrorBody


class AnthropicErrorBody(Struct):
    """What went wrong, in Anthropic's words."""

    type: str
    message: str


class AnthropicError(Struct):
    """An error as Anthropic's clients expect it."""

    type: Literal["error"]
    error: AnthropicErrorBody
    request_id: str


class EmbeddingRow(Struct):
    """A vector."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str
    """Numbers; or base64 of little-endian 32-bit floats."""


class EmbeddingList(Struct):
    """Vectors, in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[EmbeddingRow]
    usage: embeddings.Counts


class OpenAIModel(Struct):
    """A name that `model` can be."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModelList(Struct):
    """Every such name."""

    object: Literal["list"]
    data: list[OpenAIModel]


class AnthropicModel(Struct):
    """A name that `model` can be."""

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    max_input_tokens: int | None = None
    max_tokens: int | None = None


class AnthropicModelList(Struct):
    """A page of such names."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class MessageUsage(Struct):
    """What a message took, in tokens."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class Block(Struct):
    """A block of a message: `text`, `tool_use`, `thinking`, `redacted_thinking`, or one of the vendor's own."""

    type: str
    text: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    input: dict[str, Any] | UnsetType = UNSET
    thinking: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    data: str | UnsetType = UNSET


class Message(Struct):
    """A whole message."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Block]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class TokenCount(Struct):
    """How long a prompt is."""

    input_tokens: int


class ResponsePart(Struct):
    """A part of what the model says."""

    type: Literal["output_text"]
    text: str
    annotations: list[dict[str, Any]]
    logprobs: list[dict[str, Any]]


class ResponseSummary(Struct):
    """A part of what the model thought."""

    type: Literal["summary_text"]
    text: str


ItemStatus = Literal["in_progress", "completed", "incomplete"]


class ResponseMessage(Struct, tag_field="type", tag="message"):
    """What the model says."""

    id: str
    role: Literal["assistant"]
    status: ItemStatus
    content: list[ResponsePart]


class ResponseReasoning(Struct, tag_field="type", tag="reasoning"):
    """What the model thought."""

    id: str
    status: ItemStatus
    summary: list[ResponseSummary]
    encrypted_content: str | UnsetType = UNSET


class ResponseFunctionCall(Struct, tag_field="type", tag="function_call"):
    """A call of a function."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


class ResponseCustomCall(Struct, tag_field="type", tag="custom_tool_call"):
    """A call of a tool that takes a text."""

    id: str
    call_id: str
    name: str
    input: str


class ResponseUsage(Struct):
    """What a response took, in tokens."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class Response(Struct, kw_only=True):
    """A response, with the fields of its request repeated."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    model: str
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    output: list[ResponseMessage | ResponseReasoning | ResponseFunctionCall | ResponseCustomCall]
    error: dict[str, Any] | None
    incomplete_details: dict[str, str] | None
    usage: ResponseUsage | UnsetType = UNSET
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    previous_response_id: None
    background: Literal[False]
    store: Literal[False]
    truncation: Literal["disabled"]
    temperature: float | None
    top_p: float | None
    top_logprobs: int
    presence_penalty: float
    frequency_penalty: float
    reasoning: dict[str, Any]
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    service_tier: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None
    user: str | UnsetType = UNSET


class Probe(Struct):
    """The answer to a probe."""

    status: Literal["alive", "ready", "draining"]


class TargetStatus(Struct):
    """How a target fares."""

    name: str
    provider: str
    model: str
    eligible: bool
    reasons: list[str]
    available: bool
    in_flight: int
    latency_ms: float | None


class StrategyStatus(Struct):
    """The targets of a strategy."""

    name: str
    targets: list[TargetStatus]


class Status(Struct):
    """What is served, and how it fares."""

    program: str
    pid: int
    ready: bool
    uptime_seconds: int
    file: str | None
    version: str | None
    generation: int
    last_reload_error: str | None
    requests_in_flight: int
    requests_answered: int
    tasks: int
    strategies: list[StrategyStatus]


class Reloaded(Struct):
    """What came of a reload."""

    generation: int
    version: str | None
    changed: bool
    strategies: list[str]


_NAMED: dict[str, type[Struct]] = {
    "ChatCompletion": schema.Whole,
    "ChatCompletionChunk": schema.Event,
    "Completion": schema.TextWhole,
    "CompletionChunk": schema.TextEvent,
    "ImageList": images.Answer,
}
"""Types that go by another name in the document, for what it is called in OpenAI's."""
_OWN = (
    OpenAIError, AnthropicError, EmbeddingList, OpenAIModel, OpenAIModelList, AnthropicModel, AnthropicModelList,
    Message, TokenCount, Response, Probe, Status, Reloaded,
)  # fmt: skip
_PREFIX = "#/components/schemas/"


def _components() -> dict[str, Any]:
    """Give the schema of every answer, by its name in the document."""
    groups = [({name: kind}, f"{name}_") for name, kind in _NAMED.items()]
    groups.append(({kind.__name__: kind for kind in _OWN}, ""))
    found: dict[str, Any] = {}
    for kinds, prefix in groups:
        names = {kind.__name__: name for name, kind in kinds.items()}
        _, parts = msgspec.json.schema_components(kinds.values(), ref_template=_PREFIX + "{name}")
        renamed = {part: names.get(part, prefix + part) for part in parts}
        found |= {renamed[part]: _renamed(shape, renamed) for part, shape in parts.items()}
    return found


def _renamed(shape: Any, names: dict[str, str]) -> Any:
    """Give a schema with its references by other names, and without what only repeats them."""
    if isinstance(shape, list):
        return [_renamed(each, names) for each in shape]
    if isinstance(shape, str) and shape.startswith(_PREFIX):
        return _PREFIX + names[shape.removeprefix(_PREFIX)]
    if not isinstance(shape, dict):
        return shape
    kept = {
        key: _renamed(value, names) for key, value in shape.items() if key not in ("properties", "title", "default")
    }
    if "properties" in shape:
        kept["properties"] = {name: _renamed(value, names) for name, value in shape["properties"].items()}
    return kept


ANSWERS: dict[str, Any] = _components()
