"""Turns OpenAI's messages into Anthropic's: the system prompt apart, and user and assistant taking turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.errors import UntranslatableError
from llamafarm.providers.anthropic.content import blocks_of, cache_mark, tool_id, tool_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.providers.anthropic.notes import Notes

__all__ = ["Conversation", "conversation_of", "require_no_beginning"]

_LEFT_OUT = ("name", "audio")
_MOVED = "a system message inside the conversation was moved to its beginning"


class Conversation:
    """What Anthropic gets for OpenAI's `messages`."""

    __slots__ = ("_in_turns", "_instructions", "_notes", "_unanswered", "messages", "system", "tools_used")

    def __init__(self, notes: Notes, *, in_turns: bool = False) -> None:
        self.system: list[dict[str, Any]] = []
        """Text blocks."""
        self.messages: list[dict[str, Any]] = []
        """`role` and `content`, a list of blocks; no two of one role behind each other."""
        self.tools_used: dict[str, None] = {}
        """The names of the tools that were called, in order."""
        self._notes = notes
        self._in_turns = in_turns
        """Whether instructions may stand inside the conversation."""
        self._instructions: list[dict[str, Any]] = []
        """Text blocks that are still to be put behind a turn of the user's: in front of one they are refused."""
        self._unanswered: list[tuple[str, str]] = []  # ids and names of legacy function calls, which have no id

    def take(self, message: Any, place: str) -> None:
        """Add one message of OpenAI's. Raises `UntranslatableError`."""
        if not isinstance(message, dict):
            raise UntranslatableError(f"{place} is no message")
        role = message.get("role")
        for name in _LEFT_OUT:
            if message.get(name) and not (name == "name" and role in ("tool", "function")):
                self._notes.left_out(f"the messages' {name}")
        if role in ("system", "developer"):
            self._instruct(message, place)
        elif role == "user":
            self._say("user", _marked(blocks_of(message.get("content"), place, self._notes), message))
        elif role == "assistant":
            self._answer(message, place)
        elif role == "tool":
            self._result(tool_id(message.get("tool_call_id"), f"{place}.tool_call_id"), message, place)
        elif role == "function":
            self._result(self._id_of_function(message.get("name"), place), message, place)
        else:
            raise UntranslatableError(
                f"{place} has the role {str(role)[:40]!r}; Anthropic knows system, user, assistant and tool"
            )

    def _instruct(self, message: dict[str, Any], place: str) -> None:
        blocks = _marked(blocks_of(message.get("content"), place, self._notes), message)
        if any(block["type"] != "text" for block in blocks):
            raise UntranslatableError(f"{place}: Anthropic takes only text in a system prompt")
        if self.messages and self._in_turns:
            self._instructions += blocks
            return
        if self.messages:
            self._notes.add(_MOVED)
        self.system += blocks

    def _end_turn(self) -> None:
        """Put the instructions behind the turn of the user's that has ended."""
        if self._instructions and self.messages[-1]["role"] == "user":
            self.messages.append({"role": "system", "content": self._instructions})
            self._instructions = []

    def end(self) -> None:
        """Put what instructions are left where they are taken."""
        self._end_turn()
        if self._instructions:
            self._notes.add(_MOVED)
            self.system += self._instructions

    def _answer(self, message: dict[str, Any], place: str) -> None:
        blocks = [
            *self._thinking(message, place),
            *blocks_of(message.get("content"), place, self._notes),
        ]
        if not blocks and isinstance(message.get("refusal"), str) and message["refusal"]:
            blocks = [{"type": "text", "text": message["refusal"]}]
        blocks += self._calls(message, place)
        self._say("assistant", _marked(blocks, message))

    def _thinking(self, message: dict[str, Any], place: str) -> list[dict[str, Any]]:
        """Give the reasoning as Anthropic gave it. Reasoning without its signature would be refused."""
        blocks = message.get("thinking_blocks")
        if blocks is None:
            if message.get("reasoning_content") or message.get("reasoning"):
                self._notes.left_out(
                    "the messages' reasoning_content", "Anthropic takes reasoning only with its signature"
                )
            return []
        kinds = ("thinking", "redacted_thinking")
        if not isinstance(blocks, list | tuple) or not all(
            isinstance(block, dict) and block.get("type") in kinds for block in blocks
        ):
            raise UntranslatableError(f"{place}.thinking_blocks is no list of Anthropic's thinking blocks")
        whole = [dict(block) for block in blocks if block.get("signature") or block["type"] == "redacted_thinking"]
        if len(whole) < len(blocks):
            self._notes.left_out("a thinking block without its signature", "Anthropic refuses it")
        return whole

    def _calls(self, message: dict[str, Any], place: str) -> list[dict[str, Any]]:
        calls, blocks = message.get("tool_calls") or (), []
        if not isinstance(calls, list | tuple):
            raise UntranslatableError(f"{place}.tool_calls is no list")
        for at, call in enumerate(calls):
            where = f"{place}.tool_calls[{at}]"
            function = call.get("function") if isinstance(call, dict) else None
            custom = call.get("custom") if isinstance(call, dict) else None
            if isinstance(custom, dict):
                function = {"name": custom.get("name"), "arguments": {"input": custom.get("input")}}
            if not isinstance(function, dict):
                raise UntranslatableError(f"{where} is no call of a function")
            block = self._call(tool_id(call.get("id"), where), function, f"{where}.function")
            blocks.append({**block, **cache_mark(call)})
        legacy = message.get("function_call")
        if legacy is not None:
            where = f"{place}.function_call"
            if not isinstance(legacy, dict):
                raise UntranslatableError(f"{where} is no call of a function")
            call_id = f"call_{len(self.messages)}_{len(blocks)}"
            blocks.append(self._call(call_id, legacy, where))
            self._unanswered.append((call_id, legacy["name"]))
        return blocks

    def _call(self, call_id: str, function: dict[str, Any], place: str) -> dict[str, Any]:
        name = function.get("name")
        if not isinstance(name, str) or not name:
            raise UntranslatableError(f"{place} has no name")
        self.tools_used[name] = None
        return {"type": "tool_use", "id": call_id, "name": name, "input": tool_input(function.get("arguments"), place)}

    def _id_of_function(self, name: Any, place: str) -> str:
        for call in self._unanswered:
            if call[1] == name:
                self._unanswered.remove(call)
                return call[0]
        raise UntranslatableError(f"{place} is the result of a function that was not called")

    def _result(self, call_id: str, message: dict[str, Any], place: str) -> None:
        blocks = blocks_of(message.get("content"), place, self._notes)
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id}
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
            result["content"] = blocks[0]["text"]
        elif blocks:
            result["content"] = blocks
        if isinstance(message.get("is_error"), bool):
            result["is_error"] = message["is_error"]
        self._say("user", [{**result, **cache_mark(message)}])

    def _say(self, role: str, blocks: list[dict[str, Any]]) -> None:
        if not blocks:
            self._notes.left_out("an empty message", "Anthropic refuses it")
            return
        if role == "assistant":
            self._end_turn()
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": []})
        content = self.messages[-1]["content"]
        content += blocks
        if role == "user":  # the results of the tools have to come first
            content.sort(key=lambda block: block["type"] != "tool_result")

    def begin(self, beginning: str) -> None:
        """Have the model go on from this text, and from an answer of the caller's own: a last message of the model's.

        Anthropic refuses one that ends in white space.
        """
        if beginning.strip():
            self._say("assistant", [{"type": "text", "text": beginning}])
        if not self.messages or self.messages[-1]["role"] != "assistant":
            return
        last = self.messages[-1]["content"][-1]
        text = last["text"].rstrip() if last["type"] == "text" else ""
        if text:
            self.messages[-1]["content"][-1] = {**last, "text": text}


def conversation_of(messages: Any, notes: Notes, quirks: frozenset[str], beginning: str = "") -> Conversation:
    """Read OpenAI's `messages`, and put the `beginning` of an answer behind them. Raises `UntranslatableError`."""
    if not isinstance(messages, list | tuple):
        raise UntranslatableError("messages is no list")
    conversation = Conversation(notes, in_turns="system_in_turns" in quirks)
    for at, message in enumerate(messages):
        conversation.take(message, f"messages[{at}]")
    conversation.begin(beginning)
    conversation.end()
    require_no_beginning(conversation.messages, quirks)
    if not conversation.messages:
        raise UntranslatableError("messages has neither a question nor an answer in it; Anthropic needs one")
    return conversation


def require_no_beginning(messages: Sequence[Mapping[str, Any]], quirks: frozenset[str]) -> None:
    """Raise `UntranslatableError` where Anthropic's messages end with the beginning of an answer that it refuses."""
    if messages and messages[-1]["role"] == "assistant" and "no_beginning" in quirks:
        raise UntranslatableError("its last message is the beginning of an answer, and the model goes on from none")


def _marked(blocks: list[dict[str, Any]], message: dict[str, Any]) -> list[dict[str, Any]]:
    """Move a message's own ``cache_control`` to its last block."""
    if blocks and cache_mark(message):
        blocks[-1] = {**blocks[-1], **cache_mark(message)}
    return blocks
