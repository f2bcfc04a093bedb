"""One call's way through its targets: which is asked next, and what has failed so far."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from llamafarm import errors
from llamafarm.types import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llamafarm.health import Health
    from llamafarm.types import Attempt, Call, Target

__all__ = ["Course"]

_USEFUL = (
    errors.BadRequestError,
    errors.ContentPolicyError,
    errors.ContextExceededError,
    errors.RateLimitError,
    errors.QuotaError,
    errors.CredentialsError,
    errors.ModelMissingError,
)
"""What tells a caller most, when several targets failed for different reasons; others rank behind, the last first."""


class Course:
    """Gives targets in the planned order; those that are left out just now come after all others have failed.

    So health changes the order and never the choice: the last eligible target is always asked.
    """

    def __init__(self, call: Call, health: Health, failover_on: tuple[str, ...] = ()) -> None:
        self.call = call
        self.failures: list[tuple[Target, errors.LlamaFarmError]] = []
        self.is_over = False
        """Whether an error has come that no other target is asked after."""
        self._health = health
        self._failover_on = failover_on
        self._order: Iterator[Target] = iter(call.order)
        self._put_off: list[Target] = []
        self._peeked: deque[Target] = deque()
        self._fits_rest: Callable[[Target], bool] = lambda _: True

    def only(self, fits: Callable[[Target], bool]) -> None:
        """Pass over every target that does not fit what is left to do."""
        self._fits_rest = fits

    def next(self) -> Target | None:
        """Give the target to ask now; None where none is left."""
        target = self.next_available()
        if target is not None:
            return target
        # Of those that are left out, the one that may be asked soonest; else in order.
        waiting = [target for target in self._put_off if self._fits(target)]
        target = min(waiting, key=self._health.cooling, default=None)
        self._put_off = [other for other in waiting if other is not target]
        return target

    def next_available(self) -> Target | None:
        """Give the next target that may be asked without need; None where none is left."""
        while not self.is_last:
            target = self._peeked.popleft()
            if self._health.claim(target):  # again: that was another moment
                return target
            self._put_off.append(target)
        return None

    def give_back(self, target: Target) -> None:
        """Take back a target whose answer was not needed: it is the next again."""
        self._peeked.appendleft(target)

    @property
    def is_last(self) -> bool:
        """Whether no target remains that could be asked without need."""
        while self._peeked and not self._fits(self._peeked[0]):
            self._peeked.popleft()
        if not self._peeked and (target := self._ahead()) is not None:
            self._peeked.append(target)
        return not self._peeked

    @property
    def is_done(self) -> bool:
        """Whether no target remains at all."""
        return self.is_last and not any(map(self._fits, self._put_off))

    def _ahead(self) -> Target | None:
        """Read the order to the next target that is available: each is judged only when the order reaches it."""
        for target in self._order:
            if not self._fits(target):
                continue
            if self._health.is_available(target):
                return target
            self._put_off.append(target)
        return None

    def _fits(self, target: Target) -> bool:
        return self._may_follow(target) and self._fits_rest(target)

    def note(self, target: Target, error: errors.LlamaFarmError, attempt: Attempt | None = None) -> None:
        """Note that a target failed; what was never sent is listed among the attempts here."""
        self.failures.append((target, error))
        record = attempt.record if attempt is not None else None
        if record is None or record.error != str(error):  # refused before it was sent, or before it was sent again
            self.call.attempts.append(AttemptRecord(target.name, target.model, error.kind, str(error), 0.0))
        if self.ends(error) and (attempt is None or not _is_ours(attempt, error)):
            self.is_over = True

    def ends(self, error: errors.LlamaFarmError) -> bool:
        """Whether no other target is asked after an error."""
        return not error.try_next and error.kind not in self._failover_on

    def refusal_of(self, target: Target) -> errors.ContentPolicyError | None:
        """Give the error that an empty answer, ended by a content filter, is taken for; None: it is passed on."""
        if "content_policy" not in self._failover_on:
            return None
        return errors.ContentPolicyError(f"{target.name} declined the content: its answer is empty (content_filter)")

    def _may_follow(self, target: Target) -> bool:
        """Whether it makes sense to ask `target` now: after a prompt that was too long only a larger window does."""
        return not any(
            isinstance(error, errors.ContextExceededError)
            and failed.context_window is not None
            and target.context_window is not None
            and target.context_window <= failed.context_window
            for failed, error in self.failures
        )

    def failed(self) -> errors.AllFailedError:
        """Put all failures together to what the caller is told."""
        causes = [error for _, error in self.failures]
        ranked = [error for kind in _USEFUL for error in causes if isinstance(error, kind)]
        asked = [error for error in causes if not isinstance(error, errors.UntranslatableError)]
        cause = (ranked or asked[-1:] or causes)[0]
        if len(causes) == 1:
            message = str(cause)
        else:
            message = "every target failed: " + "; ".join(f"{target.name}: {error}" for target, error in self.failures)
        failed = errors.AllFailedError(message, self.call.attempts, cause)
        failed.__cause__ = cause
        return failed


def _is_ours(attempt: Attempt, error: errors.LlamaFarmError) -> bool:
    """Whether what was refused may be what was added to the caller's request: the beginning to go on from."""
    return bool(attempt.beginning) and isinstance(error, errors.BadRequestError)
