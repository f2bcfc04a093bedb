"""What a chain entry inherits: its own config over that of the component it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llamafarm.spec.nodes import Key, Mapping, Node, Scalar, Sequence
from llamafarm.spec.shape import ListOf, MapOf, Record, Shape

__all__ = ["Merging"]


@dataclass(frozen=True, slots=True)
class Merging:
    """Puts configs over others: what is not given is inherited, `models` merge by name, and so does each model.

    The models that an entry names come first, because the first is asked where there is no `default_model`.
    """

    is_null: Callable[[Node, Shape], bool]
    """Whether a value of a shape is `null`: not given."""
    text: Callable[[Scalar], str]
    """What a scalar says once its references are replaced."""

    def merged(self, base: Mapping, own: Mapping, shape: Record) -> Mapping:
        """Put a config over another. Keys that its record does not have are left out: they have been told."""
        keys = dict(base.keys)
        for name, key in own.keys.items():
            field = shape.fields.get(name)
            if field is None or self.is_null(key.value, field.shape):
                continue
            inherited = keys.get(name)
            both = self._models(inherited.value, key.value, field.shape) if inherited and name == "models" else None
            keys[name] = Key(key.place, key.value if both is None else both)
        return Mapping(own.place, keys)

    def _models(self, base: Node, own: Node, shape: Shape) -> Node | None:
        match shape, base, own:
            case MapOf(Record() as record), Mapping(), Mapping():
                return Mapping(own.place, dict(self._by_name(base, own, record)))
            case ListOf(Record() as record), Sequence(), Sequence():
                return Sequence(own.place, list(self._listed(base, own, record)))
            case _:
                return None

    def _by_name(self, base: Mapping, own: Mapping, record: Record) -> Iterator[tuple[str, Key]]:
        for name, key in own.keys.items():
            inherited = base.keys.get(name)
            yield name, key if inherited is None else Key(key.place, self._model(inherited.value, key.value, record))
        yield from ((name, key) for name, key in base.keys.items() if name not in own.keys)

    def _listed(self, base: Sequence, own: Sequence, record: Record) -> Iterator[Node]:
        inherited = {name: item for item in base.items if (name := self._name(item)) is not None}
        names = set()
        for item in own.items:
            name = self._name(item)
            names.add(name)
            yield self._model(inherited[name], item, record) if name in inherited else item
        yield from (item for item in base.items if self._name(item) not in names)

    def _model(self, base: Node, own: Node, record: Record) -> Node:
        if self.is_null(own, record):
            return base
        return self.merged(base, own, record) if isinstance(base, Mapping) and isinstance(own, Mapping) else own

    def _name(self, item: Node) -> str | None:
        key = item.keys.get("name") if isinstance(item, Mapping) else None
        return self.text(key.value) if key is not None and isinstance(key.value, Scalar) else None
