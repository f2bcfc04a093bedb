"""The official clients against the gateway, the gateway against doubles: every client by every route, both dialects."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.doubles.conftest import SECONDS, installed, packaged
from tests.doubles.gateways import gateway, strategy_over

pytestmark = pytest.mark.doubles

HERE = Path(__file__).parent
GREETING = "Hello there, wörld — 日本."
CITIES = ["Paris", "Rome"]


@pytest.fixture
async def url(aimock, tmp_path):
    """A gateway with a strategy over each dialect, and one for each kind of model."""
    base, cut = f"{aimock.root}/v1", "    optimization: {stream_recovery: error}\n"
    strategies = [
        strategy_over("openai", "openai", base, model="o3", more=cut),
        strategy_over("anthropic", "anthropic", base, model="claude-opus-4-8", more=cut),
        strategy_over("embed", "openai", base, model="text-embedding-3-small"),
        strategy_over("image", "openai", base, model="gpt-image-1"),
        strategy_over("complete", "ollama", aimock.root, model="llama3.2", supports="fim"),
    ]
    aimock.call("POST", "/__aimock/reset/journal")
    async with gateway(tmp_path, *strategies) as address:
        yield address


async def made_of(script, *arguments):
    """Run a client's script with the gateway's address, a strategy, and the scenarios wanted, else all.

    Gives what it made of the answers.
    """
    if script.endswith(".py"):
        program = (packaged(script.removeprefix("client_").removesuffix(".py")), "-I", HERE / script)
    else:
        program = ("node", HERE / script, installed("node", "node_modules", "openai").parent)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *program, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()[-3000:]
    return json.loads(said)


OPENAI = {
    "text": [GREETING, "stop"],
    "text_streamed": [GREETING, "stop"],
    "text_event_by_event": GREETING,
    "limit": ["One two three", "length", 12, 3],
    "limit_streamed": [12, 3],
    "reasoning": ["42", "Let me see."],
    "vision": ["A cat.", "stop"],
    "vision_streamed": ["A cat.", "stop"],
    "tools": ["tool_calls", CITIES, ["Rome is colder.", "stop"]],
    "tools_streamed": ["tool_calls", CITIES, ["Rome is colder.", "stop"]],
    "structured": "plum",
    "structured_streamed": "plum",
    "response": [GREETING, "completed"],
    "response_streamed": [GREETING, "completed"],
    "response_limit": ["One two three", "incomplete", "max_output_tokens", 3],
    "response_vision": "A cat.",
    "response_structured": "plum",
    "response_tools": [CITIES, "Rome is colder."],
    "response_tools_streamed": [CITIES, "Rome is colder."],
    "response_with_a_memory": ["BadRequestError", 400, "bad_call"],
    "rate_limit": ["RateLimitError", 429, "rate_limit_exceeded"],
    "rate_limit_streamed": ["RateLimitError", 429, "rate_limit_exceeded"],
    "context_limit": ["BadRequestError", 400, "context_length_exceeded"],
    "overloaded": ["InternalServerError", 502, "transient"],
    "overloaded_response": ["InternalServerError", 502, "transient"],
    "broken_stream": ["APIError", None, "stream_cut"],
    "unknown_model": ["NotFoundError", 404, "model_not_found"],
    "bad_parameter": ["BadRequestError", 400, "bad_call"],
    "models": [True, "llamafarm"],
    "unknown_model_retrieved": ["NotFoundError", 404, "model_not_found"],
    "vectors": [[0.25, -0.5, 0.75], [[0.25, -0.5, 0.75], [0.25, -0.5, 0.75]]],
    "pictures": "iVBORw0KGgo=",
    "pictures_streamed": [["image_generation.completed", "iVBORw0KGgo="]],
    "completion": [GREETING, "stop"],
    "completion_streamed": GREETING,
}
ANTHROPIC = {
    "text": [GREETING, "end_turn"],
    "text_streamed": [GREETING, "end_turn"],
    "limit": ["One two three", "max_tokens", 12, 3],
    "limit_streamed": ["One two three", "max_tokens", 3],
    "reasoning": [["Let me see."], ["42", "end_turn"]],
    "reasoning_streamed": [["Let me see."], ["42", "end_turn"]],
    "vision": ["A cat.", "end_turn"],
    "vision_streamed": ["A cat.", "end_turn"],
    "tools": ["tool_use", CITIES, ["Rome is colder.", "end_turn"]],
    "tools_streamed": ["tool_use", CITIES, ["Rome is colder.", "end_turn"]],
    "structured": "plum",
    "counted": True,
    "rate_limit": ["RateLimitError", 429, "rate_limit_error"],
    "rate_limit_streamed": ["RateLimitError", 429, "rate_limit_error"],
    "context_limit": ["BadRequestError", 400, "invalid_request_error"],
    "overloaded": ["InternalServerError", 502, "api_error"],
    "broken_stream": ["APIError", None, "api_error"],
    "unknown_model": ["NotFoundError", 404, "not_found_error"],
    "bad_parameter": ["BadRequestError", 400, "invalid_request_error"],
    "models": [True, "model"],
    "unknown_model_retrieved": ["NotFoundError", 404, "not_found_error"],
}
# The one for Python tells the status of the stream that broke, too.
ANTHROPIC_PYTHON = {**ANTHROPIC, "broken_stream": ["APIStatusError", 200, "api_error"]}
CLIENTS = [
    ("client_openai.py", OPENAI),
    ("client_openai.mjs", OPENAI),
    ("client_anthropic.py", ANTHROPIC_PYTHON),
    ("client_anthropic.mjs", ANTHROPIC),
]


def asked_upstream(aimock, words):
    """Count the requests upstream with these words in them."""
    return sum(words in json.dumps(entry["body"]) for entry in aimock.call("GET", "/__aimock/journal"))


@pytest.mark.parametrize("upstream", ["openai", "anthropic"])
@pytest.mark.parametrize(("script", "expected"), CLIENTS, ids=lambda value: value if isinstance(value, str) else "")
async def test_an_official_client_by_every_route(url, aimock, script, expected, upstream):
    assert await made_of(script, url, upstream) == expected
    # What failed was asked once for each time the client wanted it: neither side multiplies the other's tries.
    for words, names in FAILING.items():
        assert asked_upstream(aimock, words) == len(names & expected.keys()), words


FAILING = {
    "too many": {"rate_limit", "rate_limit_streamed"},
    "too long": {"context_limit"},
    "overloaded": {"overloaded", "overloaded_response"},
    "cut me": {"broken_stream"},
}
"""Prompts that fail upstream, and who asks them."""


@pytest.mark.parametrize("provider", ["custom", "anthropic"])
@pytest.mark.parametrize("script", ["client_openai.py", "client_anthropic.py"])
async def test_the_targets_key_goes_upstream_and_not_the_clients(katan, tmp_path, script, provider):
    base = f"{katan.root}/v1"
    good = strategy_over("good", provider, base, model="tiny")
    bad = strategy_over("bad", provider, base, model="tiny", key="wrong-canary")
    async with gateway(tmp_path, good, bad) as address:
        found = await made_of(script, address, "good", "text", "text_streamed")
        failed = await made_of(script, address, "bad", "text", "text_streamed")
    assert all(text and reason in ("stop", "end_turn") for text, reason in found.values())
    assert [(name, status) for name, status, _ in failed.values()] == [("InternalServerError", 502)] * 2


@pytest.mark.parametrize("path", ["/v1", "/anthropic/v1"])
@pytest.mark.parametrize("script", ["client_openai.py", "client_anthropic.py"])
async def test_what_passes_upstream_is_not_seen_by_a_client(llmock, tmp_path, script, path):
    fault = {"type": "fail", "times": 2, "status": 503}
    provider, model = ("custom", "gpt-4o") if path == "/v1" else ("anthropic", "claude-opus-4-6")
    over = strategy_over("s", provider, llmock.root + path, model=model, retries=2)
    async with gateway(tmp_path, over) as address:
        llmock.call("POST", "/_llmock/scenario", {"behaviors": [fault]})
        found = await made_of(script, address, "s", "text")
    assert found["text"][0]
    assert [one["status"] for one in llmock.call("GET", "/_llmock/requests")["requests"]] == [503, 503, 200]
    assert llmock.call("GET", "/_llmock/verdict")["findings"] == []
