"""Gives of an answer that goes on from a given beginning only what follows, whatever the target repeats of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from llamafarm.errors import LlamaFarmError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llamafarm.types import Chunk

__all__ = ["Continued", "callers_own", "with_beginning", "without_trailing_space"]

_TELLING = 24
"""Characters: an answer that starts with as much of its beginning repeats it; with less it may just go on so."""
_LOOKED_AT = 2000
"""Characters of it in which a pattern is looked for."""


def without_trailing_space(beginning: str) -> tuple[str, str]:
    """Split a beginning into what is sent, where white space at its end does harm, and that white space."""
    kept = beginning.rstrip()
    return kept, beginning[len(kept) :]


def with_beginning(content: Any, beginning: str) -> Any:
    """Give the content of an answer's message in OpenAI's format, a text or a list of parts, made longer by a text."""
    if not isinstance(content, list | tuple):
        return f"{content or ''}{beginning}"
    *others, last = content or [None]
    if isinstance(last, dict) and isinstance(last.get("text"), str):  # servers may put a line break between parts
        return [*others, {**last, "text": last["text"] + beginning}]
    return [*content, {"type": "text", "text": beginning}]


def callers_own(messages: Any) -> str:
    """Give the beginning of the answer that the caller's own messages end in; none where they end in another's."""
    last = messages[-1] if isinstance(messages, list | tuple) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return ""
    content = last.get("content")
    if not isinstance(content, list | tuple):
        return str(content or "")
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _tells(text: str) -> bool:
    """Whether an answer that starts with this text repeats it: it is long, and no pattern that just goes on."""
    start = text[:_LOOKED_AT]
    periods = range(1, len(start) // 2 + 1)
    return len(start) >= _TELLING and not any(start.startswith(start[period:]) for period in periods)


class Continued:
    """The chunks of an answer's rest: without the beginning, if the target repeats it, and without white space twice.

    `beginning` is all of the message that the target goes on with, what the caller's own prompt has of it included.
    `cut` is the white space that was not sent. `echoes` says that the target is known to repeat; else only what is
    long enough to tell, and no pattern (a line of dashes), is taken for repeated. A repetition may end in the midst
    of the beginning, where the answer does. Text is held back only while it could still be a repetition.
    """

    def __init__(self, events: AsyncIterator[Chunk], beginning: str, *, cut: str = "", echoes: bool = False) -> None:
        self._events = events
        self._echo = beginning if echoes or _tells(beginning) else ""
        self._echoes = echoes
        self._cut = cut
        self._held = ""
        self._holder: Chunk | None = None
        """The chunk that came with the last of the text that is held."""
        self._ending: BaseException | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while self._ending is None:
            try:
                chunk = await anext(self._events)
            except (LlamaFarmError, StopAsyncIteration) as ending:
                self._ending = ending
                if (left := self._left_over()) is not None:
                    return left
                break
            if chunk.index == 0 and (self._echo or self._cut) and (chunk.text or chunk.finish_reason is not None):
                self._take(chunk)
                if not (chunk.has_token or chunk.finish_reason is not None or chunk.usage is not None):
                    self._holder = chunk
                    continue
            return chunk
        raise self._ending or StopAsyncIteration

    def _take(self, chunk: Chunk) -> None:
        """Leave in a chunk only the text that is new."""
        self._held += chunk.text
        new = self._settled(final=chunk.finish_reason is not None)
        if new != chunk.text:
            _rewrite(chunk, new)

    def _settled(self, *, final: bool) -> str:
        """Give what of the text held is new; nothing while that cannot be told."""
        if self._echo:
            if self._held.startswith(self._echo):
                self._held = self._held[len(self._echo) :]
            elif self._echo.startswith(self._held):
                if not final:
                    return ""
                if self._echoes or _tells(self._held):
                    self._held = ""
            self._echo = ""
        if self._cut:
            if not final and not self._held.strip() and len(self._held) <= len(self._cut):
                return ""
            ends = (self._cut[start:] for start in range(len(self._cut)))
            self._held = self._held.removeprefix(next((end for end in ends if self._held.startswith(end)), ""))
            self._cut = ""
        new, self._held = self._held, ""
        return new

    def _left_over(self) -> Chunk | None:
        """Give what was held when the answer broke off, unless it is a repetition."""
        if not self._held or self._holder is None:
            return None
        new = self._settled(final=True)
        if not new:
            return None
        _rewrite(self._holder, new)
        return self._holder

    async def aclose(self) -> None:
        """Cancel the request at the target at once."""
        self._held = ""
        await self._events.aclose()  # type: ignore[attr-defined]  # every upstream's iterator has one


def _rewrite(chunk: Chunk, text: str) -> None:
    """Give a chunk another text, in its bytes as well."""
    chunk.text = text
    if not chunk.raw:
        return
    event: Any = msgspec.json.decode(chunk.raw)
    for choice in event.get("choices") or ():
        if (choice.get("index") or 0) != chunk.index:
            continue
        message = choice.get("delta") or choice.get("message")
        if message is not None:
            message["content"] = text
        else:
            choice["text"] = text
    chunk.raw = msgspec.json.encode(event)
