"""The tokenizer inside a GGUF file, built without loading the model: only where it counts exactly as llama.cpp does."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from llamafarm.models.gguf import read_fields
from llamafarm.tokens.counter import TokenizerError
from llamafarm.tokens.hugging_face import TokenizerCounter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SPLITS", "load_vocabulary"]

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORDS = (
    r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {
    "gpt2/smollm": (r"\p{N}", _GPT2),
    "gpt2/gpt-2": (_GPT2,),
    "gpt2/qwen2": (_WORDS % "",),
    "gpt2/llama-bpe": (_WORDS % "{1,3}",),
}
"""How a kind of vocabulary splits a text before its merges apply, one expression after another (llama.cpp,
`tokenizer.ggml.pre`). Each of them is compared with the engine's own counts in the tests; others are not built."""

_WHOLE_FIRST = ("gpt2/llama-bpe",)
"""Kinds that take a word as one token where the vocabulary has it, whatever the merges."""
_MARKS = (3, 4)
"""Token types that are found in a text before anything else: control and user-defined ones."""
_MODEL, _PRE = "tokenizer.ggml.model", "tokenizer.ggml.pre"
_TOKENS, _TYPES, _MERGES = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"


class _Counter(TokenizerCounter):
    """Leaves out the bytes that a vocabulary has no token for, as the engine does: their numbers lie behind its own."""

    def __init__(self, name: str, tokenizer: Any, size: int) -> None:
        super().__init__(name, tokenizer)
        self._size = size

    def tokens(self, text: str) -> list[int]:
        """Give the numbers of a text's tokens."""
        return [number for number in super().tokens(text) if number < self._size]


def load_vocabulary(path: Path, name: str) -> TokenizerCounter | None:
    """Build the tokenizer of a GGUF file; reading it takes some tenths of a second.

    None where the kind is not one of `SPLITS`, or the package `tokenizers` is missing. Raises ModelFileError where
    the file is damaged, TokenizerError where its vocabulary is.
    """
    if find_spec("tokenizers") is None:
        return None
    found = read_fields(path, (_MODEL, _PRE, _TOKENS, _TYPES, _MERGES))
    kind = f"{found.get(_MODEL)}/{found.get(_PRE)}"
    if kind not in SPLITS:
        return None
    tokens, types, merges = (found.get(name) for name in (_TOKENS, _TYPES, _MERGES))
    if not isinstance(tokens, list) or not isinstance(types, list) or not isinstance(merges, list):
        raise TokenizerError(f"{path} has no tokens, or no merges")
    try:
        return _Counter(name, _built(kind, tokens, types, merges), len(tokens))
    except TokenizerError as error:
        raise TokenizerError(f"{path}: {error}") from error


def _built(kind: str, tokens: list[Any], types: list[Any], merges: list[Any]) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    numbers = {token: number for number, token in enumerate(tokens)}
    if len(numbers) != len(tokens) or len(types) != len(tokens):
        raise TokenizerError("its vocabulary has a token twice, or another number of types than of tokens")
    # Without a symbol for it, a byte that the vocabulary lacks would let what stands around it merge.
    lacking = sorted(set(ByteLevel.alphabet()) - numbers.keys())
    numbers |= {letter: len(tokens) + place for place, letter in enumerate(lacking)}
    try:
        model = BPE(numbers, [_pair(merge) for merge in merges], ignore_merges=kind in _WHOLE_FIRST)
    except Exception as error:  # the library raises nothing narrower
        raise TokenizerError(f"its vocabulary and its merges do not fit: {error}") from error
    tokenizer = Tokenizer(model)
    splits = [Split(Regex(split), "isolated") for split in SPLITS[kind]]
    tokenizer.pre_tokenizer = Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])
    marks = (token for token, its in zip(tokens, types, strict=True) if its in _MARKS)
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    return tokenizer


def _pair(merge: str) -> tuple[str, str]:
    """Split a merge at its space; one at its beginning is part of the first half."""
    at = merge.find(" ", 1)
    if at < 0:
        raise TokenizerError(f"its merge {merge!r} is no pair")
    return merge[:at], merge[at + 1 :]
