"""Which tokenizer on this machine's disk is the right one for a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.tokens.counter import Counter
    from llamafarm.types import Target

__all__ = ["find"]


def find(target: Target, environment: Mapping[str, str]) -> Counter | None:
    """Load the tokenizer of a target's model from disk: about half a second. None where there is none, or no package.

    Looked at are `tokenizer.json` beside a local model and in Hugging Face's cache (package `tokenizers`), and
    tiktoken's cache. Nothing is downloaded. Raises TokenizerError where what is there is damaged.
    """
    from llamafarm.tokens import hugging_face, openai

    if hugging_face.installed():
        path = hugging_face.tokenizer_file(target, environment)
        if path is not None:
            return hugging_face.load_file(path, target.model)
    if openai.installed():
        encoding = openai.encoding_of(target)
        if encoding is not None:
            return openai.load_encoding(encoding, environment)
    return None
