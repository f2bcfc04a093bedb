"""The Responses API over real sockets: a client, the gateway, a vendor that speaks chat."""

from llamafarm.testing import fake_server
from tests.server.formats.responses.events import accumulated, events_in, text_of


async def post(process, **body):
    async with process.client.post("/v1/responses", json={"model": "s", "input": "Hi", **body}) as response:
        return response.status, response.headers, await response.read()


async def test_a_plain_answer(served, upstream):
    async with served.client.post(
        "/v1/responses", json={"model": "s", "input": "Hi", "instructions": "Be brief."}
    ) as got:
        response = await got.json()
        assert got.headers["content-type"] == "application/json"
        assert response["id"] == "resp_" + got.headers["x-request-id"].removeprefix("req_")
    assert (response["status"], text_of(response)) == ("completed", "Hello world")
    (asked,) = upstream.requests
    assert asked.json["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


async def test_a_stream(served):
    status, headers, body = await post(served, stream=True)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    events = events_in(body)
    assert events[-1]["type"] == "response.completed"
    assert accumulated(events) == events[-1]["response"]["output"]
    assert text_of(events[-1]["response"]) == "Hello world"


async def test_what_needs_a_memory_is_a_400_that_says_what_to_do(served, upstream):
    status, _, body = await post(served, previous_response_id="resp_1")
    assert status == 400
    assert b"send the whole conversation as input" in body
    assert upstream.requests == []


async def test_a_vendor_that_breaks_off_is_a_failed_response(served, upstream):
    piece = {"id": "a", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}
    upstream.script = [fake_server.events(piece, done=False)]
    status, _, body = await post(served, stream=True)
    *_, error, last = events_in(body)
    assert (status, error["type"], last["type"]) == (200, "error", "response.failed")
    assert error["error"]["code"] == "stream_cut"
    assert (last["response"]["status"], text_of(last["response"])) == ("failed", "Hel")
