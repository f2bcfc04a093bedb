"""What comes back of a model, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Chunk", "ToolCall", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `input_tokens` includes the cached ones, `output_tokens` the reasoning."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """True where the target reported no usage and this is our own estimate."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, or in a stream a piece of one: pieces with one `index` belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    """JSON text, for a custom tool any text; in a stream the next piece of it."""
    kind: Literal["function", "custom"] = "function"
    """Whether the tool takes a JSON object, or any text: OpenAI's custom tools. In a stream, on every piece."""

    def with_piece(self, piece: ToolCall) -> ToolCall:
        """Give the call with the next piece of it; what it is called last counts."""
        arguments = self.arguments + piece.arguments
        return ToolCall(self.index, piece.id or self.id, piece.name or self.name, arguments, piece.kind)


@dataclass(slots=True)
class Chunk:
    """One event of an answer. A plain request's answer is a single chunk that holds all of it."""

    raw: bytes = b""
    """The event as its source sent it: JSON without framing, in the target's dialect. Empty where the chunk is not an
    event of its own: a further choice of the event before, or a closing note about skipped events."""
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    index: int = 0
    """The choice it belongs to, where n > 1."""
    skipped: int = 0
    """Malformed events left out just before this one. An answer that misses some is never cached."""
    refusal: bool = False
    """Whether its text is not an answer, but the words in which the model declines to give one."""
    resumed_by: str = ""
    """The target that goes on from here, where the one before was cut; on its first chunk only."""
    thinking_block: Mapping[str, Any] | None = None
    """A finished block of reasoning as Anthropic gave it, signature and all: to be sent back with the next turn."""
    vectors: tuple[tuple[float, ...], ...] | None = None
    """Embeddings in the order of their inputs. None as it leaves an upstream: they are read from `raw`, which then has
    OpenAI's format; so whoever sees the reply finds them here."""

    @property
    def has_token(self) -> bool:
        """Whether a model made something: a role or a keep-alive alone does not count."""
        return bool(self.text or self.reasoning or any(c.id or c.name or c.arguments for c in self.tool_calls))
