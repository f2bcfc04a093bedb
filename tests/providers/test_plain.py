"""What a request says in Anthropic's or Ollama's words, as a target of another format is sent it."""

import time

import msgspec
import pytest

from llamafarm.catalog import find_vendor
from llamafarm.errors import UntranslatableError
from llamafarm.providers.failures import Peer
from llamafarm.providers.ollama.request import request_of
from llamafarm.providers.openai.request import body_of, place_of
from llamafarm.types import Attempt, Call, Target

HI = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
OTHERS_TOOL = {"name": "g", "description": "d", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}}
PLAIN_TOOL = {"type": "function", "function": {"name": "g", "description": "d", "parameters": SCHEMA}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
CUSTOM = {"type": "custom", "custom": {"name": "grep"}}
CUSTOM_CALL = {"id": "c1", "type": "custom", "custom": {"name": "grep", "input": "foo"}}
PNG = "data:image/png;base64,aGk="
PICTURE = {"type": "image_url", "image_url": {"url": PNG}}
MARKS = {
    "context_management": {"edits": []},
    "speed": "fast",
    "cache_control": {"type": "ephemeral"},
    "user_profile_id": "u",
    "diagnostics": {"a": 1},
}
DONE_BY_ANTHROPIC = {"container": "c", "mcp_servers": [{"url": "https://x"}], "inference_geo": "us"}


def at(vendor, model, **changes):
    row = find_vendor(vendor)
    way = row.prefill_of(model)
    url = row.base_url or "https://llm.example/v1"
    fields = {
        "quirks": row.quirks_of(model),
        "prefill": way and way.how,
        "prefill_url": way and way.base_url,
        **changes,
    }
    return Target("there", vendor, row.dialect, model, base_url=url, **fields)


def attempt_at(target, body, *, stream=False):
    return Attempt(Call(body, stream=stream), target, {"messages": [HI], **body}, time.monotonic() + 5)


def sent(vendor="openai", model="gpt-4o", *, target=None, **body):
    """The body, and what was noted."""
    attempt = attempt_at(target or at(vendor, model), body)
    before = repr(attempt.body)
    raw = body_of(attempt, Peer.of(attempt.target, place_of(attempt)), streamed=False)
    assert repr(attempt.body) == before, "the attempt may be made again"
    assert all("{" not in note for note in attempt.notes)
    return msgspec.json.decode(raw), attempt.notes


def to_ollama(**body):
    target = Target("there", "ollama", "ollama", "m", base_url="http://127.0.0.1:9")
    attempt = attempt_at(target, {"model": "m", **body})
    _, written = request_of(attempt, Peer("ollama", "here"), streamed=False)
    return written, attempt.notes


@pytest.mark.parametrize("vendor", ["openai", "groq", "mistral", "deepseek", "openrouter", "vllm", "azure"])
@pytest.mark.parametrize("name", MARKS)
def test_what_only_marks_or_tunes_is_left_out_and_noted(vendor, name):
    body, notes = sent(vendor, "m", **{name: MARKS[name]})
    if (vendor, name) == ("openrouter", "cache_control"):
        assert body[name] == MARKS[name]
        return
    assert name not in body
    assert notes == [f"{name} left out: only Anthropic has it"]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        *(({name: value}, name) for name, value in DONE_BY_ANTHROPIC.items()),
        ({"tools": [SEARCH, TOOL]}, "the tool web_search_20250305"),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "s"}]}, "the tool mcp_toolset"),
    ],
)
def test_what_nobody_but_anthropic_does_is_left_to_others(asked, what):
    with pytest.raises(UntranslatableError, match=f"{what}.* is of Anthropic's own; a target of Anthropic's may"):
        sent(**asked)
    with pytest.raises(UntranslatableError, match=f"^ollama.*: {what}"):
        to_ollama(**asked)


def test_where_it_is_answered_may_be_anywhere():
    assert "inference_geo" not in sent(inference_geo="global")[0]


def test_an_endpoint_nobody_knows_is_sent_it_as_it_is():
    everything = {
        **MARKS,
        **DONE_BY_ANTHROPIC,
        "thinking": {"type": "disabled"},
        "options": {"a": 1},
        "keep_alive": 5,
        "think": True,
    }
    body, notes = sent("custom", "m", **everything, tools=[SEARCH, TOOL])
    assert everything.items() <= body.items()
    assert body["tools"] == [SEARCH, TOOL]
    assert notes == []


@pytest.mark.parametrize("vendor", ["openai", "custom", "groq"])
def test_what_both_can_say_is_said(vendor):
    body, notes = sent(
        vendor,
        "gpt-4o",
        stop="a",
        stop_sequences=["b"],
        tools=[TOOL, OTHERS_TOOL],
        tool_choice={"type": "tool", "name": "g", "disable_parallel_tool_use": True},
    )
    assert body["stop"] == ["a", "b"]
    assert body["tools"] == [TOOL, PLAIN_TOOL]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "g"}}
    assert body["parallel_tool_calls"] is False
    assert "stop_sequences" not in body
    assert notes == ["cache_control of tools left out: only Anthropic has it"]


@pytest.mark.parametrize(("choice", "said"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_choices(choice, said):
    assert sent(tools=[TOOL], tool_choice={"type": choice})[0]["tool_choice"] == said


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_only_the_tools_that_are_allowed_are_offered(mode):
    choice = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": mode, "tools": [{"type": "function", "function": {"name": "g"}}]},
    }
    body, notes = sent("groq", "m", tools=[TOOL, PLAIN_TOOL], tool_choice=choice)
    assert (body["tools"], body["tool_choice"], notes) == ([PLAIN_TOOL], mode, [])
    assert sent("openai", "gpt-5", tools=[TOOL, PLAIN_TOOL], tool_choice=choice)[0]["tool_choice"] == choice
    body, _ = sent("deepseek", "deepseek-v4", tools=[TOOL, PLAIN_TOOL], tool_choice=choice)
    assert (body["tools"], body["tool_choice"]) == ([PLAIN_TOOL], "auto")


def test_a_choice_of_a_tool_that_is_left_out():
    choice = {"type": "custom", "custom": {"name": "grep"}}
    body, notes = sent("groq", "m", tools=[CUSTOM, TOOL], tool_choice=choice)
    assert (body["tools"], body["tool_choice"]) == ([TOOL], "auto")
    assert notes[1] == "tool_choice left out: m does not have the tool"
    alone, _ = sent("groq", "m", tools=[CUSTOM], tool_choice="auto", parallel_tool_calls=False)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & alone.keys()


def test_a_schema_for_the_answer():
    body, notes = sent(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    assert "output_config" not in body
    assert notes == []


ON = {"type": "enabled", "budget_tokens": 10000}
OFF = {"type": "disabled"}
GPT_5 = {"vendor": "openai", "model": "gpt-5"}


@pytest.mark.parametrize(
    ("where", "asked", "effort", "noted"),
    [
        (GPT_5, {"thinking": ON}, "high", "thinking sent as reasoning_effort high"),
        (GPT_5, {"thinking": {**ON, "budget_tokens": 1024}}, "low", "low"),
        (GPT_5, {"thinking": {**ON, "budget_tokens": 2000}}, "medium", "medium"),
        (GPT_5, {"thinking": {**ON, "budget_tokens": 20000}}, "high", "high"),
        (GPT_5, {"thinking": {"type": "adaptive"}}, "high", "thinking sent as reasoning_effort high"),
        (GPT_5, {"output_config": {"effort": "low"}}, "low", "effort of output_config sent as"),
        (
            GPT_5,
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            "high",
            "reasoning_effort high",
        ),
        (GPT_5, {"thinking": ON, "reasoning_effort": "low"}, "low", ""),
        (GPT_5, {"thinking": OFF}, None, "has no switch"),
        ({"model": "gpt-5.5"}, {"thinking": OFF}, "none", "reasoning_effort none"),
        (GPT_5, {"think": True}, "medium", "think sent as"),
        (GPT_5, {"think": "high"}, "high", "think sent as"),
        ({}, {"thinking": ON}, None, "thinking left out: gpt-4o does not reason"),
        ({}, {"thinking": OFF}, None, ""),
        ({}, {"reasoning_effort": "high"}, None, "reasoning_effort left out"),
    ],
)
def test_how_hard_to_think(where, asked, effort, noted):
    body, notes = sent(**where, **asked)
    assert body.get("reasoning_effort") == effort
    assert not {"thinking", "think", "output_config"} & body.keys()
    assert [noted in note for note in notes] == ([True] if noted else [])


def test_a_model_whose_abilities_are_known_is_not_told_how_hard_to_think():
    target = at("groq", "llama", supports=frozenset({"tools"}))
    body, notes = sent(target=target, thinking=ON)
    assert "reasoning_effort" not in body
    assert "does not reason" in notes[0]


@pytest.mark.parametrize(("asked", "said"), [(ON, "enabled"), (OFF, "disabled"), ({"type": "adaptive"}, "enabled")])
def test_who_has_the_switch_alone_gets_it(asked, said):
    assert sent("deepseek", "deepseek-v4", thinking=asked)[0]["thinking"] == {"type": said}
    assert sent("deepseek", "deepseek-v4", think=said == "enabled")[0]["thinking"] == {"type": said}


def test_ollamas_words():
    options = {"temperature": 0.5, "num_predict": 50, "num_ctx": 9, "top_p": 1}
    body, notes = sent("groq", "m", options=options, keep_alive="5m", top_p=0.9)
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.5, 0.9, 50)
    assert not {"options", "keep_alive"} & body.keys()
    assert notes == ["num_ctx of options left out: only Ollama has it", "keep_alive left out: only Ollama has it"]


MARKED = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}


def test_marks_in_messages():
    messages = [{"role": "user", "content": [MARKED]}, {"role": "assistant", "content": "Ho", "cache_control": {}}, HI]
    body, notes = sent(messages=messages)
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": "Ho"},
        HI,
    ]
    assert notes == ["cache_control of messages left out: only Anthropic has it"]
    assert sent("openrouter", "anthropic/claude-opus-5", messages=messages)[0]["messages"] == messages


CALLS = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", **TOOL}]}
SHOWS = {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "Look"}, PICTURE]}


def test_a_picture_that_a_tool_gives_follows_behind_the_results():
    second = {"role": "tool", "tool_call_id": "c2", "content": "r"}
    body, notes = sent(messages=[HI, CALLS, SHOWS, second, HI])
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool", "user", "user"]
    assert all(part["type"] == "text" for part in body["messages"][2]["content"])
    assert body["messages"][4]["content"] == [{"type": "text", "text": "From the tool call c1:"}, PICTURE]
    assert "as a message of the user's" in notes[0]
    assert sent(messages=[HI, CALLS, SHOWS])[0]["messages"][-1]["content"][-1] == PICTURE


@pytest.mark.parametrize("vendor", ["mistral", "custom"])
def test_who_takes_pictures_from_tools_gets_them_there(vendor):
    assert sent(vendor, "m", messages=[HI, CALLS, SHOWS])[0]["messages"][-1] == SHOWS


def test_a_tools_error():
    failed = {"role": "tool", "tool_call_id": "c1", "content": "no such file", "is_error": True}
    assert sent(messages=[HI, CALLS, failed])[0]["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "c1",
        "content": "Error: no such file",
    }


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}, PICTURE),
        ({"type": "document", "source": {"type": "text", "data": "T"}, "title": "t"}, {"type": "text", "text": "t\nT"}),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        ),
    ],
)
def test_blocks_of_anthropics(part, said):
    assert sent(messages=[{"role": "user", "content": [part]}])[0]["messages"][0]["content"] == [said]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "tool_result", "content": "x"},
        {"type": "container_upload", "file_id": "f"},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
    ],
)
def test_a_block_that_has_no_other_words_is_left_to_others(part):
    with pytest.raises(UntranslatableError, match="Anthropic's own"):
        sent(messages=[{"role": "user", "content": [part]}])


def test_custom_tools():
    body, notes = sent("openai", "gpt-5", tools=[CUSTOM, TOOL])
    assert body["tools"] == [CUSTOM, TOOL]
    assert notes == []
    body, notes = sent(
        "groq", "m", tools=[CUSTOM, TOOL], messages=[HI, {"role": "assistant", "tool_calls": [CUSTOM_CALL]}]
    )
    assert body["tools"] == [TOOL]
    assert "custom tools left out" in notes[0]
    (call,) = body["messages"][1]["tool_calls"]
    assert call == {"id": "c1", "type": "function", "function": {"name": "grep", "arguments": '{"input":"foo"}'}}


@pytest.mark.parametrize(
    ("vendor", "model", "given", "field"),
    [("openai", "gpt-4o", 32000, "max_tokens"), ("groq", "m", 32000, "max_completion_tokens")],
)
def test_no_more_output_is_asked_for_than_the_model_gives(vendor, model, given, field):
    body, notes = sent(target=at(vendor, model, max_output=16384), **{field: given})
    assert body[field] == 16384
    assert notes == [f"{field} lowered to 16384, the most {model} gives"]
    assert sent(target=at(vendor, model, max_output=16384), **{field: 5})[0][field] == 5
    assert field not in sent(target=at(vendor, model, max_output=16384))[0]


BEGUN = {"role": "assistant", "content": "Sure: "}


@pytest.mark.parametrize(
    ("vendor", "marks", "around"),
    [
        ("mistral", {"prefix": True}, {}),
        ("deepseek", {"prefix": True}, {}),
        ("moonshot", {"partial": True}, {}),
        ("vllm", {}, {"continue_final_message": True, "add_generation_prompt": False}),
        ("groq", {}, {}),
        ("openai", {}, {}),
    ],
)
@pytest.mark.parametrize("given", [{}, {"prefix": True}, {"partial": True}])
def test_a_beginning_of_the_callers_own_is_marked_as_the_target_has_it(vendor, marks, around, given):
    body, _ = sent(vendor, "m", messages=[HI, {**BEGUN, **given}])
    assert body["messages"] == [HI, {**BEGUN, **marks}]
    assert {name: body[name] for name in ("continue_final_message", "add_generation_prompt") if name in body} == around


def test_where_a_beginning_of_the_callers_own_is_gone_on_with():
    attempt = attempt_at(at("deepseek", "deepseek-v4"), {"messages": [HI, BEGUN]})
    assert place_of(attempt).url == "https://api.deepseek.com/beta/chat/completions"
    called = attempt_at(at("deepseek", "deepseek-v4"), {"messages": [HI, {**CALLS, "content": "x"}]})
    assert place_of(called).url == "https://api.deepseek.com/v1/chat/completions"


def test_a_caller_who_says_so_in_vllms_words():
    asked = {"messages": [HI, BEGUN], "add_generation_prompt": True}
    assert sent("vllm", "m", **asked)[0] == asked
    assert sent("mistral", "m", **asked)[0]["messages"][-1]["prefix"] is True
    assert "add_generation_prompt" not in sent("mistral", "m", **asked)[0]


def test_to_ollama():
    body, notes = to_ollama(
        tools=[TOOL, OTHERS_TOOL, CUSTOM],
        stop_sequences=["x"],
        thinking=ON,
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
        keep_alive="5m",
    )
    assert body["tools"] == [TOOL, PLAIN_TOOL]
    assert body["options"]["stop"] == ["x"]
    assert (body["think"], body["format"], body["keep_alive"]) == ("high", SCHEMA, "5m")
    assert len(notes) == 3
    assert to_ollama(output_config={"effort": "max"})[0]["think"] == "max"


def test_anthropics_reasoning_to_ollama():
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]
    body, _ = to_ollama(messages=[HI, {"role": "assistant", "content": "Ho", "thinking_blocks": blocks}, HI])
    assert body["messages"][1] == {"role": "assistant", "content": "Ho", "thinking": "Hm."}


def test_a_search_asked_of_ollama_is_missed():
    assert "web_search_options" in to_ollama(web_search_options={})[1][0]
