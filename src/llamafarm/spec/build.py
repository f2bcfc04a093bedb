"""Nodes and shapes → typed values; notes every misfit: what was expected, what was found, what was likely meant."""

from __future__ import annotations

import math
import re
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
from llamafarm.spec.unread import completed, stand_in
from llamafarm.types import Secret

__all__ = ["BAD", "LITERAL", "Bad", "Builder", "at"]

LITERAL: Final = "the strategy file"
"""The origin of a secret that stands in the file itself."""
_LONGEST_SHOWN = 40
_WITH_UNIT = re.compile(r"[$€£]?\s?\d{1,12}(\.\d{1,6})?\s?[A-Za-z%/$€£]{0,12}")


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
        self.unread = problems.unread
        self.words: set[str] = set()
        """Every word in what could not be read: each may be a name that something else in the file refers to."""

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
        """Make a dataclass of every key that can be read; what cannot is noted, and has its default or a stand-in."""
        if isinstance(node, Scalar) and self._filled(node, path, wants_text=False) is None:
            return None
        if not isinstance(node, Mapping):
            return self._wrong(node, shape, path, place)
        return completed(shape, self.fields(node, shape, path, place))

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
        """Make the fields of a record that are given and can be read; `made` has those that the caller took care of.

        Where it need not be `complete`, nothing is said of missing ones.
        """
        values: dict[str, Any] = dict(made or {})
        for name, key in node.keys.items():
            field = shape.fields.get(name)
            if field is None:
                meant = self.unknown(name, key, shape, path)
                if meant is not None and meant not in node.keys:
                    self.unread.add(child(path, meant))
            elif name not in values:
                value = self.value(key.value, field.shape, child(path, name), at(key))
                if value is not None:
                    values[name] = value
        for field in shape.fields.values():
            where = child(path, field.name)
            if complete and field.required and field.name not in values and not self.unread.touches(where):
                what = f"`{field.name}` is missing: expected {expected(field.shape)}"
                self.problems.misread("missing-key", place or node.place, path, what, field.name)
        return {name: value for name, value in values.items() if value is not BAD}

    def unknown(self, name: str, key: Key, shape: Record, path: str) -> str | None:
        """Note a key that a record does not have; give the one that was likely meant."""
        meant = self.suggestions.synonym(name, shape.fields)
        inside = self._in_config(name, shape)
        if inside is not None:
            message = f"unknown key: put {inside} under `config`"
            self.unread.add(child(child(path, "config"), inside))
        elif meant is None and (elsewhere := home(name)) is not None:
            message = f"{name} does not belong here, but {elsewhere}"
            self.unread.misplace(name)
        elif (meant := meant or self.suggestions.nearest(name, shape.fields)) is not None:
            message = f"unknown key: did you mean {meant}?"
        else:
            message = f"unknown key: {self._meant_elsewhere(name) or f'known: {listed(shape.fields)}'}"
        self.problems.misread("unknown-key", key.place, child(path, name), message)
        self.note_words(key.value)
        return meant

    def _meant_elsewhere(self, name: str) -> str | None:
        """Say which key of another place is called so in other programs."""
        for word in self.suggestions.synonyms(name):
            elsewhere = home(word)
            if elsewhere is not None:
                self.unread.misplace(word)
                return f"did you mean {word}, {elsewhere}?"
        return None

    def note_words(self, node: Node) -> None:
        """Take every word of what could not be read for a possible name, so that no rule is blamed for it."""
        match node:
            case Scalar(text):
                self.words.add(text)
            case Sequence():
                for item in node.items:
                    self.note_words(item)
            case Mapping():
                for name, key in node.keys.items():
                    self.words.add(name)
                    self.note_words(key.value)

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
            if (value is None or value is BAD) and isinstance(inner, Record):
                value = stand_in(inner)  # a name without settings, like `gpt-4o:`, is a name all the same
            if value is not None and value is not BAD:
                values[name] = value
        return values

    def _list(self, node: Sequence, shape: ListOf, path: str) -> Any:
        if shape.required and not node.items:
            self.problems.misread("wrong-type", node.place, path, "expected at least one item, found an empty list")
            return BAD
        values = []
        for index, item in enumerate(node.items):
            value = self.value(item, shape.item, child(path, index))
            value = self._wrong(item, shape.item, child(path, index)) if value is None else value
            # Items with keys keep their places; of plain ones a part would mean something else than the whole.
            values.append(stand_in(shape.item) if value is BAD and isinstance(shape.item, Record) else value)
        return BAD if any(value is BAD for value in values) else tuple(values)

    def is_null(self, node: Node, shape: Shape) -> bool:
        """Tell whether a value is `null`, by itself or by what its references stand for: then it is not given."""
        if not isinstance(node, Scalar) or not node.plain:
            return False
        filled = self._fill(node)
        if filled.unset or filled.malformed or (filled.origins and isinstance(shape, Hidden)):
            return False
        return not filled.text if filled.origins and _wants_text(shape) else plain_value(filled.text) is None

    def filled_text(self, node: Scalar) -> str:
        """Give a scalar's text with its references replaced, as far as they can be."""
        return self._fill(node).text

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
            self.problems.misread("bad-interpolation", node.place, path, message)
        for reason in filled.unset:
            self.problems.misread("unset-variable", node.place, path, reason)
        if filled.malformed or filled.unset:
            self.words.add(node.text)
            return False
        return True

    def _secret(self, node: Scalar, path: str) -> Secret | Bad | None:
        filled = self._fill(node)
        value = plain_value(filled.text) if node.plain and not filled.origins else filled.text
        if value is None:
            return None
        if not isinstance(value, str):
            found = "true or false" if isinstance(value, bool) else "a number"  # which may be the secret
            message = f"expected {expected(Hidden())}, found {found}"
            self.problems.misread("wrong-type", node.place, path, message)
            return BAD
        if filled.malformed:
            self._is_sound(Filled("", malformed=("${…}",)), node, path)
            return BAD
        if filled.literal and filled.text:
            what = "a part of a secret" if filled.origins else "a secret"
            message = f"{what} stands in the file: use ${{VARIABLE}} or ${{file:/run/secrets/name}}"
            self.problems.warning("literal-api-key", node.place, path, message)
        origin = filled.origins[0] if filled.origins else LITERAL
        value = None if filled.unset else filled.text
        return Secret(value or None, origin, filled.unset[0] if filled.unset else "")

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
            self.problems.misread(misfit.code, node.place, path, f"expected {misfit.wanted}, found {found}{hint}")
            self.words.add(node.text)
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
        raise _MisfitError("wrong-type", expected(shape), _as_written(value, shape))

    def _fit_any(self, value: Value | Bad, options: tuple[Shape, ...], shape: OneOf) -> Any:
        code, hint = "wrong-type", ""
        for option in options:
            try:
                return self._fit(value, option)
            except _MisfitError as misfit:
                if misfit.code != "wrong-type":
                    code, hint = misfit.code, misfit.hint
        raise _MisfitError(code, expected(shape), hint)

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
        hint = ""
        if isinstance(shape, ListOf) and isinstance(shape.item, Record) and isinstance(node, Mapping):
            first = next(iter(node.keys), None)
            hint = f": put `- ` before {first}" if first in shape.item.fields else ""
        self.problems.misread(
            "wrong-type", place or node.place, path, f"expected {expected(shape)}, found {found}{hint}"
        )
        self.note_words(node)
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


def _as_written(value: Value | Bad, shape: Shape) -> str:
    """Say what is wrong with how a text is written that was to be a number, or true or false."""
    if not isinstance(value, str):
        return ""
    plain = plain_value(value)
    if isinstance(shape, Flag) and isinstance(plain, bool):
        return f" (without the quotes it is {value})"
    if not isinstance(shape, Number):
        return ""
    if isinstance(plain, int | float) and not isinstance(plain, bool):
        return " (without the quotes it is a number)"
    return ": write the number alone" if _WITH_UNIT.fullmatch(value) else ""


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
    if shape.most is not None and abs(value) > shape.most:
        raise _MisfitError("out-of-range", expected(shape), f": the most is {shape.most:,}")
    return int(value) if shape.whole else float(value)
