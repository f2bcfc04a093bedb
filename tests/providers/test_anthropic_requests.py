"""What becomes of a request on its way to Anthropic: tables, then properties."""

import base64
import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.errors import UntranslatableError
from llamafarm.providers.anthropic.request import translate
from llamafarm.providers.anthropic.schema import fitted

HI = {"role": "user", "content": "Hi"}
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False, "required": ["a"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "fruit", "schema": SCHEMA, "strict": True}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
OLD = frozenset({"no_effort", "no_adaptive_thinking", "no_json_schema"})
NEW = frozenset({"no_temperature", "no_thinking_budget"})
PNG = base64.b64encode(b"\x89PNG").decode()
PDF = base64.b64encode(b"%PDF-1.7").decode()


def asked(*messages, quirks=(), max_output=None, beginning="", **fields):
    body = {"model": "m", "messages": list(messages) or [HI], **fields}
    before = json.dumps(body)
    translation = translate(body, frozenset(quirks), max_output=max_output, beginning=beginning)
    assert json.dumps(body) == before, "the attempt may be made again"
    return translation


def sent(*messages, **options):
    """The request, which has to say everything: nothing was left out."""
    translation = asked(*messages, **options)
    assert translation.notes == ()
    return translation.body


def said(*messages):
    return sent(*messages)["messages"]


def test_the_least():
    assert sent() == {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("messages", "system"),
    [
        ([{"role": "system", "content": "Be brief."}, HI], "Be brief."),
        ([{"role": "developer", "content": "Be brief."}, HI], "Be brief."),
        (
            [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, HI],
            [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}],
        ),
        (
            [{"role": "system", "content": [{"type": "text", "text": "A", "cache_control": MARK}]}, HI],
            [{"type": "text", "text": "A", "cache_control": MARK}],
        ),
        (
            [{"role": "system", "content": "A", "cache_control": MARK}, HI],
            [{"type": "text", "text": "A", "cache_control": MARK}],
        ),
    ],
)
def test_the_system_prompt_stands_apart(messages, system):
    body = sent(*messages)
    assert body["system"] == system
    assert body["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_late_system_message_moves_up():
    translation = asked(HI, {"role": "system", "content": "A"})
    assert translation.body["system"] == "A"
    assert translation.notes == ("a system message inside the conversation was moved to its beginning",)


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "text", "text": "a", "cache_control": MARK}, {"type": "text", "text": "a", "cache_control": MARK}),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{PNG}", "detail": "auto"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "DATA:image/png;name=a;BASE64,iVBO\nRw=="}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}, "cache_control": MARK},
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}, "cache_control": MARK},
        ),
        (
            {"type": "image_url", "image_url": "http://x.example/a.png"},
            {"type": "image", "source": {"type": "url", "url": "http://x.example/a.png"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": PDF}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/csv,a%2Cb"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        ),
        (
            {"type": "file", "file": {"file_data": f"data:image/png;base64,{PNG}"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
        ({"type": "search_result", "source": "s"}, {"type": "search_result", "source": "s"}),
    ],
)
def test_parts(part, block):
    first = {"type": "text", "text": "Look:"}
    assert said({"role": "user", "content": [first, part]}) == [{"role": "user", "content": [first, block]}]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "input_audio", "input_audio": {}}, "Anthropic takes no audio"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,§"}}, "valid base64"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "neither an http"),
        ({"type": "image_url"}, "has no url"),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}}, "PDF, text and images"),
        ({"type": "file"}, "neither file_data nor file_id"),
        ({"type": "text"}, "has no text"),
        ({}, "has no type"),
        (5, "is no content part"),
    ],
)
def test_parts_that_are_refused(part, words):
    with pytest.raises(UntranslatableError, match=words) as caught:
        asked({"role": "user", "content": [part]})
    assert "messages[0].content[0]" in str(caught.value)


def test_tool_calls_and_their_results():
    second = {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}}
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    body = sent(
        HI,
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, second]},
        {"role": "tool", "tool_call_id": "call_1", "content": "4"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "5"}, picture]},
        {"role": "user", "content": "And?"},
        tools=[TOOL],
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "4"},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": [
                        {"type": "text", "text": "5"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    ],
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    assert body["tools"] == [{"name": "f", "description": "d", "input_schema": SCHEMA}]
    assert "tool_choice" not in body


def test_results_come_first_and_keep_their_marks():
    body = sent(
        HI,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "user", "content": "Well?"},
        {"role": "tool", "tool_call_id": "call_1", "content": "", "is_error": True, "cache_control": MARK},
        tools=[TOOL],
    )
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "is_error": True, "cache_control": MARK},
        {"type": "text", "text": "Well?"},
    ]


def test_ids_get_the_letters_anthropic_allows_and_stay_apart():
    calls = [{**CALL, "id": "f.0"}, {**CALL, "id": "f:0"}]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in calls]
    messages = sent(HI, {"role": "assistant", "tool_calls": calls}, *results, tools=[TOOL])["messages"]
    ids = [block["id"] for block in messages[1]["content"]]
    assert ids == [block["tool_use_id"] for block in messages[2]["content"]]
    assert len(set(ids)) == 2
    assert all(call_id.replace("_", "").isalnum() for call_id in ids)


def test_legacy_functions():
    body = sent(
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        {"role": "function", "name": "f", "content": "4"},
        functions=[TOOL["function"]],
        function_call={"name": "f"},
    )
    (use,), (result,) = (message["content"] for message in body["messages"][1:])
    assert use["input"] == {"a": 1}
    assert result == {"type": "tool_result", "tool_use_id": use["id"], "content": "4"}
    assert body["tool_choice"] == {"type": "tool", "name": "f"}


def test_tools_that_were_called_but_are_not_given_are_still_defined():
    body = sent(HI, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1"})
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{"}}]}, "valid JSON"),
        ({"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "[]"}}]}, "JSON object"),
        ({"role": "assistant", "tool_calls": [{**CALL, "id": None}]}, "has no id"),
        ({"role": "assistant", "tool_calls": [{"id": "a"}]}, "no call of a function"),
        ({"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}, "has no name"),
        ({"role": "tool", "content": "x"}, "has no id"),
        ({"role": "function", "name": "f", "content": "x"}, "was not called"),
        ({"role": "narrator", "content": "x"}, "the role 'narrator'"),
        ({"role": "assistant", "thinking_blocks": [{"type": "text"}]}, "thinking blocks"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": "https://x.example"}]}, "only text"),
    ],
)
def test_messages_that_are_refused(message, words):
    with pytest.raises(UntranslatableError, match=words) as caught:
        asked(HI, message)
    assert "messages[1]" in str(caught.value)


def test_messages_of_one_role_are_merged_and_empty_ones_left_out():
    translation = asked(HI, {"role": "user", "content": "there"}, {"role": "assistant", "content": ""})
    assert translation.body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]}
    ]
    assert translation.notes == ("an empty message left out: Anthropic refuses it",)
    with pytest.raises(UntranslatableError, match="neither a question"):
        asked({"role": "system", "content": "A"})


def test_thinking_blocks_come_first_and_whole():
    blocks = [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]
    bare = {"type": "thinking", "thinking": "t"}
    message = {"role": "assistant", "content": "a", "tool_calls": [CALL], "thinking_blocks": blocks}
    content = sent(HI, message, {"role": "tool", "tool_call_id": "call_1", "content": "4"}, tools=[TOOL])["messages"][1]
    assert [block["type"] for block in content["content"]] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert content["content"][:2] == blocks
    translation = asked(HI, {"role": "assistant", "content": "a", "thinking_blocks": [bare]}, HI)
    assert translation.body["messages"][1]["content"] == "a"
    assert "without its signature" in translation.notes[0]


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"tool_choice": {"type": "tool", "name": "f"}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tool_choice(fields, choice):
    assert sent(tools=[TOOL], **fields).get("tool_choice") == choice


def test_tools():
    mine = {"type": "web_search_20260318", "name": "web_search"}
    bare = {"type": "function", "function": {"name": "g"}}
    strict = {"type": "function", "function": {**TOOL["function"], "strict": True}, "cache_control": MARK}
    assert sent(tools=[mine, bare, strict])["tools"] == [
        mine,
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True, "cache_control": MARK},
    ]
    translation = asked(tools=[strict, {"type": "custom", "custom": {"name": "c"}}], quirks=OLD)
    assert [set(tool) & {"strict"} for tool in translation.body["tools"]] == [set()]
    assert len(translation.notes) == 2
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    body = sent(tools=[TOOL, bare], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert ([tool["name"] for tool in body["tools"]], body["tool_choice"]) == (["g"], {"type": "any"})
    forced = asked(tools=[TOOL], tool_choice="required", quirks={"no_forced_tools"})
    assert forced.body["tool_choice"] == {"type": "auto"}
    assert "cannot be made to call a tool" in forced.notes[0]


@pytest.mark.parametrize("answer", [{}, {"response_format": FORMAT, "quirks": OLD}])
def test_a_custom_tool_is_left_out_with_the_choice_of_it(answer):
    custom = {"type": "custom", "custom": {"name": "patch"}}
    left = asked(tools=[custom, TOOL], tool_choice=custom, **answer)
    assert left.body["tools"][0]["name"] == "f"
    assert left.body["tool_choice"]["type"] == ("any" if answer else "auto")
    assert "tool_choice left out: Anthropic takes tools with a JSON schema" in left.notes
    assert ("tool_choice" in asked(tools=[custom], tool_choice=custom, **answer).body) == bool(answer)


def test_a_schema_for_the_answer():
    assert sent(response_format=FORMAT)["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    loose = {"type": "object", "properties": {"minimum": {"type": "integer", "minimum": 3}}}
    given = {"type": "json_schema", "json_schema": {"name": "x", "schema": loose}}
    translation = asked(response_format=given)
    assert translation.body["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {"minimum": {"type": "integer", "description": "(minimum: 3)"}},
        "additionalProperties": False,
    }
    assert "fitted" in translation.notes[0]
    assert sent(response_format={"type": "text"}).keys() == sent().keys()
    assert "json_object" in asked(response_format={"type": "json_object"}).notes[0]


@pytest.mark.parametrize(
    ("given", "sent_as"),
    [
        ({"type": "string", "format": "email"}, {"type": "string", "format": "email"}),
        ({"type": "string", "format": "int32"}, {"type": "string", "description": "(format: int32)"}),
        (
            {"type": "string", "format": "password", "maxLength": 9, "description": "Secret."},
            {"type": "string", "description": "Secret. (format: password, maxLength: 9)"},
        ),
        (
            {"type": ["object", "null"], "properties": {}},
            {"type": ["object", "null"], "properties": {}, "additionalProperties": False},
        ),
        ({"properties": {"format": {}}}, {"properties": {"format": {}}, "additionalProperties": False}),
        ({"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}),
        ({"oneOf": [{"type": "null"}], "anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}),
    ],
)
def test_schemas_are_fitted(given, sent_as):
    assert fitted({"type": "array", "items": given}) == {"type": "array", "items": sent_as}


def test_a_schema_for_a_model_that_has_only_tools():
    translation = asked(response_format=FORMAT, quirks=OLD)
    assert translation.answer_tool == "fruit"
    assert translation.body["tools"][0]["input_schema"] == SCHEMA
    assert translation.body["tool_choice"] == {"type": "tool", "name": "fruit", "disable_parallel_tool_use": True}
    assert "output_config" not in translation.body
    assert len(translation.notes) == 1
    twin = {"type": "function", "function": {"name": "fruit"}}
    translation = asked(response_format=FORMAT, tools=[twin], quirks=OLD)
    assert [tool["name"] for tool in translation.body["tools"]] == ["fruit", "fruit_"]
    assert translation.answer_tool == "fruit_"
    assert translation.body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


ADAPTIVE = {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("quirks", "effort", "fields", "thinking", "rest"),
    [
        ((), "high", {}, ADAPTIVE, ({"effort": "high"}, 4096)),
        ((), "low", {"max_tokens": 50}, ADAPTIVE, ({"effort": "low"}, 50)),
        ((), "max", {}, ADAPTIVE, ({"effort": "max"}, 4096)),
        ((), "none", {}, {"type": "disabled"}, (None, 4096)),
        ({"no_effort", "no_adaptive_thinking"}, "low", {}, {"type": "enabled", "budget_tokens": 1024}, (None, 5120)),
        (
            {"no_adaptive_thinking"},
            "high",
            {"max_completion_tokens": 8000},
            {"type": "enabled", "budget_tokens": 6976},
            ({"effort": "high"}, 8000),
        ),
        (OLD, "high", {"max_tokens": 3000}, {"type": "enabled", "budget_tokens": 1976}, (None, 3000)),
        (OLD, "none", {}, {"type": "disabled"}, (None, 4096)),
    ],
)
def test_reasoning_effort(quirks, effort, fields, thinking, rest):
    config, max_tokens = rest
    body = sent(reasoning_effort=effort, quirks=quirks, **fields)
    assert body.get("thinking") == thinking
    assert body.get("output_config") == config
    assert body["max_tokens"] == max_tokens


@pytest.mark.parametrize(
    ("quirks", "fields", "thinking", "config"),
    [
        ((), {"reasoning_effort": "minimal"}, ADAPTIVE, {"effort": "low"}),
        ((), {"reasoning_effort": "heavy"}, None, None),
        ({"no_xhigh_effort"}, {"reasoning_effort": "xhigh"}, ADAPTIVE, {"effort": "high"}),
        ({"no_xhigh_effort", "no_max_effort"}, {"reasoning_effort": "max"}, ADAPTIVE, {"effort": "high"}),
        ({"no_max_effort"}, {"reasoning_effort": "max"}, ADAPTIVE, {"effort": "xhigh"}),
        ({"no_thinking", *OLD}, {"reasoning_effort": "low"}, None, None),
        ({"no_thinking", *OLD}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None, None),
        ({"always_thinks"}, {"reasoning_effort": "none"}, None, {"effort": "low"}),
        ({"thinks_between_tools"}, {"reasoning_effort": "none"}, {"type": "between_tools"}, None),
        (NEW, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"type": "adaptive"}, None),
        (OLD, {"thinking": {"type": "adaptive"}}, None, None),
        (OLD, {"reasoning_effort": "high", "max_tokens": 1500}, None, None),
        ((), {"reasoning_effort": "high", "tools": [TOOL], "tool_choice": "required"}, None, {"effort": "high"}),
    ],
)
def test_thinking_that_is_translated_is_noted(quirks, fields, thinking, config):
    translation = asked(quirks=quirks, **fields)
    assert translation.body.get("thinking") == thinking
    assert translation.body.get("output_config") == config
    assert len(translation.notes) == 1


def test_a_budget_is_not_begun_in_the_middle_of_a_turn_without_thinking():
    turn = [HI, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1", "content": "4"}]
    translation = asked(*turn, tools=[TOOL], reasoning_effort="low", quirks={"no_adaptive_thinking"})
    assert "thinking" not in translation.body
    assert "thinking blocks" in translation.notes[0]
    turn[1]["thinking_blocks"] = [{"type": "thinking", "thinking": "", "signature": "s"}]
    assert "thinking" in sent(*turn, tools=[TOOL], reasoning_effort="low", quirks={"no_adaptive_thinking"})


def test_anthropics_own_fields_pass():
    own = {
        "top_k": 5,
        "container": "c",
        "mcp_servers": [{"name": "x"}],
        "context_management": {"edits": []},
        "thinking": {"type": "disabled"},
        "output_config": {"effort": "low"},
        "metadata": {"user_id": "u"},
        "service_tier": "standard_only",
        "inference_geo": "us",
        "cache_control": MARK,
    }
    body = sent(**own)
    assert {name: body[name] for name in own} == own


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["A", "B"]}, {"stop_sequences": ["A", "B"]}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_completion_tokens": 7, "max_tokens": 9}, {"max_tokens": 7}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"n": 1, "seed": None, "logprobs": False, "frequency_penalty": 0, "store": False, "logit_bias": {}}, {}),
        ({"modalities": ["text"], "stream": True, "stream_options": {"include_usage": True}}, {}),
    ],
)
def test_parameters(fields, expected):
    assert sent(**fields) == {**sent(), **expected}


@pytest.mark.parametrize(
    ("fields", "expected", "note"),
    [
        ({"temperature": 1.5}, {"temperature": 1.0}, "temperature 1.5 sent as 1"),
        ({"stop": ["\n", "A"]}, {"stop_sequences": ["A"]}, "blank stop sequence"),
        ({"frequency_penalty": 0.5}, {}, "frequency_penalty left out: Anthropic has none"),
        ({"presence_penalty": 0.5}, {}, "presence_penalty left out"),
        ({"seed": 1}, {}, "seed left out"),
        ({"logprobs": True}, {}, "logprobs left out"),
        ({"logit_bias": {"1": 2}}, {}, "logit_bias left out"),
        ({"unheard_of": "x"}, {}, "unheard_of left out"),
        ({"store": True}, {}, "store left out"),
        ({"metadata": {"a": "b"}}, {}, "metadata left out"),
        ({"service_tier": "priority"}, {"service_tier": "auto"}, "service_tier"),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}, "service_tier"),
        ({"service_tier": "flex"}, {}, "service_tier 'flex' left out"),
        ({"temperature": 0.5, "quirks": NEW}, {}, "temperature left out"),
        ({"top_p": 0.5, "quirks": NEW}, {}, "top_p left out"),
        ({"top_k": 5, "quirks": NEW}, {}, "top_k left out"),
        ({"temperature": 0, "top_p": 0.5, "quirks": {"one_sampler"}}, {"temperature": 0}, "top_p left out"),
        ({"max_tokens": 900, "max_output": 100}, {"max_tokens": 100}, "max_tokens lowered to 100"),
    ],
)
def test_what_is_left_out_or_translated_is_noted(fields, expected, note):
    translation = asked(**fields)
    assert translation.body == {**sent(), **expected}
    assert len(translation.notes) == 1
    assert note in translation.notes[0].replace("flex", "'flex'")


def test_sampling_beside_thinking():
    translation = asked(reasoning_effort="low", temperature=0.5, top_k=3, top_p=0.97)
    assert not {"temperature", "top_k"} & translation.body.keys()
    assert translation.body["top_p"] == 0.97
    assert len(translation.notes) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"max_tokens": "5"},
        {"max_tokens": -1},
        {"max_tokens": True},
        {"temperature": "hot"},
        {"temperature": float("nan")},
        {"stop": 5},
        {"stop": [5]},
        {"tools": {"a": 1}},
        {"tools": [{}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        {"tools": [TOOL], "tool_choice": "must"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        {"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": "json"},
        {"thinking": "yes"},
        {"output_config": []},
        {"metadata": []},
        {"messages": "Hi"},
        {"messages": []},
        {"quirks": {"no_such_word"}},
    ],
)
def test_what_cannot_be_said_is_refused(fields):
    with pytest.raises(UntranslatableError):
        translate({"model": "m", "messages": [HI], **fields}, frozenset(fields.pop("quirks", ())))


def test_n_says_why():
    with pytest.raises(UntranslatableError, match="n: Anthropic gives one answer"):
        asked(n=2)


def test_a_model_s_own_limit_is_asked_for_where_nobody_gives_one():
    assert sent(max_output=100)["max_tokens"] == 100
    assert sent(max_output=100, max_tokens=50)["max_tokens"] == 50
    assert sent(max_output=64000, reasoning_effort="high", quirks=OLD)["max_tokens"] == 64000


@pytest.mark.parametrize("beginning", ["Once upon", "Once upon \n"])
def test_a_beginning_is_gone_on_with(beginning):
    assert sent(beginning=beginning)["messages"] == [HI, {"role": "assistant", "content": "Once upon"}]
    assert sent(beginning=" ")["messages"] == [HI]
    assert said(HI, {"role": "assistant", "content": "{ "}) == [HI, {"role": "assistant", "content": "{"}]
    translation = asked(beginning=beginning, reasoning_effort="low")
    assert "thinking" not in translation.body
    assert "has begun" in translation.notes[0]


def test_a_stream_is_asked_for():
    assert translate({"messages": [HI]}, streamed=True).body["stream"] is True


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, ADAPTIVE),
        ({"reasoning_effort": "none"}, {"type": "disabled"}),
        ({"thinking": {"type": "adaptive"}}, {"type": "adaptive"}),
        ({"tools": [TOOL], "tool_choice": "required"}, None),
    ],
)
def test_a_stream_of_a_model_that_thinks_unasked_shows_that_it_does(fields, thinking):
    quirks = frozenset({"thinks_unasked"})
    translation = translate({"messages": [HI], **fields}, quirks, streamed=True)
    assert translation.body.get("thinking") == thinking
    assert translation.notes == ()
    assert "thinking" not in translate({"messages": [HI]}, quirks).body


def words(text):
    return text.split()


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
ARGUMENTS = st.dictionaries(TEXT, st.one_of(st.none(), st.integers(-(2**53), 2**53), TEXT, st.lists(TEXT)), max_size=3)


@st.composite
def conversations(draw):
    """What both formats can say: turns of users and assistants, with tools called and answered."""
    messages, number = [], 0
    for _ in range(draw(st.integers(1, 5))):
        messages.append({"role": "user", "content": draw(TEXT)})
        calls = []
        for arguments in draw(st.lists(ARGUMENTS, max_size=3)):
            number += 1
            function = {"name": draw(st.sampled_from("fgh")), "arguments": json.dumps(arguments)}
            calls.append({"id": f"call_{number}", "type": "function", "function": function})
        messages.append({"role": "assistant", "content": draw(TEXT), **({"tool_calls": calls} if calls else {})})
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT)} for call in calls]
    return [*messages, {"role": "user", "content": draw(TEXT)}]


def read_back(messages):
    """Turn Anthropic's messages into OpenAI's."""
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [block["text"] for block in blocks if block["type"] == "text"]
        uses = [block for block in blocks if block["type"] == "tool_use"]
        for block in blocks:
            if block["type"] == "tool_result":
                yield "tool", block["tool_use_id"], block.get("content", "")
        yield message["role"], texts, [(use["id"], use["name"], use["input"]) for use in uses]


@given(conversations())
def test_nothing_is_lost_on_the_way(messages):
    wanted = []
    for message in messages:
        if message["role"] == "tool":
            wanted.append(("tool", message["tool_call_id"], message["content"]))
            continue
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", ())
        ]
        wanted.append((message["role"], [message["content"]], calls))
    translation = translate({"messages": messages, "tools": [TOOL]})
    assert list(read_back(translation.body["messages"])) == wanted
    assert translation.notes == ()
    roles = [message["role"] for message in translation.body["messages"]]
    assert all(a != b for a, b in pairwise(roles))


KEYS = st.sampled_from(
    words(
        "role content type text image_url url file file_data tool_calls function name arguments id tool_call_id parameters "
        "thinking_blocks function_call json_schema schema allowed_tools tools mode budget_tokens cache_control"
    )
)
WORDS = st.sampled_from(
    words(
        "user assistant system tool function text image_url file input_audio auto none required json_schema enabled "
        "adaptive disabled data:, high low thinking allowed_tools custom"
    )
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    words(
        "messages max_tokens max_completion_tokens temperature top_p top_k stop n tools functions tool_choice function_call "
        "parallel_tool_calls response_format reasoning_effort thinking output_config user metadata service_tier store"
    )
)


@given(st.dictionaries(FIELDS | TEXT, ANYTHING, max_size=5), st.booleans(), st.sampled_from([frozenset(), OLD, NEW]))
def test_no_request_ends_in_anything_but_a_refusal(body, talks, quirks):
    with suppress(UntranslatableError):
        translation = translate({"messages": [HI], **body} if talks else body, quirks, beginning="x")
        assert translation.body["messages"]
        assert not any("\n" in note for note in translation.notes)


@given(st.lists(st.dictionaries(KEYS, ANYTHING, max_size=4), min_size=1, max_size=3))
def test_no_message_ends_in_anything_but_a_refusal(messages):
    for role in ("user", "assistant", "tool", "system", "function"):
        with suppress(UntranslatableError):
            translate({"messages": [HI, *({**message, "role": role} for message in messages)]})


BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 5000}}


@pytest.mark.parametrize(
    ("fields", "max_output", "budget", "max_tokens"),
    [
        ({}, None, 5000, 9096),
        ({"max_tokens": 6000}, None, 5000, 6000),
        ({"max_tokens": 5000}, None, 3976, 5000),
        ({"max_tokens": 1500}, None, 1024, 1500),
        ({}, 4096, 3072, 4096),
        ({"max_tokens": 32000}, 4096, 3072, 4096),
        ({"max_tokens": 1024}, None, None, 1024),
    ],
)
def test_the_callers_own_budget_fits_the_output_limit(fields, max_output, budget, max_tokens):
    translation = asked(**BUDGET, **fields, max_output=max_output)
    assert translation.body["max_tokens"] == max_tokens
    assert translation.body.get("thinking", {}).get("budget_tokens") == budget
    told = [note for note in translation.notes if "budget_tokens lowered" in note or "thinking left out" in note]
    assert bool(told) is (budget != 5000)


def test_a_model_without_budgets_is_not_fitted():
    assert asked(**BUDGET, max_tokens=100, quirks=NEW).body["thinking"] == {"type": "adaptive"}


RULE = {"role": "developer", "content": "Be brief."}
HO = {"role": "assistant", "content": "Ho"}
LATER = {"role": "system", "content": "Be brief."}
IN_TURNS = {"system_in_turns"}


@pytest.mark.parametrize(
    ("messages", "roles", "system"),
    [
        ([RULE, HI], "u", "Be brief."),
        ([HI, RULE], "us", None),
        ([HI, RULE, HI], "us", None),
        ([HI, RULE, HO, HI], "usau", None),
        ([HI, HO, RULE, HI], "uaus", None),
        ([HI, RULE, RULE, HO], "usa", None),
        ([HI, HO, RULE], "ua", "Be brief."),
    ],
)
def test_a_rule_given_inside_the_conversation_stays_there(messages, roles, system):
    translation = asked(*messages, quirks=IN_TURNS)
    assert "".join(message["role"][0] for message in translation.body["messages"]) == roles
    assert translation.body.get("system") == system
    assert bool(translation.notes) is (messages == [HI, HO, RULE])


def test_for_an_older_model_it_is_moved_to_the_beginning():
    translation = asked(HI, RULE, HO, HI)
    assert translation.body["system"] == "Be brief."
    assert [message["role"] for message in translation.body["messages"]] == ["user", "assistant", "user"]
    assert "moved to its beginning" in translation.notes[0]


def test_a_rule_inside_the_conversation_as_it_is_sent():
    assert sent(HI, RULE, HO, HI, quirks=IN_TURNS)["messages"][1] == LATER


def test_a_beginning_is_left_to_models_that_go_on():
    assert sent(HI, HO)["messages"][-1] == HO
    with pytest.raises(UntranslatableError, match="goes on from none"):
        asked(HI, HO, quirks={"no_beginning"})


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "f"}])
def test_one_tool_at_a_time_in_anthropics_own_words(choice):
    single = {**choice, "disable_parallel_tool_use": True}
    assert sent(tools=[TOOL], tool_choice=single)["tool_choice"] == single


def test_who_the_user_is():
    for name in ("user", "safety_identifier"):
        assert sent(**{name: "u1"})["metadata"] == {"user_id": "u1"}
    assert sent(user="u1", safety_identifier="u2")["metadata"] == {"user_id": "u1"}


def test_a_search_asked_for_with_its_defaults_is_missed():
    assert asked(web_search_options={}).notes == ("web_search_options left out: Anthropic has none",)
    assert sent(logit_bias={}).keys() == sent().keys()


def test_reasoning_without_a_signature_is_missed():
    for name in ("reasoning", "reasoning_content"):
        (note,) = asked(HI, {**HO, name: "Hm."}, HI).notes
        assert "reasoning_content left out" in note


def test_ollamas_words_are_translated():
    options = {"temperature": 0.5, "num_predict": 50, "stop": ["x"], "num_ctx": 9}
    translation = asked(options=options, keep_alive="5m", think="high")
    request = translation.body
    assert (request["max_tokens"], request["stop_sequences"]) == (50, ["x"])
    assert request["output_config"] == {"effort": "high"}
    told = " ".join(translation.notes)
    assert all(word in told for word in ("num_ctx of options left out", "keep_alive left out", "think sent as"))


def test_the_call_of_a_custom_tool_keeps_its_input():
    call = {"id": "c1", "type": "custom", "custom": {"name": "grep", "input": "foo.*"}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "r"}
    request = sent(HI, {"role": "assistant", "tool_calls": [call]}, result, tools=[TOOL])
    block = {"type": "tool_use", "id": "c1", "name": "grep", "input": {"input": "foo.*"}}
    assert request["messages"][1]["content"] == [block]
