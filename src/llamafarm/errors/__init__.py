"""Everything that can go wrong, as one tree; each class knows its status, its exit code and what may be tried next.

::

    LlamaFarmError
    ├── ConfigError            a strategy file, an option or the environment is wrong      exit 2
    ├── RefusedError           nothing was sent, by a rule of the file                     exit 3
    │   ├── UnknownModelError      the caller named a model nobody has
    │   ├── BadCallError           the caller's request makes no sense
    │   ├── NoTargetError          no target is eligible
    │   ├── TokenLimitError        max_tokens, max_input_tokens
    │   ├── QueueFullError         too many requests at work and waiting
    │   ├── ClosedError            who was to answer has been closed
    │   └── CostLimitError         max_cost_per_request, a budget
    ├── ResourceError          something local is missing: a model file, disk, an extra    exit 4
    │   ├── MissingExtraError      an optional package is not installed
    │   ├── DownloadError          a model file could not be fetched
    │   ├── ModelFileError         a model file is not what it should be
    │   └── EngineError            the embedded engine failed
    ├── AttemptError           one try at one target failed                                exit 1
    │   ├── ConnectError           refused, reset, DNS, TLS: no answer began
    │   ├── BlockedError           the privacy mode forbids the connection                  exit 3
    │   ├── AttemptTimeoutError    no first token within the time given
    │   ├── TransientError         408, 5xx and the like
    │   ├── RateLimitError         429; retry_after says how long
    │   ├── QuotaError             the account has no money left
    │   ├── CredentialsError       401, 403
    │   ├── ModelMissingError      404
    │   ├── ContextExceededError   the prompt does not fit
    │   ├── ContentPolicyError     the vendor declined
    │   ├── BadRequestError        any other 400 or 422
    │   ├── UntranslatableError    its format has no word for what is asked: nothing was sent
    │   ├── BadReplyError          200, and not an answer in the expected format
    │   └── StreamCutError         the stream ended, failed or stalled before its finish reason
    └── AllFailedError         nobody answered; lists the attempts           exit of its most useful attempt
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from llamafarm.errors.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamafarm.types import AttemptRecord

__all__ = [
    "AllFailedError",
    "AttemptError",
    "AttemptTimeoutError",
    "BadCallError",
    "BadReplyError",
    "BadRequestError",
    "BlockedError",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "ContentPolicyError",
    "ContextExceededError",
    "CostLimitError",
    "CredentialsError",
    "DownloadError",
    "EngineError",
    "Finding",
    "LlamaFarmError",
    "MissingExtraError",
    "ModelFileError",
    "ModelMissingError",
    "NoTargetError",
    "QueueFullError",
    "QuotaError",
    "RateLimitError",
    "RefusedError",
    "ResourceError",
    "Severity",
    "StreamCutError",
    "TokenLimitError",
    "TransientError",
    "UnknownModelError",
    "UntranslatableError",
    "said_by",
]


class LlamaFarmError(Exception):
    """The root. Its message is one line for a user: who failed, where, and what to do."""

    status: int = 500
    """The HTTP status a caller of the gateway sees."""
    exit_code: int = 1
    """What the command line exits with."""
    kind: str = "error"
    """The stable word for this failure in JSON output, logs and metrics."""
    retry_same: ClassVar[bool] = False
    """Whether the same target may be tried again."""
    try_next: ClassVar[bool] = False
    """Whether the next target of the plan may be tried."""

    @property
    def billed(self) -> bool:
        """Whether a vendor may have charged for it: the attempt then settles at its worst case."""
        return False


class ConfigError(LlamaFarmError):
    """A strategy file, an option or the environment is wrong; `findings` has every place at once."""

    exit_code = 2
    kind = "config"

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class RefusedError(LlamaFarmError):
    """Nothing was sent: a rule of the strategy file, or sense, forbids it."""

    status = 400
    exit_code = 3
    kind = "refused"


class UnknownModelError(RefusedError):
    """The caller named a strategy, target or model that the file does not have; the message lists those it has."""

    status = 404
    kind = "unknown_model"


class BadCallError(RefusedError):
    """The request itself makes no sense (an empty prompt, a negative limit, an unreadable image)."""

    kind = "bad_call"


class NoTargetError(RefusedError):
    """No target is eligible; the message has each target's reason."""

    status = 503
    kind = "no_target"


class TokenLimitError(RefusedError):
    """The prompt, or the prompt and the answer together, pass a token limit of the strategy."""

    kind = "token_limit"


class ClosedError(RefusedError):
    """The farm that was to answer was closed, because its program ends, while the request waited."""

    status = 503
    kind = "closed"


class QueueFullError(RefusedError):
    """As many requests as the strategy allows are at work, and as many again wait as its queue holds."""

    status = 503
    kind = "queue_full"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(f"{message}: try again in {retry_after:g} s, or raise queue_size")
        self.retry_after = retry_after
        """Seconds until there should be a place."""


class CostLimitError(RefusedError):
    """The request could cost more than the strategy allows."""

    status = 402
    kind = "cost_limit"
    try_next = True


class ResourceError(LlamaFarmError):
    """Something on this machine is missing or broken; a target that does not need it may still answer."""

    status = 503
    exit_code = 4
    kind = "resource"
    try_next = True


class MissingExtraError(ResourceError):
    """An optional package is not installed; the message has the command that installs it."""

    kind = "missing_extra"


class DownloadError(ResourceError):
    """A model file could not be fetched from any of its sources."""

    kind = "download"


class ModelFileError(ResourceError):
    """A model file is absent, unreadable, corrupt or of a kind that is not accepted."""

    kind = "model_file"


class EngineError(ResourceError):
    """The embedded engine could not load a model or failed while it generated."""

    kind = "engine"


def said_by(target: str, error: LlamaFarmError) -> str:
    """Give an error's message with the target's name in front, where it does not begin with it."""
    said = str(error)
    return said if not target or said.startswith((f"{target} ", f"{target}:")) else f"{target}: {said}"


class AttemptError(LlamaFarmError):
    """One try at one target failed. The class says what the policy may do next."""

    status = 502
    kind = "attempt"
    try_next = True

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.upstream_status = upstream_status
        """The HTTP status the target answered with, where it answered."""
        self.retry_after = retry_after
        """Seconds the target asked to wait, where it asked."""
        self.code = code
        """The vendor's own error code or type, where it gave one."""
        self.target = ""
        """The name of the target it came from, where that is known."""


class ConnectError(AttemptError):
    """Refused, reset, DNS or TLS failure: no answer began."""

    kind = "connect"
    retry_same = True


class BlockedError(AttemptError):
    """The privacy mode forbids a connection to where the target is: nothing was sent."""

    status = 403
    exit_code = RefusedError.exit_code
    kind = "blocked"


class AttemptTimeoutError(AttemptError):
    """The target gave no first token within its time. It may have worked, so it may have charged."""

    status = 504
    kind = "timeout"

    @property
    def billed(self) -> bool:
        """True: work may have been done."""
        return True


class TransientError(AttemptError):
    """The target is overloaded or broken just now: 408, 409, 425, 5xx, and vendors' own codes for it."""

    kind = "transient"
    retry_same = True

    @property
    def billed(self) -> bool:
        """Whether work may have been done before a 502 or 504 came from something in between."""
        return self.upstream_status in (502, 504)


class RateLimitError(AttemptError):
    """Too many requests or tokens a minute."""

    status = 429
    kind = "rate_limit"
    retry_same = True


class QuotaError(AttemptError):
    """The account behind the key has no money or allowance left."""

    kind = "quota"


class CredentialsError(AttemptError):
    """The key is wrong or lacks a permission. The caller never sees this as its own 401."""

    kind = "credentials"


class ModelMissingError(AttemptError):
    """The target does not have the model it is configured with."""

    kind = "model_missing"


class ContextExceededError(AttemptError):
    """The prompt does not fit the model's context window; only a larger or unknown window may follow."""

    status = 400
    kind = "context_exceeded"


class ContentPolicyError(AttemptError):
    """The vendor declined the content. Another vendor is not asked unless the file says so."""

    status = 400
    kind = "content_policy"
    try_next = False


class BadRequestError(AttemptError):
    """The vendor refused the request as malformed. Another would too, unless the file says otherwise."""

    status = 400
    kind = "bad_request"
    try_next = False


class UntranslatableError(AttemptError):
    """This program cannot ask the target for what the request wants: nothing was sent, and another may take it."""

    status = 400
    kind = "untranslatable"


class BadReplyError(AttemptError):
    """The target answered 200 with something that is not an answer in the expected format."""

    kind = "bad_reply"

    @property
    def billed(self) -> bool:
        """True, for work may have been done, unless a redirect shows that no model was reached."""
        return self.upstream_status is None or self.upstream_status < 300  # noqa: PLR2004 - statuses from 300 on


class StreamCutError(AttemptError):
    """The stream ended, failed or stalled before its finish reason; what came so far is not the whole answer."""

    kind = "stream_cut"

    @property
    def billed(self) -> bool:
        """True: work may have been done."""
        return True


class AllFailedError(LlamaFarmError):
    """Every target of the plan failed, or one so that no other was asked; then its `kind` is that failure's.

    Its status and cause are those of the most useful attempt.
    """

    kind = "all_failed"

    def __init__(
        self,
        message: str,
        attempts: Sequence[AttemptRecord],
        cause: LlamaFarmError | None = None,
        *,
        kind: str = kind,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        if cause is not None:
            self.status, self.exit_code = cause.status, cause.exit_code
        self.attempts = tuple(attempts)
        """What was tried, in order."""
        self.cause = cause
        """The error that tells the caller most."""
