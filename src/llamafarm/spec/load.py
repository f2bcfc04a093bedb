"""Reads a strategy file: text → nodes → typed values → checks, with every problem of it at once."""

from __future__ import annotations

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
from llamafarm.spec.nodes import Mapping, Place, Scalar
from llamafarm.spec.problems import Problems

__all__ = ["load_file", "load_text"]

_LARGEST = 10_000_000
"""Bytes; ten thousand targets fit in two million."""


def load_file(path: str | os.PathLike[str], *, env: Given[str, str] | None = None) -> Document:
    """Read a strategy file; `env` (the process's environment where None) is what ``${VAR}`` is looked up in.

    Raises ConfigError with every error and warning of the file.
    """
    name = os.fspath(path)
    return load_text(_read(name), name, env=env, folder=Path(name).absolute().parent)


def load_text(
    text: str, name: str = "<text>", *, env: Given[str, str] | None = None, folder: Path | None = None
) -> Document:
    """Read a strategy file's text; relative paths in it start at `folder` (where None: the working folder).

    Raises ConfigError with every error and warning of the text.
    """
    problems = Problems(name)
    if len(text) > _LARGEST:
        _refuse(name, "unreadable-file", f"has more than {_LARGEST // 1_000_000} MB: is it a strategy file?")
    root = compose(text, problems)
    if not isinstance(root, Mapping):
        if not problems.failed:
            _refuse_root(root, problems)
        raise _error(name, problems.findings(text))
    around = Surroundings(os.environ if env is None else env, folder or Path.cwd())
    builder, places = Builder(problems, around), Places(root)
    draft = assemble(root, builder, text)
    check(draft, builder, places)
    for strategy in draft.drafts:
        lint(strategy, problems, places)
    note_inactive(draft.drafts, problems, places)
    findings = problems.findings(text)
    if problems.failed:
        raise _error(name, findings)
    return Document(draft.finished(), name, text, findings, places, problems)


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


def _refuse_root(root: object, problems: Problems) -> None:
    if root is None or (isinstance(root, Scalar) and root.plain and not root.text.strip("~")):
        problems.error("empty-file", Place(0, 0), "", "is empty: a strategy file begins with `strategies:`")
        return
    found = "a text" if isinstance(root, Scalar) else "a list"
    message = f"expected a mapping with `strategies` at the top of the file, found {found}"
    problems.error("wrong-type", Place(1, 1), "", message)


def _error(name: str, findings: tuple[Finding, ...]) -> ConfigError:
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if len(errors) == 1:
        return ConfigError(str(errors[0]), findings)
    return ConfigError(f"{name}: {len(errors)} errors; the first: {errors[0]}", findings)
