"""Which file a model's name stands for: an entry of the strategy file, a built-in model, a path, or what is stored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING

from llamafarm.errors import ModelFileError
from llamafarm.models.builtin import BUILTIN
from llamafarm.models.sources import SUFFIXES, LocalSource, Source, parse_source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from llamafarm.spec.components import AppConfig, AppModel

__all__ = ["ModelFile", "from_builtin", "resolve"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One model file: its name, the places it can come from, and how it is recognised."""

    name: str
    sources: tuple[Source, ...]
    sha256: str | None = None
    """64 lower-case hexadecimal digits; None: any file from the source is taken, and its hash recorded."""
    size: int | None = None
    """Bytes, where known."""
    pull: bool = False
    """Whether the first use may download it."""

    @property
    def key(self) -> str:
        """The folder name it has in the store: its hash, or a name made from its sources."""
        if self.sha256:
            return self.sha256
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip(".-")[:60] or "model"
        digest = sha256("\n".join(map(str, self.sources)).encode()).hexdigest()[:12]
        return f"{safe}-{digest}"

    @property
    def local(self) -> Path | None:
        """Where it lies if it is a file of this machine that is used in place."""
        first = self.sources[0]
        return first.path if isinstance(first, LocalSource) and len(self.sources) == 1 else None


def from_builtin(name: str, *, pull: bool = True) -> ModelFile:
    """Give a built-in model's file. Raises KeyError where there is no such model."""
    model = BUILTIN[name]
    sources = tuple(parse_source(source) for source in model.sources)
    return ModelFile(name, sources, model.sha256, model.size, pull)


def resolve(
    name: str, config: AppConfig | None = None, stored: Iterable[ModelFile] = (), folder: Path | None = None
) -> ModelFile:
    """Find the file that `name` stands for; nothing is opened or fetched.

    The order: an entry of `config.models`, a built-in model, a path that ends in ``.gguf``, a model in the store.
    A relative path counts from `folder`. Raises `ModelFileError` that lists the names there are.
    """
    stored = tuple(stored)
    entry = next((entry for entry in (config.models if config else ()) if entry.name == name), None)
    if entry is not None and entry.source is not None:
        return _from_entry(entry, folder)
    pull = entry.pull_on_start if entry is not None else True
    if name in BUILTIN:
        return from_builtin(name, pull=pull)
    if name.lower().endswith(SUFFIXES):
        return ModelFile(name, (parse_source(name, folder),), _digest(entry))
    for known in stored:
        if known.name == name:
            return known
    raise _unknown(name, entry, config, stored)


def _from_entry(entry: AppModel, folder: Path | None) -> ModelFile:
    places = (entry.source,) if isinstance(entry.source, str) else tuple(entry.source or ())
    if not places:
        raise ModelFileError(f"model {entry.name!r}: its list of sources is empty")
    sources = tuple(parse_source(place, folder) for place in places)
    return ModelFile(entry.name, sources, _digest(entry), pull=entry.pull_on_start)


def _digest(entry: AppModel | None) -> str | None:
    if entry is None or entry.sha256 is None:
        return None
    digest = entry.sha256.lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digest):
        raise ModelFileError(f"model {entry.name!r}: its sha256 is not 64 hexadecimal digits")
    return digest


def _unknown(
    name: str, entry: AppModel | None, config: AppConfig | None, stored: tuple[ModelFile, ...]
) -> ModelFileError:
    if entry is not None:
        return ModelFileError(
            f"model {name!r} has no source: give its entry a source, like "
            "hf:OWNER/REPOSITORY/FILE.gguf@REVISION or a path to a .gguf file"
        )
    entries = (entry.name for entry in (config.models if config else ()))
    names = sorted({*entries, *BUILTIN, *(known.name for known in stored)})
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? There are" if near else "there are"
    return ModelFileError(
        f"the embedded engine has no model {name!r}: {hint} {', '.join(names)}; "
        "a path to a .gguf file also works, and an entry under models with a source"
    )
