"""The JSON Schema of a strategy file, for editors: read off the same dataclasses as everything else."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any

from llamafarm.spec.components import APP_TYPES, AppConfig, CloudConfig
from llamafarm.spec.formats import FORMATS
from llamafarm.spec.shape import (
    CONFIG_CLASSES,
    ByType,
    Choice,
    Field,
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
    shape_of,
)
from llamafarm.spec.strategy import Alert, ChainEntry, Component, LoadBalancing, ServerSettings, StrategyFile

__all__ = ["json_schema"]

_REFERENCE = {"type": "string", "pattern": r"\$\{"}
"""A text with a reference: what it becomes is not known before it is loaded."""
_NULL = {"type": "null"}
_REQUIRED_CONFIGS = {
    name: [field.name for field in shape_of(cls).fields.values() if field.required]
    for name, cls in CONFIG_CLASSES.items()
}


def json_schema() -> dict[str, Any]:
    """Give the schema (draft 2020-12). What concerns two places, like a rule's target, no schema can say."""
    records: dict[str, Record] = {}
    top = _record(shape_of(StrategyFile), records)
    definitions: dict[str, Any] = {}
    while len(definitions) < len(records):
        for name, record in list(records.items()):
            if name not in definitions:
                definitions[name] = _definition(record, records)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llamafarm strategies",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _definition(record: Record, records: dict[str, Record]) -> dict[str, Any]:
    if record.cls is Component:
        return _component(record, records)
    if record.cls is ChainEntry:
        return _chain_entry(record, records)
    return _record(record, records)


def _record(record: Record, records: dict[str, Record]) -> dict[str, Any]:
    notes = _docstrings(record.cls)
    properties = {}
    for field in record.fields.values():
        inner = _schema(field.shape, records)
        note = notes.get(field.name)
        stated = field.default is not None and isinstance(field.default, str | int | float) and field.default != ""
        properties[field.name] = {
            **({"description": note} if note else {}),
            **({"default": field.default} if stated else {}),
            **(inner if _is_needed(field) else _or(inner, _NULL)),
        }
    required = [field.name for field in record.fields.values() if _is_needed(field)]
    is_config = record.cls in CONFIG_CLASSES.values()  # a chain entry may inherit what is required
    return {
        "description": inspect.cleandoc(record.cls.__doc__ or ""),
        "type": "object",
        "properties": properties,
        **({"required": required} if required and not is_config else {}),
        "additionalProperties": False,
        **_conditions(record),
    }


def _is_needed(field: Field) -> bool:
    return field.required or (isinstance(field.shape, MapOf) and _is_of(field.shape.value, Component))


def _is_of(shape: Shape, cls: type) -> bool:
    return isinstance(shape, Record) and shape.cls is cls


def _conditions(record: Record) -> dict[str, Any]:
    """Give what a schema can say of two keys of one record."""
    if record.cls is Alert:
        share = {"properties": {"type": {"enum": ["error_rate", "budget"]}}}
        return {"if": share, "then": {"properties": {"threshold": _or({"type": "number", "maximum": 1}, _REFERENCE)}}}
    if record.cls is LoadBalancing:
        return {"oneOf": [_given("targets", "minItems"), _given("weights", "minProperties")]}
    if record.cls is ServerSettings:
        pair = ("tls_certificate", "tls_key")
        return {"if": {"anyOf": [_given(name) for name in pair]}, "then": {"allOf": [_given(name) for name in pair]}}
    return {}


def _given(name: str, least: str | None = None) -> dict[str, Any]:
    return {"properties": {name: {"not": _NULL, **({least: 1} if least else {})}}, "required": [name]}


def _component(record: Record, records: dict[str, Record]) -> dict[str, Any]:
    cases = []
    for name, cls in CONFIG_CLASSES.items():
        config = _schema(shape_of(cls), records)
        if cls is CloudConfig:
            custom = {"properties": {"provider": {"const": "custom"}}, "required": ["provider"]}
            config |= {"if": custom, "then": _given("base_url")}
        required = _REQUIRED_CONFIGS[name]
        then: dict[str, Any] = {
            "properties": {"config": {**config, "required": required} if required else _or(config, _NULL)}
        }
        if required:
            then["required"] = ["config"]
        cases.append({"if": {"properties": {"type": {"const": name}}}, "then": then})
    apps = {"properties": {"type": {"enum": [name for name in APP_TYPES if name != "llamacpp"]}}}
    cases.append({"if": apps, "then": {"properties": {"config": {"properties": {"engine": _NULL}}}}})
    return {
        "description": inspect.cleandoc(record.cls.__doc__ or ""),
        "type": "object",
        "properties": {"type": _or({"enum": list(CONFIG_CLASSES)}, _REFERENCE), "config": {}},
        "required": ["type"],
        "additionalProperties": False,
        "allOf": cases,
    }


def _chain_entry(record: Record, records: dict[str, Record]) -> dict[str, Any]:
    either = [_schema(shape_of(cls), records) for cls in (CloudConfig, AppConfig)]
    entry = {
        "type": "object",
        "properties": {
            "name": _schema(Text(required=True), records),
            "type": {
                "description": "A component's name, or a type of its own.",
                **_schema(Text(required=True), records),
            },
            "config": _or(*either, _NULL),
        },
        "required": ["name", "type"],
        "additionalProperties": False,
    }
    return {
        "description": inspect.cleandoc(record.cls.__doc__ or ""),
        **_or(_schema(Text(required=True), records), entry),
    }


def _schema(shape: Shape, records: dict[str, Record]) -> dict[str, Any]:
    match shape:
        case Text() | Hidden():
            return _text(shape)
        case Flag():
            return _or({"type": "boolean"}, _REFERENCE)
        case Choice(words):
            return _or({"enum": list(words)}, _REFERENCE)
        case Number():
            return _or(_number(shape), _REFERENCE)
        case OneOf(options):
            return _or(*(_schema(option, records) for option in options))
        case ListOf(item, required):
            least = {"minItems": 1} if required else {}
            return {"type": "array", "items": _schema(item, records), **least}
        case MapOf(value):
            inner = _or(_schema(value, records), _NULL)
            some = {"minProperties": 1, "propertyNames": {"pattern": r"\S"}} if _is_of(value, Component) else {}
            return {"type": "object", "additionalProperties": inner, **some}
        case Record(cls):
            records[cls.__name__] = shape
            return {"$ref": f"#/$defs/{cls.__name__}"}
        case ByType():
            return {}


def _text(shape: Text | Hidden) -> dict[str, Any]:
    if isinstance(shape, Hidden):
        return {"type": "string"}
    if shape.format == "condition":
        return {"type": ["string", "boolean", "number"], "pattern": r"\S"}
    if shape.format is None:
        return {"type": "string", "pattern": r"\S"} if shape.required else {"type": "string"}
    rule = FORMATS[shape.format]
    return {"type": "string", "pattern": rf"{rule.pattern}|\$\{{", "examples": [expected(shape)]}


def _number(shape: Number) -> dict[str, Any]:
    most, least = shape.le, shape.ge
    if shape.most is not None:
        most = shape.most
        least = -most if (shape.ge, shape.gt) == (None, None) else shape.ge
    limits = {"minimum": least, "exclusiveMinimum": shape.gt, "maximum": most, "exclusiveMaximum": shape.lt}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return {"type": "integer" if shape.whole else "number", **given}


def _or(*schemas: dict[str, Any]) -> dict[str, Any]:
    options: list[dict[str, Any]] = []
    for schema in schemas:
        for option in schema["anyOf"] if set(schema) == {"anyOf"} else [schema]:
            if option not in options:
                options.append(option)
    return {"anyOf": options}


def _docstrings(cls: Any) -> dict[str, str]:
    """Give the texts that stand under a dataclass's fields, its ancestors' included."""
    notes: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(ancestor))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for statement, below in pairwise(statements):
            match statement, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(note))):
                    notes[name] = inspect.cleandoc(note).replace("None:", "Unset:")
    return notes
