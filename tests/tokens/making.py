"""Tiny tokenizers on disk, made by nobody's library."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

needs_tokenizers = pytest.mark.skipif(find_spec("tokenizers") is None, reason="the package tokenizers is not installed")
needs_tiktoken = pytest.mark.skipif(find_spec("tiktoken") is None, reason="the package tiktoken is not installed")

NORMALISED = {"type": "NFKC"}


def letters() -> list[str]:
    """Give the 256 letters that byte-level vocabularies write bytes with."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(byte) for byte in shown] + [chr(0x100 + n) for n in range(256 - len(shown))]


MERGES = ["a a", "Ġ b", "aa aa", "aaaa aaaa"]
TOKENS = [*letters(), *(merge.replace(" ", "") for merge in MERGES)]


def write_tokenizer(path: Path, normalizer: dict[str, Any] | None = None) -> Path:
    """Write a `tokenizer.json` of bytes and some merges."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bytes_alone = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": bytes_alone,
        "post_processor": None,
        "decoder": bytes_alone,
        "model": {"type": "BPE", "vocab": {token: number for number, token in enumerate(TOKENS)}, "merges": MERGES},
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
