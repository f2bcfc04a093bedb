"""Puts the pieces of tool calls together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from llamafarm.types import ToolCall

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from llamafarm.types import Chunk

__all__ = ["CallSoFar", "calls_in"]


class CallSoFar:
    """One tool call, piece by piece: the first id and the first name are its own, whatever a server says later."""

    __slots__ = ("_arguments", "id", "index", "kind", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.kind: Literal["function", "custom"] = "function"
        self._arguments: list[str] = []

    def add(self, piece: ToolCall) -> None:
        """Take the next piece."""
        self.id = self.id or piece.id
        self.name = self.name or piece.name
        self.kind = piece.kind
        if piece.arguments:
            self._arguments.append(piece.arguments)

    @property
    def arguments(self) -> str:
        """What has come of them."""
        return "".join(self._arguments)

    def name_apart(self, instead: str, others: Iterable[CallSoFar]) -> None:
        """Take `instead` for its id where the target gave none, or the id of one of the others: results go by it."""
        if not self.id or any(other.id == self.id for other in others if other is not self):
            self.id = instead

    def is_custom(self, custom_tools: Container[str]) -> bool:
        """Whether it is of a tool that takes a text: of the `custom_tools` sent as functions, or by its own kind."""
        return self.kind == "custom" or self.name in custom_tools

    @property
    def call(self) -> ToolCall:
        """The call as far as it has come."""
        return ToolCall(self.index, self.id, self.name, self.arguments, self.kind)


def calls_in(chunks: Iterable[Chunk]) -> list[CallSoFar]:
    """Give the calls of a whole answer, in the order of their indices."""
    found: dict[int, CallSoFar] = {}
    for chunk in chunks:
        for piece in chunk.tool_calls:
            found.setdefault(piece.index, CallSoFar(piece.index)).add(piece)
    return [found[index] for index in sorted(found)]
