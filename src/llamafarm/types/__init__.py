"""The values that travel: what a caller asks, where it may go, what comes back, and the stages between."""

from llamafarm.types.call import Attempt, AttemptRecord, Call
from llamafarm.types.chunk import Chunk, ToolCall, Usage
from llamafarm.types.outcome import Answer, Choice, Ended, Event, Outcome, Status
from llamafarm.types.protocols import AttemptStage, NextAttempt, NextStage, Sink, Stage, Upstream
from llamafarm.types.secret import Secret
from llamafarm.types.target import Operation, Price, PriceTier, Recovery, Target

__all__ = [
    "Answer",
    "Attempt",
    "AttemptRecord",
    "AttemptStage",
    "Call",
    "Choice",
    "Chunk",
    "Ended",
    "Event",
    "NextAttempt",
    "NextStage",
    "Operation",
    "Outcome",
    "Price",
    "PriceTier",
    "Recovery",
    "Secret",
    "Sink",
    "Stage",
    "Status",
    "Target",
    "ToolCall",
    "Upstream",
    "Usage",
]
