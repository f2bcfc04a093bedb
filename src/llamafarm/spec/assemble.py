"""A strategy from its nodes: components by their types, chain entries over the components they name, rules compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llamafarm.errors import Severity
from llamafarm.spec.build import BAD, Bad, Builder, at
from llamafarm.spec.nodes import Key, Mapping, Node, Place, Scalar, Sequence, child
from llamafarm.spec.problems import source_lines
from llamafarm.spec.shape import CONFIG_CLASSES, Record, shape_of
from llamafarm.spec.strategy import ChainEntry, Component, Rule, Strategy, StrategyFile, kind_of

__all__ = ["Draft", "FileDraft", "assemble"]

_SERVING = tuple(name for name in CONFIG_CLASSES if kind_of(name) in ("cloud_api", "model_app"))


@dataclass(slots=True)
class Draft:
    """A strategy as far as it could be read: what is wrong in it is BAD or absent, and noted."""

    path: str
    place: Place
    name: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, Mapping] = field(default_factory=dict)
    """The components' nodes, for chain entries to inherit from."""
    types: dict[str, str] = field(default_factory=dict)
    components: dict[str, Component | Bad] = field(default_factory=dict)
    chain: list[ChainEntry | Bad] = field(default_factory=list)
    rules: list[Rule | Bad] = field(default_factory=list)
    rule_targets: dict[int, str] = field(default_factory=dict)
    """The rules' targets by index, those of rules that are otherwise wrong, too."""
    names: set[str] = field(default_factory=set)
    """Every target's name, and in what could not be read every word that may be one."""
    result: Strategy | Bad = BAD


@dataclass(slots=True)
class FileDraft:
    """A file as far as it could be read."""

    drafts: list[Draft]
    values: dict[str, Any]

    def finished(self) -> StrategyFile:
        """Give the file; only where nothing is wrong."""
        return StrategyFile(**self.values)


def assemble(root: Mapping, builder: Builder, text: str) -> FileDraft:
    """Read a whole document."""
    drafts: list[Draft] = []
    made: dict[str, Any] = {}
    listed = root.keys.get("strategies")
    if listed is not None and isinstance(listed.value, Sequence) and listed.value.items:
        lines = source_lines(text)
        for index, item in enumerate(listed.value.items):
            path = child("strategies", index)
            if isinstance(item, Mapping):
                drafts.append(_StrategyReader(builder, item, path, lines).read())
            else:
                builder.problems.error(
                    "wrong-type", item.place, path, "expected a strategy: a mapping with name and components"
                )
        results = [draft.result for draft in drafts]
        is_whole = len(results) == len(listed.value.items) and not any(result is BAD for result in results)
        made["strategies"] = tuple(results) if is_whole else BAD
    return FileDraft(drafts, builder.fields(root, shape_of(StrategyFile), "", Place(1, 1), made))


class _StrategyReader:
    """Reads one strategy."""

    def __init__(self, builder: Builder, node: Mapping, path: str, lines: list[str]) -> None:
        self._builder = builder
        self._problems = builder.problems
        self._node = node
        self._lines = lines
        self._draft = Draft(path, node.place)

    def read(self) -> Draft:
        draft = self._draft
        made: dict[str, Any] = {"components": self._components()}
        for name, read_items in (("fallback_chain", self._chain), ("routing_rules", self._rules)):
            key = self._node.keys.get(name)
            if key is not None and isinstance(key.value, Sequence):
                made[name] = read_items(key.value, child(draft.path, name))
        draft.values = self._builder.fields(self._node, shape_of(Strategy), draft.path, None, made)
        draft.name = draft.values["name"] if isinstance(draft.values["name"], str) else ""
        if not any(value is BAD for value in draft.values.values()):
            draft.result = Strategy(**draft.values)
        return draft

    # components

    def _components(self) -> Any:
        path = child(self._draft.path, "components")
        key = self._node.keys.get("components")
        value = key.value if key is not None else None
        if key is None or (isinstance(value, Scalar) and value.plain and not value.text.strip("~")):
            self._problems.error("no-components", self._node.place, self._draft.path, "a strategy needs `components`")
            return BAD
        if not isinstance(value, Mapping):
            message = "expected a mapping from a name of your own to {type, config}"
            self._problems.error("wrong-type", at(key), path, message)
            return BAD
        for name, entry in value.keys.items():
            component = self._component(name, entry, child(path, name))
            if component is not None:
                self._draft.components[name] = component
        if not self._draft.components:
            self._problems.error("no-components", key.place, path, "a strategy needs at least one component")
            return BAD
        return _whole(self._draft.components)

    def _component(self, name: str, entry: Key, path: str) -> Component | Bad | None:
        node = entry.value
        shape = shape_of(Component)
        if not isinstance(node, Mapping):
            made: Bad | None = self._builder.record(node, shape, path, at(entry))
            return made
        self._draft.nodes[name] = node
        if not name.strip():
            self._problems.error("bad-key", entry.place, path, "a component needs a name")
            return BAD
        component_type = self._type(node, path, entry.place)
        config: Any = BAD
        if isinstance(component_type, str):
            self._draft.types[name] = component_type
            config = self._config(node, component_type, path, entry.place)
        else:
            self._note_names(node)
        known = {"type": component_type, "config": config}
        values = self._builder.fields(_without(node, "type", "config"), shape, path, entry.place, known)
        return BAD if any(value is BAD for value in values.values()) else Component(name=name, **values)

    def _type(self, node: Mapping, path: str, place: Place) -> str | Bad:
        """Give a component's type; BAD, and noted, where it has none or an unknown one."""
        key = node.keys.get("type")
        value = None if key is None else self._builder.text(key.value, child(path, "type"))
        if key is None or value is None:
            message = f"`type` is missing: expected one of {', '.join(CONFIG_CLASSES)}"
            self._problems.error("missing-key", place, path, message)
            return BAD
        if isinstance(value, str) and value not in CONFIG_CLASSES:
            hint = self._type_hint(value, tuple(CONFIG_CLASSES))
            self._problems.error(
                "unknown-type", at(key), child(path, "type"), f"no component type is called {value}: {hint}"
            )
            return BAD
        return value

    def _type_hint(self, value: str, known: tuple[str, ...]) -> str:
        near = self._builder.suggestions.nearest(value, known)
        if near is None:
            return self._builder.suggestions.hint("", known)
        vendor = " (the vendor is its `provider`)" if near == "openai_compatible" and "openai_" not in value else ""
        return f"did you mean {near}?{vendor}"

    def _config(self, node: Mapping, component_type: str, path: str, place: Place) -> Any:
        key = node.keys.get("config")
        shape = shape_of(CONFIG_CLASSES[component_type])
        where = child(path, "config")
        if key is None:
            return self._record(Mapping(place), shape, where, place)
        config = self._record(key.value, shape, where, key.place)
        return self._record(Mapping(place), shape, where, key.place) if config is None else config

    def _record(self, node: Node, shape: Record, path: str, place: Place) -> Any:
        config = self._builder.record(node, shape, path, place)
        if config is BAD:
            self._note_names(node)
        return config

    def _note_names(self, node: Node) -> None:
        """Take every word of a part that could not be read for a possible name, so that no rule is blamed for it."""
        match node:
            case Scalar(text):
                self._draft.names.add(text)
            case Sequence():
                for item in node.items:
                    self._note_names(item)
            case Mapping():
                for name, key in node.keys.items():
                    self._draft.names.add(name)
                    self._note_names(key.value)

    # the chain

    def _chain(self, node: Sequence, path: str) -> Any:
        for index, item in enumerate(node.items):
            self._draft.chain.append(self._entry(item, child(path, index)))
        return _all(self._draft.chain)

    def _entry(self, node: Node, path: str) -> ChainEntry | Bad:
        if isinstance(node, Scalar):
            name = self._builder.text(node, path)
            if not isinstance(name, str):
                if name is None:
                    self._problems.error("wrong-type", node.place, path, "expected a component's name, found nothing")
                return BAD
            short = Mapping(node.place, {"name": Key(node.place, node), "type": Key(node.place, node)})
            return self._full_entry(short, path, {"name": name})
        if isinstance(node, Mapping):
            return self._full_entry(node, path, {})
        message = "expected a component's name, or {name, type, config}"
        self._problems.error("wrong-type", node.place, path, message)
        return BAD

    def _full_entry(self, node: Mapping, path: str, made: dict[str, Any]) -> ChainEntry | Bad:
        component, component_type = self._origin(node, path, is_short=bool(made))
        config: Any = BAD
        if isinstance(component_type, str):
            config = self._entry_config(node, path, component, component_type)
        elif (own := node.keys.get("config")) is not None:
            self._note_names(own.value)
        known = made | {"type": component_type, "config": config}
        values = self._builder.fields(_without(node, "type", "config"), shape_of(ChainEntry), path, None, known)
        if isinstance(values["name"], str):
            self._draft.names.add(values["name"])
        return BAD if any(value is BAD for value in values.values()) else ChainEntry(component=component, **values)

    def _origin(self, node: Mapping, path: str, *, is_short: bool) -> tuple[str | None, str | Bad]:
        """Tell which component an entry inherits from, if any, and its resolved type; noted where there is none."""
        key = node.keys.get("type")
        where = path if is_short else child(path, "type")
        value = None if key is None else self._builder.text(key.value, where)
        if key is None or value is None:
            message = "`type` is missing: expected a component's name or a provider's or application's type"
            self._problems.error("missing-key", node.place, path, message)
            return None, BAD
        if not isinstance(value, str):
            return None, BAD
        is_component = value in self._draft.nodes
        resolved = self._draft.types.get(value) if is_component else value
        if resolved is None:
            return value, BAD  # the component's own type is wrong, and noted there
        if resolved in _SERVING:
            return (value if is_component else None), resolved
        if resolved in CONFIG_CLASSES:
            message = f"{value} is a {kind_of(resolved)}: it answers no requests, so it cannot be in the chain"
            self._problems.error("not-serving", at(key), where, message)
        else:
            hint = self._type_hint(value, (*self._draft.nodes, *_SERVING))
            self._problems.error("unknown-type", at(key), where, f"no component and no type is called {value}: {hint}")
        return None, BAD

    def _entry_config(self, node: Mapping, path: str, component: str | None, component_type: str) -> Any:
        key = node.keys.get("config")
        shape = shape_of(CONFIG_CLASSES[component_type])
        where = child(path, "config")
        own = key.value if key is not None else None
        place = key.place if key is not None else node.place
        if component is None:
            return self._record(Mapping(node.place) if own is None else own, shape, where, place)
        base = self._draft.components.get(component, BAD)
        if own is None or not isinstance(own, Mapping):
            inherited = base.config if isinstance(base, Component) else BAD
            checked = None if own is None else self._builder.record(own, shape, where, place)
            return inherited if checked is None else checked
        if not isinstance(base, Component):
            self._note_names(own)
            self._builder.fields(own, shape, where, place, complete=False)
            return BAD
        inherited_key = self._draft.nodes[component].keys.get("config")
        inherited_node = inherited_key.value if inherited_key is not None else None
        over = merged(inherited_node, own) if isinstance(inherited_node, Mapping) else own
        return self._record(over, shape, where, place)

    # rules

    def _rules(self, node: Sequence, path: str) -> Any:
        for index, item in enumerate(node.items):
            self._draft.rules.append(self._rule(item, index, child(path, index)))
        return _all(self._draft.rules)

    def _rule(self, node: Node, index: int, path: str) -> Rule | Bad:
        if not isinstance(node, Mapping):
            self._problems.error("wrong-type", node.place, path, "expected a rule: a mapping with condition and target")
            return BAD
        values = self._builder.fields(node, shape_of(Rule), path)
        if isinstance(values["target"], str):
            self._draft.rule_targets[index] = values["target"]
        condition = values["condition"]
        if isinstance(condition, str) and not self._compiles(node.keys["condition"].value, condition, path):
            return BAD
        return BAD if any(value is BAD for value in values.values()) else Rule(**values)

    def _compiles(self, node: Node, text: str, path: str) -> bool:
        from llamafarm.conditions import ConditionError, compile_condition

        where = child(path, "condition")
        try:
            condition = compile_condition(text)
        except ConditionError as error:
            place = self._inside(node, text, error.offset)
            self._problems.error("bad-condition", place, where, str(error))
            return False
        for warning in condition.warnings:
            self._problems.warning("near-miss-tag", node.place, where, warning)
        if any(name.startswith("budget.") for name in condition.names):
            unkept = "budgets are not yet kept in this version: budget.* is always missing"
            self._problems.add(Severity.INFO, "not-yet-active", node.place, where, unkept)
        return True

    def _inside(self, node: Node, text: str, offset: int | None) -> Place:
        """Give the place of a character of a scalar that stands unchanged on one line; else that of the scalar."""
        quote = 0 if isinstance(node, Scalar) and node.plain else 1
        start = node.place.column - 1 + quote
        if offset is None or not self._lines[node.place.line - 1].startswith(text, start):
            return node.place
        return Place(node.place.line, start + min(offset, len(text)) + 1)


def merged(base: Mapping, own: Mapping) -> Mapping:
    """Put an entry's own config over the one it inherits; `models` mappings merge by name, and so does each model."""
    keys = dict(base.keys)
    for name, key in own.keys.items():
        if isinstance(key.value, Scalar) and key.value.plain and key.value.text in ("", "~", "null"):
            continue  # not given
        inherited = keys.get(name)
        both = (inherited.value if inherited is not None else None), key.value
        if name == "models" and isinstance(both[0], Mapping) and isinstance(both[1], Mapping):
            keys[name] = Key(key.place, _merged_models(both[0], both[1]))
        else:
            keys[name] = key
    return Mapping(own.place, keys)


def _merged_models(base: Mapping, own: Mapping) -> Mapping:
    keys = dict(base.keys)
    for name, key in own.keys.items():
        inherited = keys.get(name)
        if inherited is not None and isinstance(inherited.value, Mapping):
            if isinstance(key.value, Mapping):
                keys[name] = Key(key.place, Mapping(key.value.place, inherited.value.keys | key.value.keys))
        else:
            keys[name] = key
    return Mapping(own.place, keys)


def _without(node: Mapping, *names: str) -> Mapping:
    return Mapping(node.place, {name: key for name, key in node.keys.items() if name not in names})


def _whole(values: dict[str, Any]) -> Any:
    return BAD if any(value is BAD for value in values.values()) else values


def _all(values: list[Any]) -> Any:
    return BAD if any(value is BAD for value in values) else tuple(values)
