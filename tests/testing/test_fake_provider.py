import time

import msgspec
import pytest

from llamafarm.errors import RateLimitError, StreamCutError
from llamafarm.testing import FakeAnswer, FakeProvider
from llamafarm.types import Attempt, Call, Operation, Target


def attempt(name="a", *, stream=False, operation=Operation.CHAT):
    call = Call({"messages": []}, operation, stream=stream)
    return Attempt(call, Target(name, "fake", "openai", "m"), {}, time.monotonic() + 5)


async def read(provider, *args, **options):
    return [chunk async for chunk in await provider.send(attempt(*args, **options))]


async def test_scripts_are_taken_in_order_and_the_last_stays():
    provider = FakeProvider({"a": ["one", RateLimitError("slow"), "two"]}, default="other")
    assert (await read(provider))[0].text == "one"
    with pytest.raises(RateLimitError):
        await read(provider)
    assert [(await read(provider))[0].text for _ in range(2)] == ["two", "two"]
    assert (await read(provider, "b"))[0].text == "other"
    assert [made.target.name for made in provider.attempts] == ["a", "a", "a", "a", "b"]


async def test_streams_come_in_pieces_with_the_bytes_of_their_format():
    chunks = await read(FakeProvider(default=FakeAnswer("Hello there", pieces=2)), stream=True)
    assert [chunk.text for chunk in chunks] == ["Hello ", "there", ""]
    assert chunks[-1].finish_reason == "stop"
    event = msgspec.json.decode(chunks[0].raw)
    assert event["object"] == "chat.completion.chunk"
    assert event["choices"][0]["delta"]["content"] == "Hello "


async def test_errors_after_some_text():
    provider = FakeProvider(default=FakeAnswer("Hello", pieces=1, finish_reason=None))
    stream = await provider.send(attempt(stream=True))
    assert (await anext(stream)).text == "Hello"
    with pytest.raises(StreamCutError):
        await anext(stream)


async def test_embeddings_and_checks():
    provider = FakeProvider({"bad": RateLimitError("slow")})
    (chunk,) = await read(provider, operation=Operation.EMBEDDING)
    assert msgspec.json.decode(chunk.raw)["data"][0]["embedding"]
    assert (await provider.check(attempt().target)).ok
    assert not (await provider.check(attempt("bad").target)).ok


async def test_an_answer_that_is_left_is_remembered():
    provider = FakeProvider()
    stream = await provider.send(attempt(stream=True))
    await anext(stream)
    await stream.aclose()
    await provider.aclose()
    assert provider.left == ["a"]
    assert provider.closed
