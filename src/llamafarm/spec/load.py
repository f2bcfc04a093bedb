"""Reads a strategy file: text → nodes → typed values → checks, with every problem of it at once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping as Given
from pathlib import Path
from typing import NoReturn

from llamafarm.errors import ConfigError, Finding, Severity
from llamafarm.spec.active import note_inactive
from llamafarm.spec.assemble import assemble
from llamafarm.spec.build import Builder
from llamafarm.spec.checks import check
from llamafarm.spec.compose import compose
from llamafarm.spec.document import Document, Places
from llamafarm.spec.files import read_bytes
from llamafarm.spec.interpolation import Surroundings
from llamafarm.spec.lint import lint
from llamafarm.spec.nodes import Mapping, Node, Place, Scalar, is_null
from llamafarm.spec.problems import Problems, TooManyError, shortened

__all__ = ["examine_file", "examine_text", "load_file", "load_text"]

_LARGEST = 10_000_000
"""Bytes; ten thousand targets fit in two million."""


def load_file(path: str | os.PathLike[str], *, env: Given[str, str] | None = None) -> Document:
    """Read a strategy file; `env` (the process's environment where None) is what ``${VAR}`` is looked up in.

    Raises ConfigError with every error and warning of the file.
    """
    return _sound(examine_file(path, env=env))


def load_text(
    text: str, name: str = "<text>", *, env: Given[str, str] | None = None, folder: Path | None = None
) -> Document:
    """Read a strategy file's text; relative paths in it start at `folder` (where None: the working folder).

    Raises ConfigError with every error and warning of the text.
    """
    return _sound(examine_text(text, name, env=env, folder=folder))


def examine_file(path: str | os.PathLike[str], *, env: Given[str, str] | None = None) -> Document:
    """Read as much of a strategy file as can be read; `findings` has its errors, too.

    Raises ConfigError only for what is no strategy file at all: too large, no mapping, or wrong in thousands of places.
    """
    name = os.fspath(path)
    return examine_text(_read(name), name, env=env, folder=Path(name).absolute().parent)


def examine_text(
    text: str, name: str = "<text>", *, env: Given[str, str] | None = None, folder: Path | None = None
) -> Document:
    """Read as much of a strategy file's text as can be read, as `examine_file` does."""
    problems = Problems(name)
    if len(text) > _LARGEST:
        _refuse(name, "unreadable-file", f"has more than {_LARGEST // 1_000_000} MB: is it a strategy file?")
    try:
        return _examined(text, name, problems, Surroundings(os.environ if env is None else env, folder or Path.cwd()))
    except TooManyError:
        findings = shortened(problems.findings(text))
        last = dataclasses.replace(findings[-1], message=f"{findings[-1].message}; the rest of the file is not read")
        raise ConfigError(f"{name}: thousands of errors; the first: {findings[0]}", (*findings[:-1], last)) from None


def _examined(text: str, name: str, problems: Problems, around: Surroundings) -> Document:
    root = compose(text, problems)
    if not isinstance(root, Mapping):
        if not problems.failed:
            _refuse_root(root, problems)
        raise _error(name, problems.findings(text))
    builder, places = Builder(problems, around), Places(root)
    draft = assemble(root, builder, text)
    check(draft, builder, places)
    for strategy in draft.drafts:
        lint(strategy, problems, places)
    note_inactive(draft.drafts, problems, places)
    return Document(draft.finished(), name, text, problems.findings(text), places, problems, tuple(draft.drafts))


def _sound(document: Document) -> Document:
    if document.problems.failed:
        raise _error(document.name, document.findings)
    return document


def _read(name: str) -> str:
    path = Path(name)
    try:
        if path.is_dir():
            _refuse(name, "unreadable-file", "is a folder: name the strategy file in it")
        content = read_bytes(path, _LARGEST + 1, or_pipe=True)
    except FileNotFoundError:
        _refuse(
            name, "unreadable-file", "does not exist: `llamafarm init local_development > strategies.yaml` writes one"
        )
    except OSError as error:
        _refuse(name, "unreadable-file", f"cannot be read: {error.strerror or error}")
    except ValueError:
        _refuse(name, "unreadable-file", "cannot be read: its name holds a NUL")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        _refuse(name, "unreadable-file", f"is not UTF-8 text (the first foreign byte is on line {line})")


def _refuse(name: str, code: str, message: str) -> NoReturn:
    raise ConfigError(f"{name}: {message}", [Finding(name, 0, 0, "", code, Severity.ERROR, message)])


def _refuse_root(root: Node | None, problems: Problems) -> None:
    if root is None or is_null(root):
        problems.error("empty-file", Place(0, 0), "", "is empty: a strategy file begins with `strategies:`")
        return
    found = "a text" if isinstance(root, Scalar) else "a list"
    message = f"expected a mapping with `strategies` at the top of the file, found {found}"
    problems.error("wrong-type", Place(1, 1), "", message)


def _error(name: str, findings: tuple[Finding, ...]) -> ConfigError:
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if len(errors) == 1:
        return ConfigError(str(errors[0]), shortened(findings))
    return ConfigError(f"{name}: {len(errors)} errors; the first: {errors[0]}", shortened(findings))
