"""Decides where a call goes: what the caller named, else the first rule that holds, else the default order."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import errors
from llamafarm.conditions import Facts
from llamafarm.health import UNKNOWN, way_of
from llamafarm.planning import money
from llamafarm.planning.balancing import spread
from llamafarm.planning.counting import Size, Sizes
from llamafarm.planning.eligibility import Verdict, judge, over_limits
from llamafarm.planning.extras import asked_extras
from llamafarm.planning.fetching import asked_fetches
from llamafarm.planning.sense import check_request
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from llamafarm.health import Figures
    from llamafarm.planning.routing import Routing, RoutingRule
    from llamafarm.tokens import Counter
    from llamafarm.types import Call, Target

__all__ = ["Explanation", "RuleVerdict", "Snapshot", "behind", "explain", "named_order", "plan"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What planning looks at besides the file and the call."""

    now: datetime
    """In the strategy's timezone."""
    figures: Callable[[Target, str], Figures] = lambda *_: UNKNOWN
    """What is known of a target's health and speed, by what it is to be asked for (`health.way_of`)."""
    turn: Callable[[], int] = lambda: 0
    """Counts the calls that are spread; asked once for each."""
    draw: float = 0.0
    """A random number from 0 up to 1."""
    counter: Callable[[Target], Counter | None] = lambda _: None
    """The tokenizer of a target's model, where one is on disk."""


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
    size: Size
    """Of the caller's prompt, counted as the first target of the order does where that has a tokenizer on disk."""
    sizes: tuple[Size, ...]
    """Of the prompt at each of the `verdicts`, the target's own system prompt included."""
    worst_case: int | None
    """Nanodollars the costliest single attempt of the order could cost; None where that has no bound, or it is
    refused."""
    refusal: errors.RefusedError | None

    @property
    def input_tokens(self) -> int:
        """The tokens of `size`."""
        return self.size.tokens


_CALLERS_FAULT = 400
"""The status of a refusal that only another request can change: a target is there, and this one asks too much of it."""


class _Planner:
    """One call's decision; judges each target at most once."""

    def __init__(self, routing: Routing, call: Call, snapshot: Snapshot) -> None:
        self.routing = routing
        self.call = call
        self.snapshot = snapshot
        self.facts = Facts.of(call, snapshot.now)
        self._verdicts: dict[tuple[object, ...], Verdict] = {}
        prompt = self.facts.input
        call.input_tokens, call.input_bytes, call.images = prompt.tokens, prompt.upper_bound, prompt.images
        call.counted = {}
        call.takes_system = call.operation is Operation.CHAT and prompt.system is None
        self.sizes = Sizes(call, prompt, routing.strategy.constraints, snapshot.counter)
        if routing.strategy.constraints.max_cost_per_request is not None:
            call.extras = asked_extras(call.body)

    def judge(self, target: Target) -> Verdict:
        verdict = self._verdicts.get(target.identity)
        if verdict is None or verdict.target is not target:
            verdict = judge(target, self.call, self.facts.input, self.routing.strategy.constraints, self.sizes)
            self._verdicts[target.identity] = verdict
        return verdict

    def decide(self) -> Iterator[Target]:
        """Give the order, judging each target when it is reached; raises a RefusedError where there is no first."""
        check_request(self.call)
        _check_fetches(self.routing, self.call)
        money.check_budgets(self.routing.strategy)
        self._check_input()
        wanted = self._wanted()
        eligible = (target for target in wanted if self.judge(target).eligible)
        first = next(eligible, None)
        if first is None:
            raise self._nobody(wanted)
        return itertools.chain((first,), eligible)

    def _check_input(self) -> None:
        """Refuse a prompt that no target can take under the strategy's own limits, whatever the caller named."""
        limits, tokens = self.routing.strategy.constraints, self.call.input_tokens
        over = limits.max_input_tokens is not None and tokens > limits.max_input_tokens
        if not over and (limits.max_tokens is None or tokens < limits.max_tokens):
            return
        if any(self.sizes.at(target).counted for target in self.routing.targets):
            return  # another judgement than the estimate's: each target gives its own
        reason = f"and max_input_tokens is {limits.max_input_tokens}"
        if not over:
            reason = f"which leaves none of max_tokens ({limits.max_tokens}) for an answer"
        raise errors.TokenLimitError(f"the prompt has {Size(tokens)}{' ' if over else ', '}{reason}")

    def _wanted(self) -> tuple[Target, ...]:
        name = self.call.model
        strategy = self.routing.strategy.name
        if name is not None and name != strategy:
            return named_order(self.routing, name)
        rule = self._first_rule()
        if rule is not None:
            return behind(rule, self.routing.order)
        return self._balanced() if self.routing.balanced else self.routing.order

    def _balanced(self) -> tuple[Target, ...]:
        """Put the pick of `load_balancing` in front, its other targets next, then the order."""
        routing, snapshot = self.routing, self.snapshot
        balancing = routing.strategy.load_balancing
        eligible = [pair for pair in routing.balanced if self.judge(pair[0]).eligible]
        if balancing is None or not eligible:
            return _in_front([target for target, _ in routing.balanced], routing.order)
        spread_out = spread(
            balancing.policy, eligible, self._figures, self._most_cost, turn=snapshot.turn(), draw=snapshot.draw
        )
        return _in_front(spread_out, routing.order)

    def _figures(self, target: Target) -> Figures:
        return self.snapshot.figures(target, way_of(self.call, target))

    def _most_cost(self, target: Target) -> int | None:
        constraints = self.routing.strategy.constraints
        return money.worst_case(target, self.call, money.output_cap(self.call, target, constraints))

    def _first_rule(self) -> RoutingRule | None:
        for rule in self.routing.rules_for(self.call.tags):
            if not rule.condition(self.facts):
                continue
            verdict = self.judge(rule.target)
            if verdict.eligible:
                return rule
            if rule.target.local:
                raise self._refusal(
                    f"the rule {rule.condition.text!r} sends this request to {rule.wanted}, which cannot take it:"
                    f" {'; '.join(verdict.reasons)}",
                    (rule.target,),
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
        if not verdicts:
            return errors.NoTargetError(
                f"strategy {self.routing.strategy.name!r} has nothing that answers: give it a component with a model"
            )
        reasons = "; ".join(f"{v.target.name}: {', '.join(v.reasons)}" for v in verdicts)
        message = f"no target of strategy {self.routing.strategy.name!r} is eligible: {reasons}"
        refusal = self._refusal(message, [verdict.target for verdict in verdicts])
        if not all(verdict.target.barred for verdict in verdicts):
            refusal.status = _CALLERS_FAULT
        return refusal

    def _refusal(self, message: str, targets: Iterable[Target]) -> errors.RefusedError:
        """Say that none of these targets takes the call: the caller's own fault where it is too long for each."""
        limits = self.routing.strategy.constraints
        too_long = all(any(over_limits(limits, self.sizes.at(target))) for target in targets)
        return (errors.TokenLimitError if too_long else errors.NoTargetError)(message)


def behind(rule: RoutingRule, order: tuple[Target, ...]) -> tuple[Target, ...]:
    """Put a rule's target in front; behind a local one stay only local ones, unless the rule says otherwise."""
    if rule.fallback is False:
        return (rule.target,)
    if rule.target.local and rule.fallback is None:
        order = tuple(target for target in order if target.local)
    return _in_front([rule.target], order)


def named_order(routing: Routing, name: str) -> tuple[Target, ...]:
    """Give the targets for a call that names one, an alias or a model: it in front, or it alone (`strategy/target`).

    Raises UnknownModelError.
    """
    named, strategy = routing.named, routing.strategy.name
    if name in named:
        return _in_front([named[name]], routing.order)
    rest = name.removeprefix(strategy + "/")
    if rest != name and rest in named:
        return (named[rest],)
    known = ", ".join(sorted({strategy, *named}))
    raise errors.UnknownModelError(
        f"strategy {strategy!r} has no target, alias or model called {name!r}; it has: {known}"
    )


def _in_front(first: Sequence[Target], order: tuple[Target, ...]) -> tuple[Target, ...]:
    chosen = {target.identity for target in first}
    return (*first, *(target for target in order if target.identity not in chosen))


def _check_fetches(routing: Routing, call: Call) -> None:
    """Refuse what would have whoever answers reach out, where nothing may leave the machine."""
    if routing.strategy.constraints.privacy_mode != "local_only":
        return
    asked = next(asked_fetches(call.body), None)
    if asked is not None:
        raise errors.BadCallError(
            f"privacy_mode is local_only, and {asked} has whoever answers ask another machine: "
            "give the picture itself, not an address to fetch it from; leave such tools out"
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
    rules = tuple(planner.rule_verdicts())
    verdicts = tuple(planner.judge(target) for target in routing.targets)
    worst_case = None if refusal else money.worst_of(order, call, routing.strategy)
    # All that is decided as for sending; from here on it is counted wherever that can be done.
    return Explanation(
        rules=rules,
        verdicts=verdicts,
        order=order,
        size=planner.sizes.of_prompt(order[0]) if order else Size(call.input_tokens),
        sizes=tuple(planner.sizes.counted_at(target) for target in routing.targets),
        worst_case=worst_case,
        refusal=refusal,
    )
