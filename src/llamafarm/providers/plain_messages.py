"""Says the messages of a conversation in OpenAI's words where parts of them are in Anthropic's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import UntranslatableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Note = Callable[[str], None]

__all__ = ["plain_messages"]

_MARKS = frozenset(("cache_control", "citations"))
_TEXTS = ("text", "input_text", "output_text", "refusal")
_PARTS = frozenset(("text", "image_url", "file", "input_audio"))
_NOT_SAID = frozenset(("tool_use", "tool_result", "thinking", "redacted_thinking", "container_upload"))
_HISTORY = ("server_tool_use", "mcp_tool_use", "_tool_result")
"""How the types of blocks end in which the vendor ran a tool for an earlier answer; its text says what came of it."""
_MESSAGE = frozenset(("role", "content", "tool_calls", "tool_call_id", "reasoning_content", "is_error"))
_CALL = frozenset(("id", "type", "function"))
_UNNAMED = "document.pdf"


def plain_messages(
    messages: list[Any] | tuple[Any, ...], takes: frozenset[str], note: Note, *, closed: bool = False
) -> list[Any]:
    """Give the messages; pictures that tools gave follow behind the results, as a message of the user's.

    `takes` as `plain` has it. `closed`: nothing but OpenAI's words may remain, in the form that most targets read.
    Raises `UntranslatableError` for a part that OpenAI's format has no word for.
    """
    return _Conversation(takes, note, closed=closed).write(messages)


class _Conversation:
    """Messages on their way, and what waits to follow the results of tools."""

    __slots__ = ("_closed", "_note", "_shown", "_takes")

    def __init__(self, takes: frozenset[str], note: Note, *, closed: bool) -> None:
        self._takes = takes
        self._note = note
        self._closed = closed
        self._shown: list[dict[str, Any]] = []

    def write(self, messages: list[Any] | tuple[Any, ...]) -> list[Any]:
        plain: list[Any] = []
        for at, message in enumerate(messages):
            if not isinstance(message, dict):
                plain.append(message)
                continue
            if message.get("role") != "tool":
                plain += self._end_results()
            plain.append(self._message(message, f"messages[{at}]"))
        return plain + self._end_results()

    def _end_results(self) -> list[dict[str, Any]]:
        shown, self._shown = self._shown, []
        return [{"role": "user", "content": shown}] if shown else []

    def _message(self, message: dict[str, Any], place: str) -> dict[str, Any]:
        said = self._unmarked(message)
        content = said.get("content")
        if isinstance(content, list | tuple):
            said["content"] = [
                each for number, part in enumerate(content) for each in self._part(part, f"{place}.content[{number}]")
            ]
        thoughts = said.pop("thinking_blocks", None)
        if thoughts and not (said.get("reasoning_content") or said.get("reasoning")):
            texts = [block.get("thinking") for block in thoughts if isinstance(block, dict)]
            if text := "".join(text for text in texts if isinstance(text, str)):
                said["reasoning_content"] = text
        if said.get("role") == "tool" and "pictures" not in self._takes:
            said = self._shown_apart(said)
        if self._closed:
            said = {name: value for name, value in said.items() if name in _MESSAGE or name in self._takes}
            said["content"] = _as_text(said)
        if said.pop("is_error", None):
            said["content"] = _as_error(said.get("content"))
        calls = said.get("tool_calls")
        if isinstance(calls, list | tuple):
            said["tool_calls"] = [self._call(call) for call in calls]
        return said

    def _unmarked(self, part: Mapping[str, Any]) -> dict[str, Any]:
        for name in sorted(_MARKS - self._takes):
            if part.get(name):
                self._note(f"{name} of messages left out: only Anthropic has it")
        return {name: value for name, value in part.items() if name in self._takes or name not in _MARKS}

    def _call(self, call: Any) -> Any:
        if not isinstance(call, dict):
            return call
        custom = call.get("custom")
        if isinstance(custom, dict) and "custom" not in self._takes:
            arguments = msgspec.json.encode({"input": custom.get("input")}).decode()
            function = {"name": custom.get("name"), "arguments": arguments}
            return {"id": call.get("id"), "type": "function", "function": function}
        said = self._unmarked(call)
        return {name: said[name] for name in said if name in _CALL or name in self._takes} if self._closed else said

    def _part(self, part: Any, place: str) -> Iterator[Any]:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(kind, str):
            if self._closed:
                raise UntranslatableError(f"{place}: a part without a type is of Anthropic's own")
            yield part
        elif kind in ("image", "document") and isinstance(part.get("source"), dict):
            yield from self._sourced(self._unmarked(part), part["source"], place)
        elif kind == "search_result":
            yield self._found(self._unmarked(part), place)
        elif kind.endswith(_HISTORY) and kind not in _NOT_SAID:
            self._note("what the vendor's own tools did for earlier answers left out: only Anthropic has it")
        elif kind in _NOT_SAID or (self._closed and kind not in _PARTS):
            raise UntranslatableError(f"{place}: a part of the type {kind[:60]} is of Anthropic's own")
        else:
            said = self._unmarked(part)
            if self._closed:
                said = {name: value for name, value in said.items() if name in ("type", kind) or name in self._takes}
                if kind == "file":
                    if not isinstance(said.get("file"), dict):
                        raise UntranslatableError(f"{place}: a part of the type file holds no file")
                    said["file"] = {"filename": _UNNAMED, **said["file"]}
            yield said

    def _found(self, part: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Say what a search has found, with where it is from."""
        content = part.get("content")
        inner = [each for block in content for each in self._part(block, place)] if isinstance(content, list) else []
        texts = [part.get("title"), part.get("source"), *(each.get("text") for each in inner)]
        return {**self._marks(part), "type": "text", "text": "\n".join(text for text in texts if isinstance(text, str))}

    def _marks(self, part: Mapping[str, Any]) -> dict[str, Any]:
        return {name: part[name] for name in _MARKS & self._takes & part.keys()}

    def _sourced(self, part: Mapping[str, Any], source: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
        """Say a picture or document of Anthropic's."""
        kind, media, data = source.get("type"), source.get("media_type"), source.get("data")
        title = part.get("title") if isinstance(part.get("title"), str) else None
        marks = self._marks(part)
        if part["type"] == "image" and kind in ("base64", "url"):
            url = source.get("url") if kind == "url" else f"data:{media};base64,{data}"
            yield {"type": "image_url", "image_url": {"url": url}, **marks}
        elif kind == "text":
            yield {"type": "text", "text": f"{title}\n{data}" if title else f"{data}", **marks}
        elif kind == "content":
            content = source.get("content")
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            if not isinstance(blocks, list):
                raise UntranslatableError(f"{place}.source.content is no list of blocks")
            yield from (each for block in blocks for each in self._part(block, f"{place}.source.content"))
        elif kind == "base64" and media == "application/pdf":
            file = {"filename": title or _UNNAMED, "file_data": f"data:{media};base64,{data}"}
            yield {"type": "file", "file": file, **marks}
        else:
            what = f"{part['type']} with a source of the type {kind!r:.60}"
            raise UntranslatableError(f"{place}: {what} is of Anthropic's own")

    def _shown_apart(self, message: dict[str, Any]) -> dict[str, Any]:
        """Take what is no text out of a tool's result, for the message behind the results."""
        content = message.get("content")
        others = list(_others(content))
        if not others:
            return message
        self._note("pictures in the results of tools sent as a message of the user's: {model} takes only text there")
        texts = [part for part in content if part not in others] if isinstance(content, list) else []
        self._shown += [{"type": "text", "text": f"From the tool call {message.get('tool_call_id')}:"}, *others]
        return {**message, "content": [*texts, {"type": "text", "text": "(What it shows is in the next message.)"}]}


def _as_text(message: Mapping[str, Any]) -> Any:
    """Give what a model or a tool said as one text where it is no more than text: not all targets read a list."""
    content = message.get("content")
    if message["role"] not in ("assistant", "tool") or not isinstance(content, list):
        return content
    if any(part.keys() != {"type", "text"} for part in content):
        return content
    return ("\n" if message["role"] == "tool" else "").join(part["text"] for part in content)


def _as_error(content: Any) -> Any:
    if isinstance(content, list):
        return [{"type": "text", "text": "Error:"}, *content]
    return f"Error: {content or ''}".rstrip()


def _others(content: Any) -> Iterator[dict[str, Any]]:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") not in _TEXTS:
            yield part
