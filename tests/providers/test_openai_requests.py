import msgspec
import pytest

from llamafarm.errors import BadRequestError, ConnectError, CredentialsError, UntranslatableError
from llamafarm.providers.openai.quirks import QUIRKS, TAKES, adapt
from llamafarm.testing.fake_server import FakeServer, answer
from llamafarm.types import Operation, Secret

from .conftest import KEY

BODY = {"model": "m", "messages": [], "max_tokens": 5, "temperature": 0.5, "odd_field": {"kept": True}}


async def test_a_plain_request(rig):
    async with FakeServer() as server:
        (chunk,) = await rig.send(server, stream=False, body={**BODY, "stream": True, "stream_options": {}})
        (request,) = server.requests
        assert request.path == "/v1/chat/completions"
        assert request.json == BODY
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["content-type"] == "application/json"
        assert (chunk.text, chunk.finish_reason) == ("Hello world", "stop")
        assert msgspec.json.decode(chunk.raw)["object"] == "chat.completion"


async def test_a_stream_asks_for_its_usage_and_keeps_other_options(rig):
    async with FakeServer() as server:
        body = {**BODY, "stream_options": {"include_obfuscation": False}}
        chunks = await rig.send(server, body=body)
        options = {"include_obfuscation": False, "include_usage": True}
        assert server.requests[0].json == {**BODY, "stream": True, "stream_options": options}
        assert "".join(chunk.text for chunk in chunks) == "Hello world"
        assert chunks[-1].usage.output_tokens == 2


@pytest.mark.parametrize("operation", [Operation.CHAT, Operation.COMPLETION])
@pytest.mark.parametrize("asked", [True, False, None])
@pytest.mark.parametrize("options", [{"include_usage": False}, {"include_usage": True}, {}, None])
async def test_whether_it_streams_is_the_calls_word_alone(rig, operation, asked, options):
    async with FakeServer() as server:
        body = {"prompt": "x", "stream": asked, "stream_options": options}
        await rig.send(server, operation=operation, body=body)
        await rig.send(server, operation=operation, body=body, stream=False)
        streamed, whole = (request.json for request in server.requests)
        assert streamed == {"prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
        assert whole == {"prompt": "x"}


@pytest.mark.parametrize("stream", [True, False])
async def test_an_embedding_never_streams(rig, stream):
    async with FakeServer() as server:
        body = {"input": "x", "stream": True, "stream_options": {"include_usage": True}}
        await rig.send(server, operation=Operation.EMBEDDING, body=body, stream=stream)
        assert server.requests[0].json == {"input": "x"}


async def test_the_attempt_is_left_as_it_is(rig):
    async with FakeServer() as server:
        attempt = rig.attempt(rig.target(server, quirks=frozenset(QUIRKS)), body=BODY)
        async for _ in await rig.upstream.send(attempt):
            pass
        assert attempt.body == BODY


async def test_completions_and_embeddings(rig):
    async with FakeServer() as server:
        chunks = await rig.send(server, operation=Operation.COMPLETION, body={"prompt": "x"})
        assert "".join(chunk.text for chunk in chunks) == "Hello world"
        (chunk,) = await rig.send(server, operation=Operation.COMPLETION, body={"prompt": "x"}, stream=False)
        assert chunk.text == "Hello world"
        (chunk,) = await rig.send(server, operation=Operation.EMBEDDING, body={"input": "x"})
        assert msgspec.json.decode(chunk.raw)["data"][0]["embedding"] == [0.6, 0.8]
        assert chunk.usage.input_tokens == 9
        paths = [request.path for request in server.requests]
        assert paths == ["/v1/completions", "/v1/completions", "/v1/embeddings"]
        assert "stream" not in server.requests[2].json


async def test_the_query_of_the_base_url_is_kept(rig):
    async with FakeServer() as server:
        await rig.send(f"{server.base_url}/deployments/d?api-version=1", stream=False)
        assert server.requests[0].path == "/v1/deployments/d/chat/completions?api-version=1"


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"api-key": "{key}"}, {"api-key": KEY, "authorization": None}),
        ({"Authorization": "Token {key}"}, {"authorization": f"Token {KEY}"}),
        ({"X-Title": "mine"}, {"x-title": "mine", "authorization": f"Bearer {KEY}"}),
    ],
)
async def test_header_templates(rig, headers, sent):
    async with FakeServer() as server:
        await rig.send(server, stream=False, changes={"headers": headers})
        for name, value in sent.items():
            assert server.requests[0].headers.get(name) == value


async def test_a_target_without_a_key_sends_none(rig):
    async with FakeServer() as server:
        await rig.send(server, stream=False, changes={"api_key": None, "headers": {"Authorization": "Bearer {key}"}})
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("key", [None, "", "with\nline", "with\r\nx-evil: 1", "schlüssel"])
async def test_a_key_that_cannot_be_sent(rig, key):
    async with FakeServer() as server:
        error = await rig.fails(server, CredentialsError, changes={"api_key": Secret(key, "ACME_KEY")})
        assert "ACME_KEY" in str(error)
        assert server.connections == 0


@pytest.mark.parametrize(
    ("base_url", "says"), [(None, "no base_url"), ("api.acme.com/v1", "is not a URL"), ("https://a:b@c/v1", "api_key")]
)
async def test_a_base_url_that_is_none(rig, base_url, says):
    assert says in str(await rig.fails("", ConnectError, changes={"base_url": base_url}))


@pytest.mark.parametrize("text", ["\ud800", object()])
async def test_a_body_that_cannot_be_written(rig, text):
    await rig.fails("http://127.0.0.1:1", BadRequestError, body={"messages": [{"role": "user", "content": text}]})


@pytest.mark.parametrize(
    ("quirk", "before", "after"),
    [
        ("no_stream_options", {"stream": True, "stream_options": {}}, {"stream": True}),
        ("max_completion_tokens", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("max_completion_tokens", {"max_tokens": 9, "max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ("max_completion_tokens", {"x": 1}, {"x": 1}),
        ("no_max_completion_tokens", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("random_seed", {"seed": 1}, {"random_seed": 1}),
        ("no_temperature", {"temperature": 1, "top_p": 1, "x": 1}, {"x": 1}),
        ("no_penalties", {"frequency_penalty": 1, "presence_penalty": 1}, {}),
        ("no_stop", {"stop": "x"}, {}),
        ("few_stops", {"stop": list("abcde")}, {"stop": list("abcd")}),
        ("few_stops", {"stop": list("abcd")}, {"stop": list("abcd")}),
        ("few_stops", {"stop": "abcdef"}, {"stop": "abcdef"}),
        ("no_seed", {"seed": 1}, {}),
        ("no_logprobs", {"logprobs": True, "top_logprobs": 2}, {}),
        ("no_parallel_tool_calls", {"parallel_tool_calls": True}, {}),
        ("no_reasoning_effort", {"reasoning_effort": "low"}, {}),
        ("no_store", {"store": False}, {}),
        ("no_user", {"user": "u"}, {}),
        (
            "no_developer_role",
            {"messages": [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]},
            {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]},
        ),
        ("stores", {"store": True}, {"store": True}),
        ("resells", {"store": True}, {"store": True}),
        ("thinks_when_asked", {"temperature": 1}, {"temperature": 1}),
        (
            "thinks_when_asked",
            {"temperature": 1, "reasoning_effort": "none"},
            {"temperature": 1, "reasoning_effort": "none"},
        ),
        (
            "thinks_when_asked",
            {"temperature": 1, "logprobs": True, "reasoning_effort": "low"},
            {"reasoning_effort": "low"},
        ),
        ("thinks_unless_told", {"temperature": 1, "top_p": 1}, {}),
        (
            "thinks_unless_told",
            {"temperature": 1, "reasoning_effort": "none"},
            {"temperature": 1, "reasoning_effort": "none"},
        ),
        ("no_top_k", {"top_k": 5}, {}),
        ("count_logprobs", {"logprobs": True, "top_logprobs": 3}, {"logprobs": 3}),
        ("count_logprobs", {"logprobs": True}, {"logprobs": 1}),
        ("count_logprobs", {"logprobs": False, "top_logprobs": 3}, {}),
        ("count_logprobs", {"logprobs": 4}, {"logprobs": 4}),
        ("no_logit_bias", {"logit_bias": {"1": 2}}, {}),
        ("no_required_tool", {"tool_choice": "required"}, {"tool_choice": "auto"}),
        ("no_required_tool", {"tool_choice": "none"}, {"tool_choice": "none"}),
        ("no_forced_tool", {"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tool_choice": "auto"}),
        ("no_forced_tool", {"tool_choice": "none"}, {"tool_choice": "none"}),
        (
            "no_forced_tool",
            {"tool_choice": "required", "thinking": {"type": "disabled"}},
            {"tool_choice": "required", "thinking": {"type": "disabled"}},
        ),
        (
            "no_json_schema",
            {"messages": [], "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}},
            {
                "messages": [
                    {
                        "role": "system",
                        "content": 'Answer with one JSON object that follows this JSON schema: {"type":"object"}',
                    }
                ],
                "response_format": {"type": "json_object"},
            },
        ),
        ("no_json_schema", {"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}),
        ("no_verbosity", {"verbosity": "low"}, {}),
        ("no_prediction", {"prediction": {}}, {}),
        ("no_service_tier", {"service_tier": "flex"}, {}),
        ("no_metadata", {"metadata": {}}, {}),
        ("no_safety_identifier", {"safety_identifier": "u"}, {}),
        ("no_cache_key", {"prompt_cache_key": "k"}, {}),
        (
            "no_reasoning_back",
            {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "r", "thinking_blocks": []}]},
            {"messages": [{"role": "assistant", "content": "a"}]},
        ),
        (
            "reasoning_back",
            {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "r"}, {"role": "user"}]},
            {"messages": [{"role": "assistant", "content": "a", "reasoning": "r"}, {"role": "user"}]},
        ),
        ("echoes_beginning", {"prefix": True}, {"prefix": True}),
        ("no_trailing_space", {"prompt": "x "}, {"prompt": "x "}),
    ],
)
def test_quirks(quirk, before, after):
    copy = msgspec.json.decode(msgspec.json.encode(before))
    assert adapt(before, frozenset({quirk})) == after
    assert before == copy


def test_every_quirk_is_tested_and_documented():
    from llamafarm.providers.openai import provider as openai

    (marks,) = [mark for mark in test_quirks.pytestmark if mark.name == "parametrize"]
    assert {case[0] for case in marks.args[1]} == set(QUIRKS)
    assert all(f"``{word}``" in openai.__doc__ for word in (*QUIRKS, *TAKES))


def test_every_quirk_of_the_vendor_table_is_known():
    from llamafarm.catalog.vendors import find_vendor, vendor_names

    vendors = [find_vendor(name) for name in vendor_names()]
    words = {w for v in vendors if v.dialect == "openai" for quirk in v.quirks for w in quirk.words}
    assert words <= {*QUIRKS, *TAKES}


async def test_an_unknown_quirk_is_refused(rig):
    error = await rig.fails("http://127.0.0.1:1", UntranslatableError, changes={"quirks": frozenset({"no_idea"})})
    assert "'no_idea' is not a quirk" in str(error)


async def test_a_quirk_reaches_the_wire(rig):
    async with FakeServer(answer()) as server:
        quirks = frozenset({"no_stream_options", "max_completion_tokens"})
        await rig.send(server, body=BODY, changes={"quirks": quirks})
        sent = server.requests[0].json
        assert "stream_options" not in sent
        assert "max_tokens" not in sent
        assert sent["max_completion_tokens"] == 5
