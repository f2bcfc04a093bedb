"""Goes through a call's targets in order until one answers, and returns once its first token is in."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import errors
from llamafarm.errors import AttemptError
from llamafarm.planning import body_for
from llamafarm.planning.body import with_less_output
from llamafarm.planning.timing import deadline_of, hedge_delay, limits_of, recovery_of
from llamafarm.reply import Reply
from llamafarm.stages.course import Course
from llamafarm.stages.hedge import race
from llamafarm.stages.pauses import note_pause
from llamafarm.stages.recover import Beginning, Recovered, can_continue, can_go_on, read_whole
from llamafarm.types import Attempt

if TYPE_CHECKING:
    from llamafarm.health import Health
    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import Call, NextAttempt, Outcome, Target

__all__ = ["FallBack"]

LONGEST_SILENCE = 60.0
"""Seconds after which the last target that is left is asked again, however long a pause it asked for."""


@dataclass(frozen=True, slots=True)
class FallBack:
    """The last of a call's stages: makes the attempts, and alone puts several together to one reply."""

    strategy: Strategy
    attempt: NextAttempt
    health: Health

    async def __call__(self, call: Call) -> Reply:
        """Try each target of `call.order`; raises AllFailedError with all attempts when none answers."""
        course = Course(call, self.health, self.strategy.optimization.failover_on)
        while (target := course.next()) is not None:
            if course.failures and time.monotonic() >= deadline_of(call, self.strategy.optimization):
                raise course.failed(in_time=False)
            reply = await self._ask(course, target)
            if reply is not None:
                course.is_over = False  # the request is one that can be taken, whatever a hedge made of it
                return await self._recovering(course, reply)
            if course.is_over:
                break
        raise course.failed()

    async def _ask(self, course: Course, target: Target) -> Reply | None:
        """Ask a target, and the one behind it too where the first is slow; None: failed, and noted."""
        if not await self._cooled(course, target):
            return None
        delay = None
        if not course.is_last:
            p95 = self.health.p95(target, streamed=course.call.stream)
            delay = hedge_delay(target, self.strategy.optimization, p95)
        if delay is None:
            return await self._try(course, target)
        first = self._prepare(course, target, None)

        def outrun() -> None:
            first.outrun = True

        return await race(
            lambda: self._send(course, first),
            lambda: self._hedge(course),
            delay,
            over=lambda: course.is_over,
            outrun=outrun,
        )

    async def _hedge(self, course: Course) -> Reply | None:
        target = course.next_available()  # nobody else: it is not needed
        if target is None:
            return None
        try:
            return await self._try(course, target)
        except asyncio.CancelledError:
            course.give_back(target)
            raise

    async def _cooled(self, course: Course, target: Target) -> bool:
        """Wait until a target that asked for a pause, and is the last that is left, can be asked again."""
        wait = self.health.cooling(target)
        if not wait:
            return True
        if time.monotonic() + wait < deadline_of(course.call, self.strategy.optimization):
            note_pause(target, wait)
            await asyncio.sleep(wait)
            return True
        if self.health.unasked_for(target) > LONGEST_SILENCE:  # it may have meant less than it said
            return True
        error = errors.RateLimitError(
            f"{target.name} asked for a pause that lasts {wait:.0f} s more, which is longer than this request can wait",
            retry_after=wait,
        )
        course.note(target, error)
        return False

    async def _try(self, course: Course, target: Target, beginning: Beginning | None = None) -> Reply | None:
        return await self._send(course, self._prepare(course, target, beginning))

    async def _send(self, course: Course, attempt: Attempt) -> Reply | None:
        """Make an attempt; None: it failed, and is noted."""
        target = attempt.target
        try:
            reply = await self.attempt(attempt)
            refusal = course.refusal_of(target)
            buffers = course.call.stream and recovery_of(target, self.strategy.optimization) == "buffer"
            if buffers or (refusal is not None and reply.is_refusal):  # a refusal's usage comes behind it
                await read_whole(reply, attempt.deadline)
            if refusal is not None and reply.is_refusal:
                reply.break_off(refusal)
                await reply.aclose()
                raise refusal
        except errors.LlamaFarmError as error:
            course.note(target, error, attempt)
            return None
        return reply

    def _prepare(self, course: Course, target: Target, beginning: Beginning | None) -> Attempt:
        call, constraints = course.call, self.strategy.constraints
        last = course.is_last
        patience = self.health.patience(target, streamed=call.stream)
        now = time.monotonic()
        limits = limits_of(call, target, self.strategy.optimization, now=now, last=last, patience=patience)
        body = body_for(call, target, constraints)
        attempt = Attempt(call, target, body, limits.deadline, limits.ttft, limits.idle, last, limits.bound_by)
        attempt.patience = patience
        if beginning is not None:
            attempt.beginning = beginning.given
            attempt.body = with_less_output(body, beginning.tokens)
        return attempt

    async def _recovering(self, course: Course, reply: Reply) -> Reply:
        """Have a streamed reply gone on with by later targets, where its strategy and the request allow it."""
        call = course.call
        _keep_last(call, reply)
        _name(reply)
        if not call.stream or course.is_done or not can_continue(call):
            return reply
        if recovery_of(reply.target, self.strategy.optimization) != "continue":
            return reply
        course.read(reply)
        recovered = Recovered(reply, lambda beginning: self._go_on(course, beginning), ends=course.ends)
        whole = Reply(recovered, reply.target, reply.record)
        recovered.on_switch(whole.answered_by)
        await whole.prime()
        return whole

    async def _go_on(self, course: Course, beginning: Beginning) -> Reply:
        """Have the first later target that can go on from the beginning of an answer.

        Raises StreamCutError, with the reasons of those that could not, where there is none.
        """
        call = course.call
        call.restart(beginning.bytes)
        course.go_on(lambda target: can_go_on(call, target, beginning), begun=bool(beginning.given))
        while not course.is_over and (target := course.next()) is not None:
            if not await self._cooled(course, target):
                continue
            reply = await self._try(course, target, beginning)
            if reply is not None:
                _name(reply)
                course.read(reply)
                return reply
        raise course.cut()


def _name(reply: Reply) -> None:
    """Have the error that a reply may end with bear its target's name."""
    name = reply.target.name

    def put(outcome: Outcome) -> None:
        if isinstance(outcome.error, AttemptError):
            outcome.error.target = name

    reply.on_end(put)


def _keep_last(call: Call, reply: Reply) -> None:
    """List the attempt that answers last: a hedge may have begun after it."""
    for place, record in enumerate(call.attempts[:-1]):
        if record is reply.record:
            call.attempts.append(call.attempts.pop(place))
            return
