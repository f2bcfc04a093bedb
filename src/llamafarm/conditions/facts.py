"""What a condition can know about a request, its time and its budget; read only when a rule asks."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llamafarm.conditions.input import Input
from llamafarm.conditions.names import WEEKDAYS
from llamafarm.types import Call

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["BudgetFacts", "Facts", "RequestFacts", "TimeFacts", "moments"]


class RequestFacts:
    """How the caller asked: everything of a request but its content.

    What came beside the body wins over what is in it.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def model(self) -> str | None:
        """What the caller named, if anything."""
        return self._call.model

    @property
    def stream(self) -> bool:
        """Whether the answer is to come piece by piece."""
        return self._call.stream

    @property
    def user(self) -> str | None:
        """The end user that the caller names."""
        return self._call.user if self._call.user is not None else _text(self._call.body.get("user"))

    @property
    def tags(self) -> frozenset[str]:
        """What the caller tagged the request with."""
        return self._call.tags

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The caller's own keys and values."""
        return self._call.metadata or _mapping(self._call.body.get("metadata"))

    @property
    def max_tokens(self) -> float | None:
        """The caller's own limit on the answer's tokens, by its newer or its older name."""
        newer = _number(self._call.body.get("max_completion_tokens"))
        return newer if newer is not None else _number(self._call.body.get("max_tokens"))

    @property
    def temperature(self) -> float | None:
        """The caller's own temperature."""
        return _number(self._call.body.get("temperature"))


@dataclass(frozen=True, slots=True)
class TimeFacts:
    """The moment of a request, in the strategy's time zone."""

    hour: int
    """0 to 23."""
    weekday: str
    """In lower case: ``monday``."""

    @classmethod
    def of(cls, now: datetime) -> Self:
        """Read a moment as its own time zone shows it. Raises ValueError for one that has none."""
        if now.tzinfo is None:
            raise ValueError("a condition's time needs a time zone: give the strategy's")
        return cls(now.hour, WEEKDAYS[now.weekday()])


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """What a strategy's budgets stand at, in dollars; None where it has no such budget."""

    daily_left: float | None = None
    monthly_left: float | None = None
    daily_used: float | None = None


_NO_BUDGET = BudgetFacts()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a condition can name. Building it reads nothing of the content."""

    input: Input
    request: RequestFacts
    time: TimeFacts
    budget: BudgetFacts = _NO_BUDGET
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, call: Call, now: datetime, budget: BudgetFacts | None = None) -> Self:
        """Gather the facts of a call at a moment given in the strategy's time zone."""
        return cls(Input.of(call.body), RequestFacts(call), TimeFacts.of(now), budget or _NO_BUDGET, call.tags)


@functools.cache
def moments() -> tuple[Facts, ...]:
    """Give the facts of an empty request at every hour of a week."""
    call = Call({})
    asked, request = Input.of(call.body), RequestFacts(call)
    return tuple(Facts(asked, request, TimeFacts(hour, day)) for day in WEEKDAYS for hour in range(24))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Beyond this a whole number no longer divides as a float; no request means one that large.
    return value if abs(value) < 1e300 and not math.isnan(value) else None  # noqa: PLR2004


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
