"""A farm that closes leaves nothing open and nothing unreported, and says so to whoever goes on using it."""

import asyncio
import gc
import threading

import pytest

from llamafarm.errors import BadCallError, ClosedError, LlamaFarmError, StreamCutError, TransientError
from llamafarm.farm import Farm
from llamafarm.testing import FakeAnswer, FakeProvider
from llamafarm.types import Chunk
from tests.making import NO_GPU, Scripted, strategy

ONE = """
name: one
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'http://a.example/v1', default_model: m, max_retries: 0}}
"""


class Noted:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)

    @property
    def ends(self):
        return [event.ended for event in self.events]


@pytest.fixture
def noted():
    return Noted()


def farm(script="Hello there, you", sinks=()):
    upstream = FakeProvider({"a": script})
    return Farm(strategy(ONE), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, sinks=sinks), upstream


async def test_a_stream_left_in_the_middle_and_kept_ends_with_the_farm(noted):
    made, upstream = farm(sinks=[noted])
    async with made:
        stream = made.stream("Hi")
        async for _ in stream:
            break
        assert noted.ends == []
    assert noted.ends == ["abandoned"]
    assert upstream.left == ["a"]
    assert stream.answer.attempts[-1].outcome == "abandoned"
    with pytest.raises(StreamCutError, match="the farm was closed"):
        await anext(stream)
    await stream.aclose()
    del stream
    gc.collect()
    assert noted.ends == ["abandoned"]


async def test_a_reply_nobody_reads_ends_with_the_farm(noted):
    made, _ = farm(sinks=[noted])
    async with made:
        kept = made.stream("Hi")
        await anext(kept)
        await made.generate("Hi")
    assert sorted(noted.ends) == ["abandoned", "complete"]


async def test_a_stream_its_reader_left_has_no_more_chunks():
    made, _ = farm()
    async with made:
        async with made.stream("Hi") as stream:
            await anext(stream)
        assert [chunk async for chunk in stream] == []
        untouched = made.stream("Hi")
        await untouched.aclose()
        assert [chunk async for chunk in untouched] == []


def test_going_on_with_a_stream_after_the_with_block():
    made, upstream = farm()
    with made:
        stream = made.stream("Hi")
        chunks = made.iterate(stream)
        next(chunks)
    assert upstream.left == ["a"]
    with pytest.raises(BadCallError, match="the farm was closed"):
        next(chunks)
    assert list(chunks) == []


def test_dropping_a_stream_after_the_with_block_is_silent(recwarn, capsys):
    made, _ = farm()
    with made:
        chunks = made.iterate(made.stream("Hi"))
        next(chunks)
    del chunks
    gc.collect()
    assert not recwarn.list
    assert capsys.readouterr().err == ""


def test_another_threads_request_does_not_hang_when_the_farm_closes():
    begun = threading.Event()
    failures = []

    class Slow(FakeProvider):
        async def send(self, attempt):
            begun.set()
            await asyncio.Event().wait()

    made = Farm(strategy(ONE), environment={}, upstreams={"openai": Slow()}, hardware=NO_GPU)

    def ask():
        try:
            made.run(made.generate("Hi"))
        except LlamaFarmError as error:
            failures.append(str(error))

    with made:
        thread = threading.Thread(target=ask)
        thread.start()
        assert begun.wait(30)
    thread.join(30)
    assert not thread.is_alive()
    assert failures == ["the farm was closed while this request waited for its answer"]


def test_a_farm_can_be_opened_again():
    made, _ = farm("Hello")
    for _ in range(2):
        with made:
            assert made.run(made.generate("Hi")).text == "Hello"
    with pytest.raises(BadCallError, match="open the farm first"):
        made.run(made.generate("Hi"))


async def test_the_failure_of_a_stream_that_never_began_is_what_its_answer_says():
    made, upstream = farm(TransientError("it is down"))
    async with made:
        stream = made.stream("Hi")
        with pytest.raises(BadCallError, match="has not been read"):
            _ = stream.answer
        for _ in range(2):
            with pytest.raises(LlamaFarmError, match="it is down"):
                await anext(stream)
        with pytest.raises(LlamaFarmError, match="it is down"):
            _ = stream.answer
    assert len(upstream.attempts) == 1, "reading on does not ask again"


async def test_run_where_there_is_an_event_loop():
    made, _ = farm()
    async with made:
        with pytest.raises(BadCallError, match=r"opened with `async with`: write await farm\.generate"):
            made.run(made.generate("Hi"))
        with pytest.raises(BadCallError, match=r"opened with `async with`: write async for"):
            made.iterate(made.stream("Hi"))


async def test_await_where_the_loop_is_the_farms_own():
    made, upstream = farm()
    with made:
        with pytest.raises(BadCallError, match="belongs to another event loop"):
            await made.generate("Hi")
        with pytest.raises(BadCallError, match="belongs to another event loop"):
            await anext(made.stream("Hi"))
    assert upstream.attempts == []


def test_run_inside_its_own_loop_does_not_hang():
    made, _ = farm()

    async def wrong():
        made.run(made.generate("Hi"))

    with made, pytest.raises(BadCallError, match="cannot wait for itself"):
        made.run(wrong())


async def test_a_stream_that_is_cut_reports_it_and_closing_adds_nothing(noted):
    made, _ = farm(FakeAnswer("Hello", finish_reason=None), sinks=[noted])
    async with made:
        stream = made.stream("Hi")
        with pytest.raises(StreamCutError):
            async for _ in stream:
                pass
    assert noted.ends == ["cut"]


async def test_what_a_stream_left_open_may_have_cost_is_in_its_event(noted):
    """Also where another target could go on with it, and so the reply is made of another."""
    price = "price: {input: 1, output: 10}"
    text = ONE.replace("max_retries: 0", price) + ONE.splitlines()[-1].replace("a:", "b:").replace(
        "max_retries: 0", price
    )
    made = Farm(strategy(text), environment={}, upstreams={"openai": FakeProvider()}, hardware=NO_GPU, sinks=[noted])
    async with made:
        stream = made.stream("Hi", max_tokens=100)
        await anext(stream)
    assert noted.ends == ["abandoned"]
    assert noted.events[0].cost > 100 * 10_000
    assert stream.answer.cost_usd == noted.events[0].cost / 1e9


@pytest.mark.parametrize("leave", ["aclose", "cancel"])
async def test_leaving_a_stream_whose_first_token_is_waited_for_cancels_the_request(leave):
    class Silent(Scripted):
        asked, cancelled = asyncio.Event(), False

        async def send(self, attempt):
            self.asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                Silent.cancelled = True
                raise

    upstream = Silent({})
    text = "name: s\ndescription: d\ncomponents:\n  a: {type: vllm, config: {default_model: m}}\n"
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        stream = opened.stream("Hi")
        reading = asyncio.ensure_future(anext(stream))
        await upstream.asked.wait()
        if leave == "aclose":
            await stream.aclose()
            with pytest.raises(StopAsyncIteration):
                await reading
        else:
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        assert Silent.cancelled


SILENT = """
name: one
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: '%s/v1', default_model: m}}
optimization: {retry_policy: {max_attempts: 3, initial_backoff: 0.01}}
"""


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_waits_when_the_farm_closes_is_told_and_not_sent_again(streamed, noted):
    requests, came, closed = [], asyncio.Event(), asyncio.Event()

    async def accept(reader, writer):
        while piece := await reader.read(1000):
            requests.append(piece.count(b"POST "))
            came.set()
        writer.close()
        if requests:  # else it only found out whether somebody listens
            closed.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    made = Farm(strategy(SILENT % url), environment={}, hardware=NO_GPU, sinks=[noted])
    async with made:
        asked = asyncio.create_task(anext(made.stream("Hi")) if streamed else made.generate("Hi"))
        await came.wait()
    with pytest.raises(ClosedError, match="the farm was closed while this request waited"):
        await asked
    await asyncio.wait_for(closed.wait(), 5)
    server.close()
    assert sum(requests) == 1
    assert noted.ends == ["abandoned"]
    assert not made._sending


def test_a_stream_that_is_dropped_in_a_callers_thread_frees_its_place_at_once():
    class Endless(Scripted):
        async def _events(self, step):
            yield Chunk(text="One")
            await asyncio.Event().wait()

    upstream = Endless({"a": ["x"]})
    text = ONE + "optimization: {parallel_requests: 1}\n"
    made = Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU)
    begun = threading.Event()

    def ask():
        assert made.run(anext(made.stream("Hi"))).text == "One"
        begun.set()

    with made:
        stream = made.stream("Hi")
        made.run(anext(stream))
        thread = threading.Thread(target=ask)
        thread.start()
        while not made.run(_waiting(made)):
            pass
        del stream
        assert begun.wait(20), "timeout_seconds is 120"
        thread.join()


async def _waiting(made):
    """Whether a request waits for its place; only once the loop has nothing else to do."""
    await asyncio.sleep(0.01)
    return bool(made._sending)


async def test_reading_on_where_the_first_token_was_given_up_does_not_ask_again():
    upstream = FakeProvider({"a": FakeAnswer("Hello", hold=asyncio.Event())})
    async with Farm(strategy(ONE), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as made:
        stream = made.stream("Hi")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
        with pytest.raises(StreamCutError, match="given up before its end"):
            await asyncio.wait_for(anext(stream), 5)
    assert len(upstream.attempts) == 1
