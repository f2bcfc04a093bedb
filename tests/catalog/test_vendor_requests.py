"""What each vendor is sent of a request with everything in it: a table to read, vendor by vendor."""

import time

import msgspec
import pytest

from llamafarm.providers.failures import Peer
from llamafarm.providers.openai.request import body_of, place_of
from llamafarm.types import Attempt, Call
from tests.making import routing

SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
MESSAGES = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Ho", "reasoning_content": "Hm."},
    {"role": "user", "content": "And?"},
]
EVERYTHING = {
    "messages": MESSAGES,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "max_completion_tokens": 100,
    "stop": ["END"],
    "seed": 7,
    "n": 1,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"50256": -100},
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": SCHEMA,
    "reasoning_effort": "low",
    "verbosity": "low",
    "prediction": {"type": "content", "content": "x"},
    "prompt_cache_key": "k",
    "store": False,
    "metadata": {"a": "b"},
    "user": "u",
    "safety_identifier": "s",
}
OPTIONS = {"include_usage": True}
SAMPLING = {"temperature", "top_p"}
LOGPROBS = {"logprobs", "top_logprobs"}
PENALTIES = {"frequency_penalty", "presence_penalty"}
LIMIT = {"max_completion_tokens": "max_tokens"}

TABLE = [
    # vendor, model, fields left out, fields renamed, roles of the messages, what the earlier answer's reasoning becomes
    ("openai", "gpt-4o", {"top_k", "reasoning_effort"}, {}, "developer", None),
    ("openai", "o3", {"top_k", "parallel_tool_calls", "verbosity", "prediction", "logit_bias", "stop", *SAMPLING, *LOGPROBS, *PENALTIES}, {}, "developer", None),
    ("openai", "gpt-5", {"top_k", "prediction", "logit_bias", "stop", *SAMPLING, *LOGPROBS, *PENALTIES}, {}, "developer", None),
    ("azure", "gpt-4o", {"top_k", "reasoning_effort"}, {}, "developer", None),
    ("azure", "gpt-5-mini", {"top_k", "prediction", "logit_bias", "stop", *SAMPLING, *LOGPROBS, *PENALTIES}, {}, "developer", None),
    ("groq", "llama-3.3-70b-versatile", {"top_k", "logit_bias", "store", "metadata", "verbosity", "prediction", "prompt_cache_key", "safety_identifier", *LOGPROBS, *PENALTIES}, {}, "developer", None),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", {"top_logprobs"}, LIMIT, "developer", "reasoning_content"),
    ("deepseek", "deepseek-chat", {"top_k"}, LIMIT, "system", "reasoning_content"),
    ("mistral", "mistral-large-latest", {"logit_bias", "user", "safety_identifier", "store", "verbosity"}, {**LIMIT, "seed": "random_seed"}, "system", None),
    ("openrouter", "openai/gpt-4o", set(), {}, "developer", "reasoning_content"),
    ("gemini", "gemini-2.5-flash", {"top_k", "seed", "logit_bias", "store", "metadata", "verbosity", "prediction", "prompt_cache_key", "safety_identifier", *PENALTIES}, {}, "developer", "reasoning_content"),
    ("xai", "grok-4.3", {"top_k", "stop", *PENALTIES}, {}, "developer", "reasoning_content"),
    ("xai", "grok-4.20-non-reasoning", {"top_k", "reasoning_effort"}, {}, "developer", "reasoning_content"),
    ("fireworks", "accounts/fireworks/models/kimi-k3", {"store", "verbosity", "safety_identifier"}, {}, "developer", "reasoning_content"),
    ("cerebras", "gpt-oss-120b", {"top_k", "logit_bias", "store", "metadata", "verbosity", "safety_identifier"}, {}, "system", "reasoning"),
    ("perplexity", "sonar", {"seed", "logit_bias"}, LIMIT, "developer", "reasoning_content"),
    ("nvidia", "meta/llama-3.3-70b-instruct", {"store"}, LIMIT, "developer", "reasoning_content"),
    ("cohere", "command-a-03-2025", {"top_k"}, LIMIT, "developer", "reasoning_content"),
    ("moonshot", "kimi-k2.6", {*SAMPLING}, {}, "developer", "reasoning_content"),
    ("custom", "gpt-5", set(), {}, "developer", "reasoning_content"),
]  # fmt: skip
NO_STREAM_OPTIONS = {"mistral", "cohere"}
CHANGED = {
    "together": {"logprobs": 2},
    "deepseek": {"response_format": {"type": "json_object"}},
    "moonshot": {"tool_choice": "auto"},
}

CONFIG = """
name: one
description: d
components:
  there: {type: openai_compatible, config: {provider: %s, api_key: k, default_model: "%s"%s}}
"""


def attempt_at(vendor, model, body, beginning=""):
    address = ', base_url: "https://llm.example/v1"' if vendor in ("custom", "azure") else ""
    target = routing(CONFIG % (vendor, model, address)).named["there"]
    made = Attempt(Call(body, stream=True), target, {**body, "model": target.model}, time.monotonic() + 5)
    made.beginning = beginning
    return made


def sent_at(attempt):
    peer = Peer.of(attempt.target, place_of(attempt))
    return msgspec.json.decode(body_of(attempt, peer, streamed=True))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}: {row[1]}")
def test_of_a_request_with_everything(row):
    vendor, model, gone, renamed, role, reasoning = row
    attempt = attempt_at(vendor, model, EVERYTHING)
    sent = sent_at(attempt)
    expected = {renamed.get(name, name): value for name, value in EVERYTHING.items() if name not in gone}
    expected |= {"model": model, "stream": True, "stream_options": OPTIONS, **CHANGED.get(vendor, {})}
    if vendor in NO_STREAM_OPTIONS:
        del expected["stream_options"]
    messages = sent.pop("messages")
    expected.pop("messages")
    assert sent == expected
    earlier = {"role": "assistant", "content": "Ho", **({reasoning: "Hm."} if reasoning else {})}
    assert messages[-4:] == [{**MESSAGES[0], "role": role}, MESSAGES[1], earlier, MESSAGES[3]]
    told = " ".join(attempt.notes)
    assert all(name in told for name in (*gone, *renamed))


@pytest.mark.parametrize(
    ("vendor", "model", "url", "last", "around"),
    [
        ("groq", "llama-3.3-70b-versatile", "https://api.groq.com/openai/v1", {}, {}),
        ("mistral", "mistral-large-latest", "https://api.mistral.ai/v1", {"prefix": True}, {}),
        ("deepseek", "deepseek-chat", "https://api.deepseek.com/beta", {"prefix": True}, {}),
        ("moonshot", "kimi-k3", "https://api.moonshot.ai/v1", {"partial": True}, {}),
        ("openrouter", "anthropic/claude-sonnet-4.5", "https://openrouter.ai/api/v1", {}, {}),
    ],
)
def test_of_a_beginning(vendor, model, url, last, around):
    attempt = attempt_at(vendor, model, {"messages": [MESSAGES[1]]}, "It is")
    sent = sent_at(attempt)
    assert place_of(attempt).url == f"{url}/chat/completions"
    assert sent["messages"][-1] == {"role": "assistant", "content": "It is", **last}
    assert around.items() <= sent.items()


@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("openai", "gpt-4o"),
        ("together", "x"),
        ("openrouter", "anthropic/claude-opus-4.6"),
        ("gemini", "gemini-2.5-pro"),
    ],
)
def test_who_cannot_go_on(vendor, model):
    assert attempt_at(vendor, model, {"messages": [MESSAGES[1]]}).target.prefill is None
