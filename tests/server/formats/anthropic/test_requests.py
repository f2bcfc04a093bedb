"""What a request of the Messages API becomes: in OpenAI's words, and back again."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.errors import BadCallError
from llamafarm.planning.extras import asked_extras
from llamafarm.planning.fetching import asked_fetches
from llamafarm.planning.sense import check_request
from llamafarm.providers.anthropic.request import translate
from llamafarm.server.formats.anthropic import CountTokens, Messages
from tests.server.formats.anthropic.asked import (
    CITED,
    ELSEWHERE,
    HI,
    MARK,
    NOTE,
    PAPER,
    PDF,
    PICTURE,
    PNG,
    SCHEMA,
    SEARCH,
    STORED,
    TOOL,
    assistant,
    head,
    read,
    request,
    requests,
    result,
    said,
    use,
    user,
)

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "s"}


def messages(*given, **fields):
    return read(*given, **fields).body["messages"]


def short(value):
    """Write a content that is one plain text as that text: both mean the same."""
    if isinstance(value, dict):
        value = {name: short(item) for name, item in value.items()}
        content = value.get("content")
        if isinstance(content, list) and len(content) == 1 and content[0].keys() == {"type", "text"}:
            value["content"] = content[0]["text"]
        return value
    return [short(item) for item in value] if isinstance(value, list) else value


@given(requests())
def test_what_both_can_say_comes_back_as_it_was(asked):
    before = json.dumps(asked)
    call = Messages().read(asked, head())
    check_request(call)
    back = translate({**call.body, "model": "m"}).body
    wanted = short({**asked, "system": {"content": asked.get("system")}})
    wanted["system"] = wanted["system"]["content"]
    back["system"] = back.get("system")
    assert short(back) == wanted
    assert json.dumps(asked) == before == json.dumps(call.native.body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "text", "role", "content", "source", "input", "name", "id", "tool_use_id"]),
                inner,
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(
        [
            "messages",
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "metadata",
            "stop_sequences",
            "max_tokens",
            "model",
            "stream",
        ]
    ),
)
def test_nonsense_is_refused_by_name_or_read(nonsense, name):
    try:
        call = Messages().read({**request(), name: nonsense}, head())
    except BadCallError as error:
        complaint = str(error)
        assert (name in complaint, "\n" in complaint) == (True, False)
        return
    with suppress(BadCallError):
        check_request(call)
    assert asked_extras(call.body) is not None


def test_a_plain_one():
    call = read(HI, system="Be brief.", temperature=0.5, top_k=3, stop_sequences=["a"], stream=True)
    assert call.body == {
        "messages": [{"role": "system", "content": "Be brief."}, HI],
        "max_tokens": 50,
        "temperature": 0.5,
        "top_k": 3,
        "stop": ["a"],
    }
    assert (call.model, call.stream) == ("m", True)


def test_the_user_and_the_tags():
    given = request(metadata={"user_id": "u1", "tags": ["a"]})
    call = Messages().read(given, head(x_llamafarm_tags="b, c"))
    assert call.body["user"] == call.user == "u1"
    assert call.tags == {"a", "b", "c"}
    assert "metadata" not in call.body


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (said("a"), {"type": "text", "text": "a"}),
        (PICTURE, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
        (ELSEWHERE, {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}),
        (PAPER, {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}),
        (STORED, STORED),
        (NOTE, NOTE),
        (CITED, CITED),
    ],
)
def test_blocks(block, part):
    assert messages(user(block)) == [{"role": "user", "content": [part]}]
    assert messages(user({**block, "cache_control": MARK}))[0]["content"] == [{**part, "cache_control": MARK}]


def test_results_of_parallel_tools_are_a_message_each():
    asked = [
        HI,
        assistant(said("Let me see."), use(1), use(2)),
        user(result("one"), result([said("two"), PICTURE], 2, is_error=True), said("And?")),
    ]
    _, called, one, two, more = messages(*asked)
    assert called["tool_calls"] == [
        {"id": f"toolu_{n}", "type": "function", "function": {"name": "f", "arguments": f'{{"a":{n}}}'}} for n in (1, 2)
    ]
    assert one == {"role": "tool", "tool_call_id": "toolu_1", "content": "one"}
    assert (two["role"], two["is_error"], [part["type"] for part in two["content"]]) == (
        "tool",
        True,
        ["text", "image_url"],
    )
    assert more == {"role": "user", "content": [said("And?")]}


def test_thoughts_are_kept_for_whoever_can_read_them():
    redacted = {"type": "redacted_thinking", "data": "ZA=="}
    _, answer, _ = messages(HI, assistant(THOUGHT, redacted, said("Yes.")), HI)
    assert answer["thinking_blocks"] == [THOUGHT, redacted]
    assert answer["reasoning_content"] == "Hm."


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "max"}}, "max"),
        *(
            ({"thinking": {"type": "enabled", "budget_tokens": budget}}, effort)
            for budget, effort in {
                1024: "low",
                1025: "medium",
                16384: "high",
                16385: "xhigh",
                31999: "max",
                99999: "max",
            }.items()
        ),
    ],
)
def test_thinking(fields, effort):
    body = read(**fields).body
    assert body.get("reasoning_effort") == effort
    assert not body.keys() & {"thinking", "output_config"}


@pytest.mark.parametrize("budget", [1024, 4096, 16384])
def test_a_budget_comes_back_where_the_model_knows_only_budgets(budget):
    given = {"type": "enabled", "budget_tokens": budget}
    body = read(thinking=given, max_tokens=20_000).body
    assert translate(body, frozenset({"no_effort", "no_adaptive_thinking"})).body["thinking"] == given


@pytest.mark.parametrize("name", ["output_format", "output_config"])
def test_a_schema(name):
    form = {"type": "json_schema", "schema": SCHEMA}
    body = read(**{name: {"format": form} if name == "output_config" else form}).body
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
    assert body["response_format"] == wanted


def test_a_schema_that_openai_could_not_hold_to_is_not_strict():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    body = read(output_config={"format": {"type": "json_schema", "schema": schema}}).body
    assert "strict" not in body["response_format"]["json_schema"]


@pytest.mark.parametrize(
    ("choice", "read_as", "parallel"),
    [
        ({"type": "auto"}, "auto", None),
        ({"type": "any"}, "required", None),
        ({"type": "none"}, "none", None),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}, None),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
        ({"type": "any", "disable_parallel_tool_use": False}, "required", None),
    ],
)
def test_tool_choice(choice, read_as, parallel):
    body = read(tools=[TOOL], tool_choice=choice).body
    assert (body["tool_choice"], body.get("parallel_tool_calls")) == (read_as, parallel)


def test_tools():
    body = read(tools=[{**TOOL, "type": "custom", "cache_control": MARK}, SEARCH]).body
    function = {"name": "f", "description": "d", "parameters": SCHEMA}
    assert body["tools"] == [{"type": "function", "function": function, "cache_control": MARK}, SEARCH]


def test_what_is_billed_apart_and_what_reaches_out_is_seen():
    call = read(user(ELSEWHERE), tools=[SEARCH], mcp_servers=[{"url": "https://m.example"}], speed="fast", new_thing=1)
    assert {"the tool web_search_20250305", "mcp_servers", "speed", "new_thing"} <= set(asked_extras(call.body))
    assert {"the tool web_search_20250305", "image_url"} <= set(asked_fetches(call.body))
    assert not asked_extras(read(HI, assistant(THOUGHT, use()), user(result("x", is_error=True)), tools=[TOOL]).body)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a-2026-01-01", "a-2026-01-01"),
        (" a-1 ,b.2,, c_3 ", "a-1,b.2,c_3"),
        ("a-1, x: y\r\nx-api-key: stolen, b", "a-1,b"),
        ("é, a b", None),
        ("", None),
    ],
)
def test_betas_are_names_and_nothing_else(given, kept):
    call = Messages().read(request(), head(anthropic_beta=given, x_api_key="secret"))
    assert call.native.headers == ({"anthropic-beta": kept} if kept else {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"model": None}, "model: Field required"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": ["a"]}, "messages.0: Input should be an object"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
        ({"messages": [HI, user(said("a"), {"type": "text"})]}, "messages.1.content.1.text: Field required"),
        ({"messages": [user({"type": "image"})]}, "messages.0.content.0.source: Field required"),
        ({"messages": [user({"type": "image", "source": {"type": "base64"}})]}, "messages.0.content.0.source.media_type: Field required"),
        ({"messages": [user({"type": "tool_result"})]}, "messages.0.content.0.tool_use_id: Field required"),
        ({"messages": [user(result([{"type": "text"}]))]}, "messages.0.content.0.content.0.text: Field required"),
        ({"messages": [assistant({**use(), "input": "{}"})]}, "messages.0.content.0.input: Input should be an object"),
        ({"messages": [assistant({"type": "thinking"})]}, "messages.0.content.0.thinking: Field required"),
        ({"system": [said("a"), PICTURE]}, "system.1.type: Input should be 'text'"),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema: Field required"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name: Field required"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name: Field required"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens: Field required"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type: Input should be 'json_schema'"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences.1: Input should be a valid string"),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id: Input should be a valid string"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_as_the_vendor_does(change, said):
    with pytest.raises(BadCallError) as caught:
        Messages().read({**request(), **change}, head())
    assert str(caught.value) == said


def test_a_count_needs_no_limit():
    asked = {"model": "m", "messages": [HI], "system": "S", "tools": [TOOL]}
    call = CountTokens().read(asked, head())
    check_request(call)
    assert call.body["messages"][0]["content"] == "S"
    assert "max_tokens" not in call.body
    assert CountTokens().write(12) == b'{"input_tokens":12}'
