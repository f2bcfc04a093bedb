"""The tokenizers that are on disk, each loaded when a target's prompt is first counted, and kept."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from llamafarm import tokens
from llamafarm.errors import LlamaFarmError, ModelFileError
from llamafarm.models import ModelStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.tokens import Counter
    from llamafarm.types import Target

__all__ = ["Counters"]

_log = logging.getLogger(__name__)
_Key = tuple[object, ...]
_LOOK_AGAIN = 30.0
"""Seconds until what was not on disk is looked for again: a model may have been fetched."""


class Counters:
    """Gives the tokenizer of a target's model; None where none is on disk or it is damaged, which is said once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._found: dict[_Key, Counter] = {}
        self._missing: dict[_Key, float] = {}
        """When to look for it again, in monotonic seconds; never where it is damaged."""

    def __call__(self, target: Target) -> Counter | None:
        """Find it; the first time for a model that reads files, and takes about half a second where one is found."""
        key = (target.provider, target.local, target.model, target.sources)
        found = self._found.get(key)
        if found is None and time.monotonic() >= self._missing.get(key, 0.0):
            found = self._load(target, key)
        return found

    def _load(self, target: Target, key: _Key) -> Counter | None:
        try:
            counter = _of_engine(target) if target.dialect == "embedded" else None
            counter = counter or tokens.find(target, self._environment)
        except (tokens.TokenizerError, ModelFileError, OSError) as error:
            self._missing[key] = math.inf
            _log.warning("%s (%s): its tokens are estimated: %s", target.name, target.model, error)
            return None
        if counter is None:
            self._missing[key] = time.monotonic() + _LOOK_AGAIN
        else:
            self._found[key] = counter
        return counter


def _of_engine(target: Target) -> Counter | None:
    """Take the vocabulary out of the model file itself, where that has been fetched."""
    from llamafarm.models.vocabulary import load_vocabulary

    try:
        store = ModelStore()
        path = store.find(store.resolve(target.model, target.settings))
    except LlamaFarmError:
        return None  # what is wrong with the model itself is said when it is asked
    return None if path is None else load_vocabulary(path, target.model)
