"""Turns the items of a request's input into the messages of a chat: items of one answer become one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadCallError
from llamafarm.server.formats.responses.parts import answer_text, content_of, texts_of
from llamafarm.server.formats.responses.thoughts import unsealed
from llamafarm.server.formats.responses.tools import custom_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["messages_of"]

_ELSEWHERE = "The result is in the next message."
"""What a tool's message says where the result is no text: OpenAI's chat format takes pictures and files from a user
only, so that is who gives them, behind the results of all tools that were called together."""


def messages_of(given: Any, instructions: str | None) -> list[dict[str, Any]]:
    """Give the messages of a chat for `input` and `instructions`. Raises `BadCallError` naming the item."""
    conversation = _Conversation()
    if instructions:
        conversation.messages.append({"role": "system", "content": instructions})
    if isinstance(given, str):
        conversation.messages.append({"role": "user", "content": given})
        return conversation.messages
    if not isinstance(given, list) or not given:
        raise BadCallError(f"input is {given!r:.40}: expected a text, or a list of at least one item")
    for at, item in enumerate(given):
        conversation.take(item, f"input[{at}]")
    return conversation.end()


class _Conversation:
    """The messages so far, the answer that further items may belong to, and what waits to follow tools' results."""

    __slots__ = ("_answer", "_waiting", "messages")

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._answer: dict[str, Any] = {}
        self._waiting: list[dict[str, Any]] = []

    def take(self, item: Any, place: str) -> None:
        """Add one item."""
        if not isinstance(item, dict):
            raise BadCallError(f"{place} is {item!r:.40}: expected an item")
        kind = item.get("type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference" if item.keys() == {"id"} else None
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            raise BadCallError(
                f"{place} is of type {kind!r:.40}, which only OpenAI's own service understands: leave it out"
            )
        reader(self, item, place)

    def end(self) -> list[dict[str, Any]]:
        """Give the messages, with whatever was still to follow."""
        self._end_answer()
        self._end_results()
        if not self.messages:
            raise BadCallError("input has no message in it: expected a question for the model")
        return self.messages

    def message(self, item: dict[str, Any], place: str) -> None:
        """Add a message of the user, of the program, or of the model."""
        role = item.get("role")
        if role == "assistant":
            self._say(item, place)
        elif role in ("user", "system", "developer"):
            self._end_answer()
            self._end_results()
            self.messages.append({"role": role, "content": content_of(item.get("content"), f"{place}.content")})
        else:
            raise BadCallError(f"{place}.role is {role!r:.40}: expected user, assistant, system or developer")

    def _say(self, item: dict[str, Any], place: str) -> None:
        text, refusal = answer_text(item.get("content"), f"{place}.content")
        answer = self._open_answer()
        answer["content"] = (answer.get("content") or "") + text if text or not refusal else answer.get("content")
        if refusal:
            answer["refusal"] = refusal

    def reasoning(self, item: dict[str, Any], place: str) -> None:
        """Keep what a model thought for the message it belongs to: as text, and as a vendor signed it."""
        thoughts = texts_of(item.get("content"), f"{place}.content") or texts_of(
            item.get("summary"), f"{place}.summary"
        )
        blocks = unsealed(item.get("encrypted_content"))
        if not thoughts and not blocks:
            return
        answer = self._open_answer()
        if thoughts:
            answer["reasoning_content"] = "\n\n".join(filter(None, (answer.get("reasoning_content"), *thoughts)))
        if blocks:
            answer["thinking_blocks"] = [*answer.get("thinking_blocks", ()), *blocks]

    def function_call(self, item: dict[str, Any], place: str) -> None:
        """Add a call of a function."""
        arguments = item.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        self._call(item, arguments or "", place)

    def custom_tool_call(self, item: dict[str, Any], place: str) -> None:
        """Add a call of a tool that takes a text."""
        given = item.get("input")
        if not isinstance(given, str):
            raise BadCallError(f"{place}.input is {given!r:.40}: expected a text")
        self._call(item, custom_arguments(given), place)

    def _call(self, item: dict[str, Any], arguments: str, place: str) -> None:
        function = {"name": _required(item, "name", place), "arguments": arguments}
        call = {"id": _required(item, "call_id", place), "type": "function", "function": function}
        self._end_results()
        self._answer.setdefault("content", None)
        self._answer.setdefault("tool_calls", []).append(call)

    def output(self, item: dict[str, Any], place: str) -> None:
        """Add what a tool gave; what is no text of it waits until the other tools' results are in."""
        call_id = _required(item, "call_id", place)
        content = content_of(item.get("output"), f"{place}.output")
        if not isinstance(content, str):
            others = [part for part in content if part["type"] != "text"]
            if others:
                self._waiting += [{"type": "text", "text": f"Result of the tool call {call_id}:"}, *others]
            content = [part for part in content if part["type"] == "text"] or _ELSEWHERE
        self._end_answer()
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def reference(self, item: dict[str, Any], place: str) -> None:
        """Refuse an item that is only named."""
        raise BadCallError(
            f"{place} refers to the stored item {item.get('id')!r:.60}, and this endpoint keeps nothing:"
            " send the item itself"
        )

    def _open_answer(self) -> dict[str, Any]:
        """Give the message that an item of the model's belongs to: after its words only calls can follow in it."""
        self._end_results()
        if self._answer.get("content") is not None and "tool_calls" not in self._answer:
            self._end_answer()
        return self._answer

    def _end_answer(self) -> None:
        answer, self._answer = self._answer, {}
        if "content" in answer:  # thoughts that led to nothing are no message
            self.messages.append({"role": "assistant", **answer})

    def _end_results(self) -> None:
        if self._waiting:
            self.messages.append({"role": "user", "content": self._waiting})
            self._waiting = []


def _required(item: dict[str, Any], name: str, place: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise BadCallError(f"{place}.{name} is {value!r:.40}: expected a text")
    return value


_READERS: Mapping[str, Callable[[_Conversation, dict[str, Any], str], None]] = {
    "message": _Conversation.message,
    "reasoning": _Conversation.reasoning,
    "function_call": _Conversation.function_call,
    "function_call_output": _Conversation.output,
    "custom_tool_call": _Conversation.custom_tool_call,
    "custom_tool_call_output": _Conversation.output,
    "item_reference": _Conversation.reference,
}
