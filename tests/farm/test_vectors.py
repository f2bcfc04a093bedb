"""An answer to an embedding request counts only where it has a vector for each input; else the next target is asked."""

import base64
import json
import struct

import pytest

from llamafarm.errors import AllFailedError, BadCallError
from llamafarm.farm import Farm, make_call
from llamafarm.testing import FakeProvider
from llamafarm.testing.fake_server import FakeServer, reply
from llamafarm.types import Chunk, Operation
from tests.making import NO_GPU, Scripted, strategy

TWO = """
name: two
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: ma, price: {input: 1, output: 0}}}
  b: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: mb, price: {input: 1, output: 0}}}
fallback_chain: [a, b]
"""
GOOD = ((1.0, 2.0), (3.0, 4.0))


def rows(*vectors, indices=None):
    return [
        {"index": place, "embedding": vector}
        for place, vector in zip(indices or range(len(vectors)), vectors, strict=True)
    ]


def packed(*numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def two(first, second):
    return Farm(strategy(TWO % (first.base_url, second.base_url)), environment={}, hardware=NO_GPU)


async def embedded(answer, texts=("x", "y")):
    """What comes of two servers: the first gives `answer`, the second what is right."""
    async with (
        FakeServer(reply(200, answer)) as first,
        FakeServer(reply(200, {"data": rows(*GOOD)})) as second,
        two(first, second) as farm,
    ):
        return await farm.embed(list(texts))


BAD = {
    "one vector for two texts": rows([1, 2]),
    "three": rows([1, 2], [1, 2], [1, 2]),
    "one place twice": rows([1, 2], [3, 4], indices=(0, 0)),
    "places that are not there": rows([1, 2], [3, 4], indices=(5, 9)),
    "places from one": rows([1, 2], [3, 4], indices=(1, 2)),
    "one without its place": [{"embedding": [1, 2]}, {"index": 1, "embedding": [3, 4]}],
    "two lengths": rows([1, 2], [3, 4, 5]),
    "an empty one": rows([1, 2], []),
    "two empty ones": rows([], []),
    "null in one": rows([1, 2], [3, None]),
    "NaN in one": rows([1, 2], [3, float("nan")]),
    "infinity in one": rows([1, 2], [3, float("inf")]),
    "a text in one": rows([1, 2], [3, "4"]),
    "lists in one": rows([[1, 2]], [[3, 4]]),
    "no base64": rows("no base64!", packed(3, 4)),
    "half a float": rows(base64.b64encode(b"abc").decode(), packed(3, 4)),
    "NaN in base64": rows(packed(1, float("nan")), packed(3, 4)),
    "no base64 but a letter beyond ASCII": rows("ä", packed(3, 4)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
async def test_what_is_not_a_vector_for_each_text_gives_way_to_the_next_target(data):
    found = await embedded({"data": data})
    assert (found.vectors, found.target) == (GOOD, "b")
    assert [(record.target, record.outcome) for record in found.attempts] == [("a", "bad_reply"), ("b", "ok")]
    assert found.cost_usd is not None


async def test_a_number_that_no_float_can_hold():
    assert (await embedded('{"data": [{"embedding": [1, 1e999]}, {"embedding": [3, 4]}]}')).target == "b"


@pytest.mark.parametrize(
    "data",
    [
        rows([1, 2], [3, 4]),
        rows([3, 4], [1, 2], indices=(1, 0)),
        [{"embedding": [1, 2]}, {"embedding": [3, 4]}],
        rows(packed(1, 2), packed(3, 4)),
        rows(packed(3, 4), [1.0, 2.0], indices=(1, 0)),
    ],
    ids=["in order", "out of order", "without places", "base64", "both"],
)
async def test_vectors_come_in_the_order_of_their_texts(data):
    found = await embedded({"data": data})
    assert (found.vectors, found.target) == (GOOD, "a")


async def test_when_nobody_has_them_the_attempts_say_why():
    async with FakeServer(reply(200, {"data": rows([1, 2])})) as server, two(server, server) as farm:
        with pytest.raises(AllFailedError, match=r"a \(ma\) gave 1 vectors for 2 texts") as caught:
            await farm.embed(["x", "y"])
    assert [record.outcome for record in caught.value.attempts] == ["bad_reply", "bad_reply"]
    assert all(record.cost > 0 for record in caught.value.attempts)


@pytest.mark.parametrize(
    ("given", "count"),
    [("x", 1), (["x"], 1), (["x", "y"], 2), ([1, 2, 3], 1), ([[1, 2], [3], [4]], 3), ([[5]], 1)],
)
async def test_what_counts_as_one_input(given, count):
    upstream = FakeProvider()
    made = Farm(
        strategy(TWO % ("http://a.example/v1", "http://b.example/v1")),
        environment={},
        upstreams={"openai": upstream},
        hardware=NO_GPU,
    )
    async with made as farm:
        answer = await farm.ask(make_call({"input": given}, {}, operation=Operation.EMBEDDING))
    assert (len(answer.vectors), answer.target) == (count, "a")


@pytest.mark.parametrize("given", [None, [], 5, {"a": 1}, ["x", 5], [["x"]], [[]], [True], [1.5]], ids=json.dumps)
async def test_what_cannot_be_embedded_is_not_sent(given):
    upstream = FakeProvider()
    made = Farm(
        strategy(TWO % ("http://a.example/v1", "http://b.example/v1")),
        environment={},
        upstreams={"openai": upstream},
        hardware=NO_GPU,
    )
    async with made as farm:
        with pytest.raises(BadCallError, match="input: expected"):
            await farm.ask(make_call({"input": given}, {}, operation=Operation.EMBEDDING))
    assert upstream.attempts == []


@pytest.mark.parametrize(
    "chunks",
    [
        [Chunk(vectors=((1.0,),))],
        [Chunk(vectors=((1.0,), (float("nan"),)))],
        [Chunk(vectors=((1.0,), (1.0, 2.0)))],
        [Chunk(b"{}")],
        [],
    ],
)
async def test_every_dialect_is_held_to_it(chunks):
    scripted = Scripted({"a": [chunks], "b": [[Chunk(vectors=GOOD)]]})
    text = TWO % ("http://a.example/v1", "http://b.example/v1")
    async with Farm(strategy(text), environment={}, upstreams={"openai": scripted}, hardware=NO_GPU) as farm:
        found = await farm.embed(["x", "y"])
    assert (found.vectors, found.target) == (GOOD, "b")
