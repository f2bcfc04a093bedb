"""What in a text may be a secret by its look or by the name before it, so that no message and no report shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["Span", "is_secret_name", "masked", "masked_addresses", "secrets_in_addresses", "starred", "without_secrets"]

Span = tuple[int, int]
"""Start and end of a part of a text."""

_ENDINGS = (
    *("key", "keys", "token", "secret", "secrets", "password", "passwd", "passphrase"),
    *("credential", "credentials", "authorization", "bearer"),
)
"""What the names of secrets end in, `openaikey` like `openai_key`."""
_LAST_WORDS = frozenset({"auth", "cookie", "creds", "jwt", "pass", "pw", "pwd", "sig", "signature"})
"""What is the last word of a secret's name, and too short to be looked for inside a word."""
_MISSPELT = ("apikey", "token", "secret", "password", "bearer", "credentials", "authorization")
"""What is recognised with one slip in it."""
_NO_SECRETS = frozenset({"null", "Null", "NULL", "~", "true", "false"})
"""What stands for nothing, or for yes or no, behind the name of a secret."""
_COUNTS = "tokens"
"""One slip away from `token`, and a number of them."""
_WORDS = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])")
_LONGEST_NAME = 200

_TOKEN = re.compile(
    r"\b(?:(?:sk|pk|rk|hf|gsk|xai|ghp|glpat|nvapi|pplx|csk|r8)[-_]|AIza|AKIA)(?P<value>[A-Za-z0-9_-]{6,})"
)
"""Keys as vendors begin them."""
_BEARER = re.compile(r"(?i)\bbearer\s+(?P<value>[\w.~+/=-]{6,})")
_NAMED = re.compile(rf"""(?<![\w-])(?P<name>[\w-]{{1,{_LONGEST_NAME}}}+)["']?\s*+(?P<sign>=(?!=)|:)\s*+""")
_QUOTED = r""""(?>(?:[^"\\]|\\.)*)"? | '(?>(?:[^']|'')*)'?"""
_WHOLE_REFERENCE = r"\$\{[^{}\n]*\}"
_AFTER_COLON = re.compile(
    rf"""(?x) {_QUOTED} | (?=[^\s,{{}}\[\]\#"']) (?>(?:{_WHOLE_REFERENCE} | (?!,\s)[^\n}}\]])+)"""
)
"""A YAML value on one line."""
_AFTER_EQUALS = re.compile(rf"""(?x) {_QUOTED} | (?>(?:{_WHOLE_REFERENCE} | [^\s,;&"'}}\]\#])+)""")
_LOGIN = re.compile(r"://(?P<value>[^/\s@:]{0,200}:(?!\d{1,5}/)(?:(?!://)[^\s@]){0,200}+|[^/\s]{1,400})@")
_QUERY = re.compile(r"[?&;#](?P<name>[\w.-]{1,100})=(?P<value>[^\s&;#\"'`]{1,4000})")
_REFERENCE = re.compile(r"\$\{(?:file:[^{}]*|[A-Za-z_][A-Za-z0-9_]*(?P<default>:-[^{}]*)?)\}")


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Tell whether a key of this name, one slip in it allowed, is likely to hold a secret."""
    words = [word.lower() for word in _WORDS.split(name[:_LONGEST_NAME]) if word]
    if not words:
        return False
    if words[-1] in _LAST_WORDS or words[-1].endswith(_ENDINGS):
        return True
    endings = {words[-1], "".join(words[-2:]), "".join(words)} - {_COUNTS}
    return any(_one_slip_away(ending, known) for ending in endings for known in _MISSPELT)


def _one_slip_away(word: str, known: str) -> bool:
    """Tell whether a letter too many, too few, wrong, or swapped with its neighbour is all that differs."""
    if abs(len(word) - len(known)) > 1:
        return False
    while word and known and word[0] == known[0]:
        word, known = word[1:], known[1:]
    while word and known and word[-1] == known[-1]:
        word, known = word[:-1], known[:-1]
    return max(len(word), len(known)) <= 1 or (len(word) == 2 and word == known[::-1])  # noqa: PLR2004 - a pair


def masked(text: str) -> str:
    """Shorten what looks like an API key to its beginning; put stars for what a name or an address shows as secret."""
    text = _TOKEN.sub(lambda match: match[0][: match.start("value") - match.start()] + "…", text)
    return _replaced(text, [*_named(text), *_addressed(text), *_groups(_BEARER, text)])


def masked_addresses(text: str) -> str:
    """Put stars for logins and for values of queries whose names look secret, in every address of a text."""
    return _replaced(text, _addressed(text)) if "://" in text else text


def secrets_in_addresses(text: str) -> Iterator[str]:
    """Give what `masked_addresses` hides; of a login also the password alone."""
    for start, end in _addressed(text) if "://" in text else ():
        yield text[start:end]
        yield text[start:end].partition(":")[2]


def without_secrets(line: str) -> str:
    """Put stars over the secrets of a line; references stay, the width stays."""
    return starred(line, [*_named(line), *_addressed(line), *_groups(_TOKEN, line), *_groups(_BEARER, line)])


def starred(line: str, spans: list[Span]) -> str:
    """Put stars over parts of a line; references in them stay, but not their defaults."""
    pieces, at = [], 0
    for start, end in sorted(spans):
        start = max(start, at)  # noqa: PLW2901 - what overlaps is starred once
        if start < end:
            pieces += [line[at:start], _stars(line[start:end])]
            at = end
    return "".join([*pieces, line[at:]])


def _stars(text: str) -> str:
    pieces, at = [], 0
    for match in _REFERENCE.finditer(text):
        shown = match.end() if match["default"] is None else match.start("default") + 2
        pieces += ["*" * (match.start() - at), text[match.start() : shown], "*" * (match.end() - shown - 1)]
        pieces.append("}" if match["default"] is not None else "")
        at = match.end()
    return "".join(pieces) + "*" * (len(text) - at)


def _replaced(text: str, spans: list[Span]) -> str:
    pieces, at = [], 0
    for start, end in sorted(spans):
        if start >= at and _REFERENCE.fullmatch(text, start, end) is None:
            pieces += [text[at:start], "***"]
            at = end
    return "".join([*pieces, text[at:]])


def _named(text: str) -> list[Span]:
    spans: list[Span] = []
    for match in _NAMED.finditer(text):
        is_inside = bool(spans) and match.start() < spans[-1][1]
        if is_inside or not is_secret_name(match["name"]):
            continue
        value = (_AFTER_EQUALS if match["sign"] == "=" else _AFTER_COLON).match(text, match.end())
        if value is not None and value[0].strip() not in _NO_SECRETS:
            spans.append(value.span())
    return spans


def _addressed(text: str) -> list[Span]:
    queries = [match.span("value") for match in _QUERY.finditer(text) if is_secret_name(match["name"])]
    return [*_groups(_LOGIN, text), *queries]


def _groups(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [match.span("value") for match in pattern.finditer(text)]
