"""The upstream over real sockets."""

import asyncio

import pytest

from llamafarm.catalog.vendors import find_vendor
from llamafarm.errors import (
    AttemptTimeoutError,
    BadReplyError,
    BadRequestError,
    ContentPolicyError,
    ContextExceededError,
    CredentialsError,
    ModelMissingError,
    QuotaError,
    RateLimitError,
    StreamCutError,
    TransientError,
    UntranslatableError,
)
from llamafarm.providers import load
from llamafarm.providers.anthropic import provider as anthropic
from llamafarm.providers.anthropic.provider import Anthropic
from llamafarm.providers.anthropic.request import QUIRKS
from llamafarm.testing import Bench, FakeServer, Scenario, check_provider
from llamafarm.testing.fake_server import raw, reply, silence
from llamafarm.testing.provider_check import CANARY
from llamafarm.transport import HttpTransport
from llamafarm.types import Chunk, Operation, Secret, Target, ToolCall, Usage
from tests.providers.anthropic_server import (
    HEAD,
    PING,
    USAGE,
    answer,
    block,
    delta,
    end,
    fails,
    recorded,
    sse,
    start,
    stop,
    stream,
    text,
    whole,
)
from tests.providers.conftest import KEY, Rig

HEADERS = find_vendor("anthropic").headers


class AnthropicRig(Rig):
    def __init__(self, transport):
        super().__init__(transport)
        self.upstream = Anthropic(transport)

    def target(self, server, **changes):
        made = {"provider": "anthropic", "dialect": "anthropic", "headers": HEADERS, **changes}
        return super().target(server, **made)


@pytest.fixture
async def rig():
    transport = HttpTransport()
    yield AnthropicRig(transport)
    await transport.aclose()


async def tools(request, writer):
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather"}
    if request.json.get("stream"):
        pieces = [delta(0, type="input_json_delta", partial_json=piece) for piece in ("", '{"city":', ' "Paris"}')]
        behave = stream(start(), block(0, **call, input={}), *pieces, stop(0), *end("tool_use"))
    else:
        behave = whole({**call, "input": {"city": "Paris"}}, reason="tool_use")
    await behave(request, writer)


async def unfinished(request, writer):
    behave = stream(start(), *text("Hello"), {"type": "message_stop"})
    if not request.json.get("stream"):
        behave = whole({"type": "text", "text": "Hello"}, reason=None)
    await behave(request, writer)


HELLO = sse(start(), PING, *text("Hello")[:2])
SCRIPTS = {
    Scenario.ANSWER: answer(),
    Scenario.TOOLS: tools,
    Scenario.NO_USAGE: answer(usage={}),
    Scenario.CUT: raw(HEAD + HELLO),
    Scenario.UNFINISHED: unfinished,
    Scenario.ENDLESS: raw(HEAD + HELLO, close=False),
    Scenario.SILENT: silence(),
    Scenario.UNAUTHORIZED: fails(401, "authentication_error", f"invalid x-api-key {CANARY}"),
    Scenario.RATE_LIMITED: fails(429, "rate_limit_error", "slow down", {"retry-after": "7"}),
    Scenario.OVERLOADED: fails(503, "api_error", "overloaded"),
    Scenario.TOO_LONG: fails(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    Scenario.MODEL_MISSING: fails(404, "not_found_error", "model: fake-model"),
}


async def test_it_keeps_its_promises():
    transport = HttpTransport()
    servers = {scenario: FakeServer(script) for scenario, script in SCRIPTS.items()}
    for server in servers.values():
        await server.__aenter__()

    def target(url):
        key = Secret(CANARY, "ANTHROPIC_API_KEY")
        return Target("there", "anthropic", "anthropic", "fake-model", base_url=url, api_key=key, headers=HEADERS)

    async def disconnected():
        for scenario in (Scenario.ENDLESS, Scenario.SILENT):
            await servers[scenario].until_disconnected()

    targets = {scenario: target(server.base_url) for scenario, server in servers.items()}
    targets[Scenario.REFUSED] = target("http://127.0.0.1:9/v1")
    assert set(targets) == set(Scenario)
    try:
        await check_provider(Bench(Anthropic(transport), targets, disconnected))
    finally:
        await transport.aclose()
        for server in servers.values():
            await server.__aexit__(None, None, None)


def test_it_is_registered():
    assert load("anthropic") is Anthropic


@pytest.mark.parametrize("ending", ["/v1", "/v1/", "", "/"])
async def test_the_address_is_taken_with_and_without_v1(rig, ending):
    async with FakeServer(answer()) as server:
        url = server.base_url.removesuffix("/v1") + ending
        chunks = await rig.send(url)
        assert "".join(chunk.text for chunk in chunks) == "Hello world"
        assert (await rig.upstream.check(rig.target(url))).ok
        assert [request.path for request in server.requests] == ["/v1/messages", "/v1/models?limit=1000"]


async def test_an_address_with_a_path_and_a_query_of_its_own(rig):
    async with FakeServer(whole({"type": "text", "text": "x"})) as server:
        await rig.send(server.base_url.removesuffix("/v1") + "/anthropic?tenant=1", stream=False)
        assert server.requests[0].path == "/anthropic/v1/messages?tenant=1"


async def test_headers(rig):
    async with FakeServer(answer()) as server:
        await rig.send(server, stream=False)
        headers = server.requests[0].headers
        assert headers["x-api-key"] == KEY
        assert headers["anthropic-version"] == "2023-06-01"


async def test_notes_are_left_with_the_attempt_and_its_body_alone(rig):
    async with FakeServer(answer()) as server:
        body = {"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}], "seed": 1, "temperature": 2}
        attempt = rig.attempt(rig.target(server), body=body)
        async for _ in await rig.upstream.send(attempt):
            pass
        assert attempt.body == body
        assert attempt.notes == [
            "temperature 2 sent as 1, the most Anthropic takes",
            "seed left out: Anthropic has none",
        ]
        assert server.requests[0].json == {
            "model": "fake-model",
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "temperature": 1.0,
        }


async def test_a_beginning_is_gone_on_with(rig):
    async with FakeServer(answer()) as server:
        attempt = rig.attempt(rig.target(server))
        attempt.beginning = "Well, "
        chunks = [chunk async for chunk in await rig.upstream.send(attempt)]
        assert server.requests[0].json["messages"][-1] == {"role": "assistant", "content": "Well,"}
        assert "".join(chunk.text for chunk in chunks) == "Hello world"


async def test_a_beginning_that_is_repeated_comes_once(rig):
    begun = "The quick brown fox jumps over the lazy dog."
    async with FakeServer(raw(HEAD + sse(start(), *text(begun, " And more."), *end()))) as server:
        attempt = rig.attempt(rig.target(server))
        attempt.beginning = begun
        chunks = [chunk async for chunk in await rig.upstream.send(attempt)]
    assert "".join(chunk.text for chunk in chunks) == " And more."


async def test_what_the_caller_began_is_not_repeated_either(rig):
    begun = "The quick brown fox jumps over the lazy dog."
    messages = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": "Well: "}]
    async with FakeServer(raw(HEAD + sse(start(), *text("Well: ", begun, " And more."), *end()))) as server:
        attempt = rig.attempt(rig.target(server), body={"model": "m", "messages": messages, "max_tokens": 9})
        attempt.beginning = begun
        chunks = [chunk async for chunk in await rig.upstream.send(attempt)]
    assert "".join(chunk.text for chunk in chunks) == " And more."


async def test_a_whole_answer(rig):
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "d"}
    content = [
        thinking,
        {"type": "text", "text": "Let me "},
        redacted,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "see.", "citations": [{"type": "char_location"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]
    usage = {**USAGE, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 1}
    async with FakeServer(whole(*content, reason="tool_use", usage=usage)) as server:
        chunk, second = await rig.send(server, stream=False)
    assert chunk.text == "Let me see."
    assert chunk.reasoning == "hm"
    assert chunk.tool_calls == (ToolCall(0, "toolu_1", "f", '{"a":1}'), ToolCall(1, "toolu_2", "g", "{}"))
    assert chunk.finish_reason == "tool_calls"
    assert chunk.usage == Usage(100, 2, cached_tokens=90, cache_write_tokens=1)
    assert chunk.thinking_block == thinking
    assert second == Chunk(thinking_block=redacted)
    assert chunk.raw.startswith(b'{"id":"msg_1","type":"message"')


async def test_a_schema_without_structured_outputs(rig):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "fruit", "schema": schema}}
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "response_format": form}
    use = {"type": "tool_use", "id": "toolu_1", "name": "fruit", "input": {"a": 1}}
    async with FakeServer(whole(use, reason="tool_use")) as server:
        changes = {"quirks": frozenset({"no_json_schema"})}
        (chunk,) = await rig.send(server, stream=False, body=body, changes=changes)
        assert (chunk.text, chunk.tool_calls, chunk.finish_reason) == ('{"a":1}', (), "stop")
        assert server.requests[0].json["tool_choice"]["name"] == "fruit"


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (fails(400, "invalid_request_error", "messages: bad"), BadRequestError),
        (fails(402, "billing_error", "pay"), QuotaError),
        (fails(400, "invalid_request_error", "Your credit balance is too low to access the API"), QuotaError),
        (fails(400, "invalid_request_error", "You have reached your specified API usage limits."), QuotaError),
        (
            fails(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 190 + 21 > 200"),
            ContextExceededError,
        ),
        (fails(403, "permission_error", "no"), CredentialsError),
        (fails(404, "not_found_error", "model: x"), ModelMissingError),
        (fails(413, "request_too_large", "too large"), ContextExceededError),
        (fails(429, "rate_limit_error", "slow down"), RateLimitError),
        (
            fails(429, "rate_limit_error", "limit", details={"error_code": "enforced_spend_limit_reached"}),
            QuotaError,
        ),
        (fails(500, "api_error", "Internal server error"), TransientError),
        (fails(504, "timeout_error", "timeout"), TransientError),
        (fails(529, "overloaded_error", "Overloaded"), TransientError),
        (reply(200, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}), TransientError),
        (reply(200, {"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}), RateLimitError),
        (reply(200, {"error": {"type": "invalid_request_error", "message": "x"}}), BadRequestError),
        (reply(200, "<html>", {"content-type": "text/html"}), BadReplyError),
        (reply(200, {"choices": []}), BadReplyError),
        (reply(200, b"{"), BadReplyError),
        (whole(reason=None), BadReplyError),
    ],
)
async def test_failures(rig, behave, error, streamed):
    async with FakeServer(behave) as server:
        caught = await rig.fails(server, error, stream=streamed)
        assert str(caught).startswith("anthropic (127.0.0.1:")


async def test_a_failure_has_the_vendors_words_and_its_request_id(rig):
    async with FakeServer(fails(529, "overloaded_error", "Overloaded", {"retry-after": "3"})) as server:
        error = await rig.fails(server, TransientError)
        assert (error.upstream_status, error.code, error.retry_after) == (529, "overloaded_error", 3.0)
        assert "Overloaded" in str(error)
        assert "req_011CSHoEeqs5C35K2UUqR7Fy" in str(error)


@pytest.mark.parametrize(
    ("kind", "begun", "error"),
    [
        ("overloaded_error", False, TransientError),
        ("overloaded_error", True, StreamCutError),
        ("api_error", True, StreamCutError),
        ("rate_limit_error", False, RateLimitError),
        ("invalid_request_error", False, BadRequestError),
        ("authentication_error", False, CredentialsError),
        ("brand_new_error", False, BadReplyError),
    ],
)
async def test_errors_inside_a_stream(rig, kind, begun, error):
    told = {"type": "error", "error": {"type": kind, "message": "so it is"}, "request_id": "req_011CSHoEeqs5C35K"}
    async with FakeServer(stream(start(), *(text("Hel") if begun else ()), told)) as server:
        caught = await rig.fails(server, error)
        assert caught.seen == ("Hel" if begun else "")
        assert "so it is" in str(caught)
        assert "req_011CSHoEeqs5C35K" in str(caught)


async def test_a_refusal_of_content_is_told_by_its_words(rig):
    words = "Output blocked by content filtering policy"
    async with FakeServer(fails(400, "invalid_request_error", words)) as server:
        await rig.fails(server, ContentPolicyError)


@pytest.mark.parametrize(
    "body", [{"n": 2, "messages": [{"role": "user", "content": "Hi"}]}, {"messages": [{"role": "user", "content": 5}]}]
)
async def test_what_cannot_be_translated_is_not_sent(rig, body):
    async with FakeServer(answer()) as server:
        error = await rig.fails(server, UntranslatableError, body=body)
        assert "cannot be translated" in str(error)
        assert "OpenAI's format" in str(error)
        assert error.try_next
        assert not error.billed
        assert server.requests == []


async def test_it_takes_chats_only(rig):
    async with FakeServer(answer()) as server:
        await rig.fails(server, UntranslatableError, operation=Operation.EMBEDDING)
        assert server.requests == []


async def test_a_stream_split_by_the_network(rig):
    body = recorded("tools")
    pieces = [body[at : at + 97] for at in range(0, len(body), 97)]
    async with FakeServer(raw(HEAD, *pieces)) as server:
        chunks = await rig.send(server)
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["tool_calls"]


async def test_leaving_a_stream_cancels_it(rig):
    async with FakeServer(raw(HEAD + HELLO, close=False)) as server:
        events = await rig.upstream.send(rig.attempt(rig.target(server)))
        async for chunk in events:
            if chunk.text:
                break
        await events.aclose()
        await server.until_disconnected()


async def test_silence_before_the_first_token(rig):
    async with FakeServer(stream(start(), PING, close=False)) as server:
        await rig.fails(server, AttemptTimeoutError, ttft=0.1)
        await server.until_disconnected()


async def test_check_knows_an_alias(rig):
    async def behave(request, writer):
        if request.path == "/v1/models/claude-opus-4-0":
            await reply(200, {"type": "model", "id": "claude-opus-4-20250514"})(request, writer)
        elif request.path.startswith("/v1/models?"):
            await reply(200, {"data": [{"type": "model", "id": "claude-opus-4-20250514"}]})(request, writer)
        else:
            await fails(404, "not_found_error", "model")(request, writer)

    async with FakeServer(behave) as server:
        status = await rig.upstream.check(rig.target(server, model="claude-opus-4-0"))
        assert (status.ok, status.models) == (True, ("claude-opus-4-20250514",))
        status = await rig.upstream.check(rig.target(server, model="claude-none"))
        assert not status.ok
        assert "does not list the model 'claude-none'" in status.detail


async def test_check_says_what_answers_instead(rig):
    async with FakeServer(reply(200, "<html>", {"content-type": "text/html"})) as server:
        status = await rig.upstream.check(rig.target(server))
        assert not status.ok
        assert "Anthropic-compatible" in status.detail


async def test_requests_at_once_do_not_mix(rig):
    async with FakeServer(answer()) as server:
        answers = await asyncio.gather(*(rig.send(server, stream=at % 2 == 0) for at in range(20)))
        assert {"".join(chunk.text for chunk in chunks) for chunks in answers} == {"Hello world"}


def test_every_quirk_is_documented_and_every_row_knows_them():
    words = {word for quirk in find_vendor("anthropic").quirks for word in quirk.words}
    assert words == QUIRKS
    assert all(f"``{word}``" in anthropic.__doc__ for word in QUIRKS)


OPUS_4_8 = ("no_beginning", "system_in_turns")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("claude-3-5-haiku-20241022", {"no_effort", "no_adaptive_thinking", "no_thinking", "no_json_schema"}),
        ("claude-3-7-sonnet-20250219", {"no_effort", "no_adaptive_thinking", "no_json_schema"}),
        ("claude-opus-4-1-20250805", {"no_effort", "no_adaptive_thinking", "no_json_schema", "one_sampler"}),
        ("claude-opus-4-5", {"no_adaptive_thinking", "no_xhigh_effort", "no_max_effort", "one_sampler"}),
        ("claude-haiku-4-5", {"no_effort", "no_adaptive_thinking", "one_sampler"}),
        ("claude-sonnet-4-6", {"no_beginning", "no_xhigh_effort", "one_sampler"}),
        ("claude-opus-4-8", {*OPUS_4_8, "no_temperature", "no_thinking_budget"}),
        ("claude-opus-5", {*OPUS_4_8, "thinks_unasked", "no_temperature", "no_thinking_budget"}),
        (
            "claude-opus-5-5",
            {*OPUS_4_8, "thinks_unasked", "no_temperature", "no_thinking_budget", "always_thinks", "no_forced_tools"},
        ),
        (
            "claude-sonnet-5-5",
            {
                *OPUS_4_8,
                "thinks_unasked",
                "no_temperature",
                "no_thinking_budget",
                "thinks_between_tools",
                "no_forced_tools",
            },
        ),
        ("claude-haiku-5-5", {*OPUS_4_8, "thinks_unasked", "no_temperature", "no_thinking_budget"}),
        ("claude-fable-5", {*OPUS_4_8, "thinks_unasked", "no_temperature", "no_thinking_budget", "always_thinks"}),
    ],
)
def test_quirks_of_the_models(model, words):
    assert find_vendor("anthropic").quirks_of(model) == words
