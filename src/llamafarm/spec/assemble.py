"""A strategy from its nodes: components by their types, chain entries over the components they name, rules compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llamafarm.errors import Severity
from llamafarm.spec.build import BAD, Builder, at
from llamafarm.spec.merging import Merging
from llamafarm.spec.nodes import Key, Mapping, Node, Place, Scalar, Sequence, child, is_null
from llamafarm.spec.positions import place_inside
from llamafarm.spec.problems import source_lines
from llamafarm.spec.shape import CONFIG_CLASSES, Record, shape_of
from llamafarm.spec.strategy import ChainEntry, Component, Rule, Strategy, StrategyFile, kind_of
from llamafarm.spec.unread import completed, stand_in

__all__ = ["Draft", "FileDraft", "assemble"]

_SERVING = tuple(name for name in CONFIG_CLASSES if kind_of(name) in ("cloud_api", "model_app"))
_LISTED = ("components", "fallback_chain", "routing_rules")
"""The keys of a strategy that are read here, one part at a time."""


@dataclass(slots=True)
class Draft:
    """A strategy as far as it can be read. What cannot is noted, and `Problems.unread` knows which keys that is."""

    index: int
    """Its place in the file's list."""
    path: str
    place: Place
    values: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, Mapping] = field(default_factory=dict)
    """The components' nodes, for chain entries to inherit from."""
    types: dict[str, str] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    """The names of components of which nothing can be told, not even their type."""
    chain: list[ChainEntry | None] = field(default_factory=list)
    """The chain's entries in their places; None for one of which nothing can be told."""
    rules: list[Rule | None] = field(default_factory=list)
    """The rules in their places; None for what is none."""
    words: set[str] = field(default_factory=set)
    """Every word that may be a target's name, in what could not be read."""

    @property
    def name(self) -> str:
        """The strategy's name; empty where it has none."""
        return str(self.values.get("name", ""))

    @property
    def entries(self) -> dict[int, ChainEntry]:
        """The chain's entries that could be read, by their places."""
        return {at: entry for at, entry in enumerate(self.chain) if entry is not None}

    def strategy(self) -> Strategy:
        """Give the strategy, without what could not be read."""
        strategy: Strategy = completed(shape_of(Strategy), self.values)
        return strategy


@dataclass(slots=True)
class FileDraft:
    """A file as far as it can be read."""

    drafts: list[Draft]
    values: dict[str, Any]

    def finished(self) -> StrategyFile:
        """Give the file, without what could not be read."""
        strategies = tuple(draft.strategy() for draft in self.drafts)
        return StrategyFile(**self.values | {"strategies": strategies})


def assemble(root: Mapping, builder: Builder, text: str) -> FileDraft:
    """Read a whole document."""
    drafts: list[Draft] = []
    made: dict[str, Any] = {}
    listed = root.keys.get("strategies")
    if listed is not None and isinstance(listed.value, Sequence) and listed.value.items:
        lines = source_lines(text)
        made["strategies"] = ()
        for index, item in enumerate(listed.value.items):
            path = child("strategies", index)
            if isinstance(item, Mapping):
                drafts.append(_StrategyReader(builder, item, Draft(index, path, item.place), lines).read())
            else:
                builder.problems.misread(
                    "wrong-type", item.place, path, "expected a strategy: a mapping with name and components"
                )
    return FileDraft(drafts, builder.fields(root, shape_of(StrategyFile), "", Place(1, 1), made))


class _StrategyReader:
    """Reads one strategy."""

    def __init__(self, builder: Builder, node: Mapping, draft: Draft, lines: list[str]) -> None:
        self._builder = builder
        self._problems = builder.problems
        self._node = node
        self._lines = lines
        self._draft = draft
        builder.words = draft.words

    def read(self) -> Draft:
        draft = self._draft
        # First what needs no more than itself: a misspelt key is told, and no longer missed below.
        draft.values = self._builder.fields(_without(self._node, *_LISTED), shape_of(Strategy), draft.path)
        self._components()
        draft.chain = [self._entry(item, path) for path, item in self._items("fallback_chain")]
        draft.rules = [self._rule(item, path) for path, item in self._items("routing_rules")]
        draft.values |= {
            "components": draft.components,
            "fallback_chain": tuple(entry for entry in draft.chain if entry is not None),
            "routing_rules": tuple(rule for rule in draft.rules if rule is not None),
        }
        return draft

    def _items(self, name: str) -> list[tuple[str, Node]]:
        """Give the items of a list with their paths; none where it is null, or noted where it is no list."""
        key = self._node.keys.get(name)
        path = child(self._draft.path, name)
        if key is not None and isinstance(key.value, Sequence):
            return [(child(path, at), item) for at, item in enumerate(key.value.items)]
        if key is not None:
            self._builder.value(key.value, shape_of(Strategy).fields[name].shape, path, at(key))
        return []

    # components

    def _components(self) -> None:
        path = child(self._draft.path, "components")
        key = self._node.keys.get("components")
        value = key.value if key is not None else None
        if key is None or value is None or is_null(value):
            if not self._problems.unread.touches(path):
                message = "a strategy needs `components`"
                self._problems.misread("no-components", self._node.place, self._draft.path, message, "components")
            return
        if not isinstance(value, Mapping):
            message = "expected a mapping from a name of your own to {type, config}"
            self._problems.misread("wrong-type", at(key), path, message)
            self._builder.note_words(key.value)
            return
        for name, entry in value.keys.items():
            component = self._component(name, entry, child(path, name))
            if component is not None:
                self._draft.components[name] = component
        if not self._draft.components and not self._problems.unread.touches(path):
            self._problems.misread("no-components", key.place, path, "a strategy needs at least one component")

    def _component(self, name: str, entry: Key, path: str) -> Component | None:
        """Give a component; None where it is null, or noted where nothing can be told of it."""
        node = entry.value
        shape = shape_of(Component)
        if not isinstance(node, Mapping):
            if self._builder.record(node, shape, path, at(entry)) is BAD:
                self._draft.lost.append(name)
            return None
        self._draft.nodes[name] = node
        if not name.strip():
            self._problems.misread("bad-key", entry.place, path, "a component needs a name")
        self._builder.fields(_without(node, "type", "config"), shape, path, entry.place, complete=False)
        component_type = self._type(node, path, entry.place)
        if component_type is None:
            self._draft.lost.append(name)
            self._builder.note_words(node)
            return None
        self._draft.types[name] = component_type
        config = self._config(node, component_type, path, entry.place)
        return Component(name=name, type=component_type, config=config)

    def _type(self, node: Mapping, path: str, place: Place) -> str | None:
        """Give a component's type; None, and noted, where it has none or an unknown one."""
        key = node.keys.get("type")
        where = child(path, "type")
        value = None if key is None else self._builder.text(key.value, where)
        if key is None or value is None:
            message = f"`type` is missing: expected one of {', '.join(CONFIG_CLASSES)}"
            if not self._problems.unread.touches(where):
                self._problems.misread("missing-key", place, path, message, "type")
            return None
        if isinstance(value, str) and value in CONFIG_CLASSES:
            return value
        if isinstance(value, str):
            hint = self._type_hint(value, tuple(CONFIG_CLASSES))
            self._problems.misread("unknown-type", at(key), where, f"no component type is called {value}: {hint}")
        return None

    def _type_hint(self, value: str, known: tuple[str, ...]) -> str:
        near = self._builder.suggestions.nearest(value, known)
        if near is None:
            return self._builder.suggestions.hint("", known)
        vendor = " (the vendor is its `provider`)" if near == "openai_compatible" and "openai_" not in value else ""
        return f"did you mean {near}?{vendor}"

    def _config(self, node: Mapping, component_type: str, path: str, place: Place) -> Any:
        key = node.keys.get("config")
        shape = shape_of(CONFIG_CLASSES[component_type])
        own, place = (Mapping(place), place) if key is None else (key.value, key.place)
        return self._own_config(own, shape, child(path, "config"), place)

    def _own_config(self, node: Node, shape: Record, path: str, place: Place) -> Any:
        config = self._builder.record(node, shape, path, place)
        if config is None:  # null: not given
            config = self._builder.record(Mapping(place), shape, path, place)
        return stand_in(shape) if config is BAD else config

    # the chain

    def _entry(self, node: Node, path: str) -> ChainEntry | None:
        if isinstance(node, Scalar):
            name = self._builder.text(node, path)
            if not isinstance(name, str):
                if name is None:
                    self._problems.misread("wrong-type", node.place, path, "expected a component's name, found nothing")
                return None
            short = Mapping(node.place, {"name": Key(node.place, node), "type": Key(node.place, node)})
            return self._full_entry(short, path, {"name": name})
        if isinstance(node, Mapping):
            return None if self._is_named_key(node, path) else self._full_entry(node, path, {})
        message = "expected a component's name, or {name, type, config}"
        self._problems.misread("wrong-type", node.place, path, message)
        self._builder.note_words(node)
        return None

    def _is_named_key(self, node: Mapping, path: str) -> bool:
        """Tell, and note, whether an entry is written like a component: its name as the key of a mapping."""
        name, key = next(iter(node.keys.items()), ("", None))
        fields = shape_of(ChainEntry).fields
        if key is None or len(node.keys) > 1 or name in fields or self._builder.suggestions.synonym(name, fields):
            return False
        bare = is_null(key.value) or (isinstance(key.value, Mapping) and not key.value.keys)
        if isinstance(key.value, Scalar) and not bare:
            return False
        instead = f"- {name}" if bare else f"- {{name: …, type: {name}, config: …}}"
        message = f"a step of the chain has no key of its own: write `{instead}`"
        self._problems.misread("wrong-type", key.place, path, message)
        self._builder.note_words(node)
        return True

    def _full_entry(self, node: Mapping, path: str, made: dict[str, Any]) -> ChainEntry | None:
        later = {"type": None, "config": None}
        values = self._builder.fields(_without(node, *later), shape_of(ChainEntry), path, None, made | later)
        component, component_type = self._origin(node, path, is_short=bool(made))
        if component_type is None:
            self._builder.note_words(node)
            return None
        config = self._entry_config(node, path, component, component_type)
        values |= {"component": component, "type": component_type, "config": config}
        entry: ChainEntry = completed(shape_of(ChainEntry), values)
        return entry

    def _origin(self, node: Mapping, path: str, *, is_short: bool) -> tuple[str | None, str | None]:
        """Tell which component an entry inherits from, if any, and its resolved type; noted where there is none."""
        key = node.keys.get("type")
        where = path if is_short else child(path, "type")
        value = None if key is None else self._builder.text(key.value, where)
        if key is None or value is None:
            message = "`type` is missing: expected a component's name or a provider's or application's type"
            if not self._problems.unread.touches(where):
                self._problems.misread("missing-key", node.place, path, message, "type")
            return None, None
        if not isinstance(value, str):
            return None, None
        is_component = value in self._draft.nodes
        resolved = self._draft.types.get(value) if is_component else value
        if resolved is None:
            self._problems.unread.add(where)  # the component's own type is wrong, and noted there
            return value, None
        if resolved in _SERVING:
            return (value if is_component else None), resolved
        if resolved in CONFIG_CLASSES:
            message = f"{value} is a {kind_of(resolved)}: it answers no requests, so it cannot be in the chain"
            self._problems.misread("not-serving", at(key), where, message)
        else:
            hint = self._type_hint(value, (*self._draft.nodes, *_SERVING))
            message = f"no component and no type is called {value}: {hint}"
            self._problems.misread("unknown-type", at(key), where, message)
        return None, None

    def _entry_config(self, node: Mapping, path: str, component: str | None, component_type: str) -> Any:
        """Give an entry's config, over that of the component it names."""
        key = node.keys.get("config")
        shape = shape_of(CONFIG_CLASSES[component_type])
        where = child(path, "config")
        own = key.value if key is not None else Mapping(node.place)
        place = key.place if key is not None else node.place
        if component is None:
            return self._own_config(own, shape, where, place)
        inherited = self._draft.components[component].config
        if key is None or not isinstance(own, Mapping):
            if key is not None:
                self._builder.record(own, shape, where, place)
            return inherited
        # What is wrong with the entry's own config is told even where something else is inherited instead.
        self._builder.fields(own, shape, where, place, complete=False)
        base = self._draft.nodes[component].keys.get("config")
        if base is not None and isinstance(base.value, Mapping):
            own = Merging(self._builder.is_null, self._builder.filled_text).merged(base.value, own, shape)
        # What the component's own config lacks has been said there.
        origin = child(child(child(self._draft.path, "components"), component), "config")
        is_whole = not self._problems.unread.touches(origin)
        return completed(shape, self._builder.fields(own, shape, where, place, complete=is_whole))

    # rules

    def _rule(self, node: Node, path: str) -> Rule | None:
        if not isinstance(node, Mapping):
            message = "expected a rule: a mapping with condition and target"
            self._problems.misread("wrong-type", node.place, path, message)
            self._builder.note_words(node)
            return None
        values = self._builder.fields(node, shape_of(Rule), path)
        condition = values.get("condition")
        if condition is not None and not self._compiles(node.keys["condition"].value, condition, path):
            del values["condition"]
        rule: Rule = completed(shape_of(Rule), values)
        return rule

    def _compiles(self, node: Node, text: str, path: str) -> bool:
        from llamafarm.conditions import ConditionError, compile_condition

        where = child(path, "condition")
        try:
            condition = compile_condition(text)
        except ConditionError as error:
            place = place_inside(node, text, error.offset, self._lines)
            self._problems.misread("bad-condition", place, where, str(error))
            return False
        for warning in condition.warnings:
            self._problems.warning("near-miss-tag", node.place, where, warning)
        if any(name.startswith("budget.") for name in condition.names):
            unkept = "budgets are not yet kept in this version: budget.* is always missing"
            self._problems.add(Severity.INFO, "not-yet-active", node.place, where, unkept)
        return True


def _without(node: Mapping, *names: str) -> Mapping:
    return Mapping(node.place, {name: key for name, key in node.keys.items() if name not in names})
