"""Knows what is wrong with a strategy beyond its own text: its targets, their prices and keys, what leads to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import catalog
from llamafarm.check.rules import check_rules
from llamafarm.check.vendors import meant_vendor
from llamafarm.errors import Finding, Severity
from llamafarm.hardware import Gpu, Hardware
from llamafarm.planning import resolve
from llamafarm.planning.eligibility import forbidden
from llamafarm.planning.targets import component_targets, entry_target
from llamafarm.spec import child
from llamafarm.spec.components import AppConfig
from llamafarm.spec.suggest import Suggestions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Mapping as Given

    from llamafarm.planning import Routing
    from llamafarm.spec import Document
    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import Target

__all__ = ["check"]

_ANY_MACHINE = Hardware(cpus=1, memory_bytes=0, gpus=(Gpu("any", 1 << 60, "cuda"),), reason="")
"""Satisfies whatever a strategy requires: what it rules out is ruled out by the file alone."""
_LIMITS = ("max_cost_per_request", "daily_budget", "monthly_budget")


def check(document: Document, environment: Given[str, str], hardware: Hardware | None = None) -> tuple[Finding, ...]:
    """Look for what the loader cannot know; `document.findings` has what it said itself.

    `environment` is where vendors' usual key variables are looked up. Without `hardware` no machine is judged: then
    `requires_gpu` and `min_gpu_memory` are taken to be met.
    """
    findings: dict[tuple[object, ...], Finding] = {}
    for index, strategy in enumerate(document.file.strategies):
        for finding in _Check(document, index, strategy, environment, hardware).findings():
            findings.setdefault((finding.line, finding.column, finding.code, finding.message), finding)
    return document.unsilenced(findings.values())


@dataclass(frozen=True, slots=True)
class _Site:
    """A target, and where the file says it."""

    target: Target
    path: str
    names: tuple[str | int, ...]
    """The path's parts, from the top of the file."""


class _Check:
    """The check of one strategy."""

    def __init__(
        self,
        document: Document,
        index: int,
        strategy: Strategy,
        environment: Given[str, str],
        hardware: Hardware | None,
    ) -> None:
        self.document = document
        self.strategy = strategy
        self.path = child("strategies", index)
        self.index = index
        self.environment = environment
        self.hardware = hardware
        self.routing: Routing = resolve(strategy, environment, (), _ANY_MACHINE)
        self.suggestions = Suggestions()

    def findings(self) -> Iterator[Finding]:
        """Give everything there is to say, in no order."""
        sites = list(_first_of_each(self._sites()))
        sound: list[_Site] = []
        for site in sites:
            errors = list(self._broken(site))
            yield from errors
            if not errors:
                sound.append(site)
        barred = {site.path: tuple(self._barred(site.target, _ANY_MACHINE)) for site in sound}
        yield from self._nobody(sound, barred)
        yield from self._machine(sound, barred)
        for site in sound:
            yield from self._priced(site)
        yield from self._keyed(sound)
        yield from self._reached()
        rules = child(self.path, "routing_rules")
        yield from (self._say(*said) for said in check_rules(self.routing, rules, _ANY_MACHINE))
        yield from self._batches()

    def _say(self, severity: Severity, code: str, path: str, message: str) -> Finding:
        return self.document.finding(path, code, severity, message)

    def _at(self, site: _Site, *names: str) -> str:
        """Give the path of a key of a target's part of the file, or of that part where it does not have the key."""
        if self.document.places.key(*site.names, *names) is None:
            return site.path
        path = site.path
        for name in names:
            path = child(path, name)
        return path

    # Targets

    def _sites(self) -> Iterator[_Site]:
        """Give every target with its place: components, chain entries, then models."""
        at, names = child(self.path, "components"), ("strategies", self.index, "components")
        models: list[_Site] = []
        for name, component in self.strategy.components.items():
            targets = component_targets(component, self.environment)
            path = child(at, name)
            inner = child(child(path, "config"), "models")
            yield from (_Site(target, path, (*names, name)) for target in targets[:1])
            for number, target in enumerate(targets[1:]):
                part = number if isinstance(component.config, AppConfig) else target.model
                models.append(_Site(target, child(inner, part), (*names, name, "config", "models", part)))
        at = child(self.path, "fallback_chain")
        for number, entry in enumerate(self.strategy.fallback_chain):
            target = entry_target(entry, self.environment)
            yield _Site(target, child(at, number), ("strategies", self.index, "fallback_chain", number))
        yield from models

    def _broken(self, site: _Site) -> Iterator[Finding]:
        """Say why a target could never be asked, whatever the machine and the request."""
        target = site.target
        vendor = catalog.find_vendor(target.provider)
        if target.settings is None and (vendor is None or vendor.local):
            yield self._say(
                Severity.ERROR,
                "unknown-provider",
                self._at(site, "config", "provider"),
                meant_vendor(target.provider, self.suggestions),
            )
            return
        if not target.model:
            yield self._say(Severity.ERROR, "no-model", site.path, f"{target.name} has no model: give default_model")
        if target.base_url is None and target.dialect != "embedded":
            like = f", like {vendor.example_url}" if vendor is not None and vendor.example_url else ""
            message = f"{target.provider} has no common address: give base_url{like}"
            yield self._say(Severity.ERROR, "no-address", site.path, message)
        local_only = self.strategy.constraints.privacy_mode == "local_only"
        if local_only and target.provider == "ollama" and _runs_in_the_cloud(target.model):
            message = (
                f"Ollama runs {target.model} in its cloud, and privacy_mode is local_only: name a model it runs here"
            )
            path = self._at(site, "config", "default_model")
            yield self._say(Severity.ERROR, "remote-under-local-only", path, message)

    # Constraints

    def _barred(self, target: Target, hardware: Hardware) -> Iterator[str]:
        """Give the reasons in the file why a target is never eligible."""
        yield from forbidden(target, self.strategy.constraints, hardware)
        limit = self._limit()
        if limit is not None and target.price is None:
            yield f"{target.model} has no known price, so {limit} cannot hold"
        elif limit is not None and not target.bounded:
            yield f"{target.model} bills more than tokens on every call, so {limit} cannot hold"

    def _limit(self) -> str | None:
        return next((name for name in _LIMITS if getattr(self.strategy.constraints, name) is not None), None)

    def _nobody(self, sites: list[_Site], barred: Given[str, tuple[str, ...]]) -> Iterator[Finding]:
        """Say which targets the constraints rule out; an error where they leave none."""
        if sites and all(barred.values()):
            reasons = "; ".join(f"{site.target.name}: {', '.join(barred[site.path])}" for site in sites)
            message = f"no target is eligible, for any request: {reasons}"
            yield self._say(Severity.ERROR, "no-eligible-target", child(self.path, "constraints"), message)
            return
        for site in sites:
            unpriced = self._limit() is not None and site.target.price is None
            if barred[site.path] and not unpriced:  # that one has a code of its own
                message = f"{site.target.name} is never eligible: {'; '.join(barred[site.path])}"
                yield self._say(Severity.WARNING, "ineligible-target", site.path, message)

    def _machine(self, sites: list[_Site], barred: Given[str, tuple[str, ...]]) -> Iterator[Finding]:
        """Say what this machine lacks for what the constraints ask of it."""
        if self.hardware is None:
            return
        lacking = {
            site.target.name: reasons
            for site in sites
            if not barred[site.path] and (reasons := tuple(self._barred(site.target, self.hardware)))
        }
        if not lacking:
            return
        constraints = self.strategy.constraints
        path = child(child(self.path, "constraints"), "requires_gpu" if constraints.requires_gpu else "min_gpu_memory")
        why = "; ".join(dict.fromkeys(reason for reasons in lacking.values() for reason in reasons))
        if len(lacking) == sum(not reasons for reasons in barred.values()):
            message = f"no target is eligible on this machine: {why}"
            yield self._say(Severity.ERROR, "no-eligible-target", path, message)
            return
        message = f"not eligible on this machine: {', '.join(lacking)}: {why}"
        yield self._say(Severity.INFO, "hardware", path, message)

    # Prices and keys

    def _priced(self, site: _Site) -> Iterator[Finding]:
        target = site.target
        if target.local:
            return
        path = self._at(site, "config", "default_model")
        row = catalog.find_model(target.provider, target.model)
        if row is not None and row.deprecated:
            message = f"{target.model} is retired, or will be: `llamafarm catalog list --vendor {target.provider}`"
            yield self._say(Severity.INFO, "retired-model", path, message)
        if target.price is not None:
            return
        known = [row.id for row in catalog.models_of(target.provider)]
        near = self.suggestions.nearest(target.model, known) if row is None else None
        meant = f" (did you mean {near}?)" if near else ""
        limit = self._limit()
        if limit is not None:
            message = f"no price is known for {target.model}{meant}, so under {limit} it is never asked: give `price`"
            yield self._say(Severity.WARNING, "no-price", path, message)
        else:
            message = f"no price is known for {target.model}{meant}: its cost is not shown; `price` gives one"
            yield self._say(Severity.INFO, "no-price", path, message)

    def _keyed(self, sites: Iterable[_Site]) -> Iterator[Finding]:
        """Say once for each unset variable which targets wait for it."""
        waiting: dict[str, list[_Site]] = {}
        for site in sites:
            key = site.target.api_key
            if key is not None and not key.is_set and site.names[-2] != "models":
                waiting.setdefault(key.origin, []).append(site)
        for origin, group in waiting.items():
            names = ", ".join(site.target.name for site in group)
            message = f"{origin} is not set: until it is, requests pass over {names}"
            yield self._say(Severity.INFO, "key-not-set", self._at(group[0], "config", "api_key"), message)

    # Reach

    def _reached(self) -> Iterator[Finding]:
        """Warn of components that no request comes to unless it names them."""
        strategy, named = self.strategy, self.routing.named
        balancing = strategy.load_balancing
        chosen = [rule.target for rule in strategy.routing_rules] + list(strategy.aliases.values())
        chosen += [*balancing.targets, *balancing.weights] if balancing else []
        reached = {named[name].component for name in chosen if name in named}
        reached |= {target.component for target in self.routing.order}
        reached |= {entry.component for entry in strategy.fallback_chain if entry.component}
        said = {finding.path for finding in self.document.findings if finding.code == "first-component-unreached"}
        for name, component in strategy.components.items():
            path = child(child(self.path, "components"), name)
            if component.serves and name not in reached and path not in said:
                message = f"nothing leads to {name}: put it in fallback_chain, or name it in a rule or an alias"
                yield self._say(Severity.WARNING, "unreachable-target", path, message)

    def _batches(self) -> Iterator[Finding]:
        if self.strategy.optimization.batch_size > 1:
            path = child(child(self.path, "optimization"), "batch_size")
            message = "chat requests can't be merged: this is how many lines `llamafarm batch` answers at a time"
            yield self._say(Severity.INFO, "chat-not-batched", path, message)


def _first_of_each(sites: Iterable[_Site]) -> Iterator[_Site]:
    """Leave out what inherits everything from an earlier place: each thing is said once."""
    seen: set[tuple[object, ...]] = set()
    for site in sites:
        if site.target.identity not in seen:
            seen.add(site.target.identity)
            yield site


def _runs_in_the_cloud(model: str) -> bool:
    """Tell whether a name is one of Ollama's for models it runs elsewhere, like ``glm-4.6:cloud``."""
    tag = model.rpartition(":")[2].lower()
    return tag == "cloud" or tag.endswith("-cloud")
