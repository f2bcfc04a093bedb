"""A model's `tokenizer.json`: where on disk it lies, and how it counts. Nothing is ever fetched."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamafarm.tokens.counter import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llamafarm.types import Target

__all__ = ["TokenizerCounter", "installed", "load_file", "tokenizer_file"]

_FILE = "tokenizer.json"
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""A model's name with its owner, as the hub writes it."""
_OTHER_NAMES = ("ollama",)
"""Whose names look the same and mean something else."""


class TokenizerCounter:
    """Counts with a tokenizer of the package `tokenizers`."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.name = name

    def count(self, text: str) -> int:
        """Count the tokens of a text; what a template adds around it is left to the caller."""
        return len(self.tokens(text))

    def tokens(self, text: str) -> list[int]:
        """Give the numbers of a text's tokens."""
        # A lone surrogate has no bytes: it is sent as a replacement, if at all.
        whole = text.encode("utf-8", "replace").decode("utf-8")
        found: list[int] = self._tokenizer.encode(whole, add_special_tokens=False).ids
        return found


def installed() -> bool:
    """Tell whether the package `tokenizers` is there, without loading it."""
    return find_spec("tokenizers") is not None


def tokenizer_file(target: Target, environment: Mapping[str, str]) -> Path | None:
    """Find the `tokenizer.json` of a target's model: beside a local model, else in Hugging Face's cache."""
    return next((path for path in _places(target, environment) if path.is_file()), None)


def _places(target: Target, environment: Mapping[str, str]) -> Iterator[Path]:
    model = target.model
    if target.local and ("/" in model or "\\" in model):
        here = Path(model)
        yield (here.parent if here.suffix in (".gguf", ".safetensors") else here) / _FILE
    if target.provider not in _OTHER_NAMES and _ID.fullmatch(model):
        yield from _snapshots(_cache(environment) / f"models--{model.replace('/', '--')}")


def _snapshots(folder: Path) -> Iterator[Path]:
    """Give the places in a cached model's folder: the revision that `main` was last, else the newest there is."""
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        revision = ""
    if revision and "/" not in revision:
        yield folder / "snapshots" / revision / _FILE
    found = [path for path in folder.glob(f"snapshots/*/{_FILE}") if path.is_file()]
    yield from sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _cache(environment: Mapping[str, str]) -> Path:
    """Give the cache's folder by the variables that huggingface_hub reads."""
    if chosen := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(chosen)
    if home := environment.get("HF_HOME"):
        return Path(home) / "hub"
    user = environment.get("HOME") or environment.get("USERPROFILE") or "~"
    return Path(environment.get("XDG_CACHE_HOME") or Path(user) / ".cache") / "huggingface" / "hub"


def load_file(path: Path, name: str) -> TokenizerCounter:
    """Load a `tokenizer.json`. Raises TokenizerError where it is not one."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise TokenizerError(f"{path} is no tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return TokenizerCounter(name, tokenizer)
