"""The values that travel: what a caller asks, where it may go, what comes back, and the stages between."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from llamafarm.errors import LlamaFarmError

__all__ = [
    "Answer",
    "Attempt",
    "AttemptRecord",
    "AttemptStage",
    "Call",
    "Chunk",
    "Ended",
    "Event",
    "NextAttempt",
    "NextStage",
    "Operation",
    "Outcome",
    "Price",
    "Secret",
    "Sink",
    "Stage",
    "Status",
    "Target",
    "ToolCall",
    "Upstream",
    "Usage",
]

Ended = Literal["complete", "failed", "cut", "abandoned", "unread"]
"""How a reply ended: whole; no first token; broken after it; left by its reader; never read at all."""


class Secret:
    """A value that is never shown. It may be unset, and then knows what would have set it."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str | None, origin: str) -> None:
        self._value = value
        self.origin = origin
        """The variable or file it comes from, like ``OPENAI_API_KEY``; ``the strategy file`` for a literal."""

    @property
    def is_set(self) -> bool:
        """Whether there is a value (an empty one counts as none)."""
        return bool(self._value)

    def reveal(self) -> str:
        """Give the value itself, for the one place that sends it. Raises ValueError where it is unset."""
        if not self._value:
            raise ValueError(f"{self.origin} is not set")
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._value, self.origin) == (other._value, other.origin)

    def __hash__(self) -> int:
        return hash((self._value, self.origin))

    def __repr__(self) -> str:
        return f"Secret({self.origin}{'' if self.is_set else ', unset'})"

    __str__ = __repr__


class Operation(StrEnum):
    """What is asked of a model; the body of a call has OpenAI's format for it."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Price:
    """What a target charges, in nanodollars per million tokens ($1 per million is 1_000_000_000)."""

    input: int
    output: int
    cached_input: int | None = None
    """Input tokens read from the vendor's cache; None: as `input`."""
    cache_write: int | None = None
    """Input tokens written to the vendor's cache; None: as `input`."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `input_tokens` includes the cached ones, `output_tokens` the reasoning."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """True where the target reported no usage and this is our own estimate."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, or in a stream a piece of one: pieces with one `index` belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    """JSON text; in a stream the next piece of it."""


@dataclass(slots=True)
class Chunk:
    """One event of an answer. A plain request's answer is a single chunk that holds all of it."""

    raw: bytes = b""
    """The event as its source sent it: JSON without framing, in the target's dialect."""
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    index: int = 0
    """The choice it belongs to, where n > 1."""

    @property
    def has_token(self) -> bool:
        """Whether a model made something: a role or a keep-alive alone does not count."""
        return bool(self.text or self.reasoning or self.tool_calls)


@dataclass(frozen=True, slots=True)
class Target:
    """One place a request can go: a provider or application, its settings, and a model."""

    name: str
    """As the file says it: a chain entry's name, else a component's, else a model's."""
    provider: str
    """The vendor's row (``openai``, ``groq``, ``custom``) or the application's type (``ollama``, ``llamacpp``)."""
    dialect: str
    """The provider module that speaks to it: ``openai``, ``embedded`` …"""
    model: str
    local: bool = False
    """Whether it is an application of this machine or network, not a vendor: it costs nothing unless priced."""
    component: str = ""
    """The component it comes from; empty for a chain entry with a type of its own."""
    also: tuple[str, ...] = ()
    """Further names for it in the same file."""
    base_url: str | None = None
    api_key: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Sent with every request; ``{key}`` in a value stands for the API key."""
    quirks: frozenset[str] = frozenset()
    """Deviations of the vendor from its dialect, by the words the provider module documents."""
    timeout: float = 60.0
    """Seconds one attempt may take to its whole reply, or to a stream's first token."""
    max_retries: int | None = None
    """Tries after the first; None: the strategy's retry policy."""
    retry_delay: float = 1.0
    """Seconds before the first retry, where `max_retries` is given."""
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Request parameters that apply where the caller says nothing (``temperature``, ``system_prompt`` …)."""
    price: Price | None = None
    context_window: int | None = None
    """Tokens of prompt and answer together; None: unknown."""
    max_output: int | None = None
    """The most tokens the model can answer with; None: unknown."""
    supports: frozenset[str] | None = None
    """Abilities: vision, tools, json, audio, image, prefill …; None: unknown, so nothing is ruled out."""
    settings: Any = field(default=None, hash=False)
    """An application's own part of the file (`spec.AppConfig`), for the module that runs it."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two targets the same one: endpoint, key and model."""
        return (self.provider, self.base_url, self.api_key, self.model)


@dataclass(slots=True)
class AttemptRecord:
    """What became of one try at one target."""

    target: str
    model: str
    outcome: str
    """``ok`` or the error's `kind`."""
    error: str | None
    ms: float
    cost: int = 0
    """Nanodollars it was settled at."""


def _new_id() -> str:
    return "req_" + secrets.token_hex(12)


@dataclass(slots=True)
class Call:
    """One request of a caller, and what the stages have found out about it so far."""

    body: Mapping[str, Any]
    """The request in OpenAI's format of its operation; no stage changes it."""
    operation: Operation = Operation.CHAT
    model: str | None = None
    """What the caller named: a strategy, a target, an alias or a model; None: rules, then order."""
    stream: bool = False
    tags: frozenset[str] = frozenset()
    metadata: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    id: str = field(default_factory=_new_id)
    started: float = field(default_factory=time.monotonic)
    """Monotonic seconds; the strategy's deadline counts from here."""
    strategy: str = ""
    order: tuple[Target, ...] = ()
    """Where it may go, first choice first; set by the plan stage."""
    input_tokens: int = 0
    """Tokens of the prompt as counted before sending; set by the plan stage."""
    attempts: list[AttemptRecord] = field(default_factory=list)
    held: int = 0
    """Nanodollars reserved by attempts that have not ended."""
    spent: int = 0
    """Nanodollars that ended attempts of this call were settled at."""


@dataclass(slots=True)
class Attempt:
    """One try at one target: what will be sent there and how long it may take."""

    call: Call
    target: Target
    body: dict[str, Any]
    """The call's body with the target's model, defaults and limits applied."""
    deadline: float
    """Monotonic seconds by which the whole reply, or a stream's first token, must be in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reply ended; given to every `on_end` hook exactly once."""

    ended: Ended
    usage: Usage | None = None
    finish_reason: str | None = None
    error: LlamaFarmError | None = None
    first_token: float | None = None
    """Monotonic seconds at which the first token came."""


@dataclass(slots=True)
class Answer:
    """A whole answer and how it came about."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    id: str = ""
    strategy: str = ""
    target: str = ""
    model: str = ""
    cost_usd: float | None = None
    """Of all attempts together; None where the target has no price."""
    attempts: tuple[AttemptRecord, ...] = ()
    first_token_ms: float | None = None
    ms: float = 0.0
    raw: bytes = b""
    """The target's own reply, where it came in one piece."""


@dataclass(frozen=True, slots=True)
class Event:
    """Everything worth recording about one call, once, at its end. Holds no content."""

    id: str
    strategy: str
    operation: Operation
    target: str | None
    model: str | None
    ended: Ended
    error: str | None
    """The error's `kind`."""
    detail: str | None
    """The error's message."""
    usage: Usage | None
    cost: int
    """Nanodollars, all attempts together."""
    ms: float
    first_token_ms: float | None
    attempts: tuple[AttemptRecord, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What a target said when asked whether it could serve; no prompt is sent for it."""

    ok: bool
    detail: str
    models: tuple[str, ...] = ()
    """The models it says it has, where it says."""


class Sink(Protocol):
    """Takes every call's event: a log, a counter, a trace."""

    def emit(self, event: Event) -> None:
        """Record it, without blocking and without raising."""


class Upstream(Protocol):
    """Speaks one dialect to targets. What it raises is an `AttemptError` or a `ResourceError`, nothing else."""

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Send a request and return once the target has accepted it; its events follow.

        The iterator ends normally only after a finish reason (embeddings: after the vectors), else it raises
        `StreamCutError`. Closing it (``aclose``) cancels the request at the target at once. `attempt.deadline`
        bounds everything up to the first token.
        """

    async def check(self, target: Target) -> Status:
        """Ask whether the target could serve now, at no cost. Never raises for a target's failure."""

    async def aclose(self) -> None:
        """Let go of connections and loaded models. Safe to call twice."""


if TYPE_CHECKING:
    from llamafarm.reply import Reply

NextStage = Callable[[Call], Awaitable["Reply"]]
Stage = Callable[[Call, NextStage], Awaitable["Reply"]]
"""A step every request passes: sees the call, may answer itself, usually asks the next and watches the reply."""
NextAttempt = Callable[[Attempt], Awaitable["Reply"]]
AttemptStage = Callable[[Attempt, NextAttempt], Awaitable["Reply"]]
"""A step every attempt at one target passes."""
