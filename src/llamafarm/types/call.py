"""What a caller asks, and each try at having it answered."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llamafarm.types.target import Operation, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Attempt", "AttemptRecord", "Call", "Native"]


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
    notes: tuple[str, ...] = ()
    """What of the request was translated or left out on the way to it, because it would have refused it."""


@dataclass(frozen=True, slots=True)
class Native:
    """A request as its client wrote it, in another format than OpenAI's; a target of that dialect is sent this."""

    dialect: str
    """Whose format it is: ``anthropic``."""
    body: Mapping[str, Any]
    """All of it, fields that nobody here knows included."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What else belongs to it, by lower-case name: only what its format has read and allowed."""


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
    tenant: str = ""
    """Whose gateway key it came with: tenants take turns where calls wait."""
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
    counted: dict[Target, int] = field(default_factory=dict)
    """Tokens of the prompt, its own system prompt included, where a target's tokenizer counted them; set as above."""
    input_bytes: int = 0
    """Bytes of the prompt with all that goes with it: a bound of its tokens. Set by the plan stage."""
    images: int = 0
    """Images in the prompt; set by the plan stage."""
    takes_system: bool = False
    """Whether a target's own system prompt is put in; set by the plan stage."""
    extras: tuple[str, ...] = ()
    """What it asks for that is billed apart from tokens; set by the plan stage where a cost limit has to hold."""
    attempts: list[AttemptRecord] = field(default_factory=list)
    given_bytes: int = 0
    """Bytes of the answer that came before its stream was cut: a target that goes on is given them with the prompt."""
    held: int = 0
    """Nanodollars reserved by attempts that have not ended."""
    spent: int = 0
    """Nanodollars that ended attempts of this call were settled at."""
    unpriced: bool = False
    """Whether an attempt may have cost what nobody can tell (no price, no bound), so that `spent` is not all."""
    native: Native | None = None
    """The client's own words, where they are not OpenAI's; `body` says the same, and is what is planned by."""

    def restart(self, given_bytes: int) -> None:
        """Begin the clock anew, for the target that goes on where a stream was cut after so much of it."""
        self.waited = time.monotonic() - self.started
        self.given_bytes = given_bytes


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
    bound_by: str = "timeout"
    """The key of the strategy file that set `deadline`: what to raise where it was too short. Empty: `patience`."""
    patience: float | None = None
    """Seconds that the first token, or whole plain answer, is worth waiting for: the target may not be back."""
    beginning: str = ""
    """What of the answer the caller already has: the target goes on from here, as `target.prefill` says. Its chunks
    hold only what follows. Empty: it answers from the start."""
    outrun: bool = False
    """Whether an attempt that began later has answered first: this one was slow, and is cancelled for it."""
    notes: list[str] = field(default_factory=list)
    """What the provider translated or left out, one sentence each; see `AttemptRecord.notes`."""
    record: AttemptRecord | None = None
    """What became of it; set once it has been sent."""
