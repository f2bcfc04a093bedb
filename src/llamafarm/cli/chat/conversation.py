"""What has been said in a chat, and how it is kept in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadCallError
from llamafarm.farm.reading import read_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Conversation", "Turn"]

_LARGEST = 64 * 1024 * 1024
"""Bytes of a saved conversation; pictures of a vendor's largest size fit in."""
_ROLES = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    message: dict[str, Any]
    """In OpenAI's format."""
    mark: str = ""
    """Why an answer is not whole: ``stopped`` or ``cut``."""

    @property
    def role(self) -> str:
        """Who speaks."""
        return str(self.message["role"])

    @property
    def text(self) -> str:
        """What is said; a picture is named as such."""
        content = self.message.get("content") or ""
        if isinstance(content, str):
            return content
        return "\n".join(str(part.get("text", f"[{part.get('type')}]")) for part in content if isinstance(part, dict))


@dataclass(slots=True)
class Conversation:
    """The turns so far, and what the model is told before them."""

    system: str | None = None
    turns: list[Turn] = field(default_factory=list)

    def add(self, role: str, text: str, mark: str = "") -> None:
        """Append a turn."""
        self.turns.append(Turn({"role": role, "content": text}, mark))

    def take_back(self) -> Turn:
        """Take the last user turn, and what came after it, out again; raises BadCallError where there is none."""
        for at in range(len(self.turns) - 1, -1, -1):
            if self.turns[at].role == "user":
                turn = self.turns[at]
                del self.turns[at:]
                return turn
        raise BadCallError("nothing has been asked yet")

    def messages(self) -> list[dict[str, Any]]:
        """Give it as a request holds it."""
        before = [{"role": "system", "content": self.system}] if self.system is not None else []
        return [*before, *(turn.message for turn in self.turns)]

    def save(self, path: Path, *, replace: bool) -> None:
        """Write it: as Markdown to a ``.md`` file, else as a JSON list of messages. Raises BadCallError."""
        try:
            text = self._markdown() if path.suffix.lower() == ".md" else self._json()
            with path.open("w" if replace else "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise BadCallError(f"{path} is there already: give another name") from None
        except OSError as error:
            raise BadCallError(f"{path}: {error.strerror or error}") from error
        except ValueError as error:  # a NUL in the name; half a character in a message
            raise BadCallError(f"{path}: it can't be written: {error}") from error

    def _json(self) -> str:
        return msgspec.json.format(msgspec.json.encode(self.messages()), indent=2).decode() + "\n"

    def _markdown(self) -> str:
        system = [f"*{self.system}*\n"] if self.system is not None else []
        turns = [f"## {t.role}{f' ({t.mark})' if t.mark else ''}\n\n{t.text}\n" for t in self.turns]
        return "\n".join([*system, *turns])

    @classmethod
    def load(cls, path: Path) -> Conversation:
        """Read what `save` wrote as JSON, or any object with such a list under ``messages``. Raises BadCallError."""
        if path.suffix.lower() == ".md":
            raise BadCallError(f"{path}: Markdown is for reading only: /save to a name without .md writes what loads")
        try:
            content = read_file(path, _LARGEST)
        except ValueError as error:
            raise BadCallError(f"{path}: {error}") from error
        try:
            found = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadCallError(f"{path}: not JSON: {error}") from error
        messages = found.get("messages") if isinstance(found, dict) else found
        if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
            raise BadCallError(f"{path}: not a list of messages with role and content")
        system = None
        if messages and messages[0]["role"] == "system" and isinstance(messages[0]["content"], str):
            system = messages.pop(0)["content"]
        return cls(system, [Turn(message) for message in messages])


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict) and message.get("role") in _ROLES and isinstance(message.get("content"), str | list)
    )
