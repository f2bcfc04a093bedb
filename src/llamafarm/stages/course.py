"""One call's way through its targets: which is asked next, and what has failed so far."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING

from llamafarm import errors
from llamafarm.health import way_of
from llamafarm.types import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llamafarm.health import Health
    from llamafarm.reply import Reply
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
_UNSENT = (errors.RefusedError, errors.BlockedError, errors.UntranslatableError)
"""What was never sent says least, where anything was."""
_FAILED_OVER_ON = frozenset({errors.ContentPolicyError.kind, errors.BadRequestError.kind})
"""What `failover_on` can have."""


class Course:
    """Gives targets in the planned order; those that are left out just now come after all others have failed.

    So health changes the order and never the choice: the last eligible target is always asked.
    """

    def __init__(self, call: Call, health: Health, failover_on: tuple[str, ...] = ()) -> None:
        self.call = call
        self.failures: list[tuple[Target, errors.LlamaFarmError]] = []
        self.is_over = False
        """Whether an error has come that no other target is asked after."""
        self._answering: Callable[[], Reply | None] = lambda: None
        self._going_on = False
        self._health = health
        self._failover_on = failover_on
        self._order: Iterator[Target] = iter(call.order)
        self._put_off: list[Target] = []
        self._peeked: deque[Target] = deque()
        self._fits_rest: Callable[[Target], bool] = lambda _: True

    def read(self, reply: Reply) -> None:
        """Note which reply is being read, where others may go on with it. It is not kept alive by that."""
        self._answering = weakref.ref(reply)

    def go_on(self, fits: Callable[[Target], bool], *, begun: bool) -> None:
        """Look for one to go on with an answer: pass over those that don't fit; `begun`: they are given a beginning."""
        self._fits_rest, self._going_on = fits, begun

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
            if self._health.claim(target, self._way(target)):  # again: that was another moment
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
            if self._health.is_available(target, self._way(target)):
                return target
            self._put_off.append(target)
        return None

    def _way(self, target: Target) -> str:
        return way_of(self.call, target, going_on=self._going_on)

    def _fits(self, target: Target) -> bool:
        return self._may_follow(target) and self._fits_rest(target)

    def note(self, target: Target, error: errors.LlamaFarmError, attempt: Attempt | None = None) -> None:
        """Note that a target failed; what was never sent is listed among the attempts here."""
        self.failures.append((target, error))
        if isinstance(error, errors.AttemptError):
            error.target = target.name
        record = attempt.record if attempt is not None else None
        if record is None or record.error != str(error):  # refused before it was sent, or before it was sent again
            self.call.attempts.append(AttemptRecord(target.name, target.model, error.kind, str(error), 0.0))
        if self.ends(error) and (attempt is None or not _is_ours(attempt, error)):
            self.is_over = True

    def ends(self, error: errors.LlamaFarmError) -> bool:
        """Whether no other target is asked after an error."""
        return not error.try_next and error.kind not in self._failover_on

    def refusal_of(self, target: Target) -> errors.ContentPolicyError | None:
        """Give the error that an answer which is a refusal is taken for; None: it is passed on."""
        if "content_policy" not in self._failover_on:
            return None
        return errors.ContentPolicyError(
            f"{target.name} declined the content: its answer is a refusal, or ended by its filter"
        )

    def _may_follow(self, target: Target) -> bool:
        """Whether it makes sense to ask `target` now: after a prompt that was too long only a larger window does."""
        return not any(
            isinstance(error, errors.ContextExceededError)
            and failed.context_window is not None
            and target.context_window is not None
            and target.context_window <= failed.context_window
            for failed, error in self.failures
        )

    def failed(self, *, in_time: bool = True) -> errors.AllFailedError:
        """Put all failures together to what the caller is told; not `in_time`: the call's time is over."""
        cause, others = self._cause(), not self.is_done
        ended = self.is_over and others
        all_failed = len(self.failures) > 1 and not ended and in_time
        message = ("every target failed: " if all_failed else "") + self.reasons()
        if ended:
            message += "; nobody else was asked, since others would refuse it, too"
            if cause.kind in _FAILED_OVER_ON:
                message += f" (failover_on: [{cause.kind}] has them asked)"
        elif others and not in_time:
            message += "; timeout_seconds is over, so nobody else was asked"
        kind = cause.kind if ended else errors.AllFailedError.kind
        failed = errors.AllFailedError(message, self.call.attempts, cause, kind=kind)
        failed.__cause__ = cause
        return failed

    def cut(self) -> errors.StreamCutError:
        """Say that an answer broke off, and why nobody went on with it."""
        reply = self._answering()
        error = reply.outcome.error if reply is not None and reply.outcome is not None else None
        if reply is None or error is None:
            raise ValueError("nothing has been cut")
        reasons = self.reasons()
        message = f"{errors.said_by(reply.target.name, error)}, and no other target could go on with it"
        cut = errors.StreamCutError(f"{message}: {reasons}" if reasons else message)
        cut.target = reply.target.name
        cut.__cause__ = error
        return cut

    def _cause(self) -> errors.LlamaFarmError:
        causes = [error for _, error in self.failures]
        if self.is_over:
            return next(error for error in causes if self.ends(error))
        ranked = [error for kind in _USEFUL for error in causes if isinstance(error, kind)]
        asked = [error for error in causes if not isinstance(error, _UNSENT)]
        return (ranked or asked[-1:] or causes)[0]

    def reasons(self) -> str:
        """Say of each target that failed why, and after how many tries."""
        return "; ".join(
            f"{errors.said_by(target.name, error)}{self._tries(target)}" for target, error in self.failures
        )

    def _tries(self, target: Target) -> str:
        tries = sum(record.target == target.name and record.error is not None for record in self.call.attempts)
        return f" ({tries} tries)" if tries > 1 else ""


def _is_ours(attempt: Attempt, error: errors.LlamaFarmError) -> bool:
    """Whether what was refused may be what was added to the caller's request: the beginning to go on from."""
    return bool(attempt.beginning) and isinstance(error, errors.BadRequestError)
