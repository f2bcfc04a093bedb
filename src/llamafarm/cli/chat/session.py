"""A running chat: who is asked what, and what it has cost so far."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from llamafarm.cli.ask import note_detours, note_finish, noting_passed_over, show_stream
from llamafarm.cli.chat.conversation import Conversation, Turn
from llamafarm.cli.failures import show
from llamafarm.cli.opening import opened
from llamafarm.cli.printing import answer_document, counted, document, dollars, say, summary
from llamafarm.errors import BadCallError, LlamaFarmError, UnknownModelError
from llamafarm.farm import AnswerStream, make_call
from llamafarm.farm.thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.cli.settings import Settings
    from llamafarm.farm import Farm
    from llamafarm.types import Answer

__all__ = ["Session"]


class Session:
    """Holds the conversation and the open strategy; its methods are called between turns, outside the event loop."""

    def __init__(self, settings: Settings, options: Mapping[str, Any], system: str | None) -> None:
        self.settings = settings
        self.conversation = Conversation(system)
        self.failed = False
        """Whether a turn has failed."""
        self._unanswered: Turn | None = None
        self._options = dict(options)
        self._loop = LoopThread()  # its loop goes on between turns, so that what was left is closed at once
        self._open = AsyncExitStack()
        self._farm: Farm | None = None
        self._answers = self._input_tokens = self._output_tokens = self._unpriced = 0
        self._cost = 0.0

    def __enter__(self) -> Self:
        try:
            self._farm = self._loop.run(self._open.enter_async_context(opened(self.settings)))
        except BaseException:
            self._loop.stop()
            raise
        try:
            self.model = self.model  # an unknown one is said now, not at the first question
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._loop.run(self._open.aclose())
        finally:
            self._loop.stop()

    @property
    def farm(self) -> Farm:
        """The strategy that is asked. Raises BadCallError before it is open."""
        if self._farm is None:
            raise BadCallError("the chat is not open")
        return self._farm

    # Who is asked

    @property
    def model(self) -> str | None:
        """What the caller names; None: rules, then order decide."""
        return self._options.get("model")

    @model.setter
    def model(self, name: str | None) -> None:
        if name is not None:
            asked = make_call({"messages": [{"role": "user", "content": "?"}]}, {"model": name})
            refusal = self.farm.explain(asked).refusal
            if isinstance(refusal, UnknownModelError):
                raise refusal
        self._options.pop("model", None)
        self.settings.model = name
        if name is not None:
            self._options["model"] = name

    @property
    def models(self) -> list[str]:
        """Every name that `model` takes."""
        return sorted(self.farm.routing.named)

    @property
    def tags(self) -> tuple[str, ...]:
        """What the rules see."""
        return tuple(self._options.get("tags", ()))

    @tags.setter
    def tags(self, tags: tuple[str, ...]) -> None:
        self._options["tags"] = tags

    def change_strategy(self, name: str) -> None:
        """Go on with another strategy; the conversation stays. Raises ConfigError, and then nothing changes."""
        settings = dataclasses.replace(self.settings, strategy=name, model=None)
        stack = AsyncExitStack()
        farm = self._loop.run(stack.enter_async_context(opened(settings)))
        self._loop.run(self._open.aclose())
        self._open, self._farm, self.settings = stack, farm, settings
        self._options.pop("model", None)

    # Asking

    def ask(self, prompt: str) -> None:
        """Ask, show the answer and keep both. A failure is shown; Ctrl-C stops the answer, and what came is kept."""
        if prompt.strip():
            self._ask(Turn({"role": "user", "content": prompt}))

    def _ask(self, turn: Turn) -> None:
        self._unanswered = None
        self.conversation.turns.append(turn)
        try:
            self._loop.run(self._answer())
        except KeyboardInterrupt:
            self._drop_unanswered()
            say("(stopped)")
        except LlamaFarmError as error:
            self.failed = True
            self._drop_unanswered()
            show(error, self.settings)

    def again(self) -> None:
        """Ask the last question again, in place of the answer it got."""
        self._ask(self.conversation.take_back() if self._unanswered is None else self._unanswered)

    def clear(self) -> None:
        """Forget what was said; what the model is told before it stays."""
        self.replace(Conversation(self.conversation.system))

    def replace(self, conversation: Conversation) -> None:
        """Go on with another conversation."""
        self.conversation, self._unanswered = conversation, None

    def spent(self) -> str:
        """Say what the answers so far took."""
        cost = dollars(self._cost) + (f" and {self._unpriced} without a price" if self._unpriced else "")
        return f"{counted(self._answers, 'answer')}, {self._input_tokens} + {self._output_tokens} tokens, {cost}"

    def _drop_unanswered(self) -> None:
        """Take a question to which nothing came out of the conversation, so that the next one follows an answer."""
        if self.conversation.turns[-1].role == "user":
            self._unanswered = self.conversation.take_back()

    async def _answer(self) -> None:
        stream = not self.settings.json
        call = make_call({"messages": self.conversation.messages()}, self._options, stream=stream)
        with noting_passed_over(self.settings, self.farm, call):
            if stream:
                answer = await self._streamed(AnswerStream(call, self.farm.send))
            else:
                answer = await self.farm.ask(call)
        if not stream:
            note_detours(self.settings, self.farm, answer)
            document(answer_document(answer))
        self._keep(answer)
        note_finish(self.settings, answer, call)
        if self.settings.tells_more:
            say(summary(answer))

    async def _streamed(self, stream: AnswerStream) -> Answer:
        try:
            return await show_stream(self.settings, self.farm, stream)
        except (asyncio.CancelledError, LlamaFarmError) as error:
            if stream.has_begun and stream.answer.text:
                self._keep(stream.answer, "stopped" if isinstance(error, asyncio.CancelledError) else "cut")
            raise

    def _keep(self, answer: Answer, mark: str = "") -> None:
        self.conversation.add("assistant", answer.text, mark)
        self._answers += 1
        self._unpriced += answer.cost_usd is None
        self._cost += answer.cost_usd or 0.0
        if answer.usage is not None:
            self._input_tokens += answer.usage.input_tokens
            self._output_tokens += answer.usage.output_tokens
