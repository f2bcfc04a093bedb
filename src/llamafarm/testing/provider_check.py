"""The check every provider has to pass: what `types.Upstream` promises, asked of a real upstream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from llamafarm.errors import (
    AttemptError,
    AttemptTimeoutError,
    BadReplyError,
    ConnectError,
    ContextExceededError,
    CredentialsError,
    LlamaFarmError,
    ModelMissingError,
    RateLimitError,
    StreamCutError,
    TransientError,
)
from llamafarm.types import Attempt, Call, Chunk, Target, Usage

if TYPE_CHECKING:
    from llamafarm.types import Upstream

__all__ = ["CANARY", "Bench", "Scenario", "check_provider"]

CANARY = "canary-5d1f0c7e9b"
"""The API key the bench's targets should have; it must appear in no error, chunk or status."""

_DEADLINE = 5.0
_SHORT = 0.2


class Scenario(StrEnum):
    """What the far end of a target does. An author's test bench arranges for it, in the dialect's own format."""

    ANSWER = "answer"
    """Answers ``Hello world``, whole or in at least two pieces as asked, with 9 input and 2 output tokens.

    Lists the target's model where the dialect has a list."""
    TOOLS = "tools"
    """Calls the tool ``weather`` with ``{"city": "Paris"}``; in a stream in at least two pieces."""
    NO_USAGE = "no_usage"
    """As ANSWER, and never says how many tokens that was."""
    CUT = "cut"
    """Streams ``Hello`` and closes the connection."""
    UNFINISHED = "unfinished"
    """Answers ``Hello`` and ends properly, whole or streamed as asked, but never says why it ended."""
    ENDLESS = "endless"
    """Streams ``Hello`` and then nothing, without closing."""
    SILENT = "silent"
    """Accepts the request and never answers."""
    UNAUTHORIZED = "unauthorized"
    """Refuses the key, and repeats it in its message."""
    RATE_LIMITED = "rate_limited"
    """Says that there were too many requests, and to wait 7 seconds."""
    OVERLOADED = "overloaded"
    """Says that it is overloaded just now (HTTP: 503)."""
    TOO_LONG = "too_long"
    """Says that the prompt does not fit its context window."""
    MODEL_MISSING = "model_missing"
    """Says that it has no such model."""
    REFUSED = "refused"
    """Nothing listens there."""


@dataclass(frozen=True, slots=True)
class Bench:
    """An upstream to check, and targets for the scenarios. A scenario that cannot happen may be left out."""

    upstream: Upstream
    targets: Mapping[Scenario, Target]
    disconnected: Callable[[], Awaitable[None]] | None = None
    """Returns once the upstream has no open request at any target."""


class _BrokenPromiseError(AssertionError):
    """One promise that was not kept."""


_ERRORS: Mapping[Scenario, type[AttemptError]] = {
    Scenario.UNAUTHORIZED: CredentialsError,
    Scenario.RATE_LIMITED: RateLimitError,
    Scenario.OVERLOADED: TransientError,
    Scenario.TOO_LONG: ContextExceededError,
    Scenario.MODEL_MISSING: ModelMissingError,
    Scenario.REFUSED: ConnectError,
    Scenario.SILENT: AttemptTimeoutError,
}


async def check_provider(bench: Bench) -> None:
    """Ask an upstream for everything it promises. Raises AssertionError with every promise it does not keep."""
    broken: list[str] = []
    for scenario, target in bench.targets.items():
        for check in _CHECKS[scenario]:
            try:
                async with asyncio.timeout(2 * _DEADLINE):
                    await check(bench, scenario, target)
            except _BrokenPromiseError as error:
                broken.append(f"{scenario}: {error}")
            except TimeoutError:
                broken.append(f"{scenario}: {check.__name__.strip('_')} did not end within {2 * _DEADLINE:g} s")
    await bench.upstream.aclose()
    await bench.upstream.aclose()
    if broken:
        raise AssertionError("the provider does not keep these promises:\n" + "\n".join(f"- {line}" for line in broken))


def _attempt(target: Target, *, stream: bool, seconds: float = _DEADLINE) -> Attempt:
    body = {"model": target.model, "messages": [{"role": "user", "content": "Say hello."}]}
    call = Call(body, stream=stream)
    return Attempt(call, target, dict(body), time.monotonic() + seconds, ttft=seconds, idle=_SHORT)


async def _collect(bench: Bench, attempt: Attempt) -> tuple[list[Chunk], AsyncIterator[Chunk]]:
    events = await bench.upstream.send(attempt)
    return [chunk async for chunk in events], events


def _require(kept: object, promise: str) -> None:
    if not kept:
        raise _BrokenPromiseError(promise)


async def _is_answered(bench: Bench, scenario: Scenario, target: Target) -> None:
    for stream in (False, True):
        attempt = _attempt(target, stream=stream)
        before = dict(attempt.body)
        chunks, _ = await _collect(bench, attempt)
        how = "a stream" if stream else "a plain answer"
        _require("".join(chunk.text for chunk in chunks) == "Hello world", f"{how} gives the whole text")
        _require(len(chunks) > 1 if stream else len(chunks) == 1, f"{how} has {'several chunks' if stream else 'one'}")
        _require(any(chunk.finish_reason == "stop" for chunk in chunks), f"{how} has the finish reason")
        _require(any(chunk.raw for chunk in chunks), f"{how} keeps the bytes it came in")
        _require(attempt.body == before, "the attempt's body is left as it is: it may be sent again")
        usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
        if scenario is Scenario.NO_USAGE:
            _require(not usages, f"{how} without a usage invents none")
        else:
            _require(usages[-1:] == [Usage(9, 2)], f"{how} has the usage the target gave")


async def _has_tools(bench: Bench, _: Scenario, target: Target) -> None:
    for stream in (False, True):
        chunks, _events = await _collect(bench, _attempt(target, stream=stream))
        calls = [call for chunk in chunks for call in chunk.tool_calls]
        _require({call.index for call in calls} == {0}, "the pieces of one tool call have one index")
        _require("".join(call.name for call in calls) == "weather", "a tool call has its name")
        arguments = "".join(call.arguments for call in calls)
        _require(arguments.replace(" ", "") == '{"city":"Paris"}', "a tool call has its whole arguments")


async def _is_cut(bench: Bench, scenario: Scenario, target: Target) -> None:
    events = await bench.upstream.send(_attempt(target, stream=True))
    seen = ""
    try:
        async for chunk in events:
            seen += chunk.text
    except StreamCutError as error:
        _require(error.billed, "a cut stream may have been charged")
    except LlamaFarmError as error:
        raise _BrokenPromiseError(
            f"a stream that {scenario} raises StreamCutError, not {type(error).__name__}"
        ) from error
    else:
        raise _BrokenPromiseError("a stream without a finish reason never ends normally")
    _require(seen == "Hello", "what came before a cut is given first")


async def _is_not_whole(bench: Bench, scenario: Scenario, target: Target) -> None:
    for stream in (False, True):
        try:
            await _collect(bench, _attempt(target, stream=stream))
        except (StreamCutError, BadReplyError) as error:
            _require(error.billed, "an answer without its end may have been charged")
        except LlamaFarmError as error:
            raise _BrokenPromiseError(
                f"an answer that is {scenario} raises StreamCutError or BadReplyError, not {type(error).__name__}"
            ) from error
        else:
            how = "a stream" if stream else "a plain answer"
            raise _BrokenPromiseError(f"{how} without a finish reason never passes for a whole one")


async def _fails(bench: Bench, scenario: Scenario, target: Target) -> None:
    expected = _ERRORS[scenario]
    seconds = _SHORT if scenario is Scenario.SILENT else _DEADLINE
    for stream in (False, True):
        try:
            await _collect(bench, _attempt(target, stream=stream, seconds=seconds))
        except expected as error:
            _require(CANARY not in f"{error}{error!r}{error.code}", "no error holds the API key")
            _require("\n" not in str(error) and str(error), "an error's message is one line")
            if scenario is Scenario.RATE_LIMITED:
                _require(error.retry_after == 7, "retry_after is what the target asked for")  # noqa: PLR2004 - its 7 s
        except LlamaFarmError as error:
            raise _BrokenPromiseError(f"it raises {expected.__name__}, not {type(error).__name__}: {error}") from error
        else:
            raise _BrokenPromiseError(f"it raises {expected.__name__}")


async def _is_cancelled(bench: Bench, _: Scenario, target: Target) -> None:
    events = await bench.upstream.send(_attempt(target, stream=True))
    first = await anext(events)
    while not first.text:
        first = await anext(events)
    close = getattr(events, "aclose", None)
    _require(close is not None, "a reply can be closed")
    await events.aclose()  # type: ignore[attr-defined]
    await events.aclose()  # type: ignore[attr-defined]
    if bench.disconnected is not None:
        await bench.disconnected()


async def _is_dropped_unread(bench: Bench, _: Scenario, target: Target) -> None:
    events = await bench.upstream.send(_attempt(target, stream=True))
    await events.aclose()  # type: ignore[attr-defined]
    if bench.disconnected is not None:
        await bench.disconnected()


async def _is_cancelled_while_waiting(bench: Bench, _: Scenario, target: Target) -> None:
    task = asyncio.ensure_future(_collect(bench, _attempt(target, stream=True)))
    await asyncio.sleep(_SHORT / 4)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if bench.disconnected is not None:
        await bench.disconnected()


async def _is_checked(bench: Bench, scenario: Scenario, target: Target) -> None:
    status = await bench.upstream.check(target)
    _require(status.ok is (scenario is Scenario.ANSWER), f"check says whether it could serve ({status.detail})")
    _require(CANARY not in status.detail, "no status holds the API key")


_Check = Callable[[Bench, Scenario, Target], Awaitable[None]]

_CHECKS: Mapping[Scenario, tuple[_Check, ...]] = {
    Scenario.ANSWER: (_is_answered, _is_checked),
    Scenario.NO_USAGE: (_is_answered,),
    Scenario.TOOLS: (_has_tools,),
    Scenario.CUT: (_is_cut,),
    Scenario.UNFINISHED: (_is_not_whole,),
    Scenario.ENDLESS: (_is_cut, _is_cancelled, _is_dropped_unread),
    Scenario.SILENT: (_fails, _is_cancelled_while_waiting),
    Scenario.UNAUTHORIZED: (_fails, _is_checked),
    Scenario.RATE_LIMITED: (_fails,),
    Scenario.OVERLOADED: (_fails,),
    Scenario.TOO_LONG: (_fails,),
    Scenario.MODEL_MISSING: (_fails,),
    Scenario.REFUSED: (_fails, _is_checked),
}
