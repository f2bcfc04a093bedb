"""What a call could cost, and that the limit holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm import catalog, errors, planning
from llamafarm.planning import money
from llamafarm.types import Call, Operation, Price, Target, Usage
from tests.making import call, order, routing, snapshot

TEXT = """
name: priced
description: d
components:
  cloud: {type: openai_compatible, config: {provider: custom, base_url: 'https://x.example/v1', default_model: m%s}}
  here: {type: llamacpp, config: {engine: embedded}}
fallback_chain: [cloud, here]
"""
DOLLAR = TEXT % ", price: {input: 1, output: 10}"


def explained(text, asked):
    return planning.explain(routing(text), asked, snapshot())


@pytest.mark.key("strategies[].components{}.config<cloud>.price.input")
@pytest.mark.key("strategies[].components{}.config<cloud>.price.output")
def test_the_worst_case_is_every_byte_and_the_whole_output_limit():
    asked = call("x" * 1000, max_tokens=100)
    shown = explained(DOLLAR, asked)
    assert shown.worst_case == 2 * (asked.input_bytes * 1_000 + 100 * 10_000), "a target is tried twice"
    assert asked.input_bytes >= 1000


def test_without_any_limit_on_the_output_there_is_no_worst_case():
    assert explained(DOLLAR, call()).worst_case is None
    assert explained(TEXT % "", call(max_tokens=5)).worst_case is None


@pytest.mark.key("strategies[].constraints.max_cost_per_request")
def test_a_limit_needs_a_price():
    text = TEXT % "" + "constraints: {max_cost_per_request: 0.1}"
    assert order(text) == ["here"]
    assert "no known price" in explained(text, call()).verdicts[0].reasons[0]


def test_a_limit_rules_out_what_could_cost_more():
    text = DOLLAR + "constraints: {max_cost_per_request: 0.01}"
    assert order(text, call(max_tokens=100)) == ["cloud", "here"]
    assert order(text, call(max_tokens=2000)) == ["here"]
    assert "could cost $0.02" in explained(text, call(max_tokens=2000)).verdicts[0].reasons[0]
    assert order(text, call(max_tokens=100, n=15)) == ["here"], "every choice is billed"
    assert order(text, call(max_tokens=100, best_of=15)) == ["here"]


def test_each_prompt_of_a_list_is_billed():
    text = DOLLAR + "constraints: {max_cost_per_request: 0.02}"

    def many(prompt):
        return Call({"prompt": prompt, "max_tokens": 100}, operation=Operation.COMPLETION)

    assert order(text, many(["a"] * 10)) == ["cloud", "here"]
    assert order(text, many(["a"] * 30)) == ["here"]
    assert order(text, many([[1, 2]] * 30)) == ["here"]
    assert order(text, many([1] * 30)) == ["cloud", "here"], "a list of tokens is one prompt"


def test_the_worst_case_of_a_request_is_that_of_all_its_targets_together():
    text = TEXT.replace("engine: embedded", "engine: embedded, price: {input: 0, output: 10}, max_retries: 0")
    text = text % ", price: {input: 0, output: 10}, max_retries: 2"
    assert explained(text, call(max_tokens=100)).worst_case == (3 + 1) * 100 * 10_000
    limited = text + "constraints: {max_cost_per_request: 0.003}"
    assert explained(limited, call(max_tokens=100)).worst_case == 3_000_000


PART = {"type": "text", "text": "look"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "document_url", "document_url": "https://x.example/a.pdf"},
        {"type": "audio_url", "audio_url": {"url": "https://x.example/a.mp3"}},
        {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}},
        {"type": "input_audio", "input_audio": {"data": "AA=="}},
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "something_new", "x": 1},
        {"type": "text", "text": "a", "document_url": "https://x.example/a.pdf"},
    ],
)
def test_parts_that_no_price_covers_are_not_sent_under_a_limit(part):
    asked = call(max_tokens=100)
    asked.body = {**asked.body, "messages": [{"role": "user", "content": [PART, part]}]}
    assert "cloud" in order(DOLLAR, asked)
    refused = explained(DOLLAR + "constraints: {max_cost_per_request: 0.5}", asked).verdicts[0]
    assert "does not cover" in refused.reasons[0]


def test_usual_conversations_have_no_extras():
    asked = call(max_tokens=100)
    asked.body = {
        **asked.body,
        "messages": [
            {"role": "system", "content": "s", "name": "n"},
            {
                "role": "user",
                "content": [PART, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}],
            },
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "result"},
            {"role": "assistant", "content": "a", "refusal": None, "reasoning_content": "r"},
        ],
    }
    assert order(DOLLAR + "constraints: {max_cost_per_request: 0.5}", asked)[0] == "cloud"


def test_without_an_output_limit_it_is_what_the_money_buys_but_not_below_256_tokens():
    assert order(DOLLAR + "constraints: {max_cost_per_request: 0.01}") == ["cloud", "here"]
    assert order(DOLLAR + "constraints: {max_cost_per_request: 0.003}") == ["here"]


def test_what_no_price_covers_is_refused_under_a_limit():
    text = DOLLAR + "constraints: {max_cost_per_request: 1}"
    for extra in (
        {"web_search_options": {}},
        {"models": ["openai/gpt-5-pro"]},
        {"plugins": [{"id": "web"}]},
        {"something_new": 1},
        {"service_tier": "priority"},
        {"modalities": ["text", "audio"]},
        {"tools": [{"type": "web_search"}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
    ):
        assert "its price does not cover" in explained(text, call(**extra)).verdicts[0].reasons[-1], extra
    assert order(text, call(service_tier="auto"))[0] == "cloud"
    assert order(text, call(tools=[{"type": "function", "function": {"name": "f"}}]))[0] == "cloud"


def test_images_count_as_the_vendors_maximum():
    text = DOLLAR + "constraints: {max_cost_per_request: 0.02}"
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}] * 2}
    assert order(text, call(max_tokens=10)) == ["cloud", "here"]
    with pytest.raises(errors.NoTargetError, match="could cost"):
        order(text.replace("price:", "supports: [vision], price:"), call(max_tokens=10, messages=[picture]))


def test_local_targets_cost_nothing_unless_priced():
    asked = call(max_tokens=10)
    assert explained(DOLLAR.replace("fallback_chain: [cloud, here]", "fallback_chain: [here]"), asked).worst_case == 0
    priced = DOLLAR.replace("engine: embedded", "engine: embedded, price: {input: 0, output: 1000000}")
    assert explained(priced.replace("[cloud, here]", "[here]"), call(max_tokens=10)).worst_case == 2 * 10**10


@given(
    limit=st.integers(0, 10**9),
    rates=st.tuples(st.integers(0, 10**11), st.integers(0, 10**11)),
    size=st.integers(0, 10**6),
    used=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
)
def test_what_the_money_buys_never_costs_more(limit, rates, size, used):
    target = Target("t", "custom", "openai", "m", price=Price(*rates))
    asked = call()
    asked.input_bytes = size
    cap = money.affordable_cap(target, asked, None, limit)
    if cap >= 1:
        usage = Usage(min(used[0], size), min(used[1], cap))
        assert catalog.cost(usage, target.price) <= limit


def test_embeddings_have_no_output():
    asked = call(input=["x" * 100])
    asked.operation = Operation.EMBEDDING
    shown = explained(DOLLAR + "constraints: {max_cost_per_request: 1}", asked)
    assert shown.worst_case == 2 * asked.input_bytes * 1_000


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n", "best_of"])
@pytest.mark.parametrize("value", [-1, 0, 3.5, 50.0, "5000", True, [1]])
def test_a_count_that_makes_no_sense_is_refused_before_it_is_counted_with(name, value):
    with pytest.raises(errors.BadCallError, match=f"{name} is .*: expected a whole number from 1"):
        order(DOLLAR, call(**{name: value}))


def test_null_is_not_given():
    assert order(DOLLAR + "constraints: {max_output_tokens: 5}", call(max_tokens=None, n=None)) == ["cloud", "here"]


@pytest.mark.parametrize("messages", [None, [], "hello", ["hello"]])
def test_a_conversation_needs_messages(messages):
    with pytest.raises(errors.BadCallError, match="message"):
        order(DOLLAR, call(messages=messages))


def test_a_targets_own_system_prompt_counts():
    text = DOLLAR.replace("price:", "system_prompt: '" + "word " * 400 + "', price:")
    assert order(text + "constraints: {max_input_tokens: 100}") == ["here"]
    assert order(text + "constraints: {max_tokens: 300}") == ["here"]
    own = [{"role": "system", "content": "mine"}, {"role": "user", "content": "Hi"}]
    assert order(text + "constraints: {max_input_tokens: 100}", call(messages=own)) == ["cloud", "here"]
