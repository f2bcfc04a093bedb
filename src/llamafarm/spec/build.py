"""Nodes and shapes → typed values; notes every misfit: what was expected, what was found, what was likely meant."""

from __future__ import annotations

import math
from collections.abc import Mapping as Given
from typing import Any, Final

from llamafarm.spec.formats import FORMATS, formatted
from llamafarm.spec.interpolation import Filled, Surroundings, fill
from llamafarm.spec.key_paths import home
from llamafarm.spec.masking import masked
from llamafarm.spec.nodes import Key, Mapping, Node, Place, Scalar, Sequence, Value, child, plain_value
from llamafarm.spec.problems import Problems
from llamafarm.spec.shape import (
    ByType,
    Choice,
    Flag,
    Hidden,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Record,
    Shape,
    Text,
    expected,
)
from llamafarm.spec.suggest import Suggestions, listed
from llamafarm.types import Secret

__all__ = ["BAD", "LITERAL", "Bad", "Builder", "at"]

LITERAL: Final = "the strategy file"
"""The origin of a secret that stands in the file itself."""
_LONGEST_SHOWN = 40


class Bad:
    """Stands for a value that could not be made; problems say why."""


BAD: Final = Bad()


class _MisfitError(Exception):
    """A value does not fit its shape."""

    def __init__(self, code: str, wanted: str, hint: str = "") -> None:
        super().__init__(wanted)
        self.code, self.wanted, self.hint = code, wanted, hint


def at(key: Key) -> Place:
    """Give the place to point at for a key's value: the value if it is a scalar, else the key."""
    return key.value.place if isinstance(key.value, Scalar) else key.place


class Builder:
    """Makes values of one file. `None` comes out for `null`: not given."""

    def __init__(self, problems: Problems, around: Surroundings) -> None:
        self.problems = problems
        self.around = around
        self.suggestions = Suggestions()

    def value(self, node: Node, shape: Shape, path: str, place: Place | None = None) -> Any:
        """Make a value of a shape; `BAD` where that is impossible."""
        match shape:
            case MapOf(inner) if isinstance(node, Mapping):
                return self._map(node, inner, path)
            case Record():
                return self.record(node, shape, path, place)
            case ListOf() if isinstance(node, Sequence):
                return self._list(node, shape, path)
            case OneOf(options) if isinstance(node, Sequence):
                lists = [option for option in options if isinstance(option, ListOf)]
                return self._list(node, lists[0], path) if lists else self._wrong(node, shape, path, place)
            case Hidden() if isinstance(node, Scalar):
                return self._secret(node, path)
        if isinstance(node, Scalar):
            return self._scalar(node, shape, path)
        return self._wrong(node, shape, path, place)

    def record(self, node: Node, shape: Record, path: str, place: Place | None = None) -> Any:
        """Make a dataclass; every key of it is looked at even where one is wrong."""
        if isinstance(node, Scalar) and self._is_null(node, path):
            return None
        if not isinstance(node, Mapping):
            return self._wrong(node, shape, path, place)
        values = self.fields(node, shape, path, place)
        if any(value is BAD for value in values.values()):
            return BAD
        return shape.cls(**values)

    def fields(
        self,
        node: Mapping,
        shape: Record,
        path: str,
        place: Place | None = None,
        made: Given[str, Any] | None = None,
        *,
        complete: bool = True,
    ) -> dict[str, Any]:
        """Make the fields of a record that are given; `made` has those made already. Unknown and missing ones are BAD.

        Where it need not be `complete`, missing ones are left out.
        """
        values: dict[str, Any] = dict(made or {})
        meant: set[str | None] = set()
        for name, key in node.keys.items():
            field = shape.fields.get(name)
            if field is None:
                meant.add(self.unknown(name, key, shape, path))
                values[""] = BAD
            elif name not in values:
                value = self.value(key.value, field.shape, child(path, name), at(key))
                if value is not None:
                    values[name] = value
        for field in shape.fields.values():
            if complete and field.required and field.name not in values:
                if field.name not in meant:
                    what = f"`{field.name}` is missing: expected {expected(field.shape)}"
                    self.problems.error("missing-key", place or node.place, path, what)
                values[field.name] = BAD
        return values

    def unknown(self, name: str, key: Key, shape: Record, path: str) -> str | None:
        """Note a key that a record does not have; give the one that was likely meant."""
        meant = self.suggestions.synonym(name, shape.fields)
        elsewhere = home(name) if meant is None else None
        inside = self._in_config(name, shape)
        if inside is not None:
            message = f"unknown key: put {inside} under `config`"
        elif elsewhere is not None:
            message = f"{name} does not belong here, but {elsewhere}"
        else:
            meant = meant or self.suggestions.nearest(name, shape.fields)
            message = f"did you mean {meant}?" if meant else f"known: {listed(shape.fields)}"
            message = f"unknown key: {message}"
        self.problems.error("unknown-key", key.place, child(path, name), message)
        return meant

    def _in_config(self, name: str, shape: Record) -> str | None:
        """Give the key of a `config` beside it that was meant, where there is one."""
        config = shape.fields.get("config")
        if config is None or not isinstance(config.shape, ByType):
            return None
        known = {field for record in config.shape.records.values() for field in record.fields}
        return name if name in known else self.suggestions.synonym(name, known)

    def text(self, node: Node, path: str) -> str | Bad | None:
        """Make a text that is not empty."""
        value: str | Bad | None = self.value(node, Text(required=True), path)
        return value

    def _map(self, node: Mapping, inner: Shape, path: str) -> Any:
        values: dict[str, Any] = {}
        for name, key in node.keys.items():
            value = self.value(key.value, inner, child(path, name), at(key))
            if value is None and isinstance(inner, Record):
                value = inner.cls()  # a name without settings, like `gpt-4o:`, is a name all the same
            if value is not None:
                values[name] = value
        return BAD if any(value is BAD for value in values.values()) else values

    def _list(self, node: Sequence, shape: ListOf, path: str) -> Any:
        if shape.required and not node.items:
            self.problems.error("wrong-type", node.place, path, "expected at least one item, found an empty list")
            return BAD
        values = []
        for index, item in enumerate(node.items):
            value = self.value(item, shape.item, child(path, index))
            values.append(self._wrong(item, shape.item, child(path, index)) if value is None else value)
        return BAD if any(value is BAD for value in values) else tuple(values)

    def _is_null(self, node: Scalar, path: str) -> bool:
        value = self._filled(node, path, wants_text=False)
        return value is None

    def _fill(self, node: Scalar) -> Filled:
        filled = fill(node.text, self.around)
        for value, reference in filled.values:
            self.problems.conceal(value, reference)
        return filled

    def _filled(self, node: Scalar, path: str, *, wants_text: bool) -> Value | Bad:
        filled = self._fill(node)
        if not self._is_sound(filled, node, path):
            return BAD
        if not node.plain:
            return filled.text
        if wants_text and filled.origins:
            return filled.text or None
        return plain_value(filled.text)

    def _is_sound(self, filled: Filled, node: Scalar, path: str) -> bool:
        for piece in filled.malformed:
            message = (
                f"{piece} is no reference: write ${{NAME}}, ${{NAME:-default}} or ${{file:path}}; $${{ is a plain ${{"
            )
            self.problems.error("bad-interpolation", node.place, path, message)
        for reason in filled.unset:
            self.problems.error("unset-variable", node.place, path, reason)
        return not (filled.malformed or filled.unset)

    def _secret(self, node: Scalar, path: str) -> Secret | Bad | None:
        filled = self._fill(node)
        if node.plain and not filled.origins and plain_value(filled.text) is None:
            return None
        if filled.malformed:
            self._is_sound(Filled("", malformed=("${…}",)), node, path)
            return BAD
        if filled.literal and filled.text:
            what = "a part of a secret" if filled.origins else "a secret"
            message = f"{what} stands in the file: use ${{VARIABLE}} or ${{file:/run/secrets/name}}"
            self.problems.warning("literal-api-key", node.place, path, message)
        origin = filled.origins[0] if filled.origins else LITERAL
        return Secret(None if filled.unset or not filled.text else filled.text, origin)

    def _scalar(self, node: Scalar, shape: Shape, path: str) -> Any:
        if shape == Text(format="condition"):
            value: Value | Bad = self._filled(node, path, wants_text=True)
            value = value if value is BAD or value is None or "${" in node.text else node.text
        else:
            value = self._filled(node, path, wants_text=_wants_text(shape))
        if value is None or value is BAD:
            return value
        try:
            return self._fit(value, shape)
        except _MisfitError as misfit:
            found = f"the value of {masked(node.text)}" if "${" in node.text else self._shown(value)
            hint = misfit.hint or self._meant(value, shape)
            self.problems.error(misfit.code, node.place, path, f"expected {misfit.wanted}, found {found}{hint}")
            return BAD

    def _fit(self, value: Value | Bad, shape: Shape) -> Any:
        match shape:
            case Text(required, name):
                return self._fit_text(value, name, required=required)
            case Flag() if isinstance(value, bool):
                return value
            case Flag() if isinstance(value, str) and value.lower() in ("yes", "no", "on", "off"):
                raise _MisfitError("wrong-type", expected(shape), ": in YAML 1.2 that is a word")
            case Choice(words) if isinstance(value, str):
                if value in words:
                    return value
                raise _MisfitError("bad-value", expected(shape))
            case Number() if isinstance(value, int | float) and not isinstance(value, bool):
                return _fit_number(value, shape)
            case OneOf(options):
                return self._fit_any(value, options, shape)
        quoted = " (without the quotes it is a number)" if _is_quoted_number(value, shape) else ""
        raise _MisfitError("wrong-type", expected(shape), quoted)

    def _fit_any(self, value: Value | Bad, options: tuple[Shape, ...], shape: OneOf) -> Any:
        code = "wrong-type"
        for option in options:
            try:
                return self._fit(value, option)
            except _MisfitError as misfit:
                code = misfit.code if misfit.code != "wrong-type" else code
        raise _MisfitError(code, expected(shape))

    def _fit_text(self, value: Value | Bad, name: str | None, *, required: bool) -> str:
        if not isinstance(value, str):
            quotable = name is None or FORMATS[name].accepts(str(value))
            raise _MisfitError("wrong-type", expected(Text(format=name)), ": quote it" if quotable else "")
        if required and not value.strip():
            raise _MisfitError("bad-value", "text")
        if name is None:
            return value
        try:
            return formatted(value, FORMATS[name], self.around.folder)
        except ValueError as error:
            raise _MisfitError("bad-value", str(error)) from None

    def _meant(self, value: Value | Bad, shape: Shape) -> str:
        words = [word for option in _options(shape) if isinstance(option, Choice) for word in option.words]
        near = self.suggestions.nearest(value, words) if isinstance(value, str) and words else None
        return f": did you mean {near}?" if near else ""

    def _wrong(self, node: Node, shape: Shape, path: str, place: Place | None = None) -> Bad:
        found = {Scalar: "", Sequence: "a list", Mapping: "a mapping"}[type(node)]
        if isinstance(node, Scalar):
            value = plain_value(node.text) if node.plain else node.text
            found = "nothing" if value is None else self._shown(value)
        self.problems.error("wrong-type", place or node.place, path, f"expected {expected(shape)}, found {found}")
        return BAD

    def _shown(self, value: Value | Bad) -> str:
        match value:
            case bool():
                return "true" if value else "false"
            case int() | float():
                text = self.problems.concealed(str(value))
                return f"the number {text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}"
            case str() if not value.strip():
                return "an empty text"
            case _:
                text = masked(self.problems.concealed(" ".join(str(value).split())))
                return f"'{text}'" if len(text) <= _LONGEST_SHOWN else f"'{text[:_LONGEST_SHOWN]}…'"


def _options(shape: Shape) -> tuple[Shape, ...]:
    return shape.options if isinstance(shape, OneOf) else (shape,)


def _wants_text(shape: Shape) -> bool:
    return not any(isinstance(option, Number | Flag) for option in _options(shape))


def _is_quoted_number(value: Value | Bad, shape: Shape) -> bool:
    return isinstance(value, str) and isinstance(shape, Number) and not isinstance(plain_value(value), str | None)


def _fit_number(value: float, shape: Number) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise _MisfitError("out-of-range", expected(shape))
    if shape.whole and value != int(value):
        raise _MisfitError("wrong-type", expected(shape))
    within = (
        (shape.ge is None or value >= shape.ge)
        and (shape.gt is None or value > shape.gt)
        and (shape.le is None or value <= shape.le)
        and (shape.lt is None or value < shape.lt)
    )
    if not within:
        raise _MisfitError("out-of-range", expected(shape))
    return int(value) if shape.whole else float(value)
