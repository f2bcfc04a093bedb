"""What is said of an answer that is not quite what was asked for: a hole in it, a second writer, a lost parameter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llamafarm.cli.printing import counted, note
from llamafarm.errors import StreamCutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.cli.settings import Settings
    from llamafarm.types import Answer, AttemptRecord

__all__ = ["note_left_out", "note_resumed", "note_skipped", "writers"]

_CONTENT = frozenset({"messages", "prompt", "input"})
_LEFT_OUT = "left out"
"""How every provider says that something was not sent; what is sent otherwise, like a renamed field, it says otherwise.
"""


def note_skipped(settings: Settings, answer: Answer) -> None:
    """Say where malformed events are missing in an answer."""
    if answer.skipped:
        left_out = "was" if answer.skipped == 1 else "were"
        events = counted(answer.skipped, "malformed event")
        note(settings, f"{events} of {answer.target} {left_out} left out of the answer: words may be missing")


def note_resumed(settings: Settings, begun: str, answer: Answer) -> None:
    """Say which targets went on with an answer that one had `begun`, and why it had to be."""
    if answer.resumed_by:
        others = ", then by ".join(answer.resumed_by)
        cuts = [attempt for attempt in answer.attempts if attempt.outcome == StreamCutError.kind]
        reasons = "; ".join(f"{attempt.target}: {attempt.error}" for attempt in cuts)
        note(settings, f"answered by {begun}, gone on with by {others}: {reasons}")


def writers(answer: Answer) -> tuple[AttemptRecord, ...]:
    """Give the attempts that made an answer: the last, unless others had begun it."""
    return answer.attempts if answer.resumed_by else answer.attempts[-1:]


def note_left_out(settings: Settings, attempts: Sequence[AttemptRecord], given: Mapping[str, Any]) -> None:
    """Say which parameters of a caller's request, `given`, were not sent in the attempts that made the answer.

    Parameters of the strategy file are the file's affair: --verbose and JSON show every note.
    """
    if settings.json or settings.tells_more:
        return
    parameters = {name for name, value in given.items() if value is not None} - _CONTENT
    told = {
        f"{attempt.target}: {said}": None
        for attempt in attempts
        for said in attempt.notes
        if _LEFT_OUT in said and not parameters.isdisjoint(re.findall(r"\w+", said.partition(_LEFT_OUT)[0]))
    }
    if told:
        note(settings, "; ".join(told))
