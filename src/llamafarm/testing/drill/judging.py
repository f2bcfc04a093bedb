"""Judges, without I/O, what a drill has seen: whether the strategy file promises that, and what to do if not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import AllFailedError, StreamCutError, TransientError
from llamafarm.planning.timing import limits_of, pause_before, recovery_of
from llamafarm.stages.recover import can_continue
from llamafarm.testing.drill.report import FaultRow, RuleRow
from llamafarm.transport.faulty import InjectedFault
from llamafarm.types import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llamafarm.errors import LlamaFarmError
    from llamafarm.planning import Explanation
    from llamafarm.testing.drill.routes import Cell, RuleCase
    from llamafarm.types import Answer, AttemptRecord, Call, Target

__all__ = ["Outcome", "Promises", "judge_cell", "judge_last", "judge_rule", "judge_unmade", "lacks_key"]

_NOBODY = "nobody is left behind it"


@dataclass(frozen=True, slots=True)
class Promises:
    """What of a strategy counts as promised."""

    allow_missing_keys: bool = False
    """A target whose key is not set here is no fault."""
    continues: bool = False
    """The file itself says ``stream_recovery: continue``, so that a cut which ends with an error breaks its word."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    call: Call
    answer: Answer | None
    error: LlamaFarmError | None
    ms: float

    @property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """What was tried, in order."""
        return tuple(self.call.attempts)

    def failure(self, injected: Iterable[Target] = ()) -> str:
        """Say in one line why there is no answer: what each target failed with last, but for those made to fail."""
        if not isinstance(self.error, AllFailedError):
            return str(self.error)
        made_to = {target.name for target in injected}
        last = {record.target: record.error for record in self.error.attempts if record.error}
        said = [f"{target}: {error}" for target, error in last.items() if target not in made_to]
        return "; ".join(said) or str(self.error)

    def cost_usd(self, sent_to: Iterable[Target]) -> float | None:
        """Give what it cost at the targets that it was really sent to; None where one of them has no price."""
        targets = {target.name: target for target in sent_to}
        records = [record for record in self.attempts if record.target in targets]
        if any(targets[record.target].price is None for record in records):
            return None
        return sum(record.cost for record in records) / 1e9


def lacks_key(target: Target) -> bool:
    """Tell whether all that bars a target is a key that is not set here."""
    key = target.api_key
    return key is not None and not key.is_set and target.barred == (key.why_unset,)


def judge_last(cell: Cell, promises: Promises) -> FaultRow:
    """Judge a cell with nobody left behind its target: nothing is sent for that."""
    wanted = [target for target in cell.route.wanted if target.identity != cell.target.identity]
    accepted = promises.allow_missing_keys and all(map(lacks_key, wanted))
    note = f"nobody can take over: {'; '.join(cell.unfit)}" if cell.unfit else _NOBODY
    alone = len(cell.order) == 1  # behind others that can be fallen back to, it is the last as any order has one
    ok = False if cell.unfit and alone and not accepted else None
    return FaultRow(cell.target.name, cell.fault, cell.streamed, _names(cell), ok, note=note, rule=cell.route.rule)


def judge_cell(cell: Cell, outcome: Outcome, promises: Promises, *, seconds: float) -> FaultRow:
    """Judge what became of a request; `seconds` is what the faulty target's timers were shortened to."""
    ok, note = _verdict(cell, outcome, promises)
    if ok:
        note = "; ".join(filter(None, (note, *_spared(cell, outcome, seconds))))
    return FaultRow(
        cell.target.name,
        cell.fault,
        cell.streamed,
        _names(cell),
        ok,
        answered_by=outcome.answer.target if outcome.answer else None,
        ms=outcome.ms,
        cost_usd=outcome.cost_usd(cell.order[cell.place if cell.fault is InjectedFault.CUT else cell.place + 1 :]),
        note=note,
        rule=cell.route.rule,
    )


def _spared(cell: Cell, outcome: Outcome, seconds: float) -> Iterator[str]:
    """Say what would have taken longer outside of a test."""
    configured = _configured(cell, outcome.call)
    if cell.fault is InjectedFault.TIMEOUT and configured > seconds and not _is_overtaken(cell, outcome):
        yield f"shortened to {seconds:g} s from {configured:.3g} s"
    pauses = sum(_pauses(cell, outcome))
    if pauses:
        yield f"left out: pauses of up to {pauses:.3g} s between tries"


def _pauses(cell: Cell, outcome: Outcome) -> Iterator[float]:
    """Give the longest that each pause between the tries could have been, at targets that failed on purpose."""
    optimization = cell.route.routing.strategy.optimization
    waited = 0.0
    for target in cell.order[: cell.place + 1]:
        attempt = Attempt(outcome.call, target, {}, deadline=0.0, last=False)
        for retry in range(1, sum(record.target == target.name for record in outcome.attempts)):
            pause = pause_before(
                retry,
                TransientError("made to fail"),
                attempt,
                optimization.retry_policy,
                now=waited,
                deadline=optimization.timeout_seconds,
            )
            if pause is None:  # then it would not have been tried again
                break
            waited += pause
            yield pause


def _is_overtaken(cell: Cell, outcome: Outcome) -> bool:
    """Tell whether the target with the fault was left for another one before the fault showed."""
    return any(record.target == cell.target.name and record.outcome == "abandoned" for record in outcome.attempts)


def _names(cell: Cell) -> tuple[str, ...]:
    return tuple(target.name for target in cell.order)


def _verdict(cell: Cell, outcome: Outcome, promises: Promises) -> tuple[bool | None, str]:
    if outcome.answer is not None:
        if outcome.answer.target == cell.target.name:
            if cell.fault is InjectedFault.CUT:
                return None, "its answer came in one piece, and could not be cut"
            return False, "it answered in spite of the fault"
        if _is_overtaken(cell, outcome):
            return True, f"{outcome.answer.target} was asked as well (hedge_after), and was first"
        return True, _how(cell, outcome) if cell.fault is InjectedFault.CUT else ""
    if cell.fault is not InjectedFault.CUT or not outcome.attempts or outcome.attempts[-1].target != cell.target.name:
        return False, outcome.failure(cell.order[: cell.place + (cell.fault is not InjectedFault.CUT)])
    return _cut(cell, outcome, promises)


def _how(cell: Cell, outcome: Outcome) -> str:
    """Say how an answer came to be whole whose beginning was cut."""
    first = next((record for record in outcome.attempts if record.target == cell.target.name), None)
    if first is None or first.outcome != StreamCutError.kind:
        return f"it could not be cut: {first.error}" if first is not None and first.error else ""
    recovery = recovery_of(cell.target, cell.route.routing.strategy.optimization)
    return "went on with the answer" if recovery == "continue" else "answered anew: nothing had been passed on"


def _cut(cell: Cell, outcome: Outcome, promises: Promises) -> tuple[bool, str]:
    """Judge a cut that ended with an error: whether somebody could have gone on, or the file says somebody would."""
    strategy = cell.route.routing.strategy
    if recovery_of(cell.target, strategy.optimization) == "error":
        return True, "the stream ends with a clear error: stream_recovery is error"
    behind = cell.order[cell.place + 1 :]
    if can_continue(outcome.call) and any(target.prefill is not None for target in behind):
        return False, outcome.failure(cell.order[: cell.place])
    if can_continue(outcome.call):
        why = "none of those behind it can go on with the answer"
        advice = "stream_recovery: buffer would keep it whole, as would a target that can go on"
    else:
        why, advice = "nobody can go on with such an answer", "stream_recovery: buffer would keep it whole"
    promised = cell.target.stream_recovery or ("continue" if promises.continues else None)
    if promised == "continue":
        return False, f"stream_recovery is continue, and {why}: {advice}"
    return True, f"the stream ends with a clear error, for {why}: {advice}"


def _configured(cell: Cell, call: Call) -> float:
    """Give the seconds that the file lets the target take."""
    optimization = cell.route.routing.strategy.optimization
    limits = limits_of(call, cell.target, optimization, now=call.started, last=False)
    whole = limits.deadline - call.started
    return min(whole, limits.ttft) if cell.streamed and limits.ttft is not None else whole


def judge_unmade(case: RuleCase) -> RuleRow | None:
    """Judge a rule that no request could be made for; None where one was."""
    condition, found = case.rule.condition, case.found
    row = RuleRow(condition.text, case.rule.wanted, ok=False)
    if found.sample is not None and not found.taken_by:
        return None
    if found.taken_by:
        note = f"an earlier rule takes every prompt that was tried: {found.taken_by} (give another with --prompt)"
    elif condition.is_constant is False:
        note = "its condition never holds"
    elif any(name.startswith("budget.") for name in condition.names):
        return RuleRow(condition.text, case.rule.wanted, ok=None, note="not tried: budgets are not kept yet")
    else:
        note = "could not make a prompt for it: give one with --prompt"
    return RuleRow(row.condition, row.target, ok=False, note=note)


def judge_rule(case: RuleCase, plan: Explanation, place: int, outcome: Outcome | None, promises: Promises) -> RuleRow:
    """Judge what became of the request that was made for a rule; without an outcome, of its plan alone."""
    rule, sample = case.rule, case.found.sample
    prompt = sample.summary if sample is not None else ""
    planned = plan.rules[place]
    if plan.refusal is not None or planned.note:
        accepted = promises.allow_missing_keys and lacks_key(rule.target)
        note = str(plan.refusal) if plan.refusal is not None else planned.note
        return RuleRow(rule.condition.text, rule.wanted, None if accepted else False, prompt, note=note)
    if outcome is None:
        return RuleRow(rule.condition.text, rule.wanted, None, prompt)
    first = outcome.attempts[0] if outcome.attempts else None
    # Where a slow target is hedged, another may answer first: the rule has done its part.
    ok = outcome.answer is not None and (
        outcome.answer.target == rule.target.name
        or (first is not None and first.target == rule.target.name and first.outcome == "abandoned")
    )
    note = "" if ok else _missed(rule.target.name, outcome)
    return RuleRow(
        rule.condition.text,
        rule.wanted,
        ok,
        prompt,
        answered_by=outcome.answer.target if outcome.answer else None,
        ms=outcome.ms,
        cost_usd=outcome.cost_usd(plan.order),
        note=note,
    )


def _missed(target: str, outcome: Outcome) -> str:
    if outcome.answer is None:
        return outcome.failure()
    error = next((record.error for record in outcome.attempts if record.target == target), None)
    return f"{target} failed: {error}"
