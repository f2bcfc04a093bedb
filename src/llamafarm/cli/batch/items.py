"""Decides what a line of a batch's input asks."""

from __future__ import annotations

import difflib
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadCallError
from llamafarm.farm import Options, make_call
from llamafarm.farm.messages import messages_of
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.cli.batch.lines import Form, Line
    from llamafarm.types import Call

__all__ = ["UNFIT", "Items"]

UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What values that nobody has thought of make Python raise; one line's must not end a run of many."""

_OPERATIONS = {
    "/v1/chat/completions": Operation.CHAT,
    "/v1/completions": Operation.COMPLETION,
    "/v1/embeddings": Operation.EMBEDDING,
}
_OWN_KEYS = ("id", "prompt", "messages", "system", "images", "params")
_KEYS = (*_OWN_KEYS, *sorted(set(Options.__annotations__) - {"extra_body", "suffix"}))
_TAKEN = {
    "messages": "it stands beside `params`",
    "prompt": "it stands beside `params`",
    "input": "texts to embed go in a line with `url` and `body`",
    "model": "it stands beside `params`",
    "stream": "a line's answer is written when it is whole",
}
"""Fields of a request that are not set by `params`, and why."""
_FOREIGN_KEYS = ("custom_id", "method", "url", "body")


class Items:
    """Makes calls of lines; a line's own words win over what the command line says for all."""

    def __init__(
        self, name: str, form: Form, options: Mapping[str, Any], system: str | None, *, asked: Sequence[str] = ()
    ) -> None:
        """Begin; `asked` is the strategy that they go to: the name of its file and its own."""
        self._name = name
        self._form = form
        self._options = options
        self._system = system
        self._common = msgspec.json.encode((options, system, asked), order="deterministic")

    def fingerprint(self, line: Line) -> int:
        """Give what tells an input line, asked in this way, from any other: 64 bits, never 0."""
        digest = blake2b(line.content, digest_size=8, key=blake2b(self._common, digest_size=32).digest())
        return int.from_bytes(digest.digest(), "big") or 1

    def name_of(self, line: Line) -> str | int | None:
        """Give the id that a line gives itself, where it can be read."""
        if self._form == "txt":
            return None
        try:
            given = self._object(line)
        except BadCallError:
            return None
        found = given.get("custom_id", given.get("id"))
        return found if isinstance(found, str | int) and not isinstance(found, bool) else None

    def call(self, line: Line) -> Call:
        """Make the call; raises BadCallError, with file and line, where the line makes no sense."""
        if self._form == "txt":
            return make_call({"messages": messages_of(line.text(self._name), system=self._system)}, self._options)
        given = self._object(line)
        try:
            call = self._foreign(given) if "body" in given else self._own(given)
            _check_one_answer(call.body)
        except BadCallError as error:
            raise BadCallError(f"{self._name}:{line.number}: {error}") from error
        except UNFIT as error:
            raise BadCallError(f"{self._name}:{line.number}: no request can be made of it: {error}") from error
        return call

    def _object(self, line: Line) -> dict[str, Any]:
        where = f"{self._name}:{line.number}"
        try:
            given = msgspec.json.decode(line.text(self._name))
        except msgspec.DecodeError as error:
            raise BadCallError(f"{where}: not JSON: {error}") from error
        except RecursionError as error:
            raise BadCallError(f"{where}: nested too deeply") from error
        if not isinstance(given, dict):
            raise BadCallError(f"{where}: expected an object with `prompt` or `messages`")
        return given

    def _own(self, given: Mapping[str, Any]) -> Call:
        _refuse_unknown(given, _KEYS)
        own = {name: value for name, value in given.items() if name not in _OWN_KEYS}
        params = given.get("params", {})
        if not isinstance(params, dict):
            raise BadCallError("`params` is not an object")
        if taken := next((key for key in params if key in _TAKEN), None):
            raise BadCallError(f"`params` can't hold `{taken}`: {_TAKEN[taken]}")
        options = {**self._options, **own}
        options["extra_body"] = {**self._options.get("extra_body", {}), **params}
        return make_call({"messages": self._messages(given)}, _checked(options))

    def _messages(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        prompt, messages = given.get("prompt"), given.get("messages")
        system = given.get("system", self._system)
        if system is not None and not isinstance(system, str):
            raise BadCallError("`system` is not a text")
        if (prompt is None) == (messages is None):
            raise BadCallError("expected either `prompt` or `messages`")
        if messages is None:
            images = given.get("images", [])
            if not isinstance(prompt, str):
                raise BadCallError("`prompt` is not a text")
            if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
                raise BadCallError("`images` is not a list of paths and URLs")
            return messages_of(prompt, system=system, images=images)
        _check_messages(messages)
        if system is not None and not any(message.get("role") == "system" for message in messages):
            return [{"role": "system", "content": system}, *messages]
        found: list[dict[str, Any]] = messages
        return found

    def _foreign(self, given: Mapping[str, Any]) -> Call:
        """Read a line in the format of OpenAI's batch files."""
        _refuse_unknown(given, _FOREIGN_KEYS)
        url = given.get("url", "/v1/chat/completions")
        operation = _OPERATIONS.get(url) if isinstance(url, str) else None
        if operation is None:
            raise BadCallError(f"`url` is {url!r}: expected one of {', '.join(_OPERATIONS)}")
        if given.get("method", "POST") != "POST":
            raise BadCallError("`method` is not POST")
        body = given["body"]
        if not isinstance(body, dict):
            raise BadCallError("`body` is not an object")
        content = {name: value for name, value in body.items() if name not in ("model", "stream", "stream_options")}
        wanted = {Operation.CHAT: "messages", Operation.COMPLETION: "prompt", Operation.EMBEDDING: "input"}[operation]
        if not content.get(wanted):
            raise BadCallError(f"`body` has no `{wanted}`")
        if operation is Operation.CHAT:
            _check_messages(content["messages"])
        kept = ("model", "tags") if operation is Operation.EMBEDDING else tuple(self._options)
        options = {name: value for name, value in self._options.items() if name in kept and name not in content}
        if "model" in body:
            options["model"] = body["model"]
        return make_call(content, _checked(options), operation=operation)


def _check_one_answer(body: Mapping[str, Any]) -> None:
    """Refuse what would be answered, and billed, more often than a line of the output can hold."""
    for name in ("n", "best_of"):
        if body.get(name, 1) not in (None, 1):
            raise BadCallError(f"`{name}` is {body[name]!r}, but a line has one answer: repeat the line instead")
    prompt = body.get("prompt")
    of_tokens = isinstance(prompt, list) and all(isinstance(token, int) for token in prompt)
    if isinstance(prompt, list) and not of_tokens and len(prompt) > 1:
        raise BadCallError(f"`prompt` holds {len(prompt)} prompts, but a line has one answer: give each a line")


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise BadCallError("`messages` is not a list of messages")


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(options.get("model", ""), str):
        raise BadCallError("`model` is not a text")
    return options


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "further fields of the request go under `params`"
            raise BadCallError(f"unknown key `{key}`: {hint}")
