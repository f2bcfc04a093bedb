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
_MOST_NESTED = 100


def fitted(schema: Any, depth: int = 0) -> Any:
    """Give the schema without what would be refused; the same object where it is taken as it is.

    Objects that say nothing about further fields are closed. A field called like a constraint is kept.
    """
    if not isinstance(schema, dict) or depth > _MOST_NESTED:
        return schema
    result: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _LEFT_OUT or (name == "minItems" and value not in (0, 1)):
            continue
        if name in _OF_SCHEMAS and isinstance(value, dict):
            result[name] = {key: fitted(inner, depth + 1) for key, inner in value.items()}
        elif name in _LISTS_OF_SCHEMAS and isinstance(value, list):
            result[name] = [fitted(inner, depth + 1) for inner in value]
        elif name == "oneOf" and isinstance(value, list) and "anyOf" not in schema:
            result["anyOf"] = [fitted(inner, depth + 1) for inner in value]
        elif name == "items":
            result[name] = fitted(value, depth + 1)
        else:
            result[name] = value
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        result["additionalProperties"] = False
    return schema if result == schema else result
