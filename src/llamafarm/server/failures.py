"""Words an error as the clients of each API expect it: status, headers, body."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm import errors

if TYPE_CHECKING:
    from llamafarm.server.formats.protocol import Dialect
    from llamafarm.server.http.messages import Headers

__all__ = ["Failure", "answered", "document", "failure_of"]

_OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
"""The rest: ``invalid_request_error`` below 500, ``server_error`` above."""
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
"""The rest: ``invalid_request_error`` below 500, ``api_error`` above."""
_CODES = {
    errors.UnknownModelError.kind: "model_not_found",
    errors.ContextExceededError.kind: "context_length_exceeded",
    errors.ContentPolicyError.kind: "content_policy_violation",
    errors.RateLimitError.kind: "rate_limit_exceeded",
}
"""What OpenAI calls what we call otherwise: clients look for these."""
_UNAVAILABLE = 503
_BUSY = (errors.QueueFullError.kind, errors.ClosedError.kind, "overloaded")
"""Failures of ours that the next try may not meet: a client may send the request again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told."""

    status: int
    message: str
    code: str
    """The stable word for it."""
    retry_after: float | None = None
    """Seconds after which another try makes sense, where that is known."""
    param: str | None = None


def failure_of(error: errors.LlamaFarmError) -> Failure:
    """Give what a client is told of an error: of several attempts, by the one that says most."""
    told: errors.LlamaFarmError = error
    if isinstance(error, errors.AllFailedError) and error.cause is not None:
        told = error.cause
    return Failure(
        status=error.status,
        message=" ".join(str(error).split()),
        code=_CODES.get(told.kind, told.kind),
        retry_after=getattr(told, "retry_after", None),
    )


def answered(failure: Failure, dialect: Dialect, request_id: str) -> tuple[int, Headers, bytes]:
    """Word a failure as a client of this API expects it: status, headers, body.

    Clients are told not to try again what was tried wherever it could be: their retries would multiply ours.
    """
    headers = [("content-type", "application/json"), ("x-request-id", request_id)]
    if failure.retry_after is not None:
        headers.append(("retry-after", f"{max(0, math.ceil(min(failure.retry_after, 1e6)))}"))
    if failure.code not in _BUSY:
        headers.append(("x-should-retry", "false"))
    return failure.status, headers, msgspec.json.encode(document(failure, dialect, request_id))


def document(failure: Failure, dialect: Dialect, request_id: str) -> dict[str, Any]:
    """Give the body of a failure; it is also what stands in the midst of a stream."""
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(failure.status, _by_side(failure.status, "api_error"))
        if failure.status == _UNAVAILABLE and failure.code in _BUSY:
            kind = "overloaded_error"
        return {"type": "error", "error": {"type": kind, "message": failure.message}, "request_id": request_id}
    kind = _OPENAI_TYPES.get(failure.status, _by_side(failure.status, "server_error"))
    return {"error": {"message": failure.message, "type": kind, "param": failure.param, "code": failure.code}}


def _by_side(status: int, theirs: str) -> str:
    return "invalid_request_error" if status < 500 else theirs  # noqa: PLR2004 - the statuses of a server's own failures
