"""What shape a condition has: its tokens in a sensible order, as Python's syntax tree with our own places."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.conditions.error import ConditionError
from llamafarm.conditions.lexer import Token, tokenize

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Tree", "parse"]

_DEEPEST_BRACKETS = 32
_PREFIX = frozenset({"not", "!", "-"})
_WORDS = frozenset({"and", "or", "not", "in"})
_CLOSING = {"(": ")", "[": "]"}
_JOINING = frozenset({"and", "or", "&&", "||", "in", "<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "%"})


@dataclass(frozen=True, slots=True)
class Tree:
    """A condition's syntax tree and the way back from its nodes to the text."""

    text: str
    root: ast.expr
    starts: Mapping[int, int]
    """Offset in the text of each token, by its column in what Python's parser saw."""
    ends: Mapping[int, int]

    def offset(self, node: ast.expr) -> int:
        """Where a node begins in the text."""
        return self.starts.get(node.col_offset, 0)

    def end(self, node: ast.expr) -> int:
        """Where a node ends in the text."""
        return self.ends.get(node.end_col_offset or 0, len(self.text))

    def source(self, node: ast.expr) -> str:
        """Quote a node from the text, shortened to fit a message."""
        source = " ".join(self.text[self.offset(node) : self.end(node)].split())
        longest = 60
        return source if len(source) <= longest else source[: longest - 1] + "…"


def parse(text: str) -> Tree:
    """Read a condition's shape. Raises `ConditionError` for everything that is none."""
    tokens = tokenize(text)
    _check_order(tokens, text)
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    column = 0
    for token in tokens:
        starts[column] = token.offset
        column += len(token.python)
        ends[column] = token.end
        column += 1
    python = " ".join(token.python for token in tokens)
    try:
        root = ast.parse(python, mode="eval").body
    except SyntaxError as error:
        raise ConditionError("put the part with `not` in parentheses", starts.get((error.offset or 1) - 1)) from None
    except (RecursionError, MemoryError):
        # The caps on tokens and brackets keep far from this; a caller deep in its own recursion may not.
        raise ConditionError("the condition is nested too deeply: split the rule") from None
    return Tree(text, root, starts, ends)


def _check_order(tokens: tuple[Token, ...], text: str) -> None:
    """Refuse what no grammar would take, with better words than a general parser has."""
    brackets: list[Token] = []
    wants_value = True
    for before, token, after in zip((None, *tokens), tokens, (*tokens[1:], None), strict=False):
        if token.source in ")]":
            _close(brackets, before, token, wants_value=wants_value)
            wants_value = False
        elif wants_value:
            wants_value = _begin(brackets, token)
        else:
            wants_value = _go_on(brackets, before, token, after)
    if brackets:
        raise ConditionError(f"`{brackets[-1].source}` is never closed", brackets[-1].offset)
    if wants_value:
        raise ConditionError(f"a value is missing after `{tokens[-1].source}`", len(text.rstrip()))


def _begin(brackets: list[Token], token: Token) -> bool:
    """Take a token where a value must begin; tell whether one must still."""
    if token.source in _CLOSING:
        _open(brackets, token)
        return True
    if token.kind == "sign" and token.source not in _PREFIX:
        raise ConditionError(f"a value is missing before `{token.source}`", token.offset)
    return token.kind == "sign"


def _go_on(brackets: list[Token], before: Token | None, token: Token, after: Token | None) -> bool:
    """Take a token behind a value; tell whether a value must follow."""
    behind_name = before is not None and before.kind == "name"
    if token.source in _CLOSING and behind_name:
        _open(brackets, token)
        return True
    if token.source == "." and behind_name:
        if after is None or after.kind != "name":
            raise ConditionError("a name is missing after `.`, as in input.length", token.end)
        return False
    if before is not None and before.source == "." and token.kind == "name":
        return False
    if token.source == "not" and after is not None and after.source == "in":
        return False
    if token.source == ",":
        if not brackets:
            raise ConditionError("a comma belongs in brackets: combine conditions with and, or", token.offset)
        return True
    if token.source in _JOINING:
        return True
    if before is not None and before.kind == "name" and before.end == token.offset and token.source[0] in "\"'":
        raise ConditionError(f"a text takes no prefix but r: drop `{before.source}`", before.offset)
    raise _unjoined(before, token)


def _unjoined(before: Token | None, token: Token) -> ConditionError:
    for word in (before, token):
        if word is not None and word.source.lower() in _WORDS and word.source not in _WORDS:
            return ConditionError(f"`{word.source}` is written in lower case: {word.source.lower()}", word.offset)
    found = f"between `{before.source}` and `{token.source}`" if before is not None else f"before `{token.source}`"
    return ConditionError(f"an operator is missing {found}, such as and, or, ==", token.offset)


def _open(brackets: list[Token], token: Token) -> None:
    brackets.append(token)
    if len(brackets) > _DEEPEST_BRACKETS:
        raise ConditionError(f"brackets are nested at most {_DEEPEST_BRACKETS} deep: split the rule", token.offset)


def _close(brackets: list[Token], before: Token | None, token: Token, *, wants_value: bool) -> None:
    if not brackets:
        raise ConditionError(f"`{token.source}` closes nothing", token.offset)
    opened = brackets.pop()
    if _CLOSING[opened.source] != token.source:
        raise ConditionError(f"`{opened.source}` is closed by `{token.source}`", token.offset)
    if wants_value and before is not None and before is not opened and before.source != ",":
        raise ConditionError(f"a value is missing before `{token.source}`", token.offset)
