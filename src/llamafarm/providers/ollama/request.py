"""Writes a request in Ollama's own format: which of its paths is asked, and with what body."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llamafarm.errors import UntranslatableError
from llamafarm.providers.ollama.messages import Conversation
from llamafarm.providers.ollama.options import format_of, note_left_out, options_of, think_of, tools_of
from llamafarm.providers.plain import plain_body
from llamafarm.types import Operation

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer
    from llamafarm.types import Attempt

__all__ = ["request_of"]

_OWN_WORDS = frozenset({"efforts", "keep_alive", "none", "options", "pictures", "think"})
"""What `plain_body` leaves as it is."""
_CHAT = frozenset({"messages", "tools", "tool_choice", "functions", "function_call"})
_COMPLETION = frozenset({"prompt", "suffix", "raw"})
_EMBEDDING = frozenset({"input", "dimensions", "encoding_format"})


def request_of(attempt: Attempt, peer: Peer, *, streamed: bool) -> tuple[str, dict[str, Any]]:
    """Give the path and the body; what could not be said in it is noted in `attempt.notes`.

    A prompt that does not fit is always to be refused (`truncate`, `shift`): cut silently, it would be answered as if
    it had been read. Raises `UntranslatableError` for what Ollama has no way to do.
    """
    attempt = replace(attempt, body=plain_body(attempt, _OWN_WORDS, peer))
    match attempt.call.operation:
        case Operation.CHAT:
            return "api/chat", _chat(attempt, peer, streamed=streamed)
        case Operation.COMPLETION:
            return "api/generate", _completion(attempt, peer, streamed=streamed)
        case Operation.EMBEDDING:
            return "api/embed", _embedding(attempt, peer)
        case _:
            raise UntranslatableError(f"{peer}: Ollama is not asked for pictures")


def _chat(attempt: Attempt, peer: Peer, *, streamed: bool) -> dict[str, Any]:
    body, notes = attempt.body, attempt.notes
    messages = Conversation(peer, notes).write(body.get("messages"))
    if attempt.beginning:
        _begin(messages, attempt.beginning)
    request = {**_common(attempt, peer, streamed=streamed), "messages": messages}
    tools = tools_of(body, peer, notes)
    if tools:
        request["tools"] = tools
    think = think_of(body, notes)
    if think is not None:
        request["think"] = think
    if body.get("logprobs"):
        request["logprobs"] = True
        if body.get("top_logprobs") is not None:
            request["top_logprobs"] = body["top_logprobs"]
    note_left_out(body, _CHAT, notes)
    return request


def _begin(messages: list[dict[str, Any]], beginning: str) -> None:
    """Have the model go on from a beginning: it does from a last message of its own."""
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant" and "tool_calls" not in last:
        last["content"] += beginning
    else:
        messages.append({"role": "assistant", "content": beginning})


def _completion(attempt: Attempt, peer: Peer, *, streamed: bool) -> dict[str, Any]:
    body, notes = attempt.body, attempt.notes
    prompt = body.get("prompt")
    if isinstance(prompt, list | tuple) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise UntranslatableError(f"{peer}: Ollama completes one text a request; send each prompt on its own, as text")
    request = {**_common(attempt, peer, streamed=streamed), "prompt": prompt + attempt.beginning}
    if body.get("suffix"):
        request["suffix"] = body["suffix"]  # where to put it, only the model's template knows
    else:
        # Without this the prompt would be sent as a user's message, and answered instead of continued.
        request["raw"] = body.get("raw") is not False
    if body.get("reasoning_effort") is not None or body.get("think") is not None:
        notes.append("a text is completed without reasoning: reasoning_effort was left out")
    if body.get("logprobs"):
        request["logprobs"] = True
        if body["logprobs"] is not True:
            request["top_logprobs"] = body["logprobs"]
    note_left_out(body, _COMPLETION, notes)
    return request


def _embedding(attempt: Attempt, peer: Peer) -> dict[str, Any]:
    body = attempt.body
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise UntranslatableError(f"{peer}: Ollama embeds texts, and the request's input is something else")
    request = {
        "model": body["model"],
        "input": texts,
        "truncate": False,
        "options": options_of(body, attempt.target, peer, attempt.notes),
    }
    for name in ("dimensions", "keep_alive"):
        if body.get(name) is not None:
            request[name] = body[name]
    note_left_out(body, _EMBEDDING, attempt.notes)
    return request


def _common(attempt: Attempt, peer: Peer, *, streamed: bool) -> dict[str, Any]:
    body = attempt.body
    for name in ("n", "best_of"):
        if body.get(name) not in (None, 1):
            raise UntranslatableError(f"{peer}: Ollama gives one answer a request, and {name} is {body[name]!r:.20}")
    request: dict[str, Any] = {
        "model": body["model"],
        "stream": streamed,
        "truncate": False,
        "shift": False,
        "options": options_of(body, attempt.target, peer, attempt.notes),
    }
    wanted = format_of(body, peer)
    if wanted is not None:
        request["format"] = wanted
    if body.get("keep_alive") is not None:
        request["keep_alive"] = body["keep_alive"]
    return request
