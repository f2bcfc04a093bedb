"""How it ended: for who asked, for the records, for whoever wants to know whether a target could serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.errors import LlamaFarmError
    from llamafarm.types.call import AttemptRecord
    from llamafarm.types.chunk import ToolCall, Usage
    from llamafarm.types.target import Operation

__all__ = ["Answer", "Choice", "Ended", "Event", "Outcome", "Status"]

Ended = Literal["complete", "failed", "cut", "abandoned", "unread"]
"""How a reply ended: whole; no first token; broken after it; left by its reader; never read at all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reply ended; given to every `on_end` hook exactly once."""

    ended: Ended
    usage: Usage | None = None
    finish_reason: str | None = None
    error: LlamaFarmError | None = None
    first_token: float | None = None
    """Monotonic seconds at which the first token came."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a request that asked for several (`n`)."""

    index: int = 0
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None


@dataclass(slots=True)
class Answer:
    """A whole answer and how it came about; of several choices `text` and the like are those of choice 0."""

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
    """Of all attempts together; None where what one may have cost cannot be told."""
    attempts: tuple[AttemptRecord, ...] = ()
    thinking_blocks: tuple[Mapping[str, Any], ...] = ()
    """Anthropic's reasoning with its signatures: send them back as the assistant message's ``thinking_blocks``."""
    first_token_ms: float | None = None
    ms: float = 0.0
    raw: bytes = b""
    """The target's own reply, where it came in one piece."""
    vectors: tuple[tuple[float, ...], ...] | None = None
    """Of an embedding request: a vector for each input, in order."""
    choices: tuple[Choice, ...] = ()
    """Every choice in order, choice 0 among them; empty where nothing has come."""
    skipped: int = 0
    """Malformed events of the stream that were left out: words may be missing."""
    resumed_by: tuple[str, ...] = ()
    """The targets that went on with it, in order, each where the one before broke off; `target` is the last of them.
    Empty: one target wrote it all."""


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
    """Nanodollars, all attempts together; None where what one may have cost cannot be told."""
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
