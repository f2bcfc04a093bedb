"""A strategy come alive: built without I/O, opened and closed, asked in one way from async and other code."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack
from weakref import WeakSet
from zoneinfo import ZoneInfo

from llamafarm import planning
from llamafarm.errors import BadCallError, ClosedError
from llamafarm.farm.answers import AnswerStream, Embeddings, embeddings_of, gather
from llamafarm.farm.counters import Counters
from llamafarm.farm.locate import find_file, find_strategy
from llamafarm.farm.messages import as_text, listed, messages_of
from llamafarm.farm.options import Options, make_call
from llamafarm.farm.pictures import Image, Images, fetched, images_of
from llamafarm.farm.thread import LoopThread
from llamafarm.farm.upstreams import Upstreams, dialects
from llamafarm.hardware import UNPROBED, Hardware, probe
from llamafarm.health import Health
from llamafarm.pipeline import compose
from llamafarm.planning.money import FREE
from llamafarm.types import Call, Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llamafarm.models import Progress
    from llamafarm.reply import Reply
    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import Answer, NextStage, Places, Sink, Status, Target, Upstream

__all__ = ["Farm"]

T = TypeVar("T")


class Farm:
    """One strategy, ready to answer.

    Opened by ``async with`` (or ``with``, in code without an event loop; then `run` and `iterate` carry out what the
    methods give). Building it connects to nothing; models load and connections open when they are first needed. All
    methods may be called concurrently.

    Failures are `LlamaFarmError`s: a `RefusedError` where nothing was sent, `AllFailedError` with every attempt where
    all targets failed, `StreamCutError` where a stream broke after its first token.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        environment: Mapping[str, str] | None = None,
        upstreams: Mapping[str, Upstream] | None = None,
        sinks: Iterable[Sink] = (),
        hardware: Hardware | None = None,
        health: Health | None = None,
        places: Places | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Build it; `upstreams` (by dialect), `hardware` and `environment` stand in for the real ones.

        `places` counts the strategy's `parallel_requests` where other processes serve it, too.
        Given upstreams may be shared by several farms, and are closed by whoever made them.
        """
        self.strategy = strategy
        environment = os.environ if environment is None else environment
        own = Upstreams(strategy.constraints.privacy_mode, progress)
        self._owned = own if upstreams is None else None
        self._upstreams: Mapping[str, Upstream] = own if upstreams is None else upstreams
        self.routing = planning.resolve(
            strategy, environment, dialects() if upstreams is None else upstreams, hardware or _machine(strategy)
        )
        self.health = Health() if health is None else health
        """What is known of its targets; one may be shared by several farms."""
        self._places = places
        self._sinks = tuple(sinks)
        self._counters = Counters(environment)
        self._turn = 0
        self._timezone = UTC if strategy.timezone == "UTC" else ZoneInfo(strategy.timezone)
        self._pipeline: NextStage | None = None
        self._thread: LoopThread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._replies: WeakSet[Reply] = WeakSet()
        """What is being read, or forgotten: closed with the farm, so that each is settled and reported."""
        self._sending: set[asyncio.Task[Any]] = set()
        """Who waits for a first token: told, when the farm closes, that there will be none."""
        self._sent = asyncio.Event()

    @classmethod
    def load(cls, file: str | Path | None = None, *, strategy: str | None = None, **options: Any) -> Self:
        """Load a strategy and build it; `options` are those of the constructor.

        Without `file`: ``LLAMAFARM_STRATEGIES``, else ``./strategies.yaml``, else the shipped ones. Without
        `strategy`: the file's first, of the shipped ones ``local_development``. Raises ConfigError.
        """
        environment = options.get("environment")
        environment = os.environ if environment is None else environment
        _, found = find_strategy(find_file(file, environment), strategy, environment)
        return cls(found, **options)

    # Opening and closing

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._pipeline = compose(
            self.routing, self._upstreams, self._sinks, self._snapshot, self.health, places=self._places
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the requests that are not at their end, close connections, let go of models. Safe to call twice."""
        self._pipeline = None
        try:
            for task in self._sending:
                task.cancel()
            while self._sending:
                self._sent.clear()
                await self._sent.wait()
            for reply in list(self._replies):
                await reply.aclose()
        finally:
            if self._owned is not None:
                await self._owned.aclose()

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        return self.run(self.__aenter__())

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            thread, self._thread = self._thread, None
            try:
                thread.run(self.aclose())
            finally:
                thread.stop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out what an async method gave, where there is no event loop: ``farm.run(farm.generate("…"))``."""
        if self._thread is None:
            coroutine.close()
            raise self._not_for_run("await farm.generate(…)", "farm.run(farm.generate(…))")
        return self._thread.run(coroutine)

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """Iterate over a stream where there is no event loop: ``for chunk in farm.iterate(farm.stream("…"))``."""
        if self._thread is None:
            raise self._not_for_run("async for chunk in farm.stream(…)", "farm.iterate(farm.stream(…))")
        return self._thread.iterate(source)

    def _not_for_run(self, right: str, wrong: str) -> BadCallError:
        if self._pipeline is not None:
            return BadCallError(f"this farm was opened with `async with`: write {right} instead of {wrong}")
        return BadCallError("open the farm first: with Farm.load(…) as farm: …")

    # Asking

    async def generate(
        self,
        prompt: str,
        *,
        system: str | None = None,
        images: Sequence[str | Path] = (),
        **options: Unpack[Options],
    ) -> Answer:
        """Answer one prompt; `images` are paths or URLs."""
        return await self.chat(messages_of(prompt, system=system, images=images), **options)

    async def chat(self, messages: Sequence[Mapping[str, Any]], **options: Unpack[Options]) -> Answer:
        """Answer a conversation in OpenAI's message format."""
        return await self.ask(make_call({"messages": listed("messages", "message", messages)}, options))

    def stream(
        self,
        prompt: str | Sequence[Mapping[str, Any]],
        *,
        system: str | None = None,
        images: Sequence[str | Path] = (),
        **options: Unpack[Options],
    ) -> AnswerStream:
        """Answer a prompt, or a conversation in OpenAI's message format, chunk by chunk."""
        if isinstance(prompt, str):
            messages = messages_of(prompt, system=system, images=images)
        elif system is None and not images:
            messages = listed("the prompt", "message", prompt)
        else:
            raise BadCallError("system and images go with a prompt: put them into the messages of a conversation")
        return AnswerStream(make_call({"messages": messages}, options, stream=True), self.send)

    async def complete(self, prompt: str, **options: Unpack[Options]) -> Answer:
        """Continue one text (OpenAI's legacy completions, which base models understand)."""
        content = {"prompt": as_text("the prompt", prompt)}
        return await self.ask(make_call(content, options, operation=Operation.COMPLETION))

    async def embed(self, texts: Sequence[str], **options: Unpack[Options]) -> Embeddings:
        """Give a vector for each text, in order. Raises BadCallError where a text is empty, or `texts` is one text."""
        given = [as_text("a text to embed", text) for text in listed("texts", "text", texts)]
        if not given or not all(given):
            raise BadCallError("there is an empty text, or none, to embed")
        return embeddings_of(await self.ask(make_call({"input": given}, options, operation=Operation.EMBEDDING)))

    async def image(self, prompt: str, **options: Unpack[Options]) -> Images:
        """Make pictures of a prompt (`n` of them). Raises BadCallError where it is empty."""
        if not as_text("the prompt", prompt).strip():
            raise BadCallError("the prompt is empty")
        answer = await self.ask(make_call({"prompt": prompt}, options, operation=Operation.IMAGE))
        asked = self.routing.named.get(answer.target)
        return images_of(answer, free=asked is not None and asked.price == FREE)

    async def picture(self, image: Image) -> bytes:
        """Give a picture's file, fetched where only its address came; under `local_only` from this machine alone.

        Raises BadReplyError where what came, or what is at the address, is no picture, ConnectError where it cannot be
        fetched, and BlockedError where it may not be.
        """
        if image.url is None or image.b64_json is not None or self._owned is None:
            return image.decoded()
        return await fetched(self._owned.transport, image.url)

    # What the above stand on

    async def send(self, call: Call) -> Reply:
        """Send a call through the pipeline; the reply has its first token in and must be read or closed."""
        if self._pipeline is None:
            raise BadCallError("open the farm first: async with Farm.load(…) as farm: …")
        if asyncio.get_running_loop() is not self._loop:
            raise BadCallError(
                "this farm belongs to another event loop: open it with `async with` in this one,"
                " or, where it was opened with a plain `with`, write farm.run(farm.generate(…))"
            )
        reply = await self._first_token(call, self._pipeline)
        self._replies.add(reply)
        return reply

    async def _first_token(self, call: Call, pipeline: NextStage) -> Reply:
        task = asyncio.current_task()
        if task is None:
            raise BadCallError("a farm is asked from within a task of its event loop")
        self._sending.add(task)
        try:
            return await pipeline(call)
        except asyncio.CancelledError:
            if self._pipeline is None and task.uncancel() == 0:  # `aclose` cancelled it, and nobody else
                raise ClosedError("the farm was closed while this request waited for its answer") from None
            raise
        finally:
            self._sending.discard(task)
            self._sent.set()

    async def ask(self, call: Call) -> Answer:
        """Send a call and gather its whole answer."""
        return await gather(call, await self.send(call))

    def explain(self, call: Call) -> planning.Explanation:
        """Say where a call (`make_call`) would go and why, sending nothing."""
        if not isinstance(call, Call):
            raise BadCallError("explain takes a call: make one with llamafarm.farm.make_call(…)")
        return planning.explain(self.routing, call, replace(self._snapshot(), turn=lambda: self._turn))

    async def check(self, target: Target) -> Status:
        """Ask a target whether it could serve now; sends no prompt."""
        return await self._upstreams[target.dialect].check(target)

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn - 1

    def _snapshot(self) -> planning.Snapshot:
        return planning.Snapshot(
            now=datetime.now(self._timezone),
            figures=self.health.figures,
            turn=self._next_turn,
            draw=random.random(),  # noqa: S311 - spreads requests, guards nothing
            counter=self._counters,
        )


def _machine(strategy: Strategy) -> Hardware:
    """Look for a GPU, but only where the strategy asks for one: it takes a while."""
    constraints = strategy.constraints
    if constraints.requires_gpu or constraints.min_gpu_memory is not None:
        return probe()
    return UNPROBED
