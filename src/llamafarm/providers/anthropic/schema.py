"""Fits a JSON schema to what Anthropic's structured outputs take: a subset, and no object open to further fields."""

from __future__ import annotations

from typing import Any

__all__ = ["fitted"]

_LEFT_OUT = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    },
)
"""Constraints that are refused (400), by the vendor's page on structured outputs."""
_OF_SCHEMAS = ("properties", "$defs", "definitions")
_LISTS_OF_SCHEMAS = ("anyOf", "allOf", "prefixItems")
_FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
)
"""Of strings; any other is refused."""
_MOST_NESTED = 100


def fitted(schema: Any, depth: int = 0) -> Any:
    """Give the schema without what would be refused; the same object where it is taken as it is.

    Objects that say nothing about further fields are closed. A field called like a constraint is kept. What is left
    out goes into the description, where the model still reads it.
    """
    if not isinstance(schema, dict) or depth > _MOST_NESTED:
        return schema
    result: dict[str, Any] = {}
    left_out: dict[str, Any] = {}
    for name, value in schema.items():
        if _is_refused(name, value):
            left_out[name] = value
        elif name != "oneOf":
            result[name] = _inner(name, value, depth + 1)
        elif "anyOf" not in schema:
            result["anyOf"] = _inner("anyOf", value, depth + 1)
    if _is_object(schema) and schema.get("additionalProperties") is not False:
        result["additionalProperties"] = False
    if left_out:
        told = ", ".join(f"{name}: {value}" for name, value in left_out.items())
        result["description"] = f"{schema.get('description') or ''} ({told})".lstrip()
    return schema if result == schema else result


def _inner(name: str, value: Any, depth: int) -> Any:
    """Fit the schemas that a schema's field holds."""
    if name in _OF_SCHEMAS and isinstance(value, dict):
        return {key: fitted(inner, depth) for key, inner in value.items()}
    if name in _LISTS_OF_SCHEMAS and isinstance(value, list):
        return [fitted(inner, depth) for inner in value]
    return fitted(value, depth) if name == "items" else value


def _is_refused(name: str, value: Any) -> bool:
    if name == "format":
        return not isinstance(value, str) or value not in _FORMATS
    return name in _LEFT_OUT or (name == "minItems" and value not in (0, 1))


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type", "object" if isinstance(schema.get("properties"), dict) else None)
    return kind == "object" or (isinstance(kind, list) and "object" in kind)
