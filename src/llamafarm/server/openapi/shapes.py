"""Words for JSON Schema, in which requests are described: a property a line."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = [
    "Schema",
    "anything",
    "listed",
    "mapping",
    "number",
    "one_of",
    "optional",
    "switch",
    "targets",
    "text",
    "whole",
    "words",
]

Schema: TypeAlias = dict[str, Any]


def text(said: str = "", **more: Any) -> Schema:
    """Describe a text."""
    return _described({"type": "string", **more}, said)


def words(*known: str, said: str = "") -> Schema:
    """Describe a text that is one of a few."""
    return _described({"type": "string", "enum": list(known)}, said)


def number(least: float, most: float, said: str = "") -> Schema:
    """Describe a number, limits included."""
    return _described({"type": "number", "minimum": least, "maximum": most}, said)


def whole(said: str = "", *, least: int | None = None, most: int | None = None) -> Schema:
    """Describe a whole number; 1.0 is none, whatever JSON Schema says."""
    limits = {name: value for name, value in (("minimum", least), ("maximum", most)) if value is not None}
    return _described({"type": "integer", **limits}, said)


def switch(said: str = "") -> Schema:
    """Describe true or false."""
    return _described({"type": "boolean"}, said)


def listed(items: Schema, said: str = "", *, least: int = 0) -> Schema:
    """Describe a list."""
    return _described({"type": "array", "items": items, **({"minItems": least} if least else {})}, said)


def mapping(said: str = "", /, *, required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Describe an object; fields that are not named may be in it, and pass."""
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": True}
    if required:
        shape["required"] = list(required)
    return _described(shape, said)


def one_of(*shapes: Schema, said: str = "") -> Schema:
    """Describe what has one of several shapes."""
    return _described({"anyOf": list(shapes)}, said)


def anything(said: str) -> Schema:
    """Describe what passes whatever it is."""
    return {"description": said}


def targets(shape: Schema) -> Schema:
    """Mark what is the target's business: described as its vendor has it, and not looked at here."""
    return {**shape, "x-llamafarm-judge": "target"}


def optional(properties: dict[str, Schema]) -> dict[str, Any]:
    """Let properties be null, which is as good as leaving them out; to be given to `mapping` as keywords."""
    return {name: _or_null(shape) for name, shape in properties.items()}


def _or_null(shape: Schema) -> Schema:
    around: Schema = {name: shape[name] for name in ("description", "x-llamafarm-judge") if name in shape}
    inner = {name: value for name, value in shape.items() if name not in around}
    if not inner:
        return shape
    if isinstance(inner.get("type"), str) and "enum" not in inner:
        return {**shape, "type": [inner["type"], "null"]}
    kinds = [*inner["anyOf"], {"type": "null"}] if inner.keys() == {"anyOf"} else [inner, {"type": "null"}]
    return {**around, "anyOf": kinds}


def _described(shape: Schema, said: str) -> Schema:
    return {"description": said, **shape} if said else shape
