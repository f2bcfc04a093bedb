"""Anthropic's own package judges what we send it, and what our tests take for its answers."""

import json

import pytest

from llamafarm.providers.anthropic.request import translate
from llamafarm.testing import FakeServer
from tests.doubles.bodies import BODIES, OWN
from tests.providers.anthropic_server import STREAMS, answer

pytestmark = pytest.mark.doubles

MODELS = {
    "newest": frozenset({"no_temperature", "no_thinking_budget"}),
    "plain": frozenset(),
    "no effort": frozenset({"no_effort", "no_adaptive_thinking", "no_json_schema"}),
    "thinks always": frozenset({"always_thinks", "thinks_between_tools", "no_forced_tools", "no_max_effort"}),
}


def request(body):
    return {"kind": "request", "body": body}


async def test_it_has_nothing_against_our_requests(judge):
    made = {
        f"{name}, {model}{', streamed' if streamed else ''}": translate(
            {"model": "claude-x", **body}, quirks, streamed=streamed
        ).body
        for name, body in {**BODIES, **OWN}.items()
        for model, quirks in MODELS.items()
        for streamed in (False, True)
    }
    verdicts = await judge("anthropic_judge.py", [request(body) for body in made.values()])
    assert {name: said for name, said in zip(made, verdicts, strict=True) if said} == {}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"made_up": 1}, "made_up"),
        ({"tool_choice": {"type": "some"}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]}, "source"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "made_up": 1}]}]}, "made_up"),
        ({"system": [{"type": "image"}]}, "'text'"),
    ],
)
async def test_it_can_complain(judge, change, place):
    body = translate({"model": "m", **BODIES["text"]}).body | change
    ((*said,),) = await judge("anthropic_judge.py", [request(body)])
    assert any(place in complaint for complaint in said), said


async def test_it_knows_our_recorded_events(judge):
    events = [
        json.loads(line.removeprefix("data: "))
        for path in sorted(STREAMS.glob("*.sse"))
        for line in path.read_text().splitlines()
        if line.startswith("data: ")
    ]
    events = [event for event in events if event["type"] not in ("ping", "error")]
    verdicts = await judge("anthropic_judge.py", [{"kind": "event", "body": event} for event in events])
    assert len(events) > 20
    assert [said for said in zip(events, verdicts, strict=True) if said[1]] == []


@pytest.mark.parametrize("stream", [True, False])
async def test_its_client_understands_our_server(judge, stream):
    body = {"model": "fake-model", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    async with FakeServer(answer()) as server:
        host = server.base_url.removesuffix("/v1")
        asked = {"kind": "client", "host": host, "body": body, "says": "Hello world"}
        assert await judge("anthropic_judge.py", [asked]) == [[]]
    assert len(server.requests) == 1
