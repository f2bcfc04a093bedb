"""How a route answers: statuses, headers, errors in the words of its clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.server.formats.protocol import Dialect

__all__ = ["HEADERS", "described", "failure", "failures", "json_of", "ok", "reference"]

HEADERS: dict[str, Any] = {
    "RequestId": ("The request's number: yours if you sent one of letters, digits and `._:-`, up to 128.", "string"),
    "Strategy": ("The strategy that answers.", "string"),
    "Target": ("The target that answers.", "string"),
    "Model": ("Its model.", "string"),
    "Attempts": ("How many tries it took; of a stream, until it began.", "integer"),
    "Cost": (
        "Dollars, all tries together, or `unknown`. A stream has it in a comment at its end.",
        "string",
    ),
    "OverheadMs": ("Milliseconds that were not spent waiting for a target. A stream has it in a comment.", "string"),
    "Cache": ("Whether the answer comes out of a cache; `off`: none is asked.", "string"),
    "Notes": ("What was changed or left out for the target's sake.", "string"),
    "Tokens": ("Whether the tokens were `counted` with the model's own tokenizer or `estimated`.", "string"),
    "RetryAfter": ("Seconds after which another try makes sense.", "integer"),
    "ShouldRetry": ("`false`: the gateway has tried what there was, and official clients do not try again.", "string"),
    "WwwAuthenticate": ("How a key is sent.", "string"),
}
_SURE = ("RequestId", "Target", "Model")
"""Those that an answer has wherever it may have them."""
HEADERS = {
    name: {"description": said, "schema": {"type": kind}, **({"required": True} if name in _SURE else {})}
    for name, (said, kind) in HEADERS.items()
}
_ALWAYS = {"x-request-id": "RequestId"}
_ANSWERED = {"x-llamafarm-strategy": "Strategy", "x-llamafarm-target": "Target", "x-llamafarm-model": "Model"}
_ABOUT = {"x-llamafarm-attempts": "Attempts", "x-llamafarm-cost": "Cost", "x-llamafarm-overhead-ms": "OverheadMs"}
_FAILED = {
    **_ALWAYS,
    "x-should-retry": "ShouldRetry",
    "x-llamafarm-strategy": "Strategy",
    **_ABOUT,
}
_WHEN = {
    400: "The request makes no sense, or the target said so: `bad_call`, `context_length_exceeded`, `token_limit`, …",
    401: "No gateway key, or not a good one.",
    402: "It may cost more than a limit of the strategy allows.",
    403: "This key is not for this; or, without keys, the request comes from a page of another site.",
    404: "There is no such name: the message lists those there are.",
    408: "The request did not come in time.",
    413: "The body is longer than `server.body_limit`.",
    414: "The URL is too long.",
    415: "The body is no `application/json`, or is compressed.",
    417: "Of expectations only `100-continue` is known.",
    422: "The file has mistakes: the message has each with its place. Nothing has changed.",
    429: "Every target that could answer has reached its rate limit.",
    431: "The headers are longer than `server.header_limit`.",
    500: "A defect of the gateway's.",
    502: "The targets failed.",
    503: "The gateway or the strategy has as many requests as it takes, or what it needs is not there.",
    504: "The targets did not answer in time.",
}
_ERRORS = {"openai": ("OpenAIError",), "anthropic": ("AnthropicError",), "either": ("OpenAIError", "AnthropicError")}
_BY_CONNECTION = (400, 408, 414, 417, 431, 503)
"""What any request may get before anybody looks at its URL."""
_BY_KEY = (401, 403)
_BY_BODY = (413, 415)
_BY_FARM = (402, 404, 429, 500, 502, 504)


def reference(name: str) -> dict[str, str]:
    """Refer to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_of(*names: str) -> dict[str, Any]:
    """Give the content of JSON with one of these schemas."""
    shapes = [reference(name) for name in names]
    return {"application/json": {"schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}}}


def _headers(named: Mapping[str, str], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        header: {**HEADERS[name], "required": True} if name in required else {"$ref": f"#/components/headers/{name}"}
        for header, name in named.items()
    }


def ok(said: str, content: dict[str, Any], *, asks: bool = False, headers: Mapping[str, str] | None = None) -> Any:
    """Describe a 200; `asks` is whether a model was asked."""
    named = {**_ALWAYS, **(headers or {})}
    if asks:
        named |= {**_ANSWERED, **_ABOUT, "x-llamafarm-notes": "Notes", "x-llamafarm-cache": "Cache"}
    return {
        "description": said,
        "headers": _headers(named, required=("Strategy", "Attempts") if asks else ()),
        "content": content,
    }


def failures(
    dialect: Dialect | Literal["either"],
    *,
    key: bool = True,
    body: bool = False,
    asks: bool = False,
    more: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Refer to the description of every status but 200, by what can go wrong."""
    statuses = {*_BY_CONNECTION, *more}
    statuses.update(_BY_KEY if key else (), _BY_BODY if body else (), _BY_FARM if asks else ())
    return {str(status): {"$ref": f"#/components/responses/{dialect}{status}"} for status in sorted(statuses)}


def described(dialect: Dialect | Literal["either"]) -> dict[str, Any]:
    """Describe all that can go wrong, in the words of one API, or of whichever the client speaks."""
    return {f"{dialect}{status}": failure(status, *_ERRORS[dialect]) for status in _WHEN}


def failure(status: int, *schemas: str) -> dict[str, Any]:
    """Describe a failure whose body has one of these schemas."""
    named = dict(_FAILED)
    if status in (429, 503):
        named["retry-after"] = "RetryAfter"
    if status == 401:  # noqa: PLR2004 - the one that says how a key is sent
        named["www-authenticate"] = "WwwAuthenticate"
    return {
        "description": _WHEN[status],
        "headers": _headers(named),
        "content": json_of(*schemas),
    }
