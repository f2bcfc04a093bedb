"""The strategy file: its keys as typed values, how a text becomes them, and what is wrong with it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamafarm.spec.document import Document
    from llamafarm.spec.key_paths import keys
    from llamafarm.spec.load import examine_file, examine_text, load_file, load_text
    from llamafarm.spec.nodes import child
    from llamafarm.spec.normal import normal_form
    from llamafarm.spec.schema import json_schema
    from llamafarm.spec.sizes import parse_bytes

__all__ = [
    "Document",
    "child",
    "examine_file",
    "examine_text",
    "json_schema",
    "keys",
    "load_file",
    "load_text",
    "normal_form",
    "parse_bytes",
]

_HOMES = {
    "Document": "document",
    "child": "nodes",
    "examine_file": "load",
    "examine_text": "load",
    "json_schema": "schema",
    "keys": "key_paths",
    "load_file": "load",
    "load_text": "load",
    "normal_form": "normal",
    "parse_bytes": "sizes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
