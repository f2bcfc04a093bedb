"""Decides where a call goes: what the caller named, else the first rule that holds, else the default order."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import errors
from llamafarm.conditions import Facts
from llamafarm.planning import money
from llamafarm.planning.eligibility import Verdict, judge
from llamafarm.planning.extras import asked_extras
from llamafarm.planning.sense import check_request
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from llamafarm.conditions import Input
    from llamafarm.planning.routing import Routing, RoutingRule
    from llamafarm.types import Call, Target

__all__ = ["Explanation", "RuleVerdict", "Snapshot", "explain", "plan"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What planning looks at besides the file and the call."""

    now: datetime
    """In the strategy's timezone."""


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What became of one rule."""

    condition: str
    target: str
    matched: bool
    note: str = ""
    """Why a rule that matched was passed over or refuses."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about a decision, and nothing sent."""

    rules: tuple[RuleVerdict, ...]
    verdicts: tuple[Verdict, ...]
    """Of every target of the strategy."""
    order: tuple[Target, ...]
    """Where the call would go; empty where it would be refused."""
    input_tokens: int
    """An estimate."""
    worst_case: int | None
    """Nanodollars the costliest single attempt of the order could cost; None where that has no bound, or it is
    refused."""
    refusal: errors.RefusedError | None


class _Planner:
    """One call's decision; judges each target at most once."""

    def __init__(self, routing: Routing, call: Call, snapshot: Snapshot) -> None:
        self.routing = routing
        self.call = call
        self.facts = Facts.of(call, snapshot.now)
        self._verdicts: dict[tuple[object, ...], Verdict] = {}
        prompt = self.facts.input
        call.input_tokens, call.input_bytes, call.images = prompt.tokens, prompt.upper_bound, prompt.images
        call.takes_system = call.operation is Operation.CHAT and prompt.system is None
        if routing.strategy.constraints.max_cost_per_request is not None:
            call.extras = asked_extras(call.body)

    def judge(self, target: Target) -> Verdict:
        verdict = self._verdicts.get(target.identity)
        if verdict is None or verdict.target is not target:
            verdict = judge(target, self.call, self.facts.input, self.routing.strategy.constraints)
            self._verdicts[target.identity] = verdict
        return verdict

    def decide(self) -> Iterator[Target]:
        """Give the order, judging each target when it is reached; raises a RefusedError where there is no first."""
        check_request(self.call)
        _check_pictures(self.routing, self.facts.input)
        money.check_budgets(self.routing.strategy)
        _check_input(self.routing, self.call)
        wanted = self._wanted()
        eligible = (target for target in wanted if self.judge(target).eligible)
        first = next(eligible, None)
        if first is None:
            raise self._nobody(wanted)
        return itertools.chain((first,), eligible)

    def _wanted(self) -> tuple[Target, ...]:
        name = self.call.model
        strategy = self.routing.strategy.name
        if name is not None and name != strategy:
            return self._named(name)
        rule = self._first_rule()
        return _behind(rule, self.routing.order) if rule else self.routing.order

    def _named(self, name: str) -> tuple[Target, ...]:
        named = self.routing.named
        if name in named:
            return _in_front(named[name], self.routing.order)
        rest = name.removeprefix(self.routing.strategy.name + "/")
        if rest != name and rest in named:
            return (named[rest],)
        known = ", ".join(sorted({self.routing.strategy.name, *named}))
        raise errors.UnknownModelError(
            f"strategy {self.routing.strategy.name!r} has no target, alias or model called {name!r}; it has: {known}"
        )

    def _first_rule(self) -> RoutingRule | None:
        for rule in self.routing.rules_for(self.call.tags):
            if not rule.condition(self.facts):
                continue
            verdict = self.judge(rule.target)
            if verdict.eligible:
                return rule
            if rule.target.local:
                raise errors.NoTargetError(
                    f"the rule {rule.condition.text!r} sends this request to {rule.wanted}, which cannot take it:"
                    f" {'; '.join(verdict.reasons)}"
                )
        return None

    def rule_verdicts(self) -> Iterable[RuleVerdict]:
        """Say of every rule whether its condition holds, also of those behind the first that does."""
        decided = False
        for rule in self.routing.rules:
            matched = rule.condition(self.facts)
            note = ""
            if matched and decided:
                note = "an earlier rule decides"
            elif matched:
                verdict = self.judge(rule.target)
                decided = verdict.eligible or rule.target.local
                if not verdict.eligible:
                    note = ("refuses: " if decided else "passed over: ") + "; ".join(verdict.reasons)
            yield RuleVerdict(rule.condition.text, rule.wanted, matched, note)

    def _nobody(self, wanted: Iterable[Target]) -> errors.RefusedError:
        verdicts = [self.judge(target) for target in wanted]
        reasons = "; ".join(f"{v.target.name}: {', '.join(v.reasons)}" for v in verdicts)
        return errors.NoTargetError(f"no target of strategy {self.routing.strategy.name!r} is eligible: {reasons}")


def _behind(rule: RoutingRule, order: tuple[Target, ...]) -> tuple[Target, ...]:
    """Put a rule's target in front; behind a local one stay only local ones, unless the rule says otherwise."""
    if rule.fallback is False:
        return (rule.target,)
    if rule.target.local and rule.fallback is None:
        order = tuple(target for target in order if target.local)
    return _in_front(rule.target, order)


def _in_front(first: Target, order: tuple[Target, ...]) -> tuple[Target, ...]:
    return (first, *(target for target in order if target.identity != first.identity))


def _check_pictures(routing: Routing, prompt: Input) -> None:
    """Refuse a picture's address where nothing may leave the machine: whoever answers would fetch it."""
    if routing.strategy.constraints.privacy_mode != "local_only":
        return
    if any(not url.startswith("data:") for turn in prompt.turns for url in turn.media.image_urls if url):
        raise errors.BadCallError(
            "privacy_mode is local_only: give the picture itself, not an address to fetch it from"
        )


def _check_input(routing: Routing, call: Call) -> None:
    constraints = routing.strategy.constraints
    limit = constraints.max_input_tokens
    if limit is not None and call.input_tokens > limit:
        raise errors.TokenLimitError(
            f"the prompt has about {call.input_tokens} tokens (estimated) and max_input_tokens is {limit}"
        )
    limit = constraints.max_tokens
    if limit is not None and call.input_tokens >= limit:
        raise errors.TokenLimitError(
            f"the prompt has about {call.input_tokens} tokens (estimated), which leaves none of max_tokens ({limit})"
            " for an answer"
        )


def plan(routing: Routing, call: Call, snapshot: Snapshot) -> Iterator[Target]:
    """Decide the order of targets for a call, at least one, and note the size of its prompt on it.

    Targets behind the first are judged when they are reached: most calls never get there. Raises UnknownModelError,
    TokenLimitError, CostLimitError or NoTargetError; then nothing may be sent.
    """
    return _Planner(routing, call, snapshot).decide()


def explain(routing: Routing, call: Call, snapshot: Snapshot) -> Explanation:
    """Decide as `plan` does, and say everything about it."""
    planner = _Planner(routing, call, snapshot)
    order: tuple[Target, ...] = ()
    refusal: errors.RefusedError | None = None
    try:
        order = tuple(planner.decide())
    except errors.RefusedError as error:
        refusal = error
    return Explanation(
        rules=tuple(planner.rule_verdicts()),
        verdicts=tuple(planner.judge(target) for target in routing.targets),
        order=order,
        input_tokens=call.input_tokens,
        worst_case=None if refusal else money.worst_of(order, call, routing.strategy.constraints),
        refusal=refusal,
    )
