"""The values that travel: what a caller asks, where it may go, what comes back, and the stages between."""

from llamafarm.types.call import Attempt, AttemptRecord, Call, Native
from llamafarm.types.chunk import Chunk, ToolCall, Usage
from llamafarm.types.outcome import Answer, Choice, Ended, Event, Outcome, Status
from llamafarm.types.places import Entry, Places, PlacesOf
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
    "Entry",
    "Event",
    "Native",
    "NextAttempt",
    "NextStage",
    "Operation",
    "Outcome",
    "Places",
    "PlacesOf",
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
