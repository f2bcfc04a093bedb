"""What may stand at each place of a file, read off the dataclasses: one tree for loading, the schema and the keys."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from annotated_types import Ge, Gt, Interval, Le, Len, Lt

from llamafarm.spec.components import APP_TYPES, CLOUD_TYPES, AppConfig, CloudConfig
from llamafarm.spec.formats import FORMATS, Format, Most, Unit
from llamafarm.spec.strategy import Component
from llamafarm.spec.tuning import REPOSITORY_TYPES, TUNER_TYPES, RepositoryConfig, TunerConfig
from llamafarm.types import Secret

__all__ = [
    "CONFIG_CLASSES",
    "ByType",
    "Choice",
    "Field",
    "Flag",
    "Hidden",
    "ListOf",
    "MapOf",
    "Number",
    "OneOf",
    "Record",
    "Shape",
    "Text",
    "expected",
    "shape_of",
]

CONFIG_CLASSES: dict[str, type] = (
    dict.fromkeys(CLOUD_TYPES, CloudConfig)
    | dict.fromkeys(APP_TYPES, AppConfig)
    | dict.fromkeys(TUNER_TYPES, TunerConfig)
    | dict.fromkeys(REPOSITORY_TYPES, RepositoryConfig)
)
"""What stands in the `config` of each component type."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string, not empty where `required`, of a format where one is named."""

    required: bool = False
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number or any number, within bounds."""

    whole: bool
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    most: int | None = None
    """Bounds it either way; said only of a number beyond."""
    unit: str | None = None
    """What it counts, in words."""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A secret."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, not empty where `required`."""

    item: Shape
    required: bool = False


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping from names of the user's own."""

    value: Shape


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of several."""

    options: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a record."""

    name: str
    shape: Shape
    required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with keys of ours: the fields of a dataclass."""

    cls: type[Any]
    fields: dict[str, Field] = field(compare=False)


@dataclass(frozen=True, slots=True)
class ByType:
    """A `config`: which record it is follows from the `type` beside it."""

    records: dict[str, Record] = field(compare=False)


Shape = Text | Number | Flag | Choice | Hidden | ListOf | MapOf | OneOf | Record | ByType


def shape_of(cls: Any) -> Record:
    """Give the shape of a dataclass."""
    return _record(cls)


@cache
def _record(cls: Any) -> Record:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {
        entry.name: Field(entry.name, _shape(hints[entry.name]), _is_required(entry), _default(entry))
        for entry in dataclasses.fields(cls)
        if entry.metadata.get("key", True)
    }
    return Record(cls, fields)


def _is_required(entry: dataclasses.Field[Any]) -> bool:
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING


def _default(entry: dataclasses.Field[Any]) -> Any:
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return None if entry.default is dataclasses.MISSING else entry.default


def _shape(hint: Any, limits: tuple[Any, ...] = ()) -> Shape:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        inner, *extra = typing.get_args(hint)
        return _shape(inner, tuple(extra))
    if origin is Literal:
        return Choice(typing.get_args(hint))
    if origin in (typing.Union, types.UnionType):
        return _union(typing.get_args(hint))
    if origin is tuple:
        return ListOf(_shape(typing.get_args(hint)[0]), required=bool(limits))
    if origin is dict:
        return MapOf(_shape(typing.get_args(hint)[1]))
    return _plain(hint, limits)


def _plain(hint: Any, limits: tuple[Any, ...]) -> Shape:
    if hint is str:
        named = [limit.name for limit in limits if isinstance(limit, Format)]
        return Text(any(isinstance(limit, Len) for limit in limits), named[0] if named else None)
    if hint is bool:
        return Flag()
    if hint in (int, float):
        unit = next((limit.name for limit in limits if isinstance(limit, Unit)), None)
        most = next((limit.value for limit in limits if isinstance(limit, Most)), None)
        bounds = _bounds(tuple(limit for limit in limits if not isinstance(limit, Unit | Most)))
        return Number(hint is int, **bounds, most=most, unit=unit)
    return Hidden() if hint is Secret else shape_of(hint)


def _union(options: tuple[Any, ...]) -> Shape:
    given = [option for option in options if option is not type(None)]
    if all(option in CONFIG_CLASSES.values() for option in given):
        return ByType({name: shape_of(cls) for name, cls in CONFIG_CLASSES.items() if cls in given})
    shapes = [_shape(option) for option in given]
    return shapes[0] if len(shapes) == 1 else OneOf(tuple(shapes))


def _bounds(limits: tuple[Any, ...]) -> dict[str, float]:
    bounds: dict[str, float] = {}
    for limit in limits:
        parts = tuple(limit) if isinstance(limit, Interval) else (limit,)
        for part in parts:
            match part:
                case Ge(ge):
                    bounds["ge"] = typing.cast("float", ge)
                case Gt(gt):
                    bounds["gt"] = typing.cast("float", gt)
                case Le(le):
                    bounds["le"] = typing.cast("float", le)
                case Lt(lt):
                    bounds["lt"] = typing.cast("float", lt)
                case _:
                    raise TypeError(f"no shape knows the limit {part!r}")
    return bounds


_LARGE = 1_000_000
"""From here on a number in a message has separators."""


def expected(shape: Shape) -> str:
    """Say what may stand there, as a message puts it."""
    match shape:
        case ListOf(Record()):
            return "a list"
        case ListOf(Text(_, None)):
            return "a list of texts"
        case ListOf(item):
            return f"a list, each item {expected(item)}"
        case OneOf((Text() as one, ListOf())):
            return f"{expected(one)}, or a list of such"
        case OneOf(options):
            return " or ".join(expected(option) for option in options)
        case Record(cls) if cls is Component:
            return "a mapping with type and config"
        case MapOf() | Record() | ByType():
            return "a mapping"
        case _:
            return _expected_scalar(shape)


def _expected_scalar(shape: Text | Number | Flag | Choice | Hidden) -> str:
    match shape:
        case Text(_, str(name)):
            return FORMATS[name].expected
        case Text():
            return "text"
        case Number():
            return _expected_number(shape)
        case Flag():
            return "true or false"
        case Choice(words):
            return words[0] if len(words) == 1 else "one of " + ", ".join(words)
        case Hidden():
            return "a secret, as ${VARIABLE} or ${file:/run/secrets/name}"


def _expected_number(shape: Number) -> str:
    kind = "a whole number" if shape.whole else "a number"
    kind += f" of {shape.unit}" if shape.unit else ""
    if shape.ge is not None and shape.le is not None:
        most = f"{shape.le:g}" if shape.le < _LARGE else f"{shape.le:,.0f}"
        return f"{kind} from {shape.ge:g} to {most}"
    if shape.ge is not None and shape.lt is not None:
        return f"{kind} from {shape.ge:g} to below {shape.lt:g}"
    if shape.gt is not None:
        return f"{kind} above {shape.gt:g}"
    if shape.ge is None:
        return kind
    return f"{kind}, {shape.ge:g} or more" if shape.unit else f"{kind} of {shape.ge:g} or more"
