"""What is no request is said to be none, by a LlamaFarmError, before anything is sent."""

from pathlib import Path

import pytest

from llamafarm.errors import BadCallError
from llamafarm.farm import Farm, make_call
from llamafarm.testing import FakeProvider
from tests.making import NO_GPU, strategy

ONE = """
name: one
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'http://a.example/v1', default_model: m}}
"""


async def read(stream):
    async for _ in stream:
        pass


MISUSES = {
    "generate(None)": (lambda farm: farm.generate(None), "the prompt is None: expected a text"),
    "generate(5)": (lambda farm: farm.generate(5), "the prompt is 5: expected a text"),
    "system=5": (lambda farm: farm.generate("Hi", system=5), "system is 5: expected a text"),
    "images=5": (lambda farm: farm.generate("Hi", images=5), "images: expected a list, not 5"),
    "images='x'": (lambda farm: farm.generate("Hi", images="/tmp/p.png"), "put the one picture into a list"),
    "images=Path": (lambda farm: farm.generate("Hi", images=Path("p.png")), "put the one picture into a list"),
    "images=[5]": (lambda farm: farm.generate("Hi", images=[5]), "an image is 5: expected a path or a URL"),
    "images=[None]": (lambda farm: farm.generate("Hi", images=[None]), "an image is None"),
    "chat(None)": (lambda farm: farm.chat(None), "messages: expected a list, not None"),
    "chat('Hi')": (lambda farm: farm.chat("Hi"), "put the one message into a list"),
    "chat(dict)": (lambda farm: farm.chat({"role": "user", "content": "Hi"}), "put the one message into a list"),
    "stream(5)": (lambda farm: read(farm.stream(5)), "the prompt: expected a list, not 5"),
    "stream(messages, system)": (
        lambda farm: read(farm.stream([{"role": "user", "content": "Hi"}], system="Be kind")),
        "put them into the messages",
    ),
    "complete(5)": (lambda farm: farm.complete(5), "the prompt is 5"),
    "complete(list)": (lambda farm: farm.complete(["a", "b"]), "the prompt is .*: expected a text"),
    "embed(5)": (lambda farm: farm.embed(5), "texts: expected a list, not 5"),
    "embed([5])": (lambda farm: farm.embed([5]), "a text to embed is 5: expected a text"),
    "image(None)": (lambda farm: farm.image(None), "the prompt is None"),
    "extra_body=5": (lambda farm: farm.generate("Hi", extra_body=5), "extra_body is 5: expected an object"),
    "extra_body={5: 5}": (lambda farm: farm.generate("Hi", extra_body={5: 5}), "extra_body is {5: 5}"),
    "extra_body=model": (lambda farm: farm.generate("Hi", extra_body={"model": "z"}), "extra_body has model: .*option"),
    "extra_body=stream": (lambda farm: farm.generate("Hi", extra_body={"stream": True}), "extra_body has stream"),
    "extra_body=messages": (lambda farm: farm.generate("Hi", extra_body={"messages": []}), "extra_body has messages"),
    "extra_body=input": (lambda farm: farm.embed(["a"], extra_body={"input": "b"}), "extra_body has input"),
    "model=5": (lambda farm: farm.generate("Hi", model=5), "model is 5: expected the name"),
    "user=5": (lambda farm: farm.generate("Hi", user=5), "user is 5: expected a text"),
    "metadata=5": (lambda farm: farm.generate("Hi", metadata=5), "metadata is 5: expected an object"),
    "temperature='hot'": (
        lambda farm: farm.generate("Hi", temperature="hot"),
        "temperature is 'hot': expected a number",
    ),
    "--param": (lambda farm: farm.generate("Hi", extra_body={"temperature": "hot"}), "temperature is 'hot'"),
}


@pytest.mark.parametrize(("ask", "says"), MISUSES.values(), ids=MISUSES.keys())
async def test_it_is_refused_with_a_reason(ask, says):
    upstream = FakeProvider()
    async with Farm(strategy(ONE), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as farm:
        with pytest.raises(BadCallError, match=says) as caught:
            await ask(farm)
    assert "\n" not in str(caught.value)
    assert upstream.attempts == []


def test_explain_wants_a_call():
    farm = Farm(strategy(ONE), environment={}, hardware=NO_GPU)
    with pytest.raises(BadCallError, match=r"make one with llamafarm\.farm\.make_call"):
        farm.explain("hello")
    explained = farm.explain(make_call({"messages": [{"role": "user", "content": "Hi"}]}, {"temperature": "hot"}))
    assert "temperature is 'hot'" in str(explained.refusal)


def test_nothing_further_is_nothing():
    assert make_call({"messages": []}, {"extra_body": None}).body == {"messages": []}
