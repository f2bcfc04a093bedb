import json
from dataclasses import replace

import pytest

from llamafarm.errors import AllFailedError, RateLimitError, StreamCutError
from llamafarm.server.formats.openai import Chat
from llamafarm.types import Chunk, ToolCall, Usage
from tests.server.formats.openai.making import call, data_of, event, given, options, reply, streamed

ROLE = event({"role": "assistant", "content": "", "refusal": None})
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
SPEECH = [ROLE, event({"content": "Hel"}), event({"content": "lo"}), event({}, "stop")]


def framed(*events):
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)


def written(chunks, dialect="openai", **body):
    return streamed(Chat(), call(**body), reply(dialect), chunks)


def deltas(events, index=0):
    choices = [choice for one in events if one != "[DONE]" for choice in one["choices"]]
    return [choice["delta"] for choice in choices if choice["index"] == index]


# As it came


@pytest.mark.parametrize("dialect", ["openai", "embedded"])
def test_what_keeps_the_schema_passes_byte_by_byte(dialect):
    odd = [{**one, "usage": None, "obfuscation": "xY", "x_vendor": {"a": [1.50, "é"]}} for one in SPEECH]
    assert written(given(*odd), dialect) == framed(*odd) + b"data: [DONE]\n\n"


def test_several_choices_of_one_event_are_one_event():
    both = event({"role": "assistant", "content": "a"})
    both["choices"].append({"index": 1, "delta": {"role": "assistant", "content": "b"}, "finish_reason": None})
    ends = event({}, "stop"), event({}, "length", index=1)
    chunks = given(both, *ends)
    assert len(chunks) == 4
    assert written(chunks) == framed(both, *ends) + b"data: [DONE]\n\n"


def test_a_vendors_event_without_choices_passes():
    filters = event(prompt_filter_results=[{"prompt_index": 0}]) | {"choices": []}
    assert written(given(filters, *SPEECH)).startswith(framed(filters, ROLE))


def test_an_event_that_is_no_completion_is_left_out():
    assert written(given({"type": "ping"}, *SPEECH)) == framed(*SPEECH) + b"data: [DONE]\n\n"


def test_line_breaks_between_values_do_not_cut_an_event():
    raw = json.dumps(ROLE, indent=1).encode()
    assert data_of(written(given(raw, *SPEECH[1:])))[0] == ROLE


def test_what_is_not_utf_8_is_replaced():
    raw = json.dumps({**SPEECH[1], "x": "?"}).encode().replace(b'"?"', b'"\xff"')
    assert data_of(written([Chunk(raw, text="Hel")]))[1]["x"] == "�"


def test_an_answer_that_begins_without_a_role_is_given_one():
    events = data_of(written(given(*SPEECH[1:])))
    assert [one.get("role") for one in deltas(events)] == ["assistant", None, None, None]
    assert {one["id"] for one in events[:-1]} == {"chatcmpl-up"}


# Usage

PLACES = {
    "an event of its own": [*SPEECH, {**event(), "choices": [], "usage": USAGE}],
    "the last choice's": [*SPEECH[:-1], {**SPEECH[-1], "usage": USAGE}],
    "every event's": [
        {**one, "usage": {**USAGE, "completion_tokens": at, "total_tokens": 9 + at}}
        for one, at in zip(SPEECH, (0, 1, 1, 2), strict=True)
    ],
    "of two choices": [
        *SPEECH[:-1],
        {
            **SPEECH[-1],
            "choices": [*SPEECH[-1]["choices"], {"index": 1, "delta": {}, "finish_reason": "stop"}],
            "usage": USAGE,
        },
    ],
    "Groq's": [*SPEECH[:-1], {**SPEECH[-1], "x_groq": {"usage": USAGE}}],
    "no choices, nor a list of them": [*SPEECH, {"usage": USAGE}],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("asked", [True, False])
def test_usage_comes_once_where_it_is_asked_for(place, asked):
    events = data_of(written(given(*PLACES[place]), **options(asked=asked)))
    said = [one for one in events[:-1] if one.get("usage")]
    assert len(said) == (1 if asked else 0)
    assert "".join(one.get("content", "") for one in deltas(events)) == "Hello"
    assert events[-1] == "[DONE]"
    if asked:
        assert events[-2] == said[0]
        assert said[0]["choices"] == []
        assert {name: said[0]["usage"][name] for name in USAGE} == USAGE
        assert {one["id"] for one in events[:-1]} == {"chatcmpl-up"}
    else:
        assert all(one["choices"] for one in events[:-1])


def test_a_usage_that_makes_no_sense_does_not_replace_one_that_does():
    later = [{**event(), "choices": [], "usage": usage} for usage in (USAGE, {**USAGE, "prompt_tokens": -1})]
    events = data_of(written(given(*SPEECH, *later), **options(asked=True)))
    assert [one["usage"] for one in events[:-1] if one.get("usage")] == [USAGE]


@pytest.mark.parametrize("asked", [True, False])
def test_an_event_of_usage_passes_byte_by_byte(asked):
    events = [{**one, "usage": None} for one in SPEECH]
    usage = {**event(), "choices": [], "usage": {**USAGE, "x": 1}}
    expected = framed(*events, usage) if asked else framed(*events)
    assert written(given(*events, usage), **options(asked=asked)) == expected + b"data: [DONE]\n\n"


def test_a_usage_of_the_last_choices_keeps_its_unknown_fields():
    last = {**SPEECH[-1], "usage": {**USAGE, "x": {"a": 1.50}}}
    assert b'"usage":{"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "x": {"a": 1.5}}' in written(
        given(*SPEECH[:-1], last), **options(asked=True)
    )


@pytest.mark.parametrize("asked", [True, False])
def test_a_vendors_event_without_identity_waits_for_it_and_the_rest_passes(asked):
    filters = {
        "id": "",
        "choices": [],
        "object": "",
        "created": 0,
        "model": "",
        "usage": None,
        "prompt_filter_results": [1],
    }
    stream = written(given(filters, *SPEECH), **options(asked=asked))
    assert stream.endswith(framed(*SPEECH) + b"data: [DONE]\n\n")
    first, *rest = data_of(stream)
    assert len(rest) == len(SPEECH) + 1
    assert (first["prompt_filter_results"], first["id"], first["object"]) == (
        [1],
        "chatcmpl-up",
        "chat.completion.chunk",
    )


@pytest.mark.parametrize("usage", [None, {**USAGE, "prompt_tokens": -1}, {**USAGE, "completion_tokens": "2"}])
def test_usage_that_is_none_is_not_made_up(usage):
    events = data_of(written(given(*SPEECH, {**event(), "choices": [], "usage": usage}), **options(asked=True)))
    assert not [one for one in events[:-1] if one.get("usage")]


def test_usage_of_a_part_is_not_passed_on():
    chunks = given(ROLE, {**SPEECH[1], "usage": USAGE})
    for chunk in chunks:
        chunk.usage = None  # as recovery does before a finish reason
    assert b"prompt_tokens" not in written(chunks, **options(asked=True))


# Filled in


def breach(change):
    """Break the schema in one place of each event, on top of what is there."""
    events = json.loads(json.dumps([{**one, "x": 1} for one in SPEECH]))
    for one in events:
        change(one)
    return events


BREACHES = {
    "no id": lambda one: one.pop("id"),
    "null created": lambda one: one.update(created=None),
    "no model": lambda one: one.pop("model"),
    "another object": lambda one: one.update(object=""),
    "no index": lambda one: one["choices"][0].pop("index"),
    "no finish reason": lambda one: one["choices"][0]["finish_reason"] or one["choices"][0].pop("finish_reason"),
    "null delta": lambda one: one["choices"][0]["delta"] or one["choices"][0].update(delta=None),
    "odd finish reason": lambda one: (
        one["choices"][0]["finish_reason"] and one["choices"][0].update(finish_reason="eos")
    ),
    "odd role": lambda one: one["choices"][0]["delta"].get("role") and one["choices"][0]["delta"].update(role="model"),
    "odd logprobs": lambda one: one["choices"][0].update(logprobs=[]),
    "odd tier": lambda one: one.update(service_tier="on_demand"),
    "fraction": lambda one: one.update(created=1.5),
}


@pytest.mark.parametrize("name", BREACHES)
def test_what_breaks_the_schema_is_filled_in_and_keeps_the_rest(name):
    events = data_of(written(given(*breach(BREACHES[name]))))
    whole = [one for one in events[:-1] if one.get("x") == 1]
    assert len(whole) == len(events) - 1 == 4
    for one in whole:
        assert one["object"] == "chat.completion.chunk"
        assert isinstance(one["created"], int)
        assert one.get("service_tier") is None
        assert one["choices"][0]["index"] == 0
        assert not one["choices"][0]["logprobs"]
    assert len({(one["id"], one["created"], one["model"]) for one in whole}) == 1
    assert all(whole[0][field] for field in ("id", "created", "model"))
    assert deltas(whole) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert [one["choices"][0]["finish_reason"] for one in whole] == [None, None, None, "stop"]


def test_log_probabilities_without_their_bytes_are_filled_in():
    token = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1}]}
    given_ = event({"content": "a"})
    given_["choices"][0]["logprobs"] = {"content": [token]}
    first = data_of(written(given(ROLE, given_, SPEECH[-1])))[1]["choices"][0]["logprobs"]["content"][0]
    assert first == {**token, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -1, "bytes": None}]}


def test_tool_calls_without_index_or_with_an_object_for_arguments_are_filled_in():
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
        {"id": "b", "type": "odd", "function": {"name": "g", "arguments": "{}"}},
    ]
    one = deltas(data_of(written(given(ROLE, event({"tool_calls": calls}), event({}, "tool_calls")))))[1]["tool_calls"]
    assert one == [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


CUSTOM = [
    {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "grep", "input": ""}},
    {"index": 0, "custom": {"input": "a\nb"}},
]


def test_a_custom_tools_call_passes():
    events = [ROLE, *(event({"tool_calls": [piece]}) for piece in CUSTOM), event({}, "tool_calls")]
    assert [delta["tool_calls"][0] for delta in deltas(data_of(written(given(*events))))[1:-1]] == CUSTOM
    unnumbered = {name: value for name, value in CUSTOM[0].items() if name != "index"}
    events[1] = event({"tool_calls": [unnumbered]})
    assert deltas(data_of(written(given(*events))))[1]["tool_calls"][0] == CUSTOM[0]


def test_a_custom_tools_call_is_written_from_values():
    chunks = [
        Chunk(b"{}", tool_calls=(ToolCall(0, "c1", "grep", "", "custom"),)),
        Chunk(b"{}", tool_calls=(ToolCall(0, arguments="a\nb", kind="custom"),)),
        Chunk(b"{}", finish_reason="tool_calls"),
    ]
    told = deltas(data_of(written(chunks, "anthropic")))[1:-1]
    assert [delta["tool_calls"][0] for delta in told] == CUSTOM


def test_a_content_of_parts_is_written_as_text_and_reasoning():
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Hi"}]
    events = data_of(written(given(ROLE, event({"content": parts}), SPEECH[-1])))
    assert deltas(events)[1] == {"reasoning_content": "Hm", "content": "Hi"}
    assert [one.get("role") for one in deltas(events)] == ["assistant", None, None]


# Anew

ANSWER = [
    Chunk(b'{"type":"message_start"}'),
    Chunk(b"{}", reasoning="Hm"),
    Chunk(b"{}", thinking_block={"type": "thinking", "thinking": "Hm", "signature": "s"}),
    Chunk(b'{"type":"ping"}'),
    Chunk(b"{}", text="A\n"),
    Chunk(b"{}", text="b"),
    Chunk(b"{}", tool_calls=(ToolCall(0, "c1", "f"),)),
    Chunk(b"{}", tool_calls=(ToolCall(0, arguments='{"a":'),)),
    Chunk(b"{}", tool_calls=(ToolCall(0, arguments="1}"), ToolCall(1, "", "g", "{}"))),
    Chunk(b"{}", finish_reason="tool_calls", usage=Usage(9, 5, 4, 1, 2)),
]


def test_another_dialect_is_written_from_values():
    events = data_of(written(ANSWER, "anthropic", **options(asked=True)))
    assert deltas(events) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Hm"},
        {"content": "A\n"},
        {"content": "b"},
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": "1}"}},
                {"index": 1, "id": "call_701", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ]
        },
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s"}]},
    ]
    assert {(one["id"], one["model"], one["object"]) for one in events[:-1]} == {
        ("chatcmpl-7", "m-1", "chat.completion.chunk")
    }
    assert len({one["created"] for one in events[:-1]}) == 1
    reasons = [choice["finish_reason"] for one in events[:-1] for choice in one["choices"]]
    assert reasons == [None] * 7 + ["tool_calls"]
    assert [one["usage"] for one in events[:-2]] == [None] * 8
    assert events[-2]["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_no_usage_is_written_for_who_did_not_ask():
    assert b"usage" not in written(ANSWER, "anthropic")


def test_each_choice_has_its_role():
    chunks = [
        Chunk(text="a"),
        Chunk(text="b", index=1),
        Chunk(finish_reason="stop", index=1),
        Chunk(finish_reason="stop"),
    ]
    events = data_of(written(chunks, "ollama"))
    for index, text in enumerate("ab"):
        assert deltas(events, index) == [{"role": "assistant", "content": ""}, {"content": text}, {}]


def test_choices_open_in_order_whichever_speaks_first():
    chunks = [Chunk(text="c", index=2), Chunk(text="a"), *(Chunk(finish_reason="stop", index=at) for at in range(3))]
    opened = [one["choices"][0]["index"] for one in data_of(written(chunks, "x"))[:3]]
    assert opened == [0, 1, 2]
    assert len(data_of(written([Chunk(text="a", index=10**9)], "x"))) == 3


def test_a_client_that_knows_only_functions_gets_a_function_call():
    events = data_of(written(ANSWER, "anthropic", functions=[{"name": "f"}]))
    said = [one["function_call"] for one in deltas(events) if "function_call" in one]
    assert said == [{"name": "f", "arguments": ""}, {"arguments": '{"a":'}, {"arguments": "1}"}]
    assert b"tool_calls" not in json.dumps(events).encode()
    assert events[-2]["choices"][0]["finish_reason"] == "function_call"


def test_half_a_surrogate_pair_is_written_as_an_escape():
    chunks = [Chunk(text="a\ud83d"), Chunk(text="\ud83d"), Chunk(text="é"), Chunk(finish_reason="stop")]
    assert [one.get("content") for one in deltas(data_of(written(chunks, "x")))] == ["", "a\ud83d", "\ud83d", "é", None]


def test_a_refusal_is_none_of_the_content():
    chunks = [Chunk(text="No", refusal=True), Chunk(text="pe", refusal=True), Chunk(finish_reason="stop")]
    said = deltas(data_of(written(chunks, "x")))
    assert said == [{"role": "assistant", "content": ""}, {"refusal": "No"}, {"refusal": "pe"}, {}]


# Put together from two targets


@pytest.mark.parametrize("asked", [True, False])
def test_who_goes_on_is_marked_and_keeps_the_firsts_identity(asked):
    first = given(*SPEECH[:2])
    rest = [
        Chunk(text="lo", resumed_by="other\nname\x00é"),
        Chunk(text="!"),
        Chunk(finish_reason="stop", usage=Usage(9, 3, estimated=True)),
    ]
    stream = written([*first, *rest], **options(asked=asked))
    assert stream.startswith(framed(*SPEECH[:2]) + ": llamafarm continued by other name é\n\n".encode())
    events = data_of(stream)
    assert {(one["id"], one["created"], one["model"]) for one in events[:-1]} == {
        ("chatcmpl-up", 1_700_000_000, "gpt-x")
    }
    assert deltas(events)[1:] == [{"content": "Hel"}, {"content": "lo"}, {"content": "!"}, {}]
    assert [one["usage"]["completion_tokens"] for one in events[:-1] if one.get("usage")] == ([3] if asked else [])


def test_two_others_may_go_on():
    chunks = [
        Chunk(text="a"),
        Chunk(text="b", resumed_by="x"),
        Chunk(text="c", resumed_by="y"),
        Chunk(finish_reason="stop"),
    ]
    stream = written(chunks, "ollama")
    assert stream.count(b": llamafarm continued by ") == 2
    assert deltas(data_of(stream))[0] == {"role": "assistant", "content": ""}
    assert "".join(one.get("content", "") for one in deltas(data_of(stream))) == "abc"


# Errors


def test_an_error_in_the_midst_is_an_event_and_not_the_end():
    writer = Chat().stream(call(), reply("openai"))
    writer.write(given(ROLE)[0])
    (said,) = data_of(writer.fail(StreamCutError("t broke off\nthere"), "req_7"))
    assert said["error"].keys() >= {"message", "type", "param", "code"}
    assert said["error"]["message"] == "t broke off there"
    assert said["error"]["code"] == "stream_cut"


def test_of_several_attempts_the_one_that_says_most_names_the_error():
    error = AllFailedError("all failed", (), RateLimitError("t: slow down"))
    (said,) = data_of(Chat().stream(call(), reply()).fail(error, "req_7"))
    assert (said["error"]["type"], said["error"]["code"]) == ("rate_limit_error", "rate_limit_exceeded")


def test_chunks_are_left_as_they_are():
    chunks = given(*PLACES["the last choice's"])
    before = [replace(chunk) for chunk in chunks]
    written(chunks, **options(asked=True))
    assert chunks == before
