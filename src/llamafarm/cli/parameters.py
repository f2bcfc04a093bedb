"""The options that say how a model is to answer, for every command that asks one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from llamafarm.cli.numbers import Number, WholeNumber
from llamafarm.cli.prompts import valid
from llamafarm.cli.settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parameter_options", "request_options"]

F = TypeVar("F", bound="Callable[..., Any]")

_TAKEN = {
    "messages": "the prompt gives it",
    "prompt": "the prompt gives it",
    "input": "the texts give it",
    "model": "use --model",
    "stream": "use --no-stream",
    "n": "a command shows one answer",
}
"""Fields of a request that --param can't set, and why."""

_LARGEST_SCHEMA = 10 * 1024 * 1024
"""Bytes; no vendor takes a schema that is near it."""

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--temperature", {"type": Number(min=0), "help": "How adventurous the answer is; 0: not at all."}),
    ("--max-tokens", {"type": WholeNumber(min=1), "help": "The most tokens of the answer."}),
    ("--top-p", {"type": Number(min=0, max=1), "help": "Choose among tokens of this total likelihood."}),
    ("--stop", {"multiple": True, "metavar": "TEXT", "help": "Stop before this text; may be repeated."}),
    ("--seed", {"type": int, "help": "Make sampling repeatable, where the target can."}),
    ("--json-schema", {"metavar": "FILE", "help": "Have the answer follow the JSON Schema in FILE."}),
    ("--param", {"multiple": True, "metavar": "KEY=JSON", "help": "Any other field of the request; may be repeated."}),
)


def parameter_options(command: F) -> F:
    """Give a command the options; `request_options` makes a request's options of their values."""
    for name, attributes in reversed(_OPTIONS):
        command = click.option(name, **attributes)(command)
    return command


def request_options(context: click.Context, **given: Any) -> dict[str, Any]:
    """Turn the options of a command line into those of the library (`llamafarm.Options`)."""
    settings = settings_of(context)
    options: dict[str, Any] = {
        name: given[name] for name in ("temperature", "max_tokens", "top_p", "seed") if given.get(name) is not None
    }
    if given.get("stop"):
        options["stop"] = [valid(text, "--stop") for text in given["stop"]]
    if given.get("json_schema") is not None:
        options["response_format"] = _response_format(given["json_schema"])
    if given.get("param"):
        options["extra_body"] = dict(_parameter(text) for text in given["param"])
    if settings.model is not None:
        options["model"] = valid(settings.model, "--model")
    if settings.tag:
        options["tags"] = tuple(valid(tag, "--tag") for tag in settings.tag)
    return options


def _parameter(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"--param {text}: expected KEY=JSON")
    if key in _TAKEN:
        raise click.UsageError(f"--param {key}: {_TAKEN[key]}")
    try:
        return valid(key, "--param"), msgspec.json.decode(value.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise click.UsageError(f"--param {key}: {value!r} is not JSON ({error}); a text needs double quotes") from error


def _response_format(file: str) -> dict[str, Any]:
    """Make OpenAI's `response_format` of a schema's file."""
    from llamafarm.farm.reading import read_file

    try:
        content = read_file(file, _LARGEST_SCHEMA)
    except ValueError as error:
        raise click.UsageError(f"--json-schema {file}: {error}") from error
    try:
        schema = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--json-schema {file}: not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise click.UsageError(f"--json-schema {file}: a JSON Schema is an object")
    name = re.sub(r"[^A-Za-z0-9_-]", "_", Path(file).name.removesuffix(".json"))[:64] or "answer"
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
