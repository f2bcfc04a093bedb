"""An upstream that answers from a script, in this process, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from llamafarm.errors import AttemptError, ResourceError, StreamCutError
from llamafarm.stages.verify import count_inputs
from llamafarm.types import Chunk, Operation, Status, ToolCall, Usage

if TYPE_CHECKING:
    import asyncio

    from llamafarm.types import Attempt, Target, Upstream

__all__ = ["FakeAnswer", "FakeProvider", "Script"]


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What a fake target says."""

    text: str = "Hello from a fake."
    pieces: int = 3
    """In how many pieces a stream gives the text."""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = "stop"
    """None: the answer is cut after its last piece."""
    usage: Usage | None = field(default_factory=lambda: Usage(input_tokens=9, output_tokens=5))
    error: AttemptError | ResourceError | None = None
    """Raised after `text`, in place of the finish reason."""
    hold: asyncio.Event | None = None
    """Nothing is said before this is set: a slow target without a clock."""


Script: TypeAlias = FakeAnswer | AttemptError | ResourceError | str
"""A whole answer, an error raised before any token, or just a text."""


class FakeProvider:
    """Satisfies `types.Upstream`.

    `answers` maps a target's name to what it says: one thing every time, or a list, one for each call, of which the
    last stays. A target that is not named says `default`.
    """

    def __init__(
        self,
        answers: Mapping[str, Script | Sequence[Script]] | None = None,
        default: Script = "Hello from a fake.",
    ) -> None:
        self.attempts: list[Attempt] = []
        """What was sent, in order."""
        self.left: list[str] = []
        """Names of the targets whose answer was closed before its end."""
        self.closed = False
        self._answers: dict[str, list[Script]] = {}
        for name, script in (answers or {}).items():
            several = isinstance(script, Sequence) and not isinstance(script, str)
            self._answers[name] = list(script) if several else [script]  # type: ignore[arg-type,list-item]
        self._default = default

    def _next(self, name: str) -> FakeAnswer | AttemptError | ResourceError:
        scripts = self._answers.get(name) or [self._default]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        return FakeAnswer(script) if isinstance(script, str) else script

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Answer from the script."""
        self.attempts.append(attempt)
        answer = self._next(attempt.target.name)
        if not isinstance(answer, FakeAnswer):
            raise answer
        if answer.hold is not None:
            await answer.hold.wait()
        return _FakeReply(self, attempt, answer)

    async def check(self, target: Target) -> Status:
        """Say that the target is there, or the error it would answer with next."""
        scripts = self._answers.get(target.name) or [self._default]
        if isinstance(scripts[0], AttemptError | ResourceError):
            return Status(ok=False, detail=str(scripts[0]))
        return Status(ok=True, detail="a fake answers", models=(target.model,))

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class _FakeReply:
    def __init__(self, provider: FakeProvider, attempt: Attempt, answer: FakeAnswer) -> None:
        self._provider = provider
        self._name = attempt.target.name
        self._ended = False
        embeds = attempt.call.operation is Operation.EMBEDDING
        self._cut = None if embeds else _end_of(answer, self._name)
        self._chunks = [_vectors(answer, attempt)] if embeds else _chunks(answer, attempt)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        if self._chunks:
            return self._chunks.pop(0)
        self._ended = True
        if self._cut is not None:
            raise self._cut
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if not self._ended:
            self._ended = True
            self._chunks.clear()
            self._provider.left.append(self._name)


def _end_of(answer: FakeAnswer, name: str) -> AttemptError | ResourceError | None:
    if answer.error is not None:
        return answer.error
    return None if answer.finish_reason else StreamCutError(f"fake ({name}) ended without a finish reason")


def _vectors(answer: FakeAnswer, attempt: Attempt) -> Chunk:
    count = count_inputs(attempt.body.get("input"))
    data = [{"object": "embedding", "index": place, "embedding": [0.6, 0.8]} for place in range(count)]
    return Chunk(msgspec.json.encode({"object": "list", "data": data}), usage=answer.usage)


def _chunks(answer: FakeAnswer, attempt: Attempt) -> list[Chunk]:
    whole = answer.error is None and answer.finish_reason is not None
    if not attempt.call.stream:
        if not whole:
            return []
        chunk = Chunk(b"", answer.text, tool_calls=answer.tool_calls)
        chunk.finish_reason, chunk.usage = answer.finish_reason, answer.usage
        return [_with_raw(chunk, attempt)]
    size = max(1, -(-len(answer.text) // max(1, answer.pieces)))
    chunks = [Chunk(text=answer.text[at : at + size]) for at in range(0, len(answer.text), size)]
    chunks += [Chunk(tool_calls=(call,)) for call in answer.tool_calls]
    if whole:
        chunks.append(Chunk(finish_reason=answer.finish_reason, usage=answer.usage))
    return [_with_raw(chunk, attempt) for chunk in chunks]


def _with_raw(chunk: Chunk, attempt: Attempt) -> Chunk:
    """Add the event an OpenAI-format server would have sent."""
    message: dict[str, Any] = {"role": "assistant", "content": chunk.text}
    if chunk.tool_calls:
        message["tool_calls"] = [
            {
                "index": call.index,
                "id": call.id,
                "type": call.kind,
                call.kind: {"name": call.name, "input" if call.kind == "custom" else "arguments": call.arguments},
            }
            for call in chunk.tool_calls
        ]
    part, kind = ("delta", "chat.completion.chunk") if attempt.call.stream else ("message", "chat.completion")
    body: dict[str, Any] = {
        "id": f"chatcmpl-{attempt.call.id}",
        "object": kind,
        "created": 0,
        "model": attempt.target.model,
        "choices": [{"index": 0, part: message, "finish_reason": chunk.finish_reason}],
    }
    if chunk.usage is not None:
        body["usage"] = {
            "prompt_tokens": chunk.usage.input_tokens,
            "completion_tokens": chunk.usage.output_tokens,
            "total_tokens": chunk.usage.input_tokens + chunk.usage.output_tokens,
        }
    chunk.raw = msgspec.json.encode(body)
    return chunk


if TYPE_CHECKING:
    _: Upstream = FakeProvider()
