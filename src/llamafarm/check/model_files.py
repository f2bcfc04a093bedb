"""Knows whether the embedded engine can find a file for the model that a target names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.errors import ModelFileError, Severity
from llamafarm.models import resolve
from llamafarm.models.files import check_kind

if TYPE_CHECKING:
    from llamafarm.models import ModelFile, ModelStore
    from llamafarm.types import Target

__all__ = ["file_trouble"]


def file_trouble(target: Target, store: ModelStore | None) -> tuple[Severity, str, str] | None:
    """Give a severity, a code and a message where there is no file for an embedded target's model; else None.

    A name that stands for nothing is an error; a path where nothing is on this machine, whose `store` is given, is a
    warning: the file may be put there yet.
    """
    try:
        model = resolve(target.model, target.settings)
    except ModelFileError as error:
        if store is not None and any(row.name == target.model for row in store.list()):
            return None  # fetched here by that name
        return Severity.ERROR, "unknown-model", str(error)
    trouble = _missing(model) if store is not None else None
    return None if trouble is None else (Severity.WARNING, "no-model-file", trouble)


def _missing(model: ModelFile) -> str | None:
    path = model.local
    if path is None:
        return None
    if not path.is_file():
        return f"model {model.name!r}: there is no file {path}"
    try:
        check_kind(path)
    except ModelFileError as error:
        return f"model {model.name!r}: {error}"
    return None
