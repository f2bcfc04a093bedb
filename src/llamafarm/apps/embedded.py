"""The embedded engine as an upstream: llama.cpp in this process, for `llamacpp` with ``engine: embedded``.

A request waits for its model (fetched where that is allowed, loaded once for all) and for its turn, then its events
come from a thread. Waiting for the model moves the attempt's deadline; waiting for the turn does not. The first token's
own limit counts from the turn.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from llamafarm.apps.embedded_stream import EngineStream
from llamafarm.apps.engine import Engine, EngineSettings, installed
from llamafarm.continuing import Continued, with_beginning, without_trailing_space
from llamafarm.errors import AttemptTimeoutError, BadRequestError, LlamaFarmError, UntranslatableError
from llamafarm.models.files import megabytes, off_loop
from llamafarm.models.progress import silent
from llamafarm.providers.plain import UNKNOWN, plain_body
from llamafarm.types import Operation, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from llamafarm.apps.generation import Event
    from llamafarm.models.model_file import ModelFile
    from llamafarm.models.progress import Report
    from llamafarm.models.store import ModelStore
    from llamafarm.spec.components import AppConfig
    from llamafarm.types import Attempt, Chunk, Target

__all__ = ["Embedded"]

_NOT_READY = "not ready in time: it goes on loading; `llamafarm pull {}` fetches it beforehand"
_BUSY = "busy with other requests until its time was up"
T = TypeVar("T")
_Key = tuple["ModelFile", object, bool]


class Embedded:
    """Answers with models loaded into this process; for one event loop.

    `progress` hears how fetching goes. Without `download` nothing is ever fetched, whatever the strategy file says.
    """

    def __init__(self, store: ModelStore, *, progress: Report | None = None, download: bool = True) -> None:
        self._store = store
        self._progress = progress or silent
        self._download = download
        self._engines: dict[_Key, asyncio.Task[Engine]] = {}
        self._loaded: list[Engine] = []
        # Native code must not be running when the interpreter is torn down, even if nobody called aclose.
        self._at_exit = weakref.finalize(self, _free, self._loaded)

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Wait for the model and for its turn, begin, and return once the engine has taken the request on."""
        target, operation = attempt.target, attempt.call.operation
        body = _body(attempt)
        engine = await self._ready(attempt)
        _check(body, engine, target, operation)
        await _within(attempt, engine.slot.acquire(), _BUSY)
        try:
            generation = engine.start(operation, body)
        except BaseException:
            engine.slot.release()
            raise
        stream = EngineStream(generation, attempt)
        try:
            await stream.accepted()
        except BaseException:
            await stream.aclose()
            raise
        if not attempt.beginning:
            return stream
        given, cut = without_trailing_space(attempt.beginning)
        return Continued(stream, given, cut=cut)

    async def _ready(self, attempt: Attempt) -> Engine:
        """Wait for the model.

        Nothing is left but to wait where no other target remains: then fetching and loading have their own patience,
        and the request's deadline moves. Else the next target is tried in time, and the model comes meanwhile.
        """
        waiting = self._engine(attempt.target, attempt.call.operation)
        if not attempt.last:
            return await _within(attempt, waiting, _NOT_READY)
        began = time.monotonic()
        engine = await waiting
        waited = time.monotonic() - began
        attempt.deadline += waited
        attempt.call.waited += waited
        return engine

    async def prepare(self, target: Target, operation: Operation = Operation.CHAT) -> None:
        """Fetch and load what a target needs, however long that takes: a request's deadline is not meant for it."""
        await self._engine(target, operation)

    async def _engine(self, target: Target, operation: Operation) -> Engine:
        config: AppConfig | None = target.settings
        model = await off_loop(lambda: self._store.resolve(target.model, config))
        embedding = operation is Operation.EMBEDDING
        wanted = config and (config.context_size, config.gpu_layers, config.cpu_threads)
        key = (model, wanted, embedding)
        task = self._engines.get(key)
        if task is None:
            task = self._engines[key] = asyncio.create_task(self._load(model, config, embedding=embedding))
            task.add_done_callback(lambda done: self._forget_failure(key, done))
        # Not cancelled with the request: others wait for it, too, and the next one will.
        return await asyncio.shield(task)

    async def _load(self, model: ModelFile, config: AppConfig | None, *, embedding: bool) -> Engine:
        path = await self._store.ensure(model, self._progress, download=self._download and model.pull)
        settings = EngineSettings(path, embedding)
        if config is not None:
            settings = EngineSettings(path, embedding, config.context_size, config.gpu_layers, config.cpu_threads)
        proven = model.sha256 is not None or self._store.is_proven(path)
        engine = await off_loop(lambda: Engine.load(settings, proven=proven))
        self._loaded.append(engine)
        self._store.prove(path)
        return engine

    async def check(self, target: Target) -> Status:
        """Tell whether the library and the model's file are there, or could be fetched. Loads nothing."""
        if not installed():
            return Status(ok=False, detail="not installed: run pip install 'llamafarm[embedded]'")
        try:
            model = self._store.resolve(target.model, target.settings)
            path = await off_loop(lambda: self._store.find(model))
        except LlamaFarmError as error:
            return Status(ok=False, detail=str(error))
        if path is not None:
            return Status(ok=True, detail=f"model file {path}", models=(target.model,))
        if self._download and model.pull:
            size = f" ({megabytes(model.size)})" if model.size else ""
            return Status(ok=True, detail=f"{target.model} will be fetched at first use{size}", models=(target.model,))
        return Status(ok=False, detail=f"{target.model} is not on this machine: run `llamafarm pull {target.model}`")

    async def aclose(self) -> None:
        """Stop what runs, fetches and loads, and free the memory."""
        tasks, self._engines = list(self._engines.values()), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        engines, self._loaded[:] = list(self._loaded), []
        for engine in engines:
            await off_loop(engine.close)

    def _forget_failure(self, key: _Key, task: asyncio.Task[Engine]) -> None:
        """Let the next request try again; also, nobody may be left who would look at the failure."""
        if (task.cancelled() or task.exception() is not None) and self._engines.get(key) is task:
            del self._engines[key]


def _free(engines: list[Engine]) -> None:
    while engines:
        engines.pop().close()


async def _within(attempt: Attempt, waiting: Awaitable[T], what: str) -> T:
    target = attempt.target
    try:
        async with asyncio.timeout(max(attempt.deadline - time.monotonic(), 0.0)):
            return await waiting
    except TimeoutError as error:
        raise AttemptTimeoutError(f"{target.name} ({target.model}): {what.format(target.model)}") from error


def _body(attempt: Attempt) -> Event:
    """Give what the engine is asked: always a stream, and with signs of life while it reads a long prompt."""
    try:
        said = plain_body(attempt, UNKNOWN, attempt.target.name)
        body: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(said))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(f"{attempt.target.name}: the request cannot be written as JSON: {error}") from error
    body.pop("model", None)
    if attempt.beginning:
        _begin(body, attempt)
    if attempt.call.operation is not Operation.EMBEDDING:
        body |= {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
    return body


def _begin(body: Event, attempt: Attempt) -> None:
    """Have the engine go on from the beginning of an answer. It repeats nothing of it (as of 2026-11)."""
    # Where the next token would begin with a space, one at the end leads a small model astray.
    beginning, _ = without_trailing_space(attempt.beginning)
    if attempt.call.operation is Operation.CHAT:
        messages = body.get("messages") or []
        if beginning and messages and messages[-1].get("role") == "assistant":
            messages[-1]["content"] = with_beginning(messages[-1].get("content"), beginning)
        elif beginning:
            messages.append({"role": "assistant", "content": beginning})
        body["messages"] = messages
    elif isinstance(body.get("prompt"), str):
        body["prompt"] += beginning
    else:
        who = f"{attempt.target.name} ({attempt.target.model})"
        raise UntranslatableError(f"{who} goes on from a beginning only where the prompt is one text")


def _check(body: Event, engine: Engine, target: Target, operation: Operation) -> None:
    """Refuse what the engine would leave out without a word."""
    who = f"{target.name} ({target.model})"
    tools = (body.get("tools") or body.get("functions")) and body.get("tool_choice") != "none"
    if operation is Operation.CHAT and tools and not engine.header.knows_tools:
        raise UntranslatableError(
            f"{who} cannot call tools: its chat template has no place for them; use another model"
        )
    size = body.get("dimensions")
    if operation is Operation.EMBEDDING and size not in (None, engine.header.embedding_length):
        raise UntranslatableError(f"{who} gives {engine.header.embedding_length} dimensions, asked for are {size}")
