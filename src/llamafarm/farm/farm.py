"""A strategy come alive: built without I/O, opened and closed, asked in one way from async and other code."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack
from zoneinfo import ZoneInfo

from llamafarm import planning
from llamafarm.errors import BadCallError
from llamafarm.farm.answers import AnswerStream, Embeddings, gather, vectors_of
from llamafarm.farm.locate import find_file, find_strategy
from llamafarm.farm.messages import messages_of
from llamafarm.farm.options import Options, make_call
from llamafarm.farm.thread import LoopThread
from llamafarm.farm.upstreams import Upstreams, dialects
from llamafarm.hardware import UNPROBED, Hardware, probe
from llamafarm.pipeline import compose
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from llamafarm.models import Progress
    from llamafarm.reply import Reply
    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import Answer, Call, NextStage, Sink, Status, Target, Upstream

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
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Build it; `upstreams` (by dialect), `hardware` and `environment` stand in for the real ones."""
        self.strategy = strategy
        environment = os.environ if environment is None else environment
        self._upstreams: Mapping[str, Upstream] = Upstreams(strategy, progress) if upstreams is None else upstreams
        self.routing = planning.resolve(
            strategy, environment, dialects() if upstreams is None else upstreams, hardware or _machine(strategy)
        )
        self._sinks = tuple(sinks)
        self._timezone = UTC if strategy.timezone == "UTC" else ZoneInfo(strategy.timezone)
        self._pipeline: NextStage | None = None
        self._thread: LoopThread | None = None

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
        self._pipeline = compose(self.routing, self._upstreams, self._sinks, self._snapshot)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections and let go of loaded models. Safe to call twice."""
        self._pipeline = None
        if isinstance(self._upstreams, Upstreams):
            await self._upstreams.aclose()

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        return self.run(self.__aenter__())

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self.run(self.aclose())
            self._thread.stop()
            self._thread = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Carry out what an async method gave, where there is no event loop: ``farm.run(farm.generate("…"))``."""
        if self._thread is None:
            coroutine.close()
            raise BadCallError("open the farm first: with Farm.load(…) as farm: …")
        return self._thread.run(coroutine)

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """Iterate over a stream where there is no event loop: ``for chunk in farm.iterate(farm.stream("…"))``."""
        if self._thread is None:
            raise BadCallError("open the farm first: with Farm.load(…) as farm: …")
        return self._thread.iterate(source)

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
        return await self.ask(make_call({"messages": list(messages)}, options))

    def stream(
        self,
        prompt: str | Sequence[Mapping[str, Any]],
        *,
        system: str | None = None,
        images: Sequence[str | Path] = (),
        **options: Unpack[Options],
    ) -> AnswerStream:
        """Answer a prompt, or a conversation in OpenAI's message format, chunk by chunk."""
        messages = messages_of(prompt, system=system, images=images) if isinstance(prompt, str) else list(prompt)
        return AnswerStream(make_call({"messages": messages}, options, stream=True), self.send)

    async def complete(self, prompt: str, **options: Unpack[Options]) -> Answer:
        """Continue a text (OpenAI's legacy completions, which base models understand)."""
        return await self.ask(make_call({"prompt": prompt}, options, operation=Operation.COMPLETION))

    async def embed(self, texts: Sequence[str], **options: Unpack[Options]) -> Embeddings:
        """Give a vector for each text, in order. Raises BadCallError where a text is empty, or `texts` is one text."""
        if isinstance(texts, str):
            raise BadCallError("embed takes a list of texts: put the one text into a list")
        if not texts or not all(texts):
            raise BadCallError("there is an empty text, or none, to embed")
        call = make_call({"input": list(texts)}, options, operation=Operation.EMBEDDING)
        answer = await self.ask(call)
        return Embeddings(
            vectors=vectors_of(answer, len(texts)),
            usage=answer.usage,
            strategy=answer.strategy,
            target=answer.target,
            model=answer.model,
            cost_usd=answer.cost_usd,
            attempts=answer.attempts,
        )

    # What the above stand on

    async def send(self, call: Call) -> Reply:
        """Send a call through the pipeline; the reply has its first token in and must be read or closed."""
        if self._pipeline is None:
            raise BadCallError("open the farm first: async with Farm.load(…) as farm: …")
        return await self._pipeline(call)

    async def ask(self, call: Call) -> Answer:
        """Send a call and gather its whole answer."""
        return await gather(call, await self.send(call))

    def explain(self, call: Call) -> planning.Explanation:
        """Say where a call (`make_call`) would go and why, sending nothing."""
        return planning.explain(self.routing, call, self._snapshot())

    async def check(self, target: Target) -> Status:
        """Ask a target whether it could serve now; sends no prompt."""
        return await self._upstreams[target.dialect].check(target)

    def _snapshot(self) -> planning.Snapshot:
        return planning.Snapshot(now=datetime.now(self._timezone))


def _machine(strategy: Strategy) -> Hardware:
    """Look for a GPU, but only where the strategy asks for one: it takes a while."""
    constraints = strategy.constraints
    if constraints.requires_gpu or constraints.min_gpu_memory is not None:
        return probe()
    return UNPROBED
