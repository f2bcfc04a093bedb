import asyncio

import pytest

from llamafarm.errors import (
    AttemptTimeoutError,
    ConnectError,
    ContextExceededError,
    CredentialsError,
    ModelMissingError,
    RateLimitError,
    TransientError,
)
from llamafarm.providers.openai.provider import OpenAI
from llamafarm.testing import Bench, FakeAnswer, FakeProvider, FakeServer, Scenario, check_provider
from llamafarm.testing.fake_server import answer, events, raw, reply, silence
from llamafarm.testing.provider_check import CANARY
from llamafarm.transport import HttpTransport
from llamafarm.types import Secret, Target, ToolCall, Usage

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


def refuse(status, message, headers=None, **fields):
    return reply(status, {"error": {"message": message, **fields}}, headers)


async def tools(request, writer):
    def delta(**function):
        return {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": function}]}}]}

    if request.json.get("stream"):
        pieces = [delta(name="weather", arguments=""), delta(arguments='{"city":'), delta(arguments=' "Paris"}')]
        behave = events(*pieces, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    else:
        choice = {"message": {"tool_calls": [CALL]}, "finish_reason": "tool_calls"}
        behave = reply(200, {"choices": [choice]})
    await behave(request, writer)


async def unfinished(request, writer):
    choice = {"index": 0, "delta" if request.json.get("stream") else "message": {"content": "Hello"}}
    behave = events({"choices": [choice]}) if request.json.get("stream") else reply(200, {"choices": [choice]})
    await behave(request, writer)


SCRIPTS = {
    Scenario.ANSWER: answer(),
    Scenario.TOOLS: tools,
    Scenario.NO_USAGE: answer(usage={}),
    Scenario.CUT: raw(HEAD + HELLO),
    Scenario.UNFINISHED: unfinished,
    Scenario.ENDLESS: raw(HEAD + HELLO, close=False),
    Scenario.SILENT: silence(),
    Scenario.UNAUTHORIZED: refuse(401, f"Incorrect API key provided: {CANARY}", code="invalid_api_key"),
    Scenario.RATE_LIMITED: refuse(429, "slow down", {"retry-after": "7"}),
    Scenario.OVERLOADED: refuse(503, "overloaded"),
    Scenario.TOO_LONG: refuse(400, "too long", code="context_length_exceeded"),
    Scenario.MODEL_MISSING: refuse(404, "no such model"),
}


async def test_the_openai_provider_keeps_its_promises():
    transport = HttpTransport()
    servers = {scenario: FakeServer(script) for scenario, script in SCRIPTS.items()}
    targets = {}

    async def disconnected():
        for scenario in (Scenario.ENDLESS, Scenario.SILENT):
            await servers[scenario].until_disconnected()

    for scenario, server in servers.items():
        await server.__aenter__()
        targets[scenario] = target(scenario, server.base_url)
    targets[Scenario.REFUSED] = target(Scenario.REFUSED, "http://127.0.0.1:9/v1")
    try:
        await check_provider(Bench(OpenAI(transport), targets, disconnected))
    finally:
        await transport.aclose()
        for server in servers.values():
            await server.__aexit__()


def target(scenario, base_url=None):
    return Target(scenario.value, "acme", "openai", "fake-model", base_url=base_url, api_key=Secret(CANARY, "ACME_KEY"))


def fake_bench(**changes):
    answers = {
        "answer": FakeAnswer("Hello world", usage=Usage(9, 2)),
        "tools": FakeAnswer("", tool_calls=(ToolCall(0, "c", "weather", '{"city": "Paris"}'),)),
        "no_usage": FakeAnswer("Hello world", usage=None),
        "cut": FakeAnswer("Hello", finish_reason=None),
        "unfinished": FakeAnswer("Hello", finish_reason=None),
        "silent": AttemptTimeoutError("late"),
        "unauthorized": CredentialsError("no"),
        "rate_limited": RateLimitError("slow", retry_after=7),
        "overloaded": TransientError("busy"),
        "too_long": ContextExceededError("long"),
        "model_missing": ModelMissingError("none"),
        "refused": ConnectError("refused"),
        **changes,
    }
    return Bench(FakeProvider(answers), {Scenario(name): target(Scenario(name)) for name in answers})


async def test_the_fake_provider_keeps_them_too():
    await check_provider(fake_bench())


@pytest.mark.parametrize(
    ("scenario", "script", "promise"),
    [
        ("answer", FakeAnswer("Hello", usage=Usage(9, 2)), "gives the whole text"),
        ("answer", FakeAnswer("Hello world", pieces=1, usage=Usage(9, 2)), ""),
        ("answer", FakeAnswer("Hello world", usage=Usage(9, 3)), "has the usage the target gave"),
        ("answer", FakeAnswer("Hello world", finish_reason="length", usage=Usage(9, 2)), "has the finish reason"),
        ("no_usage", FakeAnswer("Hello world"), "invents none"),
        ("tools", FakeAnswer("x"), "have one index"),
        ("cut", FakeAnswer("Hello"), "never ends normally"),
        ("unfinished", FakeAnswer("Hello"), "never passes for a whole one"),
        ("unfinished", TransientError("x"), "raises StreamCutError or BadReplyError, not TransientError"),
        ("cut", FakeAnswer("Hello", error=TransientError("x")), "raises StreamCutError, not TransientError"),
        ("overloaded", "Hello", "raises TransientError"),
        ("overloaded", RateLimitError("x"), "not RateLimitError"),
        ("rate_limited", RateLimitError("x", retry_after=1), "retry_after"),
        ("unauthorized", CredentialsError(f"bad {CANARY}"), "no error holds the API key"),
        ("unauthorized", CredentialsError("two\nlines"), "one line"),
        ("refused", FakeAnswer("x"), "raises ConnectError"),
    ],
)
async def test_every_broken_promise_is_found(scenario, script, promise):
    if not promise:
        await check_provider(fake_bench(**{scenario: script}))
        return
    with pytest.raises(AssertionError, match=promise) as caught:
        await check_provider(fake_bench(**{scenario: script}))
    assert f"- {scenario}: " in str(caught.value)


async def test_what_never_ends_is_a_broken_promise(monkeypatch):
    monkeypatch.setattr("llamafarm.testing.provider_check._DEADLINE", 0.05)
    bench = fake_bench(overloaded=FakeAnswer(hold=asyncio.Event()))
    with pytest.raises(AssertionError, match="overloaded: fails did not end within"):
        await check_provider(bench)
