"""Turns a conversation in OpenAI's format into Ollama's messages: text, pictures as base64, tool calls as objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import UntranslatableError

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer

__all__ = ["Conversation"]

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_ROLES = {"developer": "system", "function": "tool"}
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""The types of a content's parts that are text, and the field that has it."""


class Conversation:
    """Writes messages one after the other; a tool's answer is given the name its call had."""

    __slots__ = ("_names", "_notes", "_peer")

    def __init__(self, peer: Peer, notes: list[str]) -> None:
        self._peer = peer
        self._notes = notes
        self._names: dict[str, str] = {}  # of tools, by the id of the call

    def write(self, messages: Any) -> list[dict[str, Any]]:
        """Give Ollama's messages. Raises `UntranslatableError` for what it has no place for."""
        if not isinstance(messages, list | tuple):
            raise self._refusal("the request's messages are not a list")
        return [self._message(message) for message in messages]

    def _message(self, message: Any) -> dict[str, Any]:
        if not isinstance(message, dict):
            raise self._refusal("one of the request's messages is not an object")
        role = message.get("role")
        text, images = self._content(message.get("content"))
        written: dict[str, Any] = {"role": _ROLES.get(role, role) if isinstance(role, str) else role, "content": text}
        if images:
            written["images"] = images
        if written["role"] == "tool":
            written |= self._of_tool(message)
        elif message.get("name"):
            self._note("Ollama does not know names of those who speak: they were left out")
        if role == "assistant":
            written |= self._of_assistant(message)
        return written

    def _of_tool(self, message: dict[str, Any]) -> dict[str, Any]:
        call = message.get("tool_call_id")
        name = self._names.get(call) if isinstance(call, str) else None
        found = {"tool_name": name or message.get("name"), "tool_call_id": call}
        return {key: value for key, value in found.items() if value}

    def _of_assistant(self, message: dict[str, Any]) -> dict[str, Any]:
        written: dict[str, Any] = {}
        thinking = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thinking, str):
            written["thinking"] = thinking
        if not message.get("content") and isinstance(message.get("refusal"), str):
            written["content"] = message["refusal"]
        calls = message.get("tool_calls") or []
        if not calls and message.get("function_call"):
            calls = [{"function": message["function_call"]}]
        if calls:
            written["tool_calls"] = [self._call(call) for call in calls]
        return written

    def _call(self, call: Any) -> dict[str, Any]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise self._refusal("a tool call of the conversation names no function")
        name = function["name"]
        written: dict[str, Any] = {"function": {"name": name, "arguments": self._arguments(name, function)}}
        if isinstance(call.get("id"), str):
            written["id"] = call["id"]
            self._names[call["id"]] = name
        return written

    def _arguments(self, name: str, function: dict[str, Any]) -> dict[str, Any]:
        given = function.get("arguments")
        if isinstance(given, dict):
            return given
        if given is None or (isinstance(given, str) and not given.strip()):
            return {}
        try:
            value = msgspec.json.decode(given) if isinstance(given, str) else given
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            value = given
        if isinstance(value, dict):
            return value
        # A model's own slip, or a call that was cut short, should not end the conversation.
        self._note(f"the arguments of a call of {name[:64]} are no JSON object: they were sent as its field 'value'")
        return {"value": value}

    def _content(self, content: Any) -> tuple[str, list[str]]:
        if content is None:
            return "", []
        if isinstance(content, str):
            return content, []
        if not isinstance(content, list | tuple):
            raise self._refusal("a message's content is neither text nor a list of parts")
        texts: list[str] = []
        images: list[str] = []
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind in _TEXTS:
                texts.append(str(part.get(_TEXTS[kind]) or ""))
            elif kind == "image_url":
                images.append(self._image(part.get("image_url")))
            else:
                raise self._refusal(f"Ollama takes text and pictures, and a message has a part of type {kind!r:.60}")
        return "\n".join(texts), images

    def _image(self, image: Any) -> str:
        url = image.get("url") if isinstance(image, dict) else image
        start = _DATA_URL.match(url) if isinstance(url, str) else None
        if start is None or not isinstance(url, str):
            raise self._refusal(
                "Ollama takes pictures only as base64, and nothing is fetched for it: "
                "send the picture itself, as data:image/png;base64,…"
            )
        return "".join(url[start.end() :].split())

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    def _refusal(self, what: str) -> UntranslatableError:
        return UntranslatableError(f"{self._peer}: {what}")
