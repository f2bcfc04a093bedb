"""Which characters of a condition form a token, and how Python's own grammar spells that token.

Nothing gets past this that is not a name, a literal or one of the signs below: what Python's parser sees is written
anew from the tokens, in ASCII, never copied from the text.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llamafarm.conditions.error import ConditionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["MOST_CHARACTERS", "MOST_TOKENS", "Token", "tokenize"]

MOST_CHARACTERS = 4096
MOST_TOKENS = 400
"""Bounds the syntax tree and so the cost of a rule; every node of a tree comes from at least one token."""
_LARGEST_INTEGER = 2**63 - 1
_LARGEST_FLOAT = 1e300

TokenKind = Literal["name", "value", "sign"]

_TOKEN = re.compile(
    r"""
      (?P<space>  [ \t\r\n]+ )
    | (?P<number> \d+ (?:_\d+)* (?:\.\d+)? (?:[eE][+-]?\d+)? )
    | (?P<string> r? (?: "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' ) )
    | (?P<word>   [A-Za-z_][A-Za-z0-9_]* )
    | (?P<sign>   && | \|\| | [<>=!]= | [-+*/%<>!().,\[\]] )
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED: Mapping[str, str] = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_SPELLED: Mapping[str, tuple[TokenKind, str]] = {
    "and": ("sign", "and"),
    "or": ("sign", "or"),
    "not": ("sign", "not"),
    "in": ("sign", "in"),
    "true": ("value", "True"),
    "false": ("value", "False"),
    "null": ("value", "None"),
    "True": ("value", "True"),
    "False": ("value", "False"),
    "None": ("value", "None"),
    "&&": ("sign", "and"),
    "||": ("sign", "or"),
    # Python's `~` binds as tightly as `!` does in the languages that people know it from.
    "!": ("sign", "~"),
}
_INSTEAD: Mapping[str, str] = {
    "=": "write == to compare",
    "&": "write && or and",
    "|": "write || or or",
    "~": "write ! or not",
    "\N{LEFT DOUBLE QUOTATION MARK}": 'write straight quotes: "…"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": 'write straight quotes: "…"',
    "\N{LEFT SINGLE QUOTATION MARK}": 'write straight quotes: "…"',
    "\N{RIGHT SINGLE QUOTATION MARK}": 'write straight quotes: "…"',
    "?": "write two rules, or combine with and, or",
    "is": "write == null or != null",
    "if": "write two rules, or combine with and, or",
    "else": "write two rules, or combine with and, or",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, literal or sign of a condition."""

    kind: TokenKind
    source: str
    """As the condition has it."""
    offset: int
    python: str
    """The same for Python's parser, in ASCII."""

    @property
    def end(self) -> int:
        """The offset just behind it."""
        return self.offset + len(self.source)


def tokenize(text: str) -> tuple[Token, ...]:
    """Cut a condition into tokens. Raises `ConditionError` at the first character that starts none."""
    if len(text) > MOST_CHARACTERS:
        raise ConditionError(f"a condition has at most {MOST_CHARACTERS} characters, this one {len(text)}")
    if "\0" in text:
        raise ConditionError("a condition holds no NUL character: delete it", text.index("\0"))
    tokens: list[Token] = []
    for token in _tokens(text):
        if len(tokens) == MOST_TOKENS:
            raise ConditionError(f"a condition has at most {MOST_TOKENS} words and signs: split the rule", token.offset)
        tokens.append(token)
    if not tokens:
        raise ConditionError("the condition is empty: write one, like input.length > 2000", 0)
    return tuple(tokens)


def _tokens(text: str) -> Iterator[Token]:
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise _stranger(text, offset)
        source = match.group()
        if match.lastgroup == "number":
            yield _number(text, source, offset)
        elif match.lastgroup == "string":
            yield Token("value", source, offset, ascii(_unquote(source)))
        elif match.lastgroup == "word":
            yield _word(source, offset)
        elif match.lastgroup == "sign":
            kind, python = _SPELLED.get(source, ("sign", source))
            yield Token(kind, source, offset, python)
        offset = match.end()


def _number(text: str, source: str, offset: int) -> Token:
    after = text[offset + len(source) : offset + len(source) + 1]
    if after.isalnum() or after == "_":
        raise ConditionError(
            f"`{source}{after}` is neither a number nor a name: write numbers like 2000 or 0.5", offset
        )
    value = float(source) if any(sign in source for sign in ".eE") else int(source)
    largest = _LARGEST_FLOAT if isinstance(value, float) else _LARGEST_INTEGER
    if value > largest:
        raise ConditionError(f"the number is too large: write at most {largest:g}", offset)
    return Token("value", source, offset, repr(value))


def _word(source: str, offset: int) -> Token:
    if source in _SPELLED:
        kind, python = _SPELLED[source]
        return Token(kind, source, offset, python)
    if source.startswith("__"):
        raise ConditionError(f"`{source}` is no name of the rule language: none begins with two underscores", offset)
    if keyword.iskeyword(source):
        instead = _INSTEAD.get(source, f'for the tag of that name write tag("{source}")')
        raise ConditionError(f"`{source}` is not part of the rule language: {instead}", offset)
    return Token("name", source, offset, source)


def _unquote(source: str) -> str:
    """Give a text's value. A backslash before any other letter stays: patterns are what they look like."""
    if source.startswith("r"):
        return source[2:-1]
    return _ESCAPE.sub(_unescape, source[1:-1])


def _unescape(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) > 1:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, match.group())


def _stranger(text: str, offset: int) -> ConditionError:
    sign = text[offset]
    if sign in "\"'":
        return ConditionError(f"the text that begins here has no closing {sign}", offset)
    if not sign.isascii() and sign.isalpha():
        return ConditionError(f'`{sign}` cannot be in a bare word: write the tag as tag("…")', offset)
    instead = _INSTEAD.get(sign)
    return ConditionError(f"`{sign}` is not part of the rule language" + (f": {instead}" if instead else ""), offset)
