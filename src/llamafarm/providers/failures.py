"""Decides which kind of failure an upstream's answer is, and says so in one line without a secret in it.

By status first; by the vendor's code, then by its words, only where vendors use one status for several things.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from llamafarm.errors import (
    AttemptError,
    BadReplyError,
    BadRequestError,
    ContentPolicyError,
    ContextExceededError,
    CredentialsError,
    ModelMissingError,
    QuotaError,
    RateLimitError,
    StreamCutError,
    TransientError,
)
from llamafarm.providers.complaints import Complaint, read_error_body
from llamafarm.providers.masking import one_line
from llamafarm.providers.retry_after import reset_hint, retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.transport import Endpoint
    from llamafarm.types import Target

__all__ = ["Peer", "classify", "classify_inner"]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who answers: what a message says about it, and what it must not say."""

    provider: str
    place: str
    """Its host, as messages name it."""
    model: str = ""
    key_origin: str | None = None
    """Where its API key comes from, like ``OPENAI_API_KEY``."""
    secrets: tuple[str, ...] = ()
    path: str = ""
    """The path of what was asked for, as messages may show it."""

    @classmethod
    def of(cls, target: Target, endpoint: Endpoint) -> Self:
        """Describe the peer of a target."""
        key = target.api_key
        secrets = [value for value in target.headers.values() if "{key}" not in value]
        if key is not None and key.is_set:
            secrets.append(key.reveal())
        origin = key.origin if key else None
        return cls(target.provider, endpoint.place, target.model, origin, tuple(secrets), endpoint.shown_path)

    def __str__(self) -> str:
        """Give what messages begin with, like ``openai (api.openai.com)``."""
        return f"{self.provider} ({self.place})"


_CONTEXT = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length", "max_tokens_exceeded")
_CONTENT = (
    "content_policy_violation",
    "content_filter",
    "contentfilter",
    "refusal",
    "moderation_blocked",
    "invalid_prompt",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
    "datainspectionfailed",
)
_MODEL = ("model_not_found", "unknown_model", "invalid_model", "model_not_available", "deploymentnotfound")
_CREDENTIALS = ("invalid_api_key", "authentication_error", "permission_error", "unauthenticated", "permission_denied")
_QUOTA = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "credit_limit_reached",
    "insufficient_balance",
    "usage_limit_reached",
    "enforced_spend_limit_reached",
)
_RATE = ("rate_limit_exceeded", "rate_limit_error", "rate_limited", "too_many_requests", "requests", "tokens")
_TRANSIENT = (
    "server_error",
    "internal_error",
    "internal_server_error",
    "internalservererror",
    "api_error",
    "overloaded",
    "overloaded_error",
    "over_capacity",
    "service_unavailable",
    "unavailable",
    "timeout",
    "timeout_error",
    "generation",
    "incomplete_generation",
)
_REQUEST = ("invalid_request_error", "badrequesterror", "bad_request", "invalid_argument", "validation")

_KIND_OF_CODE: Mapping[str, type[AttemptError]] = {
    **dict.fromkeys(_CONTEXT, ContextExceededError),
    **dict.fromkeys(_CONTENT, ContentPolicyError),
    **dict.fromkeys(_MODEL, ModelMissingError),
    **dict.fromkeys(_CREDENTIALS, CredentialsError),
    **dict.fromkeys(_QUOTA, QuotaError),
    **dict.fromkeys(_RATE, RateLimitError),
    **dict.fromkeys(_TRANSIENT, TransientError),
}
_OVER_CAPACITY = 498
"""Groq's status for it; it comes with the same hints as a rate limit's."""
_KIND_OF_STATUS: Mapping[int, type[AttemptError]] = {
    401: CredentialsError,
    402: QuotaError,
    404: ModelMissingError,
    405: ModelMissingError,  # the path is there for something else: base_url is wrong
    408: TransientError,
    409: TransientError,
    410: ModelMissingError,
    413: ContextExceededError,
    424: TransientError,  # TGI: generation failed
    425: TransientError,
    _OVER_CAPACITY: TransientError,
}
_KIND_OF_WORDS: tuple[tuple[type[AttemptError], re.Pattern[str]], ...] = (
    (
        ContextExceededError,
        re.compile(
            r"(?i)maximum context length|context (?:length|window|size)|maximum prompt length"
            r"|`?inputs`? tokens \+ `?max_new_tokens|`?inputs`? must have less than|prompt is too long"
            r"|input is too long|input token count|maximum number of tokens"
            r"|exceed context limit|input tokens and requested|reduce the length of the (?:messages|input|prompt)",
        ),
    ),
    # Anthropic says both with a plain 400.
    (QuotaError, re.compile(r"(?i)credit balance is too low|reached your specified .{0,20}usage limits")),
    (ContentPolicyError, re.compile(r"(?i)content (?:management |filtering )?policy|content exists risk|usage polic")),
    (CredentialsError, re.compile(r"(?i)(?:incorrect|invalid|missing) api.?key|api.?key not valid")),
    (ModelMissingError, re.compile(r"(?i)invalid model\b|model\b.{0,120}\b(?:does not exist|not found|not exist\b)")),
)
_QUOTA_WORDS = re.compile(
    r"(?i)spend(?:ing)? limit|usage limit|billing|insufficient (?:balance|credit|quota|fund)"
    r"|credit balance|out of credit",
)
_BUSY_WORDS = re.compile(
    r"(?i)\b(?:is|server) (?:too )?busy\b|\boverloaded\b|over capacity|temporarily unavailable|(?:try|retry) again"
    r"|maximum pending requests",
)
_TOO_MANY = re.compile(r"(?i)rate.?limit|too many requests")
_PER_TIME = re.compile(r"(?i)per (?:second|minute|hour|day)|\b[rt]p[mds]\b|retry in|try again in")

_AMBIGUOUS = frozenset({400, 403, 422})
_RATE_STATUS, _TOO_LARGE = 429, 413
_SUCCESS, _REDIRECT, _CLIENT_ERROR, _SERVER_ERROR = 200, 300, 400, 500


def classify(status: int, headers: Mapping[str, str], body: bytes, peer: Peer) -> AttemptError:
    """Turn an answer with a status other than 2xx into the error it stands for.

    `headers` are looked up by lower-case names; `body` may be cut short.
    """
    complaint = read_error_body(body)
    if _REDIRECT <= status < _CLIENT_ERROR:
        place = one_line(headers.get("location", "elsewhere").partition("?")[0], peer.secrets)
        what = f"a redirect to {place}, and redirects are not followed; set base_url to the real address"
        return BadReplyError(f"{peer} answered {status}, {what}", upstream_status=status)
    kind = _kind(status, complaint)
    wait = retry_after(headers)
    if wait is None and (kind is RateLimitError or status == _OVER_CAPACITY):
        wait = reset_hint(headers)
    return _error(kind, f"answered {status}", complaint, peer, status=status, wait=wait)


def classify_inner(complaint: Complaint, peer: Peer, *, begun: bool = False) -> AttemptError:
    """Turn an error found inside an answer with status 200 into the error it stands for, by its inner code.

    Without a code its words decide. Once a model has begun to answer (`begun`), a passing failure is a cut: what came
    so far has been paid for.
    """
    if complaint.status is not None:
        kind = _kind(complaint.status, complaint)
    else:
        is_request = any(code in _REQUEST for code in complaint.codes)
        fallback = BadRequestError if is_request else _by_state(complaint)
        kind = _by_code(complaint) or _by_words(complaint) or fallback
    if begun and kind in (TransientError, RateLimitError, BadReplyError):
        kind = StreamCutError
    where = "broke its answer off with an error" if begun else "answered 200 with an error inside"
    return _error(kind, where, complaint, peer, status=_SUCCESS)


def _kind(status: int, complaint: Complaint) -> type[AttemptError]:
    if status == _RATE_STATUS or (status == _TOO_LARGE and _by_code(complaint) is RateLimitError):
        return QuotaError if _is_quota(complaint) else RateLimitError  # Groq: too large for what the account has left
    if status in _AMBIGUOUS:
        # A code that contradicts the status' own meaning is a vendor's slip, not a reason to try the same thing again.
        kind = _by_code(complaint)
        if kind in (None, TransientError, RateLimitError):
            kind = _by_words(complaint)
        if status == 403:  # noqa: PLR2004 - 403: only a context that is too long comes before credentials
            return kind if kind in (ContextExceededError, ContentPolicyError, QuotaError) else CredentialsError
        return kind or BadRequestError
    if status >= _SERVER_ERROR:
        return TransientError
    if status < _SUCCESS:
        return BadReplyError
    return _KIND_OF_STATUS.get(status, BadRequestError)


def _is_quota(complaint: Complaint) -> bool:
    if any(code in _QUOTA for code in complaint.codes):
        return True
    if any(code in _RATE for code in complaint.codes) or _PER_TIME.search(complaint.message):
        return False
    return _QUOTA_WORDS.search(complaint.message) is not None


def _by_code(complaint: Complaint) -> type[AttemptError] | None:
    return next((_KIND_OF_CODE[code] for code in complaint.codes if code in _KIND_OF_CODE), None)


def _by_words(complaint: Complaint) -> type[AttemptError] | None:
    return next((kind for kind, words in _KIND_OF_WORDS if words.search(complaint.message)), None)


def _by_state(complaint: Complaint) -> type[AttemptError]:
    """Read from words what a status would have said: no allowance is left, too many requests, busy, or nothing."""
    if _is_quota(complaint):
        return QuotaError
    if _TOO_MANY.search(complaint.message):
        return RateLimitError
    return TransientError if _BUSY_WORDS.search(complaint.message) else BadReplyError


def _error(
    kind: type[AttemptError],
    what: str,
    complaint: Complaint,
    peer: Peer,
    *,
    status: int,
    wait: float | None = None,
) -> AttemptError:
    said = one_line(complaint.message, peer.secrets) or "no reason given"
    if complaint.request_id:
        said += f" (request {one_line(complaint.request_id, peer.secrets, length=64)})"
    code = one_line(complaint.codes[0], peer.secrets, length=64) if complaint.codes else None
    advice = _advice(kind, complaint, peer, wait)
    return kind(
        f"{peer} {what}: {said}{'; ' + advice if advice else ''}",
        upstream_status=status,
        retry_after=wait,
        code=code,
    )


def _advice(kind: type[AttemptError], complaint: Complaint, peer: Peer, wait: float | None) -> str:
    key = peer.key_origin or "api_key"
    if wait is not None:
        return f"it asks for a pause of {wait:.3g} s"
    if kind is CredentialsError:
        return f"check {key}"
    if kind is QuotaError:
        return f"check the plan and the balance of the account behind {key}"
    if kind is ModelMissingError:
        return _missing(complaint, peer)
    if kind is ContextExceededError:
        return "shorten the prompt or use a model with a larger context window"
    if kind is RateLimitError:
        return f"ask less often, or have the limit of {key} raised"
    return "it may pass: try again later" if kind is TransientError else ""


def _missing(complaint: Complaint, peer: Peer) -> str:
    """Say what to check where something was not found: the model, or the address, of which only some may be there."""
    if not peer.model:
        return "check base_url"
    named = ModelMissingError in (_by_code(complaint), _by_words(complaint)) or peer.model in complaint.message
    advice = f"check the model's name {peer.model!r} and base_url"
    return advice if named or not peer.path else f"it has no {peer.path}, or no such model: {advice}"
