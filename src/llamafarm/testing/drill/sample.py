"""A request that is made up so that a rule's condition holds for it, and how it is described to a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llamafarm.conditions.names import WEEKDAYS
from llamafarm.farm.options import make_call
from llamafarm.tokens import estimate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from llamafarm.types import Call

__all__ = ["CODE", "Sample"]

_PLAIN = "Say OK."
_PLAIN_JSON = "Say OK, as JSON."
CODE = "def double(number):\n    return 2 * number"
_PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAD0lEQVR42mP4jwMwDC0JALoev0GJ6La7"
    "AAAAAElFTkSuQmCC"
)
"""Eight white dots by eight: a picture that needs no address to be fetched from."""
_SOUND = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
"""One silent sample, as WAV."""
_TOOL = {
    "type": "function",
    "function": {
        "name": "tell_time",
        "description": "Tell what time it is.",
        "parameters": {"type": "object", "properties": {}, "required": []},
    },
}
_FILLER = "lorem ipsum dolor sit amet "
_SHOWN = 40
"""Characters of a text that a summary shows."""
_EARLIER = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi."})


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything of a request that a condition can ask for."""

    text: str = _PLAIN
    length: int | None = None
    """Characters that all texts together are filled up to."""
    tokens: int | None = None
    """Tokens, estimated, that the last text is filled up to."""
    system: str | None = None
    messages: int | None = None
    """Turns in all."""
    tags: frozenset[str] = frozenset()
    has_image: bool = False
    has_tools: bool = False
    wants_json: bool = False
    has_audio: bool = False
    model: str | None = None
    user: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    max_tokens: int | None = 16
    temperature: float | None = None
    stream: bool | None = None
    """None: either."""
    hour: int | None = None
    """None: now; so for the weekday."""
    weekday: str | None = None

    def call(self, *, stream: bool) -> Call:
        """Make the call; raises what `make_call` raises."""
        options: dict[str, Any] = {"tags": sorted(self.tags), "model": self.model, "user": self.user}
        options |= {"max_tokens": self.max_tokens, "temperature": self.temperature}
        if self.metadata:
            options["metadata"] = dict(self.metadata)
        if self.has_tools:
            options["tools"] = [_TOOL]
        if self.wants_json:
            options["response_format"] = {"type": "json_object"}
        given = {name: value for name, value in options.items() if value is not None and value != []}
        return make_call({"messages": self._messages()}, given, stream=stream if self.stream is None else self.stream)

    def moment(self, now: datetime) -> datetime:
        """Give the time at which the request is made: now, or the next time the clock stands as it has to."""
        if self.hour is not None:
            now = now.replace(hour=self.hour, minute=30, second=0, microsecond=0)
        if self.weekday is not None:
            now += timedelta(days=(WEEKDAYS.index(self.weekday) - now.weekday()) % 7)
        return now

    def _messages(self) -> list[dict[str, Any]]:
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        turns = (self.messages or len(system) + 1) - len(system) - 1
        earlier = [_EARLIER[(turns - place) % 2] for place in range(turns)]
        text = self._filled(sum(len(turn["content"]) for turn in (*system, *earlier)))
        return [*system, *earlier, {"role": "user", "content": self._content(text)}]

    def _filled(self, before: int) -> str:
        text = _PLAIN_JSON if self.wants_json and self.text == _PLAIN else self.text  # OpenAI refuses JSON unasked for
        if self.tokens is not None:
            text = _with_filler(text, len(text) + 4 * max(0, self.tokens - estimate(text)))
        return text if self.length is None else _with_filler(text, self.length - before)

    def _content(self, text: str) -> str | list[dict[str, Any]]:
        if not (self.has_image or self.has_audio):
            return text
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if self.has_image:
            parts.append({"type": "image_url", "image_url": {"url": _PICTURE}})
        if self.has_audio:
            parts.append({"type": "input_audio", "input_audio": {"data": _SOUND, "format": "wav"}})
        return parts

    @property
    def summary(self) -> str:
        """Describe it in one line: what of it a rule could have asked for."""
        whole = self._filled(0)
        text = " ".join(whole.split())
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(whole)} characters)"
        parts = [repr(shown)]
        parts += [f"tag {tag}" for tag in sorted(self.tags)]
        parts += [word for word, has in self._needs().items() if has]
        parts += [f"{name} {value!r:.40}" for name, value in self._others().items() if value is not None]
        return ", ".join(parts)

    def _needs(self) -> dict[str, bool]:
        return {
            "a picture": self.has_image,
            "a tool": self.has_tools,
            "JSON wanted": self.wants_json,
            "sound": self.has_audio,
            "streamed": bool(self.stream),
        }

    def _others(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "messages": self.messages,
            "model": self.model,
            "user": self.user,
            "metadata": dict(self.metadata) or None,
            "temperature": self.temperature,
            "max_tokens": None if self.max_tokens == type(self)().max_tokens else self.max_tokens,
            "hour": self.hour,
            "weekday": self.weekday,
        }


def _with_filler(text: str, length: int) -> str:
    """Fill a text up to a number of characters; one that is longer already stays as it is."""
    missing = length - len(text)
    if missing <= 0:
        return text if length <= 0 or text != _PLAIN else text[:length]
    return (text + " " + _FILLER * (missing // len(_FILLER) + 1))[:length]
