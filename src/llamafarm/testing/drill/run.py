"""Carries a drill out: calls every target, plays every fault, sends every rule a request of its own."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from llamafarm import planning
from llamafarm.errors import LlamaFarmError
from llamafarm.farm import AnswerStream, Farm
from llamafarm.farm.answers import gather
from llamafarm.farm.upstreams import Upstreams, dialects
from llamafarm.health import Health
from llamafarm.pipeline import compose
from llamafarm.planning import money
from llamafarm.planning.plan import named_order
from llamafarm.testing.drill.calling import Uncalled, call_for, uncalled, with_fake_key
from llamafarm.testing.drill.judging import Outcome, Promises, judge_cell, judge_last, judge_rule, judge_unmade
from llamafarm.testing.drill.report import Report, TargetRow
from llamafarm.testing.drill.routes import cells_of, mapped, narrowed, routes_of, rule_cases
from llamafarm.testing.drill.upstreams import FaultyUpstreams
from llamafarm.testing.fake_provider import FakeProvider
from llamafarm.transport.faulty import InjectedFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from llamafarm.hardware import Hardware
    from llamafarm.models.progress import Progress
    from llamafarm.planning import Explanation, Routing
    from llamafarm.spec.strategy import Strategy
    from llamafarm.testing.drill.report import FaultRow, RuleRow
    from llamafarm.testing.drill.routes import Cell, RuleCase
    from llamafarm.types import Call, Target, Upstream

__all__ = ["Drill", "Extent", "drill"]

_LONGEST = 30.0
"""Seconds one target may take here, whatever the file says."""
_SHORTENED = 1.0
"""Seconds after which a target that never answers is given up."""
_SHORTENED_DRY = 0.05
_RETRY_PAUSE = 0.01
"""Seconds before a target that fails on purpose is tried again."""
_ABILITIES = ("vision", "tools", "json")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a drill will send."""

    requests: int
    worst: int
    """The most that they can cost together, in nanodollars, as far as prices are known."""
    unpriced: tuple[str, ...]
    """Names of the targets whose cost nobody can bound."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A request that is to be sent to see a rule or a target at work."""

    call: Call
    plan: Explanation


class Drill:
    """One strategy's drill: what it would send is known before anything is sent.

    With `dry_run` a fake (`fake`, if it is to answer in another way) stands in the place of every target: no network,
    no key, no model; planning, the stages and health are the real ones. `prompts` are tried for rules that no prompt
    can be made for. `model` narrows it to the order that a call takes that names this target, alias or model. Making it
    raises CostLimitError for a strategy that refuses to send, and UnknownModelError.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        dry_run: bool = False,
        promises: Promises | None = None,
        prompts: Sequence[str] = (),
        model: str | None = None,
        environment: Mapping[str, str] | None = None,
        hardware: Hardware | None = None,
        progress: Callable[[Progress], None] | None = None,
        fake: Upstream | None = None,
    ) -> None:
        money.check_budgets(strategy)
        self._strategy = strategy
        self._dry_run = dry_run
        self._promises = promises or Promises()
        self._real = None if dry_run else Upstreams(strategy.constraints.privacy_mode, progress)
        self._upstreams: Mapping[str, Upstream] = self._real or dict.fromkeys(dialects(), fake or FakeProvider())
        self._seconds = _SHORTENED_DRY if dry_run else _SHORTENED
        environment = os.environ if environment is None else environment
        farm = Farm(strategy, environment=environment, upstreams=self._upstreams, hardware=hardware)
        routing = farm.routing
        if model is not None and model != strategy.name:
            routing = narrowed(routing, named_order(routing, model))
        self._notes = tuple(_doubles(farm.routing))
        self._routing = mapped(routing, with_fake_key) if dry_run else routing
        self._short = mapped(self._routing, _bounded)
        self._now = datetime.now(UTC if strategy.timezone == "UTC" else ZoneInfo(strategy.timezone))
        self._rules: list[RuleCase] = list(rule_cases(self._routing, self._now, prompts))
        self._cells: list[Cell] = list(cells_of(routes_of(self._routing, self._rules, self._now)))

    # What it will do

    def extent(self) -> Extent:
        """Count what `run` sends, and bound what that costs."""
        tasks = [self._target_task(target) for target in self._routing.targets if not self._uncalled(target)]
        tasks += [task for case in self._rules if (task := self._rule_task(case)) is not None]
        plans = [task.plan for task in tasks if task.plan.refusal is None]
        cells = [cell for cell in self._cells if not cell.is_last]
        bounds = [(plan.worst_case, plan.order) for plan in plans] + [(cell.worst, cell.order) for cell in cells]
        unbounded = [order for worst, order in bounds if worst is None]
        unpriced = {t.name for order in unbounded for t in [t for t in order if t.price is None] or order}
        return Extent(len(plans) + len(cells), sum(worst or 0 for worst, _ in bounds), tuple(sorted(unpriced)))

    def _target_task(self, target: Target) -> _Task:
        call = call_for(target, f"{self._strategy.name}/{target.name}")
        return _Task(call, planning.explain(self._alone(target), call, planning.Snapshot(self._now)))

    def _rule_task(self, case: RuleCase) -> _Task | None:
        if judge_unmade(case) is not None or case.found.sample is None:
            return None
        call = case.found.sample.call(stream=False)
        now = case.found.sample.moment(self._now)
        return _Task(call, planning.explain(self._routing, call, planning.Snapshot(now)))

    def _alone(self, target: Target) -> Routing:
        """Give the routing in which the target's name means it, and not another one of that name."""
        optimization = self._strategy.optimization
        shorter = dataclasses.replace(optimization, timeout_seconds=min(optimization.timeout_seconds, _LONGEST))
        strategy = dataclasses.replace(self._strategy, optimization=shorter)
        return dataclasses.replace(self._short, strategy=strategy, named={target.name: _bounded(target)})

    # Doing it

    async def run(self, told: Callable[[str], None] = lambda _: None) -> Report:
        """Do all of it, one request after the other; `told` hears what comes next."""
        try:
            told("targets")
            targets = [await self._call(target) for target in self._routing.targets]
            told("faults")
            faults = [await self._play(cell) for cell in self._cells]
            told("rules")
            rules = [await self._show(place, case) for place, case in enumerate(self._rules)]
        finally:
            if self._real is not None:
                await self._real.aclose()
        refused = None if any(row.outcome in ("answered", "failed") for row in targets) else "no target could be called"
        return Report(
            self._strategy.name,
            self._dry_run,
            tuple(targets),
            tuple(faults),
            tuple(rules),
            (*self._notes, *_lonely(self._routing)),
            refused,
        )

    async def _call(self, target: Target) -> TargetRow:
        row = TargetRow(target.name, target.provider, target.model, ok=False, outcome="failed")
        reason = self._uncalled(target)
        if reason is not None:
            excused = (reason.outcome == "no key" and self._promises.allow_missing_keys) or (
                reason.outcome != "no key" and target.identity not in self._needed()
            )
            ok = None if excused or reason.outcome == "not called" else False
            return dataclasses.replace(row, ok=ok, outcome=reason.outcome, detail=reason.detail)
        task = self._target_task(target)
        outcome = await self._ask(task.call, self._alone(target), {}, self._now)
        if outcome.answer is None:
            return dataclasses.replace(row, detail=outcome.failure(), ms=outcome.ms)
        return dataclasses.replace(
            row,
            ok=True,
            outcome="answered",
            ms=outcome.ms,
            first_token_ms=outcome.answer.first_token_ms,
            usage=outcome.answer.usage,
            cost_usd=outcome.answer.cost_usd,
        )

    def _uncalled(self, target: Target) -> Uncalled | None:
        """Say why a target cannot be called, or is not, also where it is this one request that it cannot take."""
        reason = uncalled(target)
        plan = self._target_task(target).plan if reason is None else None
        if plan is None or plan.refusal is None:
            return reason
        reasons = (
            v.reasons for v in plan.verdicts if (v.target.identity, v.target.name) == (target.identity, target.name)
        )
        return Uncalled("barred", "; ".join(next(reasons, ())) or str(plan.refusal))

    def _needed(self) -> frozenset[object]:
        """Name the targets that some request is meant to reach without naming them."""
        routing = self._routing
        targets = (*routing.order, *(t for t, _ in routing.balanced), *(rule.target for rule in routing.rules))
        return frozenset(target.identity for target in targets)

    async def _play(self, cell: Cell) -> FaultRow:
        if cell.is_last:
            return judge_last(cell, self._promises)
        faults = {target.identity: InjectedFault.REFUSED for target in cell.order[: cell.place]}
        faults[cell.target.identity] = cell.fault
        routing = mapped(
            cell.route.routing,
            partial(_quick, faults=faults, seconds=self._seconds, ttft=self._strategy.optimization.ttft_timeout),
        )
        call = cell.route.sample.call(stream=cell.streamed)
        outcome = await self._ask(call, routing, faults, cell.route.now)
        return judge_cell(cell, outcome, self._promises, seconds=self._seconds)

    async def _show(self, place: int, case: RuleCase) -> RuleRow:
        task = self._rule_task(case)
        if task is None or case.found.sample is None:
            unmade = judge_unmade(case)
            assert unmade is not None  # noqa: S101 - no request is missing but for a reason
            return unmade
        outcome = None
        if task.plan.refusal is None and not task.plan.rules[place].note:
            outcome = await self._ask(task.call, self._short, {}, case.found.sample.moment(self._now))
        return judge_rule(case, task.plan, place, outcome, self._promises)

    async def _ask(
        self,
        call: Call,
        routing: Routing,
        faults: Mapping[tuple[object, ...], InjectedFault],
        now: datetime,
    ) -> Outcome:
        """Send one request through a pipeline of its own, in which nothing is known yet of anybody's health."""
        transport = None if self._real is None else self._real.transport
        upstreams = FaultyUpstreams(self._upstreams, faults, transport)
        send = compose(routing, upstreams, (), lambda: planning.Snapshot(now), Health())
        call.started = started = time.monotonic()
        answer, failure = None, None
        try:
            if call.stream:
                async with AnswerStream(call, send) as stream:
                    async for _ in stream:
                        pass
                    answer = stream.answer
            else:
                answer = await gather(call, await send(call))
        except LlamaFarmError as error:
            failure = error
        return Outcome(call, answer, failure, (time.monotonic() - started) * 1e3)


async def drill(strategy: Strategy, *, dry_run: bool = False, promises: Promises | None = None) -> Report:
    """Find out whether a strategy holds; `Drill` takes more options."""
    return await Drill(strategy, dry_run=dry_run, promises=promises).run()


def _bounded(target: Target) -> Target:
    return target if target.timeout <= _LONGEST else dataclasses.replace(target, timeout=_LONGEST)


def _quick(
    target: Target, *, faults: Mapping[tuple[object, ...], InjectedFault], seconds: float, ttft: float | None
) -> Target:
    """Shorten the timers of a target that fails on purpose; one whose real answer is cut keeps those of an answer.

    `ttft` are the seconds that the strategy gives a first token. Nobody is asked beside one whose answer is to be cut:
    whoever answers first, the cut has to be seen.
    """
    fault, target = faults.get(target.identity), _bounded(target)
    if fault is None:
        return target
    quick = dataclasses.replace(target, retry_delay=_RETRY_PAUSE)
    if fault is InjectedFault.CUT:
        return dataclasses.replace(quick, hedge_after="off")
    if fault is not InjectedFault.TIMEOUT:
        return quick
    first = target.ttft_timeout or ttft or seconds
    return dataclasses.replace(quick, timeout=min(target.timeout, seconds), ttft_timeout=min(first, seconds))


def _doubles(routing: Routing) -> Iterable[str]:
    """Say which entries of the chain are targets that the order has already, and so no fallback for it."""
    names = {target.name for target in routing.order}
    same = {target.identity: target.name for target in routing.order}
    for entry in routing.strategy.fallback_chain:
        if entry.name not in names:
            first = same[routing.named[entry.name].identity]
            yield f"{entry.name} is the same target as {first} (address, key and model): it stands in for nobody"


def _lonely(routing: Routing) -> Iterable[str]:
    """Say what only the first of a chain can do: requests that need it have nobody to fall back to."""
    chain = [target for target in routing.order if not target.barred]
    for ability in _ABILITIES if len(chain) > 1 else ():
        able = [target for target in chain if target.supports is None or ability in target.supports]
        if len(able) == 1 and able[0].supports is not None:
            yield f"only {able[0].name} takes requests with {ability}: nobody in the chain stands in for it there"
