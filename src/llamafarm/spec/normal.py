"""What a file says, in one spelling: typed, defaults left out, shorthand written out, secrets as references."""

from __future__ import annotations

import re
from typing import Any

from llamafarm.spec.components import AppConfig, CloudConfig
from llamafarm.spec.document import Document
from llamafarm.spec.masking import masked_addresses
from llamafarm.spec.shape import Field, Record, shape_of
from llamafarm.spec.strategy import ChainEntry, Component, Strategy
from llamafarm.types import Secret

__all__ = ["normal_form"]

_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|file:.+")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def normal_form(document: Document) -> dict[str, Any]:
    """Give a file's content as JSON values; loading it again gives an equal `StrategyFile`.

    What of a secret stands in the file itself is not written out, so only then what is loaded differs.
    """
    return _fields(document.file, shape_of(type(document.file)))


def _fields(record: Any, shape: Record, base: Any = None) -> dict[str, Any]:
    """Give the fields that differ: from `base` where there is one, else from the default."""
    form: dict[str, Any] = {}
    for field in shape.fields.values():
        value = getattr(record, field.name)
        if isinstance(record, Strategy) and field.name == "fallback_chain":
            form |= {field.name: [_entry(entry, record) for entry in value]} if value else {}
        elif base is not None and isinstance(record, CloudConfig | AppConfig) and field.name == "models":
            form |= _models(value, getattr(base, field.name))
        elif _is_said(value, field, base):
            form[field.name] = _form(value)
    return form


def _is_said(value: Any, field: Field, base: Any) -> bool:
    if base is not None:
        return bool(value != getattr(base, field.name))
    return field.required or value != field.default


def _models(models: Any, base: Any) -> dict[str, Any]:
    """Give the models that differ from those a chain entry inherits, which merge by name and come behind its own."""
    own, inherited = _named(models), _named(base)
    changed = [number for number, (name, model) in enumerate(own.items()) if model != inherited.get(name)]
    first = list(own)[: changed[-1] + 1 if changed else 0]
    if list(dict.fromkeys([*first, *inherited])) != list(own):
        first = list(own)
    forms = {name: _fields(own[name], shape_of(type(own[name])), inherited.get(name)) for name in first}
    if not forms:
        return {}
    as_list = [{"name": _form(name)} | form for name, form in forms.items()]
    return {"models": forms if isinstance(models, dict) else as_list}


def _named(models: Any) -> dict[str, Any]:
    return models if isinstance(models, dict) else {model.name: model for model in models}


def _entry(entry: ChainEntry, strategy: Strategy) -> dict[str, Any]:
    form: dict[str, Any] = {"name": _form(entry.name), "type": _form(entry.component or entry.type)}
    base = strategy.components[entry.component].config if entry.component is not None else None
    config = _fields(entry.config, shape_of(type(entry.config)), base)
    return form | {"config": config} if config else form


def _without_secrets(text: str) -> str:
    return masked_addresses(text) if _ADDRESS.fullmatch(text) else text


def _form(value: Any) -> Any:
    match value:
        case Secret():
            return f"${{{value.origin}}}" if _REFERENCE.fullmatch(value.origin) else "***"
        case str():
            return _without_secrets(value).replace("${", "$${")
        case tuple():
            return [_form(item) for item in value]
        case dict():
            return {name: _form(item) for name, item in value.items()}
        case Component():
            config = _form(value.config)
            return {"type": value.type, "config": config} if config else {"type": value.type}
        case None | bool() | int() | float():
            return value
        case _:
            return _fields(value, shape_of(type(value)))
