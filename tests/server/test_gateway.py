"""Requests through the whole gateway: what goes out, what comes back, whose fault is whose."""

import asyncio
import json

import msgspec
import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, events, reply, reset, silence
from tests.server.conftest import one, until

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}


async def post(process, path, body, **headers):
    async with process.client.post(path, json=body, headers=headers) as response:
        return response.status, response.headers, await response.read()


async def chat(process, **more):
    return await post(process, "/v1/chat/completions", {**CHAT, **more})


def event(text=None, finish=None, **more):
    delta = {} if text is None else {"content": text}
    delta |= {"role": "assistant"} if finish is None else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-2026",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    "x_vendor": {"odd": [1, 2]},
}


async def test_a_plain_answer_passes_byte_for_byte(served, upstream):
    upstream.script = [reply(200, WHOLE)]
    status, headers, body = await chat(served, model="s", x_new_parameter={"a": 1}, temperature=0.5)
    assert status == 200
    assert body == msgspec.json.encode(WHOLE)
    sent = upstream.requests[0].json
    assert sent["x_new_parameter"] == {"a": 1}
    assert sent["temperature"] == 0.5
    assert sent["model"] == "m"
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-llamafarm-strategy"] == "s"
    assert headers["x-llamafarm-target"] == "a"
    assert headers["x-llamafarm-model"] == "m"
    assert headers["x-llamafarm-attempts"] == "1"
    assert headers["x-llamafarm-cost"] == "unknown"
    assert float(headers["x-llamafarm-overhead-ms"]) >= 0


async def test_a_stream_passes_event_by_event_and_says_the_rest_in_comments(served, upstream):
    given = [event("Hel", x_vendor=1), event("lo"), event(finish="stop")]
    upstream.script = [events(*given)]
    status, headers, body = await chat(served, stream=True)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    lines = [line for line in body.split(b"\n") if line]
    data = [line for line in lines if line.startswith(b"data: ")]
    assert data[:-1] == [b"data: " + msgspec.json.encode(one_event) for one_event in given]
    assert data[-1] == b"data: [DONE]"
    assert b": x-llamafarm-attempts: 1" in lines
    assert any(line.startswith(b": x-llamafarm-overhead-ms: ") for line in lines)


async def test_a_request_keeps_its_number_everywhere(served, upstream):
    given = {"x-request-id": "trace-42"}
    status, headers, _ = await post(served, "/v1/chat/completions", CHAT, **given)
    assert (status, headers["x-request-id"]) == (200, "trace-42")
    for bad in ("a b", "x" * 200, "${jndi}"):
        _, headers, _ = await post(served, "/v1/chat/completions", CHAT, **{"x-request-id": bad})
        assert headers["x-request-id"].startswith("req_")
    status, headers, _ = await post(served, "/v1/chat/completions", {}, **given)
    assert (status, headers["x-request-id"]) == (400, "trace-42")


TWO = """
  - name: other
    description: d
    components:
      b: {{type: openai_compatible, config: {{provider: custom, base_url: '{b}', default_model: deep/thought}}}}
      c: {{type: openai_compatible, config: {{provider: custom, base_url: '{b}', default_model: m}}}}
    aliases: {{gpt-4o: b}}
"""


@pytest.mark.parametrize(
    ("model", "strategy", "target"),
    [
        ("s", "s", "a"),
        ("other", "other", "b"),
        ("m", "s", "a"),
        ("other/c", "other", "c"),
        ("other/m", "other", "c"),
        ("gpt-4o", "other", "b"),
        ("deep/thought", "other", "b"),
        ("other/deep/thought", "other", "b"),
        (None, "s", "a"),
    ],
)
async def test_what_model_means(gateway, upstream, model, strategy, target):
    async with gateway(one(upstream, more=TWO.format(b=upstream.base_url))) as process:
        status, headers, _ = await chat(process, **({} if model is None else {"model": model}))
        found = headers["x-llamafarm-strategy"], headers["x-llamafarm-target"]
    assert (status, found) == (200, (strategy, target))


async def test_an_unknown_model_is_told_what_there_is(served):
    status, headers, body = await chat(served, model="gpt-9")
    error = json.loads(body)["error"]
    assert status == 404
    assert error["code"] == "model_not_found"
    assert error["message"] == "there is no strategy, target, alias or model called 'gpt-9'; there is: s, a, m"
    assert headers["x-should-retry"] == "false"


async def test_with_a_strategy_named_only_it_is_served(gateway, upstream):
    async with gateway(one(upstream, more=TWO.format(b=upstream.base_url)), "other") as process:
        status, headers, _ = await chat(process)
        assert (status, headers["x-llamafarm-strategy"]) == (200, "other")
        status, _, _ = await chat(process, model="s")
        assert status == 404


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ((401, {"message": "bad key", "code": "invalid_api_key"}), (502, "server_error", "credentials")),
        (
            (429, {"message": "slow down", "code": "rate_limit_exceeded"}),
            (429, "rate_limit_error", "rate_limit_exceeded"),
        ),
        ((402, {"message": "no money"}), (502, "server_error", "quota")),
        ((404, {"message": "no such model"}), (502, "server_error", "model_missing")),
        ((500, {"message": "oh"}), (502, "server_error", "transient")),
        ((400, {"message": "bad parameter"}), (400, "invalid_request_error", "bad_request")),
        (
            (400, {"message": "too long", "code": "context_length_exceeded"}),
            (400, "invalid_request_error", "context_length_exceeded"),
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_failed_upstream_is_told_as_whose_fault_it_is(gateway, upstream, theirs, ours, streamed):
    status, complaint = theirs
    upstream.script = [reply(status, {"error": complaint})]
    async with gateway(one(upstream, target="max_retries: 0")) as process:
        status, headers, content = await chat(process, stream=streamed)
    error = json.loads(content)["error"]
    assert (status, error["type"], error["code"]) == ours
    assert headers["x-should-retry"] == "false"
    assert headers["x-llamafarm-attempts"] == "1"


async def test_a_rate_limits_pause_is_passed_on(gateway, upstream):
    upstream.script = [reply(429, {"error": {"message": "slow"}}, {"retry-after": "37"})]
    more = "    optimization: {timeout_seconds: 5}"
    async with gateway(one(upstream, target="max_retries: 0", more=more)) as process:
        status, headers, _ = await chat(process)
    assert status == 429
    assert headers["retry-after"] == "37"


async def test_bad_requests_are_told_what_is_wrong(served):
    bad = [
        ("POST", "/v1/chat/completions", b"{", "application/json", 400, "no JSON"),
        ("POST", "/v1/chat/completions", b"[]", "application/json", 400, "no JSON object"),
        ("POST", "/v1/chat/completions", b'{"a":"\xff"}', "application/json", 400, "no JSON"),
        ("POST", "/v1/chat/completions", b"[" * 200_000, "application/json", 400, "nested too deeply"),
        ("POST", "/v1/chat/completions", b"{}", "application/json", 400, "no messages"),
        ("POST", "/v1/chat/completions", b'{"messages":[],"stream":"yes"}', "application/json", 400, "stream is 'yes'"),
        ("POST", "/v1/chat/completions", b"{}", "text/plain", 415, "send application/json"),
        ("GET", "/v1/chat/completions", None, "", 405, "takes POST, not GET"),
        ("GET", "/v1/nothing", None, "", 404, "there is nothing at"),
        ("GET", "//v1/models", None, "", 404, "there is nothing at"),
        ("GET", "/v1/%6dodels", None, "", 404, "there is nothing at"),
        ("GET", "/v1/models/nope", None, "", 404, "no model called"),
    ]
    for method, path, body, kind, status, words in bad:
        headers = {"content-type": kind} if kind else {}
        url = served.urls[0] + path
        from yarl import URL

        async with served.client.request(method, URL(url, encoded=True), data=body, headers=headers) as response:
            content = await response.json()
            assert (response.status, words in content["error"]["message"]) == (status, True), (path, content)
            assert response.headers["x-request-id"]


async def test_models_are_listed_in_the_words_of_who_asks(served):
    async with served.client.get("/v1/models") as response:
        listed = await response.json()
    assert [model["id"] for model in listed["data"]] == ["s", "a", "m"]
    assert [model["owned_by"] for model in listed["data"]] == ["llamafarm", "custom", "custom"]
    async with served.client.get("/v1/models/a") as response:
        assert (await response.json())["id"] == "a"
    async with served.client.get("/v1/models", headers={"anthropic-version": "2023-06-01"}) as response:
        listed = await response.json()
    assert [model["id"] for model in listed["data"]] == ["s", "a", "m"]
    assert {model["type"] for model in listed["data"]} == {"model"}


FALLBACK = """
      b: {{type: openai_compatible, config: {{provider: custom, base_url: '{b}', default_model: n, supports: [prefill]}}}}
    fallback_chain: [a, b]
"""


async def test_an_answer_cut_in_the_middle_is_completed_by_another_target(gateway, upstream):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    piece = b"data: " + msgspec.json.encode(event("One two")) + b"\n\n"
    upstream.script = [reset(head, b"%x\r\n%b\r\n" % (len(piece), piece))]
    async with (
        FakeServer(answer(" three four")) as second,
        gateway(one(upstream, more=FALLBACK.format(b=second.base_url))) as process,
    ):
        status, _, body = await chat(process, stream=True)
    payloads = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    chunks = [json.loads(payload) for payload in payloads[:-1]]
    assert (status, payloads[-1]) == (200, "[DONE]")
    text = "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"])
    assert text == "One two three four"
    assert {chunk["id"] for chunk in chunks} == {"c1"}
    assert {chunk["model"] for chunk in chunks} == {"m"}
    assert ": llamafarm continued by b" in body.decode()
    assert ": x-llamafarm-attempts: 2" in body.decode()


async def test_a_cut_nobody_can_complete_never_looks_whole(gateway, upstream):
    upstream.script = [events(event("One two"), done=False)]
    async with gateway(one(upstream)) as process:
        status, _, body = await chat(process, stream=True)
    lines = [line for line in body.decode().split("\n") if line.startswith("data: ")]
    assert status == 200
    assert "[DONE]" not in body.decode()
    assert json.loads(lines[-1][6:])["error"]["code"] == "stream_cut"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_leaves_is_left_at_the_upstream_too(served, upstream, streamed, begun):
    came = asyncio.Event()

    async def behave(request, writer):
        if begun:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            writer.write(b"data: " + msgspec.json.encode(event("One")) + b"\n\n")
            await writer.drain()
        came.set()
        await request.gone.wait()

    upstream.script = [behave]
    asking = asyncio.create_task(chat(served, stream=streamed))
    await asyncio.wait_for(came.wait(), 10)
    assert upstream.open_connections == 1
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await upstream.until_disconnected()
    await until(lambda: not served.gateway.in_flight)


@pytest.mark.key("server.max_requests")
async def test_beyond_max_requests_one_is_told_to_come_back(gateway, upstream):
    upstream.script = [silence()]
    async with gateway(one(upstream, server="max_requests: 2")) as process:
        waiting = [asyncio.create_task(chat(process)) for _ in range(2)]
        await until(lambda: process.gateway.in_flight == 2)
        status, headers, body = await chat(process)
        assert status == 503
        assert headers["retry-after"] == "1"
        assert "x-should-retry" not in headers
        assert "server.max_requests" in json.loads(body)["error"]["message"]
        async with process.client.get("/livez") as response:
            assert response.status == 200
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_full_queue_answers_503_with_a_pause(gateway, upstream):
    upstream.script = [silence()]
    more = "    optimization: {parallel_requests: 1, queue_size: 0}"
    async with gateway(one(upstream, more=more)) as process:
        waiting = asyncio.create_task(chat(process))
        await until(lambda: upstream.requests)
        status, headers, body = await chat(process)
        assert (status, json.loads(body)["error"]["code"]) == (503, "queue_full")
        assert int(headers["retry-after"]) >= 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_tags_come_by_header_or_metadata(gateway, upstream):
    rules = """
      b: {{type: openai_compatible, config: {{provider: custom, base_url: '{b}', default_model: n}}}}
    routing_rules: [{{condition: urgent, target: b}}]
"""
    async with gateway(one(upstream, more=rules.format(b=upstream.base_url))) as process:
        for headers, metadata in (({"x-llamafarm-tags": "x, urgent"}, None), ({}, {"tags": "urgent"})):
            body = CHAT if metadata is None else {**CHAT, "metadata": metadata}
            _, got, _ = await post(process, "/v1/chat/completions", body, **headers)
            assert got["x-llamafarm-target"] == "b"
        _, got, _ = await chat(process)
        assert got["x-llamafarm-target"] == "a"


STEERING = [
    "api_base", "api_key", "api_version", "aws_secret_access_key", "base_url", "custom_llm_provider", "extra_headers",
    "headers", "proxy", "vertex_credentials",
]  # fmt: skip
ASKING = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"prompt": "a"},
    "/v1/embeddings": {"input": "a"},
    "/v1/images/generations": {"prompt": "a"},
    "/v1/responses": {"input": "a"},
    "/v1/messages": {**CHAT, "max_tokens": 9},
    "/v1/messages/count_tokens": CHAT,
}


@pytest.mark.parametrize("path", ASKING)
async def test_no_request_says_where_it_goes_or_with_which_key(served, upstream, path):
    for name in STEERING:
        body = {**ASKING[path], "model": "s", name: "http://169.254.169.254/"}
        status, _, content = await post(served, path, body)
        message = json.loads(content)["error"]["message"]
        assert (status, message.startswith(f"{name} is not taken from a request")) == (400, True)
        assert "169.254" not in message
    for name in ("x-api-base", "x-litellm-api-base", "x-portkey-custom-host", "x-openai-base-url", "host-override"):
        await post(served, path, {**ASKING[path], "model": "s"}, **{name: "http://169.254.169.254/"})
    assert not any("169.254" in str(request.headers) for request in upstream.requests)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/completions", "invalid_request_error"), ("/v1/messages", "invalid_request_error")],
)
async def test_what_no_target_can_do_is_the_requests_fault(gateway, upstream, path, kind):
    """A 503 would have clients and load balancers try again, or take the gateway for broken."""
    body = {
        "/v1/completions": {"model": "s", "prompt": "def f(", "suffix": ")"},
        "/v1/messages": {
            "model": "s",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": [{"type": "image", "source": SOURCE}]}],
        },
    }[path]
    async with gateway(one(upstream, target="supports: [tools]")) as process:
        status, headers, content = await post(process, path, body)
    assert (status, json.loads(content)["error"]["type"]) == (400, kind), content
    assert headers["x-should-retry"] == "false"


SOURCE = {"type": "base64", "media_type": "image/png", "data": "aGk="}


async def test_a_target_that_cannot_serve_at_all_is_not(gateway, upstream):
    more = "    constraints: {blocked_models: ['*']}"
    async with gateway(one(upstream, more=more)) as process:
        status, _, content = await chat(process)
        assert (status, json.loads(content)["error"]["code"]) == (503, "no_target")
        body = {**CHAT, "model": "s", "max_tokens": 9}
        _, _, content = await post(process, "/v1/messages", body)
        assert json.loads(content)["error"]["type"] == "api_error"
