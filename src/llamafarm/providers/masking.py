"""Makes text that came from outside fit for a message: one line, of bounded length, without a secret in it."""

from __future__ import annotations

import re
import string
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["one_line"]

_MASK = "***"
_LENGTH = 300
_MOST_READ = 4096
"""Characters of a text that are looked at: no message needs more, and a hostile body may be long."""
_SHORTEST_SECRET = 4
_TELLING_PART = 6
"""Consecutive characters of a key by which a text is known to repeat a part of it."""
_RUN = frozenset(string.ascii_letters + string.digits + "-_.~+/=%*•…")
"""What keys, their encodings and the vendors' ways to shorten them consist of."""
_KEY_LIKE = re.compile(
    r"\b(?:sk|pk|gsk|xai|pplx|nvapi|hf|csk|fw|r8|tgp|dsk|key)[-_][\w.*•…-]{6,}|\bAIza[\w-]{10,}",
    re.IGNORECASE | re.ASCII,
)
"""How today's vendors' keys begin, in case a vendor echoes another one than ours, or one it has shortened itself."""
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=*-]{6,}")
_CHARACTER = re.compile(r"%([0-7][0-9a-f])|.", re.IGNORECASE | re.DOTALL)
_MOST_ENCODINGS = 2
"""How often percent-encoding is undone: a gateway may encode what was encoded already."""
_SCHEME_AND_KEY = 2


def one_line(text: str, secrets: Iterable[str] = (), length: int = _LENGTH) -> str:
    """Put a text on one line, mask the secrets and whatever looks like a key, and cut it to `length` characters.

    A secret is also known by any `_TELLING_PART` of its characters in a row, in upper or lower case, percent-encoded
    or in base64; the rest of the word around them goes with them.
    """
    text = _without(secrets, text if len(text) <= _MOST_READ else text[:_MOST_READ] + "…")
    text = _KEY_LIKE.sub(_MASK, _BEARER.sub(rf"\1 {_MASK}", text))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _without(secrets: Iterable[str], text: str) -> str:
    traces = [trace for secret in secrets for trace in _traces(secret)]
    kept, done = [], 0
    for start, end in sorted(span for reading in _readings(text) for trace in traces for span in reading.spans(trace)):
        if start >= done:
            kept += [text[done:start], _MASK]
        done = max(done, end)
    return "".join([*kept, text[done:]])


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text as it is, or with its percent-encoding undone."""

    text: str
    places: Sequence[int]
    """Where each of its characters begins in the original; at the end, the original's length."""

    def decoded(self) -> _Reading:
        """Undo percent-encoding once, where it stands for ASCII."""
        matches = tuple(_CHARACTER.finditer(self.text))
        text = "".join(chr(int(match[1], 16)) if match[1] else match[0] for match in matches)
        return _Reading(text, (*(self.places[match.start()] for match in matches), self.places[-1]))

    def spans(self, trace: _Trace) -> Iterator[tuple[int, int]]:
        """Give from where to where in the original each repetition of a secret reaches."""
        return ((self.places[start], self.places[end]) for start, end in trace.spans(_lower(self.text)))


def _readings(text: str) -> Iterator[_Reading]:
    reading = _Reading(text, range(len(text) + 1))
    yield reading
    for _ in range(_MOST_ENCODINGS):
        if "%" in reading.text:
            reading = reading.decoded()
            yield reading


def _lower(text: str) -> str:
    """Write a text in lower case, of the same length: a few characters of other scripts would get longer."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


@dataclass(frozen=True, slots=True)
class _Trace:
    """What a text that repeats a secret would hold."""

    pieces: frozenset[str]
    size: int
    """Characters of each piece."""
    run: frozenset[str]
    """Characters that belong to it where they stand around a piece."""

    @classmethod
    def of(cls, secret: str, size: int, run: frozenset[str]) -> Self:
        plain = _lower(secret)
        return cls(frozenset(plain[at : at + size] for at in range(len(plain) - size + 1)), size, run)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Give from where to where each repetition reaches."""
        at = 0
        while at <= len(text) - self.size:
            if text[at : at + self.size] not in self.pieces:
                at += 1
                continue
            start, end = at, at + self.size
            while start and text[start - 1] in self.run:
                start -= 1
            while end < len(text) and (text[end] in self.run or text[end + 1 - self.size : end + 1] in self.pieces):
                end += 1
            while end > at + self.size and text[end - 1] == ".":  # the sentence's
                end -= 1
            yield start, end
            at = end


def _traces(secret: str) -> Iterator[_Trace]:
    """Say by what a secret is known. Prose and addresses, as headers hold them, are known only as a whole."""
    words = secret.split()
    if len(words) == _SCHEME_AND_KEY:  # like "Bearer …"
        secret = words[1]
    if len(secret) < _SHORTEST_SECRET:
        return
    if len(words) > _SCHEME_AND_KEY or "://" in secret or len(secret) < _TELLING_PART:
        yield _Trace.of(secret, len(secret), frozenset())
        return
    run = _RUN.union(_lower(secret)).difference(string.whitespace)
    for form in (secret, *_in_base64(secret)):
        yield _Trace.of(form, _TELLING_PART, run)


def _in_base64(secret: str) -> Iterator[str]:
    """Give what base64 makes of a secret: alone, and with something before it that shifts its bits."""
    for shift, unsure in ((0, 0), (1, 2), (2, 3)):
        form = b64encode(bytes(shift) + secret.encode("utf-8", "surrogateescape")).decode().rstrip("=")[unsure:]
        yield from (form, form.translate(str.maketrans("+/", "-_")))
