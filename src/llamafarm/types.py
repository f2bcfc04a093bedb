"""The values that travel: what a caller asks, where it may go, what comes back, and the stages between."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
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
    "PriceTier",
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
        """Whether it is the same value, wherever it comes from; an unset one is equal to that of its own origin."""
        return isinstance(other, Secret) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str | None, str]:
        return (self._value, "") if self._value else (None, self.origin)

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
    request: int = 0
    """Nanodollars for each request, on top of its tokens."""
    tiers: tuple[PriceTier, ...] = ()
    """What long prompts cost, lowest threshold first."""


@dataclass(frozen=True, slots=True)
class PriceTier:
    """What a target charges for all tokens of a request whose prompt is longer than `above`; units as in `Price`."""

    above: int
    """Input tokens, the cached ones among them."""
    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None


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
    """The event as its source sent it: JSON without framing, in the target's dialect. Empty where the chunk is not an
    event of its own: a further choice of the event before, or a closing note about skipped events."""
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    index: int = 0
    """The choice it belongs to, where n > 1."""
    skipped: int = 0
    """Malformed events left out just before this one. An answer that misses some is never cached."""

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
    """Whether it is a model application on this machine. A rule to a local target keeps only local ones behind it."""
    component: str = ""
    """The component it comes from; empty for a chain entry with a type of its own."""
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
    retry_delay: float | None = None
    """Seconds before the first retry; None: the strategy's retry policy, or 1 where `max_retries` is given."""
    ttft_timeout: float | None = None
    """Seconds to a stream's first token; None: the strategy's."""
    stream_idle_timeout: float | None = None
    """Seconds a stream may stay silent; None: the strategy's."""
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Request parameters that apply where the caller says nothing (``temperature``, ``system_prompt`` …)."""
    price: Price | None = None
    bounded: bool = True
    """Whether tokens and requests are all it bills."""
    context_window: int | None = None
    """Tokens of prompt and answer together; None: unknown."""
    max_output: int | None = None
    """The most tokens the model can answer with; None: unknown."""
    supports: frozenset[str] | None = None
    """Abilities: vision, tools, json, audio, image, prefill …; None: unknown, so nothing is ruled out."""
    system_tokens: int = 0
    """Tokens of its own `system_prompt`, estimated."""
    settings: Any = field(default=None, hash=False)
    """An application's own part of the file (`spec.AppConfig`), for the module that runs it."""
    barred: tuple[str, ...] = ()
    """Why it can take no request at all: a constraint, a missing key … Empty: it can."""
    identity: tuple[object, ...] = field(init=False, compare=False)
    """What makes two targets the same one: endpoint, key and model."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", (self.dialect, self.base_url, self.api_key, self.model))


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
    return "req_" + os.urandom(12).hex()


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
    waited: float = 0.0
    """Seconds a local model took to be fetched and loaded for it; the deadline is that much later."""
    strategy: str = ""
    order: Iterable[Target] = ()
    """Where it may go, first choice first, judged as far as it is read; set by the plan stage."""
    input_tokens: int = 0
    """Tokens of the prompt, estimated before sending; set by the plan stage."""
    input_bytes: int = 0
    """Bytes of the prompt with all that goes with it: a bound of its tokens. Set by the plan stage."""
    images: int = 0
    """Images in the prompt; set by the plan stage."""
    takes_system: bool = False
    """Whether a target's own system prompt is put in; set by the plan stage."""
    extras: tuple[str, ...] = ()
    """What it asks for that is billed apart from tokens; set by the plan stage where a cost limit has to hold."""
    attempts: list[AttemptRecord] = field(default_factory=list)
    held: int = 0
    """Nanodollars reserved by attempts that have not ended."""
    spent: int = 0
    """Nanodollars that ended attempts of this call were settled at."""
    unpriced: bool = False
    """Whether an attempt went to a target without a price, so that `spent` is not the whole cost."""


@dataclass(slots=True)
class Attempt:
    """One try at one target: what will be sent there and how long it may take."""

    call: Call
    target: Target
    body: dict[str, Any]
    """The call's body with the target's model, defaults and limits applied."""
    deadline: float
    """Monotonic seconds by which the whole reply, or a stream's first token, must be in."""
    ttft: float | None = None
    """Seconds a stream's first token may take from sending (a local engine: from ready); None: only `deadline`."""
    idle: float = 15.0
    """Seconds a stream may stay silent after its first token."""
    last: bool = True
    """Whether no other target remains behind this one."""
    record: AttemptRecord | None = None
    """What became of it; set once it has been sent."""


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
    cost: int | None
    """Nanodollars, all attempts together; None where a target has no price."""
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
