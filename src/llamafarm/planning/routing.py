"""A strategy resolved: its targets by every name, its rules compiled and sorted, its default order."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.conditions import Condition, compile_condition
from llamafarm.planning.eligibility import bars
from llamafarm.planning.targets import component_targets, entry_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from llamafarm.hardware import Hardware
    from llamafarm.spec.strategy import LoadBalancing, Rule, Strategy
    from llamafarm.types import Target

__all__ = ["Routing", "RoutingRule", "resolve"]


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """One rule, ready to be asked."""

    condition: Condition
    target: Target
    wanted: str
    """The target as the file names it."""
    fallback: bool | None


@dataclass(frozen=True, slots=True)
class Routing:
    """Everything planning needs of one strategy; made once, shared by all its requests."""

    strategy: Strategy
    named: Mapping[str, Target]
    """Every name a caller or a rule may use for a target: chain entries, components, models, aliases."""
    targets: tuple[Target, ...]
    """Each different target once, in file order: components and chain entries, then models. Two that differ only in
    their names are one, and bear the chain's name; two that differ in their settings are both here."""
    rules: tuple[RoutingRule, ...]
    """In the order they are asked."""
    order: tuple[Target, ...]
    """The default order, each different target once."""
    balanced: tuple[tuple[Target, float], ...]
    """The targets of `load_balancing`, each with its weight; each different target once."""
    tagged: Mapping[str | None, tuple[int, ...]]
    """Places in `rules` by a tag without which the rule cannot hold; under None those that need no tag."""

    def rules_for(self, tags: frozenset[str]) -> Iterator[RoutingRule]:
        """Give the rules that may hold for a call with these tags, in order: the others cost it nothing."""
        places = [self.tagged.get(None, ()), *(self.tagged[tag] for tag in tags if tag in self.tagged)]
        if len(places) == 1:
            return (self.rules[place] for place in places[0])
        return (self.rules[place] for place in sorted({place for some in places for place in some}))


def resolve(strategy: Strategy, environment: Mapping[str, str], dialects: Iterable[str], hardware: Hardware) -> Routing:
    """Resolve a strategy as the loader checked it.

    `dialects` are those this program speaks. Raises KeyError only for names the loader would have refused.
    """
    spoken = frozenset(dialects)

    def barred(target: Target) -> Target:
        reasons = bars(target, strategy.constraints, spoken, hardware)
        return dataclasses.replace(target, barred=reasons, privacy=strategy.constraints.privacy_mode)

    by_component = {
        component.name: tuple(map(barred, component_targets(component, environment)))
        for component in strategy.components.values()
        if component.serves
    }
    components = strategy.components
    chain = tuple(
        barred(entry_target(entry, environment, components.get(entry.component or "")))
        for entry in strategy.fallback_chain
    )
    order = _default_order(strategy, chain, by_component)
    named = _named(chain, by_component, strategy.aliases)
    rules = [_rule(rule, named) for rule in sorted(strategy.routing_rules, key=lambda rule: -rule.rank)]
    return Routing(
        strategy=strategy,
        named=named,
        targets=_targets(chain, by_component),
        rules=tuple(rules),
        order=order,
        balanced=_balanced(strategy.load_balancing, named),
        tagged=_tagged(rules),
    )


def _unique(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Keep the first of targets that are the same one (equal endpoint, key and model)."""
    found: dict[tuple[object, ...], Target] = {}
    for target in targets:
        found.setdefault(target.identity, target)
    return tuple(found.values())


def _default_order(
    strategy: Strategy, chain: tuple[Target, ...], by_component: Mapping[str, tuple[Target, ...]]
) -> tuple[Target, ...]:
    first = next(iter(by_component.values()), ())[:1]
    if any(entry.component for entry in strategy.fallback_chain):
        return _unique(chain)
    return _unique((*first, *chain))


def _balanced(balancing: LoadBalancing | None, named: Mapping[str, Target]) -> tuple[tuple[Target, float], ...]:
    if balancing is None:
        return ()
    found: dict[tuple[object, ...], tuple[Target, float]] = {}
    for name, weight in (balancing.weights or dict.fromkeys(balancing.targets, 1.0)).items():
        target = named[name]
        _, before = found.get(target.identity, (target, 0.0))
        found[target.identity] = (target, before + weight)
    return tuple(found.values())


def _targets(chain: tuple[Target, ...], by_component: Mapping[str, tuple[Target, ...]]) -> tuple[Target, ...]:
    mains = [targets[0] for targets in by_component.values() if targets]
    models = [target for targets in by_component.values() for target in targets[1:]]
    in_chain = {_unnamed(target): target for target in reversed(chain)}
    listed: dict[Target, Target] = {}
    for target in (*mains, *chain, *models):
        listed.setdefault(_unnamed(target), in_chain.get(_unnamed(target), target))
    return tuple(listed.values())


def _unnamed(target: Target) -> Target:
    return dataclasses.replace(target, name="", component="")


def _named(
    chain: tuple[Target, ...], by_component: Mapping[str, tuple[Target, ...]], aliases: Mapping[str, str]
) -> dict[str, Target]:
    """Give every name its target: target names win over components', components' over models'."""
    everything = [*chain, *(target for targets in by_component.values() for target in targets)]
    mains = [targets[0] for targets in by_component.values() if targets]
    models = [target for targets in by_component.values() for target in targets[1:]]
    named: dict[str, Target] = {}
    for target in (*chain, *mains, *models):
        named.setdefault(target.name, target)
    for target in everything:
        named.setdefault(target.model, target)
    for alias, name in aliases.items():
        named.setdefault(alias, named[name])
    return named


def _tagged(rules: list[RoutingRule]) -> dict[str | None, tuple[int, ...]]:
    places: dict[str | None, list[int]] = {}
    for place, rule in enumerate(rules):
        for tag in (None,) if rule.condition.only_with is None else rule.condition.only_with:
            places.setdefault(tag, []).append(place)
    return {tag: tuple(found) for tag, found in places.items()}


def _rule(rule: Rule, named: Mapping[str, Target]) -> RoutingRule:
    return RoutingRule(
        condition=compile_condition(rule.condition),
        target=named[rule.target],
        wanted=rule.target,
        fallback=rule.fallback,
    )
