"""Puts the OpenAPI document together: every route with what it takes and what comes back."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm import __version__
from llamafarm.server.openapi.answers import ANSWERS
from llamafarm.server.openapi.asks import OPENAI_ASKS
from llamafarm.server.openapi.asks_messages import ANTHROPIC_ASKS
from llamafarm.server.openapi.asks_responses import RESPONSES_ASKS
from llamafarm.server.openapi.replies import HEADERS, described, failure, failures, json_of, ok, reference

if TYPE_CHECKING:
    from llamafarm.server.formats.protocol import Dialect

__all__ = ["document"]

_EVENTS = "One server-sent event. Of a broken answer the last has the `error`."
_ID = {
    "name": "x-request-id",
    "in": "header",
    "description": "A number of your own for the request.",
    "schema": {"type": "string"},
}
_TAGS = {
    "name": "x-llamafarm-tags",
    "in": "header",
    "description": "Tags for the conditions of rules, with commas between.",
    "schema": {"type": "string"},
    "example": "urgent, eu",
}
_VERSION = {
    "name": "anthropic-version",
    "in": "header",
    "description": "Sent by Anthropic's clients; any value will do.",
    "schema": {"type": "string"},
}
_LISTED_FOR = {
    **_VERSION,
    "description": "With it the answer has Anthropic's shape; without it OpenAI's.",
}
_BETA = {
    "name": "anthropic-beta",
    "in": "header",
    "description": "Names of the vendor's betas, with commas between; for targets that speak Anthropic's format.",
    "schema": {"type": "string"},
}
_OPEN: list[dict[str, list[str]]] = []
_WITH_KEY: list[dict[str, list[str]]] = [{"bearer": []}, {"api_key": []}, {}]


def _ask(
    said: str, request: str, answer: str, *, events: str | None = None, dialect: Dialect = "openai", example: Any
) -> dict[str, Any]:
    """Describe a route that asks a model."""
    content: dict[str, Any] = json_of(answer)
    if events is not None:
        content["text/event-stream"] = {"schema": _event(events)}
    mine = [_ID, _TAGS, *([_VERSION, _BETA] if dialect == "anthropic" else [])]
    return {
        "summary": said,
        "tags": ["inference"],
        "security": _WITH_KEY,
        "parameters": mine,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": reference(request), "example": example}},
        },
        "responses": {
            "200": ok("The answer.", content, asks=True),
            **failures(dialect, body=True, asks=True),
        },
    }


def _event(data: str) -> dict[str, Any]:
    """Describe an event, which in OpenAPI 3.1 is what the schema of a stream is of; `data`: the schema of its JSON."""
    told: dict[str, Any] = {"type": "string", "contentMediaType": "application/json"}
    if data:
        told |= {"contentSchema": reference(data), "description": "JSON, or at the end `[DONE]`."}
    return {
        "type": "object",
        "description": _EVENTS,
        "properties": {"event": {"type": "string"}, "data": told},
        "required": ["data"],
    }


def _count() -> dict[str, Any]:
    asked = _ask("How long a prompt is", "CountTokensRequest", "TokenCount", dialect="anthropic", example=_MESSAGE)
    said = ok("The number of tokens.", json_of("TokenCount"), headers={"x-llamafarm-tokens": "Tokens"})
    return {**asked, "responses": {"200": said, **failures("anthropic", body=True, more=(402, 404))}}


def _look(said: str, answer: dict[str, Any], *parameters: dict[str, Any], more: tuple[int, ...] = ()) -> dict[str, Any]:
    """Describe a route that lists models."""
    return {
        "summary": said,
        "tags": ["models"],
        "security": _WITH_KEY,
        "parameters": [_ID, _LISTED_FOR, *parameters],
        "responses": {"200": ok("What there is.", answer), **failures("either", more=more)},
    }


def _operate(said: str, answer: str, *, key: bool, more: tuple[int, ...] = (), body: bool = False) -> dict[str, Any]:
    """Describe a route for operators."""
    return {
        "summary": said,
        "tags": ["operation"],
        "security": _WITH_KEY if key else _OPEN,
        "parameters": [_ID],
        "responses": {"200": ok("It is.", json_of(answer)), **failures("openai", key=key, body=body, more=more)},
    }


def _text_query(name: str, said: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": said, "schema": {"type": "string"}}


_HI = [{"role": "user", "content": "What is the capital of France?"}]
_MESSAGE = {"model": "local_development", "max_tokens": 100, "messages": _HI}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "Names to a page, in Anthropic's shape; without it all.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
}
_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "One of the names of the list; it may have slashes in it.",
    "schema": {"type": "string", "minLength": 1},
}
_ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "post": _ask(
            "OpenAI's chat", "ChatCompletionRequest", "ChatCompletion", events="ChatCompletionChunk",
            example={"messages": _HI},
        )
    },
    "/v1/completions": {
        "post": _ask(
            "OpenAI's legacy completions; with `suffix` a gap is filled", "CompletionRequest", "Completion",
            events="CompletionChunk", example={"prompt": "The capital of France is", "max_tokens": 20},
        )
    },
    "/v1/embeddings": {
        "post": _ask("Vectors for texts", "EmbeddingRequest", "EmbeddingList", example={"input": ["one", "two"]})
    },
    "/v1/images/generations": {
        "post": _ask("Pictures", "ImageRequest", "ImageList", events="", example={"prompt": "a red cat"})
    },
    "/v1/responses": {
        "post": _ask(
            "OpenAI's Responses, without a memory", "ResponseRequest", "Response", events="",
            example={"input": "What is the capital of France?"},
        )
    },
    "/v1/messages": {
        "post": _ask(
            "Anthropic's Messages", "MessageRequest", "Message", events="", dialect="anthropic", example=_MESSAGE
        )
    },
    "/v1/messages/count_tokens": {"post": _count()},
    "/v1/models": {
        "get": _look(
            "Every name that `model` can be", json_of("OpenAIModelList", "AnthropicModelList"), _LIMIT,
            _text_query("after_id", "The name behind which the page begins, in Anthropic's shape."),
            _text_query("before_id", "The name before which it ends, in Anthropic's shape."),
        )
    },
    "/v1/models/{name}": {
        "get": _look("One of them", json_of("OpenAIModel", "AnthropicModel"), _NAME, more=(404,))
    },
    "/livez": {"get": _operate("Whether the process lives", "Probe", key=False)},
    "/readyz": {"get": _operate("Whether it wants requests; while it drains the status is 503", "Probe", key=False)},
    "/openapi.json": {"get": _operate("This document", "Document", key=False)},
    "/admin/status": {"get": _operate("What is served, and how its targets fare", "Status", key=True)},
    "/admin/reload": {
        "post": _operate("Load the strategy file anew", "Reloaded", key=True, more=(422, 503), body=True)
    },
}  # fmt: skip
_ROUTES["/readyz"]["get"]["responses"]["503"] = failure(503, "Probe", "OpenAIError")


@cache
def document() -> bytes:
    """Give the document as JSON. It is the same for every gateway of this version."""
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "llamafarm",
            "version": __version__,
            "description": "A strategy file behind OpenAI's and Anthropic's APIs. Parameters marked with"
            " `x-llamafarm-judge: target` are described as their vendor has them, and are the target's business.",
        },
        "paths": _ROUTES,
        "components": {
            "schemas": {
                **OPENAI_ASKS,
                **ANTHROPIC_ASKS,
                **RESPONSES_ASKS,
                **ANSWERS,
                "Document": {"type": "object", "required": ["openapi", "info", "paths"]},
            },
            "headers": HEADERS,
            "responses": {**described("openai"), **described("anthropic"), **described("either")},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A gateway key, as OpenAI's clients send it. Needed where there are keys.",
                },
                "api_key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-api-key",
                    "description": "A gateway key, as Anthropic's clients send it. Needed where there are keys.",
                },
            },
        },
    }
    return msgspec.json.encode(whole)
