"""The stream's own rules, with an engine whose moments the test decides."""

import asyncio
import gc
import json
import threading
import time

import pytest

from llamafarm.apps.embedded_stream import EngineStream
from llamafarm.apps.generation import Generation
from llamafarm.errors import AttemptTimeoutError, BadRequestError, EngineError, StreamCutError
from llamafarm.types import Attempt, Call, Operation, Target, Usage

TARGET = Target("local", "llamacpp", "embedded", "m", local=True)


def piece(text="", finish=None):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


class Script:
    """An engine that says what it is told; `go` lets it say one thing more."""

    def __init__(self, *events, free=True, failure=None):
        self.events, self.failure = events, failure
        self.stopped = threading.Event()
        self.gate = threading.Semaphore(1000 if free else 0)
        self.ended = []

    def work(self, on_event):
        for event in self.events:
            self.gate.acquire()
            if on_event(dict(event)):
                self.stopped.set()
                return
        if self.failure:
            raise self.failure
        return

    def stream(self, streamed=True, operation=Operation.CHAT, seconds=10.0, **limits):
        self.generation = Generation(self.work, self.ended.append)
        self.generation.start()
        call = Call({}, operation=operation, stream=streamed)
        return EngineStream(self.generation, Attempt(call, TARGET, {}, time.monotonic() + seconds, **limits))


async def test_a_stream_to_its_end():
    script = Script({"prompt_progress": {}, "choices": []}, piece("a"), piece("b"), piece(finish="stop"))
    stream = script.stream()
    await stream.accepted()
    assert [chunk.text async for chunk in stream] == ["a", "b", ""]
    await asyncio.to_thread(script.generation.join, 5)  # its thread has said that the engine is free
    await asyncio.sleep(0)
    assert script.ended == [script.generation]


async def test_the_usage_of_several_prompts_is_that_of_all():
    used = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    events = [piece("a"), piece(finish="stop"), {"choices": [], "usage": used}]
    stream = Script(*events, *events).stream(operation=Operation.COMPLETION)
    one, two = [chunk for chunk in [chunk async for chunk in stream] if chunk.usage]
    assert one.usage == Usage(3, 2, cached_tokens=1)
    assert two.usage == Usage(6, 4, cached_tokens=2)
    assert json.loads(two.raw)["usage"]["total_tokens"] == 10
    assert json.loads(one.raw)["usage"] == used


async def test_no_finish_reason_is_a_cut():
    for streamed in (True, False):
        with pytest.raises(StreamCutError, match="before it had finished"):
            _ = [chunk async for chunk in Script(piece("a")).stream(streamed)]


async def test_an_error_before_and_after_the_first_token():
    error = {"error": {"code": 500, "message": "boom"}}
    with pytest.raises(EngineError, match="boom"):
        await Script(error).stream().accepted()
    stream = Script(piece("a"), error).stream()
    assert (await anext(stream)).text == "a"
    with pytest.raises(StreamCutError, match="boom"):
        await anext(stream)


async def test_what_the_library_raises_is_a_bad_request():
    with pytest.raises(BadRequestError, match="no messages"):
        await Script(failure=ValueError("no messages")).stream().accepted()


async def test_the_first_tokens_limit_ignores_signs_of_life():
    script = Script({"prompt_progress": {}}, piece("a"), free=False)
    stream = script.stream(ttft=0.05)
    script.gate.release()
    with pytest.raises(AttemptTimeoutError, match="no first token"):
        await anext(stream)
    script.gate.release()
    assert await asyncio.to_thread(script.stopped.wait, 5)


async def test_silence_after_the_first_token_is_a_cut():
    script = Script(piece("a"), piece("b"), free=False)
    stream = script.stream(idle=0.05)
    script.gate.release()
    assert (await anext(stream)).text == "a"
    with pytest.raises(StreamCutError, match="silent"):
        await anext(stream)
    script.gate.release()


async def test_a_plain_answer_must_be_whole_by_the_deadline():
    script = Script(piece("a"), piece(finish="stop"), free=False)
    script.gate.release()
    with pytest.raises(AttemptTimeoutError, match="no whole answer"):
        await anext(script.stream(streamed=False, seconds=0.05))
    script.gate.release(5)


@pytest.mark.parametrize("leave", ["aclose", "forget"])
async def test_leaving_a_stream_stops_the_engine(leave):
    script = Script(*[piece("a")] * 100, free=False)
    stream = script.stream()
    script.gate.release()
    await anext(stream)
    if leave == "aclose":
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    else:
        del stream
        gc.collect()
    script.gate.release()
    assert await asyncio.to_thread(script.stopped.wait, 5)


def test_a_closed_loop_stops_the_engine():
    script = Script(*[piece("a")] * 100, free=False)

    async def begin():
        return script.stream()

    stream = asyncio.run(begin())
    script.gate.release(5)
    assert script.stopped.wait(5)
    script.generation.join(5)
    del stream
