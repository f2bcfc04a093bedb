"""The names that rules, aliases and load balancing can refer to, and the check that they do and none hides another."""

from __future__ import annotations

from collections.abc import Iterator

from llamafarm.spec.assemble import Draft
from llamafarm.spec.build import Builder
from llamafarm.spec.components import AppConfig, CloudConfig
from llamafarm.spec.document import Places
from llamafarm.spec.nodes import child
from llamafarm.spec.strategy import LoadBalancing, kind_of
from llamafarm.spec.unread import Unread

__all__ = ["check_names", "check_targets", "hidden_alias", "models_of", "names_of", "referred"]


def models_of(config: object) -> tuple[str, ...]:
    """Give the model names that a component's or a chain entry's config has."""
    match config:
        case CloudConfig(default_model=default, models=models):
            return (*([default] if default else []), *models)
        case AppConfig(default_model=default, models=listed):
            return (*([default] if default else []), *(model.name for model in listed))
        case _:
            return ()


def names_of(draft: Draft) -> dict[str, None]:
    """Give every name that resolves, in the order they resolve: chain entries, components, models."""
    entries = draft.entries.values()
    names = dict.fromkeys(entry.name for entry in entries)
    names |= dict.fromkeys(part.name for part in draft.components.values() if part.serves)
    for config in (*(part.config for part in draft.components.values()), *(entry.config for entry in entries)):
        names |= dict.fromkeys(models_of(config))
    return names


def check_targets(draft: Draft, builder: Builder, places: Places) -> None:
    """Note every target of a rule, an alias or the load balancing that names nothing which answers requests."""
    names = names_of(draft)
    guessed = draft.words.union(draft.lost)
    for path, target in referred(draft):
        if target in names or target in guessed or builder.unread.touches(path):
            continue
        kind = draft.types.get(target)
        if kind is not None:
            message = f"{target} is a {kind_of(kind)}: it answers no requests"
            builder.problems.error("not-serving", places.place(path), path, message)
            continue
        hint = builder.suggestions.hint(target, (*filter(None, names), *draft.lost))
        message = f"no target, component or model is called {target}: {hint}"
        builder.problems.error("undefined-target", places.place(path), path, message)


def referred(draft: Draft) -> list[tuple[str, str]]:
    """Give every place that names a target, with the name: in rules, aliases and the load balancing."""
    rules = child(draft.path, "routing_rules")
    found = [(child(child(rules, at), "target"), rule.target) for at, rule in enumerate(draft.rules) if rule]
    path = child(draft.path, "aliases")
    found += [(child(path, alias), target) for alias, target in draft.values.get("aliases", {}).items()]
    balancing = draft.values.get("load_balancing")
    if isinstance(balancing, LoadBalancing):
        path = child(draft.path, "load_balancing")
        found += [(child(child(path, "targets"), index), target) for index, target in enumerate(balancing.targets)]
        found += [(child(child(path, "weights"), target), target) for target in balancing.weights]
    return found


def check_names(draft: Draft, builder: Builder, places: Places) -> None:
    """Note every name that would hide a component, and every alias, component or model that another name would hide."""
    chain, components = child(draft.path, "fallback_chain"), child(draft.path, "components")
    entries = draft.entries
    first = {entry.name: index for index, entry in reversed(entries.items())}
    for index, entry in entries.items():
        # One named like the component it is of is that component, in its place in the chain; one named like an earlier
        # entry has been told so.
        if entry.name and entry.name != entry.component and first[entry.name] == index and _serves(draft, entry.name):
            path = child(child(chain, index), "name")
            message = (
                f"{entry.name} is already the name of {child(components, entry.name)}, which this target is not:"
                " give it another name, or make that component its `type`"
            )
            builder.problems.error("name-taken", places.place(path), path, message)
    for path, message in (*_like_the_strategy(draft), *_hidden_models(draft, builder.unread)):
        builder.problems.error("name-taken", places.key_place(path), path, message)
    taken = _taken(draft)
    for alias in draft.values.get("aliases", ()):
        if alias in taken:
            path = child(child(draft.path, "aliases"), alias)
            builder.problems.error("name-taken", places.key_place(path), path, hidden_alias(alias, taken[alias]))


def _like_the_strategy(draft: Draft) -> Iterator[tuple[str, str]]:
    """Give the targets that bear the strategy's name: a caller who says it gets the strategy's order."""
    message = f"{draft.name} is already the name of this strategy, which callers get: give this target another name"
    for name in draft.types:
        if name == draft.name and _serves(draft, name):
            yield child(child(draft.path, "components"), name), message
    for at, entry in draft.entries.items():
        if draft.name and entry.name == draft.name != entry.component:
            yield child(child(child(draft.path, "fallback_chain"), at), "name"), message


def _hidden_models(draft: Draft, unread: Unread) -> Iterator[tuple[str, str]]:
    """Give the models that cannot be chosen, because their name means something else that serves another model."""
    components, chain = child(draft.path, "components"), child(draft.path, "fallback_chain")
    bearers = {part.name: (child(components, part.name), part.config) for part in draft.components.values()}
    bearers |= {entry.name: (child(chain, at), entry.config) for at, entry in reversed(draft.entries.items())}
    for part in draft.components.values():
        models = child(child(child(components, part.name), "config"), "models")
        for key, model in _listed(part.config):
            path, config = bearers.get(model, ("", None))
            same = models_of(config)[:1] == (model,) or unread.touches(child(path, "config"))
            if model == draft.name or (isinstance(config, CloudConfig | AppConfig) and not same):
                bearer = "this strategy" if model == draft.name else path
                message = f"{model} is already the name of {bearer}, which is asked instead: give that another name"
                yield child(models, key), message


def _listed(config: object) -> list[tuple[str | int, str]]:
    match config:
        case CloudConfig(models=models):
            return [(name, name) for name in models]
        case AppConfig(models=listed):
            return [(at, model.name) for at, model in enumerate(listed)]
        case _:
            return []


def hidden_alias(alias: str, bearer: str) -> str:
    """Say that an alias is never looked up, since something else bears its name."""
    return f"{alias} is already the name of {bearer}, which callers get: give the alias another name"


def _serves(draft: Draft, name: str) -> bool:
    kind = draft.types.get(name)
    return kind is not None and kind_of(kind) in ("cloud_api", "model_app")


def _taken(draft: Draft) -> dict[str, str]:
    """Give every name that a caller's request comes to before any alias, with what bears it."""
    chain, components = child(draft.path, "fallback_chain"), child(draft.path, "components")
    entries = [(child(chain, at), entry) for at, entry in draft.entries.items()]
    parts = [(child(components, name), part) for name, part in draft.components.items()]
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
