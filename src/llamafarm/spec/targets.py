"""The names that rules, aliases and load balancing can refer to, and the check that they do and none hides another."""

from __future__ import annotations

from llamafarm.spec.assemble import Draft
from llamafarm.spec.build import Builder
from llamafarm.spec.components import AppConfig, CloudConfig
from llamafarm.spec.document import Places
from llamafarm.spec.nodes import child
from llamafarm.spec.strategy import ChainEntry, Component, LoadBalancing, kind_of

__all__ = ["check_names", "check_targets", "models_of"]


def models_of(config: object) -> tuple[str, ...]:
    """Give the model names that a component's or a chain entry's config has."""
    match config:
        case CloudConfig(default_model=default, models=models):
            return (*([default] if default else []), *models)
        case AppConfig(default_model=default, models=listed):
            return (*([default] if default else []), *(model.name for model in listed))
        case _:
            return ()


def _names(draft: Draft) -> dict[str, None]:
    """Give every name that resolves, in the order they resolve: chain entries, components, models."""
    entries = [entry for entry in draft.chain if isinstance(entry, ChainEntry)]
    parts = [part for part in draft.components.values() if isinstance(part, Component)]
    names = dict.fromkeys(entry.name for entry in entries)
    names |= dict.fromkeys(part.name for part in parts if part.serves)
    for config in (*(part.config for part in parts), *(entry.config for entry in entries)):
        names |= dict.fromkeys(models_of(config))
    return names


def check_targets(draft: Draft, builder: Builder, places: Places) -> None:
    """Note every target of a rule, an alias or the load balancing that names nothing which answers requests."""
    names = _names(draft)
    broken = [name for name, part in draft.components.items() if not isinstance(part, Component)]
    guessed = draft.names.union(broken)
    for path, target in _referred(draft):
        if target in names or target in guessed:
            continue
        kind = draft.types.get(target)
        if kind is not None:
            message = f"{target} is a {kind_of(kind)}: it answers no requests"
            builder.problems.error("not-serving", places.place(path), path, message)
            continue
        hint = builder.suggestions.hint(target, (*names, *broken))
        message = f"no target, component or model is called {target}: {hint}"
        builder.problems.error("undefined-target", places.place(path), path, message)


def _referred(draft: Draft) -> list[tuple[str, str]]:
    rules = child(draft.path, "routing_rules")
    referred = [(child(child(rules, index), "target"), target) for index, target in draft.rule_targets.items()]
    aliases = draft.values.get("aliases")
    if isinstance(aliases, dict):
        path = child(draft.path, "aliases")
        referred += [(child(path, alias), target) for alias, target in aliases.items()]
    balancing = draft.values.get("load_balancing")
    if isinstance(balancing, LoadBalancing):
        path = child(draft.path, "load_balancing")
        referred += [(child(child(path, "targets"), index), target) for index, target in enumerate(balancing.targets)]
        referred += [(child(child(path, "weights"), target), target) for target in balancing.weights]
    return referred


def check_names(draft: Draft, builder: Builder, places: Places) -> None:
    """Note every name that would hide a component, and every alias that another name would hide."""
    chain, components = child(draft.path, "fallback_chain"), child(draft.path, "components")
    entries = {index: entry for index, entry in enumerate(draft.chain) if isinstance(entry, ChainEntry)}
    first = {entry.name: index for index, entry in reversed(entries.items())}
    for index, entry in entries.items():
        # One named like the component it is of is that component, in its place in the chain; one named like an earlier
        # entry has been told so.
        if entry.name != entry.component and first[entry.name] == index and _serves(draft, entry.name):
            path = child(child(chain, index), "name")
            message = (
                f"{entry.name} is already the name of {child(components, entry.name)}, which this target is not:"
                " give it another name, or make that component its `type`"
            )
            builder.problems.error("name-taken", places.place(path), path, message)
    aliases = draft.values.get("aliases")
    if not isinstance(aliases, dict):
        return
    taken = _taken(draft)
    for alias in [alias for alias in aliases if alias in taken]:
        path = child(child(draft.path, "aliases"), alias)
        message = f"{alias} is already the name of {taken[alias]}, which callers get: give the alias another name"
        builder.problems.error("name-taken", places.key_place(path), path, message)


def _serves(draft: Draft, name: str) -> bool:
    kind = draft.types.get(name)
    return kind is not None and kind_of(kind) in ("cloud_api", "model_app")


def _taken(draft: Draft) -> dict[str, str]:
    """Give every name that a caller's request comes to before any alias, with what bears it."""
    chain, components = child(draft.path, "fallback_chain"), child(draft.path, "components")
    entries = [(child(chain, at), entry) for at, entry in enumerate(draft.chain) if isinstance(entry, ChainEntry)]
    parts = [(child(components, name), part) for name, part in draft.components.items() if isinstance(part, Component)]
    taken = {draft.name: "this strategy"} if draft.name else {}
    for path, entry in entries:
        taken.setdefault(entry.name, path)
    for name in draft.types:
        if _serves(draft, name):
            taken.setdefault(name, child(components, name))
    for path, config in ((path, owner.config) for owners in (parts, entries) for path, owner in owners):
        for model in models_of(config):
            taken.setdefault(model, f"a model of {path}")
    return taken
