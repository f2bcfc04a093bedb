"""Decides, without I/O, what a drill has to try: each way requests can take, and on it each target under each fault."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import planning
from llamafarm.planning import money
from llamafarm.planning.plan import behind
from llamafarm.testing.drill.making import find_sample, plain_sample
from llamafarm.transport.faulty import InjectedFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from llamafarm.planning import Explanation, Routing, RoutingRule
    from llamafarm.testing.drill.making import Found
    from llamafarm.testing.drill.sample import Sample
    from llamafarm.types import Call, Target

__all__ = ["Cell", "Route", "RuleCase", "cells_of", "mapped", "narrowed", "routes_of", "rule_cases"]

_PLAIN = (
    InjectedFault.REFUSED,
    InjectedFault.TIMEOUT,
    InjectedFault.RATE_LIMIT,
    InjectedFault.RATE_LIMIT_WITH_PAUSE,
    InjectedFault.SERVER_ERROR,
)
_STREAMED = (InjectedFault.TIMEOUT, InjectedFault.CUT)
"""Faults that a stream meets in another way than a plain request: another timer, another end."""


@dataclass(frozen=True, slots=True)
class RuleCase:
    """One rule and the request that was found for it."""

    rule: RoutingRule
    found: Found


@dataclass(frozen=True, slots=True)
class Route:
    """A request, and the targets that the file has for it."""

    routing: Routing
    sample: Sample
    now: datetime
    wanted: tuple[Target, ...]
    """In order, also those that are not eligible for it."""
    rule: str = ""
    """The condition of the rule that the request is made for; empty: no rule holds for it."""

    def explain(self, *, stream: bool) -> tuple[Call, Explanation]:
        """Make the call and plan it; nobody's health counts, and the spreading of load always draws the first."""
        call = self.sample.call(stream=stream)
        return call, planning.explain(self.routing, call, planning.Snapshot(self.now))


@dataclass(frozen=True, slots=True)
class Cell:
    """One target under one fault, and everybody before it out of reach."""

    route: Route
    order: tuple[Target, ...]
    place: int
    """Of the target with the fault, in the order."""
    fault: InjectedFault
    streamed: bool
    worst: int | None
    """The most that trying it could cost, in nanodollars; None: not known."""
    unfit: tuple[str, ...] = ()
    """Where nobody is left behind it: whom the file has there all the same, and why each cannot take over."""

    @property
    def target(self) -> Target:
        """The one with the fault."""
        return self.order[self.place]

    @property
    def is_last(self) -> bool:
        """Whether nobody is left to take over."""
        return self.place == len(self.order) - 1


def mapped(routing: Routing, change: Callable[[Target], Target]) -> Routing:
    """Give the same routing with every target changed, each once: a thousand rules may have one and the same."""
    known: dict[int, Target] = {}

    def changed(target: Target) -> Target:
        if id(target) not in known:
            known[id(target)] = change(target)
        return known[id(target)]

    return dataclasses.replace(
        routing,
        named={name: changed(target) for name, target in routing.named.items()},
        targets=tuple(map(changed, routing.targets)),
        rules=tuple(
            rule if changed(rule.target) is rule.target else dataclasses.replace(rule, target=changed(rule.target))
            for rule in routing.rules
        ),
        order=tuple(map(changed, routing.order)),
        balanced=tuple((changed(target), weight) for target, weight in routing.balanced),
    )


def narrowed(routing: Routing, order: tuple[Target, ...]) -> Routing:
    """Give what is left of a routing for requests that name their target: this order, and no rule."""
    return dataclasses.replace(routing, targets=order, order=order, rules=(), tagged={}, balanced=())


def rule_cases(routing: Routing, now: datetime, prompts: Sequence[str] = ()) -> Iterator[RuleCase]:
    """Find a request for each rule, in the order they are asked."""
    conditions = [rule.condition for rule in routing.rules]
    for place, rule in enumerate(routing.rules):
        yield RuleCase(rule, find_sample(conditions, place, now, prompts=prompts, strategy=routing.strategy.name))


def routes_of(routing: Routing, cases: Iterable[RuleCase], now: datetime) -> Iterator[Route]:
    """Give every way that a request can take: the chain, and what each rule makes of it.

    Where load is balanced, the chain comes once with each target in front that the pick can fall on.
    """
    sample = plain_sample([rule.condition for rule in routing.rules], now)
    if sample is not None:
        for turned in _picks(routing):
            wanted = _unique((*(target for target, _ in turned.balanced), *turned.order))
            yield Route(turned, sample, sample.moment(now), wanted)
    for case in cases:
        if case.found.sample is not None and not case.found.taken_by:
            own = case.found.sample
            yield Route(routing, own, own.moment(now), behind(case.rule, routing.order), case.rule.condition.text)


def _picks(routing: Routing) -> Iterator[Routing]:
    """Give the routing with each balanced target where the pick falls on it: the first of them."""
    for place in range(max(1, len(routing.balanced))):
        balanced = (*routing.balanced[place:], *routing.balanced[:place])
        yield dataclasses.replace(routing, balanced=balanced)


def _unique(targets: Iterable[Target]) -> tuple[Target, ...]:
    found: dict[tuple[object, ...], Target] = {}
    for target in targets:
        found.setdefault(target.identity, target)
    return tuple(found.values())


def cells_of(routes: Iterable[Route]) -> Iterator[Cell]:
    """Give every target under every fault on every route; what another route has shown already is left out.

    Everybody before the target with the fault is out of reach, so that only those behind it make a difference.
    """
    seen: set[tuple[object, ...]] = set()
    for route in routes:
        modes = [(*mode, *route.explain(stream=mode[0])) for mode in _modes(route.sample.stream)]
        for place in range(max(len(plan.order) for *_, plan in modes)):
            for streamed, faults, call, plan in modes:
                for fault in faults if place < len(plan.order) else ():
                    cell = _cell(route, call, plan, place, fault, streamed=streamed)
                    key = _key(cell, call)
                    if key not in seen:
                        seen.add(key)
                        yield cell


def _modes(stream: bool | None) -> tuple[tuple[bool, tuple[InjectedFault, ...]], ...]:
    """Give what is tried of plain requests (False) and of streams (True), where a rule does not ask for one of them."""
    if stream is None:
        return ((False, _PLAIN), (True, _STREAMED))
    return ((True, (*_PLAIN, InjectedFault.CUT)),) if stream else ((False, _PLAIN),)


def _key(cell: Cell, call: Call) -> tuple[object, ...]:
    following = tuple(target.identity for target in cell.order[cell.place :])
    needs = tuple(sorted(name for name in ("response_format", "tools") if call.body.get(name)))
    return (cell.fault, cell.streamed, following, cell.unfit, needs if cell.fault is InjectedFault.CUT else ())


def _cell(route: Route, call: Call, plan: Explanation, place: int, fault: InjectedFault, *, streamed: bool) -> Cell:
    strategy, order = route.routing.strategy, plan.order
    sent = order[place if fault is InjectedFault.CUT else place + 1 :]
    unfit = _unfit(route, plan) if place == len(order) - 1 else ()
    worst = 0 if place == len(order) - 1 else money.worst_of(sent, call, strategy)
    return Cell(route, order, place, fault, streamed, worst, unfit)


def _unfit(route: Route, plan: Explanation) -> tuple[str, ...]:
    """Say why targets that the file has for a request are no help where only one is left."""
    eligible = {target.identity for target in plan.order}
    reasons = {verdict.target.identity: verdict.reasons for verdict in plan.verdicts}
    return tuple(
        f"{target.name}: {', '.join(reasons.get(target.identity) or target.barred)}"
        for target in route.wanted
        if target.identity not in eligible
    )
