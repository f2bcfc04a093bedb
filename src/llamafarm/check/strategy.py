"""Knows what is wrong with a strategy beyond its own text: its targets, their prices and keys, what leads to them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm import catalog, providers
from llamafarm.check.doubles import same_targets
from llamafarm.check.keys import foreign_keys
from llamafarm.check.model_files import file_trouble
from llamafarm.check.rules import check_rules
from llamafarm.check.server import open_server
from llamafarm.check.smallest import beyond_every_request
from llamafarm.check.vendors import meant_vendor
from llamafarm.errors import Finding, Severity
from llamafarm.hardware import Gpu, Hardware
from llamafarm.planning import resolve
from llamafarm.planning.eligibility import forbidden
from llamafarm.planning.targets import component_targets, entry_target
from llamafarm.spec import child
from llamafarm.spec.components import AppConfig
from llamafarm.spec.lint import leads_known
from llamafarm.spec.problems import unsilenced
from llamafarm.spec.suggest import Suggestions
from llamafarm.spec.targets import hidden_alias, names_of, referred

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Mapping as Given
    from pathlib import Path

    from llamafarm.models import ModelStore
    from llamafarm.planning import Routing
    from llamafarm.spec import Document
    from llamafarm.spec.assemble import Draft
    from llamafarm.types import Target

__all__ = ["check"]

_ANY_MACHINE = Hardware(cpus=1, memory_bytes=0, gpus=(Gpu("any", 1 << 60, "cuda"),), reason="")
"""Satisfies whatever a strategy requires: what it rules out is ruled out by the file alone."""
_LIMITS = ("max_cost_per_request", "daily_budget", "monthly_budget")


def check(
    document: Document,
    environment: Given[str, str],
    hardware: Hardware | None = None,
    store: ModelStore | None = None,
    keys: Path | None = None,
) -> tuple[Finding, ...]:
    """Look for what the loader cannot know; `document.findings` has what it said itself.

    `environment` is where vendors' usual key variables are looked up. Without `hardware` no machine is judged: then
    `requires_gpu` and `min_gpu_memory` are taken to be met. Without `store` no model file is looked for, and without
    `keys`, the path of the gateway's keys, none of those. Of a document with errors everything is judged but what
    depends on a key that could not be read.
    """
    findings: dict[tuple[object, ...], Finding] = {}
    for draft in document.drafts:
        for finding in _Check(document, draft, environment, hardware, store).findings():
            findings.setdefault((finding.line, finding.column, finding.code, finding.message), finding)
    opened = open_server(document, keys) if keys is not None else None
    return unsilenced([*findings.values(), *([opened] if opened else ())], document.text)


@dataclass(frozen=True, slots=True)
class _Site:
    """A target, and where the file says it."""

    target: Target
    path: str
    names: tuple[str | int, ...]
    """The path's parts, from the top of the file."""
    configs: tuple[str, ...]
    """The paths of the configs that it is made from."""


class _Check:
    """The check of one strategy."""

    def __init__(
        self,
        document: Document,
        draft: Draft,
        environment: Given[str, str],
        hardware: Hardware | None,
        store: ModelStore | None,
    ) -> None:
        self.document = document
        self.draft = draft
        self.strategy = draft.strategy()
        self.path = draft.path
        self.environment = environment
        self.hardware = hardware
        self.store = store
        # What names a target may be wrong; the targets can be told without it.
        unnamed = dataclasses.replace(self.strategy, routing_rules=(), aliases={}, load_balancing=None)
        self.routing: Routing = resolve(unnamed, environment, (), _ANY_MACHINE)
        self.suggestions = Suggestions()
        self.all_lead = leads_known(draft, document.problems.unread)

    def findings(self) -> Iterator[Finding]:
        """Give everything there is to say, in no order."""
        places = list(self._sites())
        sites = list(_first_of_each(places))
        known: list[_Site] = []
        for site in sites:
            errors = list(self._broken(site))
            yield from errors
            if not errors and self._is_read(site, "provider", "engine", "default_model", "models", "price"):
                known.append(site)
        paths = {site.path for site in known}
        barred = {site.path: tuple(self._barred(site, _ANY_MACHINE, has_model=site.path in paths)) for site in sites}
        yield from self._nobody(sites, barred)
        yield from self._machine(known, barred)
        for site in known:
            yield from self._speakable(site)
            yield from self._priced(site)
        yield from self._keyed(sites)
        yield from self._hidden_aliases()
        yield from self._reached()
        read = [
            p
            for p in places
            if self._is_read(p, "provider", "engine", "base_url", "api_key", "default_model", "models")
        ]
        doubled = same_targets(self.routing, {place.target.name: (place.target, place.path) for place in read})
        yield from (self._say(*said) for said in doubled)
        named = frozenset(
            place.target.name
            for place in places
            if self._is_read(place, "provider", "default_model", "models", "supports")
        )
        ruled = check_rules(self.routing, self.draft, self.document, _ANY_MACHINE, named)
        yield from (self._say(*said) for said in ruled)
        yield from (self._say(*said) for said in foreign_keys(self.draft, self.document))
        yield from self._batches()

    @property
    def _has_all(self) -> bool:
        """Whether every target could be told."""
        return not self.draft.lost and None not in self.draft.chain

    @staticmethod
    def _is_vendor(target: Target) -> bool:
        vendor = catalog.find_vendor(target.provider)
        return target.settings is not None or (vendor is not None and not vendor.local)

    def _is_read(self, site: _Site, *names: str) -> bool:
        """Tell whether what these keys of a target's config say is known."""
        return self.document.is_read(*(child(config, name) for config in site.configs for name in names))

    def _say(self, severity: Severity, code: str, path: str, message: str) -> Finding:
        return self.document.finding(path, code, severity, message)

    def _at(self, site: _Site, *names: str | int) -> str:
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
        at, names = child(self.path, "components"), ("strategies", self.draft.index, "components")
        models: list[_Site] = []
        for name, component in self.draft.components.items():
            targets = component_targets(component, self.environment)
            path = child(at, name)
            config = child(path, "config")
            yield from (_Site(target, path, (*names, name), (config,)) for target in targets[:1])
            for number, target in enumerate(targets[1:]):
                part = number if isinstance(component.config, AppConfig) else target.name
                inner = child(child(config, "models"), part)
                models.append(_Site(target, inner, (*names, name, "config", "models", part), (config, inner)))
        chain = child(self.path, "fallback_chain")
        for number, entry in self.draft.entries.items():
            path = child(chain, number)
            configs = [child(path, "config")]
            if entry.component is not None:
                configs.append(child(child(at, entry.component), "config"))
            target = entry_target(entry, self.environment, self.draft.components.get(entry.component or ""))
            yield _Site(target, path, ("strategies", self.draft.index, "fallback_chain", number), tuple(configs))
        yield from (site for site in models if site.target.name)

    def _broken(self, site: _Site) -> Iterator[Finding]:
        """Say why a target could never be asked, whatever the machine and the request."""
        target = site.target
        vendor = catalog.find_vendor(target.provider)
        is_vendor = self._is_vendor(target)
        if not is_vendor and self._is_read(site, "provider"):
            path = self._at(site, "config", "provider")
            message = meant_vendor(target.provider, self.suggestions)
            yield self._say(Severity.ERROR, "unknown-provider", path, message)
        if not target.model and self._is_read(site, "default_model", "models"):
            yield self._say(Severity.ERROR, "no-model", site.path, f"{target.name} has no model: give default_model")
        addressed = target.base_url is not None or target.dialect == "embedded" or not is_vendor
        if not addressed and self._is_read(site, "base_url", "provider"):
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
        is_embedded = target.dialect == "embedded" and target.settings is not None
        if is_embedded and self._is_read(site, "engine", "base_url", "default_model", "models"):
            yield from self._model_file(site)

    def _speakable(self, site: _Site) -> Iterator[Finding]:
        """Say where what an installed package brings for a provider cannot be used."""
        trouble = providers.trouble(site.target.dialect) if site.target.settings is None else None
        if trouble is not None:
            message = f"{site.target.name} is never asked: {trouble}"
            yield self._say(Severity.WARNING, "unusable-provider", self._at(site, "config", "provider"), message)

    def _model_file(self, site: _Site) -> Iterator[Finding]:
        """Say why the embedded engine can find no file for a target's model."""
        trouble = file_trouble(site.target, self.store)
        if trouble is None:
            return
        severity, code, message = trouble
        listed = site.target.settings.models if site.target.settings else ()
        number = next((at for at, row in enumerate(listed) if row.name == site.target.model), None)
        names: tuple[tuple[str | int, ...], ...] = (("source",), ("name",), ("config", "default_model"))
        if number is not None:
            names = (("config", "models", number, "source"), ("config", "models", number), *names)
        path = next((path for part in names if (path := self._at(site, *part)) != site.path), site.path)
        yield self._say(severity, code, path, message)

    # Constraints

    def _barred(self, site: _Site, hardware: Hardware, *, has_model: bool) -> Iterator[str]:
        """Give the reasons in the file why a target is never eligible, as far as they don't hang on what is unknown."""
        target, constraints = site.target, self.strategy.constraints
        if not self._is_vendor(target) or not self._is_read(site, "provider", "engine", "base_url"):
            return
        if not has_model:
            target = dataclasses.replace(target, model="")
            constraints = dataclasses.replace(constraints, allowed_models=(), blocked_models=())
        yield from forbidden(target, constraints, hardware)
        limit = self._limit() if has_model else None
        if limit is not None and target.price is None:
            yield f"{target.model} has no known price, so {limit} cannot hold"
        elif limit is not None and not target.bounded:
            yield f"{target.model} bills more than tokens on every call, so {limit} cannot hold"
        if has_model and self._is_read(site, "system_prompt", "supports"):
            yield from beyond_every_request(target, constraints)

    def _limit(self) -> str | None:
        return next((name for name in _LIMITS if getattr(self.strategy.constraints, name) is not None), None)

    def _nobody(self, sites: list[_Site], barred: Given[str, tuple[str, ...]]) -> Iterator[Finding]:
        """Say which targets the constraints rule out; an error where they leave none of all there are."""
        if self._has_all and sites and all(barred.values()):
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
            if not barred[site.path] and (reasons := tuple(self._barred(site, self.hardware, has_model=True)))
        }
        if not lacking:
            return
        constraints = self.strategy.constraints
        path = child(child(self.path, "constraints"), "requires_gpu" if constraints.requires_gpu else "min_gpu_memory")
        why = "; ".join(dict.fromkeys(reason for reasons in lacking.values() for reason in reasons))
        if self._has_all and len(lacking) == sum(not reasons for reasons in barred.values()):
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
            known = self._is_read(site, "api_key", "provider", "base_url")
            if key is not None and not key.is_set and known and site.names[-2] != "models":
                waiting.setdefault(key.why_unset, []).append(site)
        for reason, group in waiting.items():
            names = ", ".join(site.target.name for site in group)
            message = f"{reason}: until there is a key, requests pass over {names}"
            yield self._say(Severity.INFO, "key-not-set", self._at(group[0], "config", "api_key"), message)

    # Reach

    def _hidden_aliases(self) -> Iterator[Finding]:
        """Say which aliases a vendor's usual model hides; the names in the file itself the loader knows."""
        known, path = names_of(self.draft), child(self.path, "aliases")
        for alias in self.strategy.aliases:
            target = self.routing.named.get(alias)
            if target is not None and alias not in known and alias != self.strategy.name:
                message = hidden_alias(alias, f"the model of {target.name}")
                place = self.document.places.key_place(child(path, alias))
                yield self.document.problems.finding(Severity.ERROR, "name-taken", place, child(path, alias), message)

    def _reached(self) -> Iterator[Finding]:
        """Warn of components that no request comes to unless it names them."""
        if not self.all_lead:
            return
        strategy, named = self.strategy, self.routing.named
        reached = {named[name].component for _, name in referred(self.draft) if name in named}
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
        key = (site.target.component or site.path, site.target.identity)
        if key not in seen:
            seen.add(key)
            yield site


def _runs_in_the_cloud(model: str) -> bool:
    """Tell whether a name is one of Ollama's for models it runs elsewhere, like ``glm-4.6:cloud``."""
    tag = model.rpartition(":")[2].lower()
    return tag == "cloud" or tag.endswith("-cloud")
