"""OpenAI's vocabularies: which one a model has, by tiktoken's own table, and the copy in tiktoken's cache."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from llamafarm.tokens.counter import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.types import Target

__all__ = ["TiktokenCounter", "encoding_of", "installed", "load_encoding"]

_PROVIDERS = ("openai", "azure")
_OWNER = "openai/"
"""What stands before an OpenAI model's name with vendors that sell everybody's."""
_SAME_TEXT = {"o200k_harmony": "o200k_base"}
"""Encodings that differ only in their special tokens, which no text of a caller becomes."""
_LOADER = "load_tiktoken_bpe"
_LONGEST_SPACE = 200_000
"""Characters: from about a million spaces in a row on, tiktoken's regular expressions run out of stack and panic."""
_SPACE = re.compile(r"\s+")


class TiktokenCounter:
    """Counts with one of tiktoken's encodings."""

    def __init__(self, name: str, encoding: Any) -> None:
        self._encoding = encoding
        self.name = name

    def count(self, text: str) -> int:
        """Count the tokens of a text, in which nothing is a special token. Raises TokenizerError for endless spaces."""
        if len(text) > _LONGEST_SPACE and any(
            found.end() - found.start() > _LONGEST_SPACE for found in _SPACE.finditer(text)
        ):
            raise TokenizerError(f"{self.name} cannot take {_LONGEST_SPACE} spaces in a row")
        return len(self._encoding.encode_ordinary(text))


def installed() -> bool:
    """Tell whether the package `tiktoken` is there, without loading it."""
    return find_spec("tiktoken") is not None


def encoding_of(target: Target) -> str | None:
    """Name the encoding of a target's model; None where tiktoken knows of none. Loads tiktoken."""
    model = target.model
    if target.provider not in _PROVIDERS and not model.startswith(_OWNER):
        return None
    from tiktoken.model import encoding_name_for_model

    try:
        name: str = encoding_name_for_model(model.removeprefix(_OWNER))
    except KeyError:
        return None
    return _SAME_TEXT.get(name, name)


def load_encoding(name: str, environment: Mapping[str, str]) -> TiktokenCounter | None:
    """Load an encoding from tiktoken's cache; None where it is not there.

    `tiktoken.get_encoding` would download it then, and delete a damaged copy first. So the encoding's own recipe is
    carried out with a loader that only reads. Raises TokenizerError where the copy is damaged.
    """
    import tiktoken
    from tiktoken_ext import openai_public

    recipe = getattr(openai_public, name, None)
    if not isinstance(recipe, FunctionType) or _LOADER not in recipe.__code__.co_names:
        return None  # an encoding made in another way than every current one

    def read(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        return _ranks(_cached(url, environment), expected_hash)

    try:
        made = FunctionType(recipe.__code__, {**recipe.__globals__, _LOADER: read})()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenizerError(f"{error.filename} cannot be read: {error.strerror or error}") from error
    return TiktokenCounter(name, tiktoken.Encoding(**{**made, "special_tokens": {}, "explicit_n_vocab": None}))


def _cached(url: str, environment: Mapping[str, str]) -> Path:
    folder = environment.get("TIKTOKEN_CACHE_DIR", environment.get("DATA_GYM_CACHE_DIR"))
    if folder == "":  # which is how tiktoken's cache is switched off
        raise FileNotFoundError(url)
    key = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    return Path(folder or Path(tempfile.gettempdir()) / "data-gym-cache") / key


def _ranks(path: Path, expected_hash: str | None) -> dict[bytes, int]:
    """Read a vocabulary: a line for each token, in base64, with its rank."""
    data = path.read_bytes()
    if expected_hash is None or hashlib.sha256(data).hexdigest() != expected_hash:
        raise TokenizerError(f"{path} is damaged: its hash is not the one tiktoken expects; delete it")
    try:
        return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}
    except (ValueError, binascii.Error) as error:
        raise TokenizerError(f"{path} is no vocabulary: {error}") from error
