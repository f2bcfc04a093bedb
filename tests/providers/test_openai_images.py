"""Making pictures: what is sent, what counts as whole, who may be asked, and under which limits."""

import base64

import pytest

from llamafarm import Farm
from llamafarm.errors import AllFailedError, BadCallError, BadReplyError, NoTargetError, QuotaError
from llamafarm.testing.fake_server import FakeServer, reply
from llamafarm.types import Operation
from tests.making import call as chat_call
from tests.making import order, strategy

PIXEL = base64.b64encode(b"\x89PNG").decode()
MADE = {"created": 1, "data": [{"b64_json": PIXEL, "revised_prompt": "A red cat."}, {"url": "https://x/y.png"}]}
USAGE = {"input_tokens": 10, "output_tokens": 4000, "total_tokens": 4010, "input_tokens_details": {"text_tokens": 10}}

ONE = """
name: one
description: d
components:
  there: {type: openai_compatible, config: {provider: custom, base_url: "%s", default_model: paint-1, max_retries: 0%s}}
"""


@pytest.mark.parametrize("stream", [True, False])
async def test_it_is_asked_for_and_read_whole(rig, stream):
    async with FakeServer(reply(200, {**MADE, "usage": USAGE})) as server:
        body = {"model": "paint-1", "prompt": "A cat", "n": 2}
        (chunk,) = await rig.send(server, operation=Operation.IMAGE, body=body, stream=stream)
        (request,) = server.requests
    assert (request.path, request.json) == ("/v1/images/generations", body)
    assert chunk.text == ""
    assert (chunk.usage.input_tokens, chunk.usage.output_tokens) == (10, 4000)
    assert PIXEL.encode() in chunk.raw


@pytest.mark.parametrize(
    "made", [{}, {"data": []}, {"data": [{"b64_json": PIXEL}, {}]}, {"data": [{"b64_json": ""}]}, []]
)
async def test_an_answer_that_misses_a_picture_is_none(rig, made):
    async with FakeServer(reply(200, made)) as server:
        error = await rig.fails(server, BadReplyError, operation=Operation.IMAGE, body={"prompt": "x"})
    assert "pictures" in str(error) or "picture" in str(error) or "array" in str(error)


async def test_an_error_inside_a_200_is_that_error(rig):
    body = {"error": {"message": "no credit", "type": "insufficient_quota", "code": "insufficient_quota"}}
    async with FakeServer(reply(200, body)) as server:
        await rig.fails(server, QuotaError, operation=Operation.IMAGE, body={"prompt": "x"})


async def test_the_farm_gives_values():
    async with FakeServer(reply(200, MADE)) as server, Farm(strategy(ONE % (server.base_url, ""))) as farm:
        images = await farm.image("A cat", n=2, size="1024x1024", extra_body={"background": "transparent"})
        sent = server.requests[0].json
    assert sent == {"model": "paint-1", "prompt": "A cat", "n": 2, "size": "1024x1024", "background": "transparent"}
    first, second = images.data
    assert (first.decoded(), first.revised_prompt) == (b"\x89PNG", "A red cat.")
    assert second.url == "https://x/y.png"
    with pytest.raises(BadReplyError, match="only its address"):
        second.decoded()
    assert (images.target, images.model, images.usage, images.cost_usd) == ("there", "paint-1", None, None)
    assert [attempt.outcome for attempt in images.attempts] == ["ok"]


async def test_defaults_for_text_are_not_sent():
    config = ", temperature: 0.5, max_tokens: 9, system_prompt: s"
    async with FakeServer(reply(200, MADE)) as server, Farm(strategy(ONE % (server.base_url, config))) as farm:
        await farm.image("A cat")
        assert server.requests[0].json == {"model": "paint-1", "prompt": "A cat"}


async def test_an_unknown_cost_is_not_nothing():
    priced = ", price: {input: 5, output: 40}"
    script = reply(200, MADE), reply(200, {**MADE, "usage": USAGE})
    async with FakeServer(*script) as server, Farm(strategy(ONE % (server.base_url, priced))) as farm:
        assert (await farm.image("A cat")).cost_usd is None
        assert (await farm.image("A cat")).cost_usd == pytest.approx(10 * 5e-6 + 4000 * 40e-6)


async def test_an_empty_prompt_is_refused():
    async with Farm(strategy(ONE % ("http://127.0.0.1:1/v1", ""))) as farm:
        with pytest.raises(BadCallError):
            await farm.image(" ")
        with pytest.raises(AllFailedError):
            await farm.image("A cat")


def image_call(**body):
    made = chat_call()
    made.operation, made.body = Operation.IMAGE, {"prompt": "A cat", **body}
    return made


TWO = """
name: one
description: d
components:
  known: {type: openai_compatible, config: {provider: openai, api_key: k, default_model: gpt-4o-mini}}
  able: {type: openai_compatible, config: {provider: openai, api_key: k, default_model: paint-2, supports: [image]}}
  text: {type: openai_compatible, config: {provider: custom, base_url: "https://a.example", default_model: m, supports: [tools]}}
  unknown: {type: openai_compatible, config: {provider: custom, base_url: "https://a.example", default_model: n}}
  chats: {type: openai_compatible, config: {provider: groq, api_key: k, default_model: x, supports: [image]}}
  own: {type: vllm, config: {default_model: x}}
fallback_chain: [known, able, text, unknown, chats, own]
"""


def test_only_those_that_can_or_may_be_asked():
    assert order(TWO, image_call()) == ["able", "unknown"]


@pytest.mark.parametrize("price", ["", ", price: {input: 0.01, output: 0.01}"])
@pytest.mark.parametrize("body", [{}, {"n": 1, "max_tokens": 10}, {"size": "1024x1024"}])
def test_no_cost_limit_holds_for_a_picture_without_a_price(price, body):
    text = ONE % ("https://a.example/v1", price)
    assert order(text, image_call(**body)) == ["there"]
    with pytest.raises(NoTargetError, match="max_cost_per_request cannot hold"):
        order(text + "constraints: {max_cost_per_request: 1000}\n", image_call(**body))


def test_a_free_endpoint_makes_pictures_under_any_limit():
    text = ONE % ("https://a.example/v1", ", price: {input: 0, output: 0}")
    assert order(text + "constraints: {max_cost_per_request: 0.01}\n", image_call()) == ["there"]
