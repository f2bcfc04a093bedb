"""What a caller's content is like: its length, its texts, what a model must be able to do to answer it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from llamafarm import tokens
from llamafarm.conditions.cached import cached
from llamafarm.conditions.code_signs import shows_code
from llamafarm.conditions.turns import prompt_weight, turns_of, weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.conditions.turns import Turn

__all__ = ["Input"]

_TOKENS_PER_MESSAGE = 4
"""What a chat template puts around a message: the role and the two or three marks that set it off."""
_SCHEMA_FIELDS = ("tools", "functions", "response_format")
_TEMPLATE_BOUND = 512
"""Room for what a template adds to any chat: a default system prompt, a date, the opening of the answer."""
_TOOLS_BOUND = 1024
"""Room for the instructions that vendors add where tools are given; they publish figures up to 530 tokens."""
_MESSAGE_BOUND = 16
"""Room for what a template puts around one message."""


class Input:
    """The content of a request's body in OpenAI's format; each figure is worked out when it is first asked for."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Look at a body. Reads nothing yet; the body must not change from here on."""
        return cls(body)

    @cached
    def turns(self) -> tuple[Turn, ...]:
        """Its messages; a prompt, or an embedding's input, is one turn of the user."""
        return turns_of(self._body)

    @cached
    def length(self) -> int:
        """Characters of all texts of the conversation."""
        return sum(len(text) for turn in self.turns for text in turn.texts)

    @cached
    def messages(self) -> int:
        """How many turns there are."""
        return len(self.turns)

    @cached
    def text(self) -> str:
        """The last turn of the user, its parts joined by line breaks; empty where there is none."""
        return next(("\n".join(turn.texts) for turn in reversed(self.turns) if turn.role == "user"), "")

    @cached
    def folded(self) -> str:
        """The last turn of the user, for comparing without regard to case."""
        return self.text.casefold()

    @cached
    def folded_encoded(self) -> bytes:
        """The same in UTF-8, for a search for many texts at once."""
        return self.folded.encode("utf-8", "replace")

    @cached
    def encoded(self) -> bytes:
        """The last turn of the user in UTF-8, for regular expressions."""
        return self.text.encode("utf-8", "replace")

    @cached
    def all_text(self) -> str:
        """Every text of the conversation, joined by line breaks."""
        return "\n".join(text for turn in self.turns for text in turn.texts)

    @cached
    def system(self) -> str | None:
        """The system's or developer's messages, joined by line breaks; None where there is none."""
        turns = [turn for turn in self.turns if turn.role in ("system", "developer")]
        return "\n".join(text for turn in turns for text in turn.texts) if turns else None

    @cached
    def images(self) -> int:
        """How many images the conversation has."""
        return sum(len(turn.media.image_urls) for turn in self.turns)

    @cached
    def files(self) -> int:
        """How many documents are attached; their tokens cannot be told from outside."""
        return sum(turn.media.files for turn in self.turns)

    @property
    def has_images(self) -> bool:
        """Whether any turn has an image."""
        return self.images > 0

    @property
    def requires_vision(self) -> bool:
        """Whether a model must understand images to answer."""
        return self.images > 0

    @cached
    def requires_tools(self) -> bool:
        """Whether the caller offers tools, by their newer or their older name."""
        return any(isinstance(self._body.get(key), list | tuple) and self._body[key] for key in ("tools", "functions"))

    @cached
    def requires_json(self) -> bool:
        """Whether the answer has to be JSON, with a schema or without."""
        wanted = self._body.get("response_format")
        return isinstance(wanted, Mapping) and wanted.get("type") in ("json_object", "json_schema")

    @cached
    def requires_audio(self) -> bool:
        """Whether a turn has sound, or the answer is to have some."""
        wanted = self._body.get("modalities")
        return any(turn.media.audio for turn in self.turns) or (isinstance(wanted, list | tuple) and "audio" in wanted)

    @cached
    def is_code(self) -> bool:
        """Whether the last turn of the user shows source code: a fence, one unmistakable line or three likely ones."""
        return shows_code(self.text)

    @cached
    def tokens(self) -> int:
        """Estimated tokens of all that a model reads but images, sound and files: texts, tools, schema, roles."""
        return self.tokens_by(tokens.estimate)

    def tokens_by(self, count: Callable[[str], int]) -> int:
        """Count the same with a tokenizer; what is around and beside the texts stays an allowance."""
        read = sum(count(text) for turn in self.turns for text in turn.texts)
        given = sum(turn.token_ids for turn in self.turns)
        chat = len(self.turns) * _TOKENS_PER_MESSAGE if self._is_chat else 0
        structured = [self._body[key] for key in _SCHEMA_FIELDS if self._body.get(key)]
        structured.extend(turn.rest for turn in self.turns if turn.rest)
        return read + given + chat + sum(-(-weight(value) // 4) for value in structured)

    @cached
    def upper_bound(self) -> int:
        """Bound the prompt's tokens from above, whatever the vocabulary and template; images and files come on top.

        Every byte of the body counts, known field or not, but the images themselves.
        """
        other = {key: value for key, value in self._body.items() if key not in ("prompt", "input")}
        prompts = sum(prompt_weight(self._body[key]) for key in ("prompt", "input") if key in self._body)
        images = sum(weight(url) for turn in self.turns for url in turn.media.image_urls if url)
        extras = _TEMPLATE_BOUND + _MESSAGE_BOUND * len(self.turns) + (_TOOLS_BOUND if self.requires_tools else 0)
        return weight(other) + prompts - images + extras

    @property
    def _is_chat(self) -> bool:
        return isinstance(self._body.get("messages"), list | tuple)
