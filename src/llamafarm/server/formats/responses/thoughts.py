"""Carries a model's reasoning through a client and back: Anthropic's signed blocks as one text."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["sealed", "unsealed"]

_MARK = "llamafarm.thinking.1."
"""Tells our own texts from those that OpenAI, or another gateway, encrypted."""
_KINDS = ("thinking", "redacted_thinking")


def sealed(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Write blocks as the `encrypted_content` of a reasoning item. It hides nothing: the signatures protect it."""
    return _MARK + base64.b64encode(msgspec.json.encode(list(blocks))).decode()


def unsealed(content: object) -> list[dict[str, Any]]:
    """Read blocks back; none where the text is another's, or was changed on its way: a target would refuse it."""
    if not isinstance(content, str) or not content.startswith(_MARK):
        return []
    try:
        blocks = msgspec.json.decode(base64.b64decode(content.removeprefix(_MARK), validate=True))
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError, RecursionError):
        return []
    if not isinstance(blocks, list) or not all(isinstance(b, dict) and b.get("type") in _KINDS for b in blocks):
        return []
    return blocks
