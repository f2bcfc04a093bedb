"""Streams: the events, their order and numbers, what failures look like; and that they add up to the final response."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.errors import AllFailedError, ContentPolicyError, LlamaFarmError, RateLimitError, StreamCutError
from llamafarm.server.formats.responses.thoughts import unsealed
from llamafarm.types import Chunk, ToolCall, Usage
from tests.server.formats.responses.events import (
    CUSTOM,
    FUNCTION,
    LAST,
    Answered,
    accumulated,
    events_in,
    streamed,
    text_of,
    whole,
)
from tests.server.formats.responses.test_answer import BLOCK, RAW, REDACTED

STOP = Chunk(finish_reason="stop", usage=Usage(9, 5))


def kinds(stream):
    return [event["type"].removeprefix("response.") for event in events_in(stream)]


def test_the_events_of_a_text():
    stream = streamed(Chunk(text="Hel"), Chunk(text="lo"), STOP)
    assert kinds(stream) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    events = events_in(stream)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["response"]["status"] for event in events if "response" in event] == [
        "in_progress",
        "in_progress",
        "completed",
    ]
    assert events[-1]["response"]["usage"]["total_tokens"] == 14
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1


def test_the_events_of_reasoning():
    stream = streamed(Chunk(reasoning="H"), Chunk(reasoning="m"), Chunk(text="a"), STOP)
    assert kinds(stream)[2:10] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
    ]


def test_signed_reasoning_ends_with_its_signature():
    chunks = [Chunk(reasoning="Hm"), Chunk(thinking_block=BLOCK), Chunk(thinking_block=REDACTED), Chunk(text="a"), STOP]
    events = events_in(streamed(*chunks))
    first, second, message = accumulated(events)
    assert unsealed(first["encrypted_content"]) == [BLOCK]
    assert unsealed(second["encrypted_content"]) == [REDACTED]
    assert (second["summary"], message["type"]) == ([], "message")


def test_calls_whose_pieces_take_turns():
    pieces = [
        ToolCall(0, "c1", "weather"),
        ToolCall(0, arguments='{"a"'),
        ToolCall(1, "c2", "weather"),
        ToolCall(1, arguments="{"),
        ToolCall(0, arguments=":1}"),
        ToolCall(1, arguments="}"),
    ]
    stream = streamed(*(Chunk(tool_calls=(piece,)) for piece in pieces), Chunk(finish_reason="tool_calls"))
    assert kinds(stream)[2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    first, second = events_in(stream)[-1]["response"]["output"]
    assert (first["call_id"], first["arguments"]) == ("c1", '{"a":1}')
    assert (second["call_id"], second["arguments"]) == ("c2", "{}")


def test_a_call_waits_for_its_name():
    pieces = [ToolCall(0, "c1"), ToolCall(0, arguments="{"), ToolCall(0, name="weather"), ToolCall(0, "late", "", "}")]
    events = events_in(streamed(*(Chunk(tool_calls=(piece,)) for piece in pieces), STOP))
    added = next(event for event in events if event["type"] == "response.output_item.added")
    assert (added["item"]["name"], added["item"]["call_id"], added["item"]["arguments"]) == ("weather", "c1", "")
    assert accumulated(events)[0]["arguments"] == "{}"


def test_a_call_without_id_or_name_is_told_all_the_same():
    (item,) = accumulated(events_in(streamed(Chunk(tool_calls=(ToolCall(0, arguments="{}"),)), STOP)))
    assert (item["name"], item["arguments"]) == ("", "{}")
    assert item["call_id"].startswith("call_")


def test_two_calls_never_have_one_id():
    """openai-python gives up on a stream where they have."""
    pieces = (ToolCall(0, "c", "weather", "{}"), ToolCall(1, "c", "weather", "{}"))
    first, second = accumulated(events_in(streamed(Chunk(tool_calls=pieces), STOP)))
    assert first["call_id"] == "c" != second["call_id"]


def test_a_custom_call_comes_at_its_end():
    pieces = [ToolCall(0, "c1", "patch"), ToolCall(0, arguments='{"input":"a'), ToolCall(0, arguments='\\nb"}')]
    stream = streamed(*(Chunk(tool_calls=(piece,)) for piece in pieces), STOP, tools=[CUSTOM])
    assert kinds(stream)[2:-1] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert accumulated(events_in(stream))[0]["input"] == "a\nb"


def test_a_custom_call_is_one_whatever_the_request_says():
    pieces = [ToolCall(0, "c1", "patch", kind="custom"), ToolCall(0, arguments='{"input":"a"}', kind="custom")]
    stream = streamed(*(Chunk(tool_calls=(piece,)) for piece in pieces), STOP)
    (item,) = accumulated(events_in(stream))
    assert (item["type"], item["input"]) == ("custom_tool_call", '{"input":"a"}')


def test_only_what_was_open_at_the_limit_is_incomplete():
    chunks = [Chunk(reasoning="Hm"), Chunk(text="Hel"), Chunk(finish_reason="length")]
    last = events_in(streamed(*chunks))[-1]
    assert (last["type"], last["response"]["status"]) == ("response.incomplete", "incomplete")
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]


def test_the_usage_may_come_behind_the_reason():
    chunks = [Chunk(text="a"), Chunk(finish_reason="length"), Chunk(usage=Usage(9, 5))]
    response = events_in(streamed(*chunks))[-1]["response"]
    assert (response["status"], response["usage"]["total_tokens"]) == ("incomplete", 14)


def test_of_several_open_calls_the_last_is_incomplete():
    pieces = (ToolCall(0, "c1", "weather", "{}"), ToolCall(1, "c2", "weather", '{"a'))
    output = accumulated(events_in(streamed(Chunk(tool_calls=pieces), Chunk(finish_reason="length"))))
    assert [item["status"] for item in output] == ["completed", "incomplete"]


def test_nothing_but_an_end():
    assert text_of(events_in(streamed(STOP))[-1]["response"]) == ""
    assert kinds(streamed())[0] == "created"
    assert kinds(streamed(Chunk(finish_reason="content_filter"))) == ["created", "in_progress", "incomplete"]


def test_an_event_without_meaning_begins_the_stream_and_is_not_passed_on():
    assert kinds(streamed(Chunk(b'{"type":"ping"}'), Chunk(b'{"type":"ping"}'), STOP))[:3] == [
        "created",
        "in_progress",
        "output_item.added",
    ]


def test_a_switch_is_marked_by_a_comment_and_the_message_goes_on():
    stream = streamed(Chunk(text="Hel"), Chunk(text="lo", resumed_by="b\n\ndata: x"), STOP)
    assert b"\n\n: llamafarm continued by b  data: x\n\nevent: response.output_text.delta" in stream
    assert text_of(events_in(stream)[-1]["response"]) == "Hello"


def test_likelihoods_are_in_the_deltas_and_in_the_end():
    events = events_in(streamed(Chunk(RAW, text="Hé"), STOP, top_logprobs=1))
    delta = next(event for event in events if event["type"] == "response.output_text.delta")
    short = {"token": "Hé", "logprob": -0.5, "top_logprobs": [{"token": "\\xf0", "logprob": -1}]}
    assert delta["logprobs"] == [short]
    assert accumulated(events)[0]["content"][0]["logprobs"][0]["bytes"] == [72, 195, 169]


CUT = StreamCutError("a (m) stopped in the midst of its answer")


@pytest.mark.parametrize(
    ("error", "code", "kind", "of_response"),
    [
        (CUT, "stream_cut", "server_error", "server_error"),
        (RateLimitError("slow\ndown"), "rate_limit_exceeded", "rate_limit_error", "rate_limit_exceeded"),
        (ContentPolicyError("no"), "content_policy_violation", "invalid_request_error", "invalid_prompt"),
        (AllFailedError("all", [], CUT), "stream_cut", "server_error", "server_error"),
        (LlamaFarmError("odd"), "error", "server_error", "server_error"),
    ],
)
def test_a_failure_is_told_in_each_way_that_clients_look_for_it(error, code, kind, of_response):
    *_, event, last = events_in(streamed(Chunk(text="Hel"), fails=error))
    message = str(error).replace("\n", " ")
    assert event["type"] == "error"
    assert (event["code"], event["message"], event["param"]) == (code, message, None), "OpenAI's schema"
    nested = {"type": kind, "code": code, "message": message, "param": None}
    assert event["error"] == nested, "OpenAI's clients raise for this"
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": of_response, "message": message}, "the schema has only these codes"
    assert last["response"]["status"] == "failed"
    assert (last["response"]["output"][0]["status"], text_of(last["response"])) == ("incomplete", "Hel")
    assert last["sequence_number"] == event["sequence_number"] + 1


def test_a_failure_before_the_first_event_has_a_response_all_the_same():
    assert kinds(streamed(fails=CUT)) == ["created", "in_progress", "error", "failed"]


TEXT = st.text(max_size=6)
PIECES = st.builds(
    ToolCall,
    st.integers(0, 3),
    st.sampled_from(["", "", "c1", "c2"]),
    st.sampled_from(["", "weather", "patch"]),
    st.sampled_from(["", "{", '{"input":"a"}', "}", "é\n"]),
)
CHUNKS = st.lists(
    st.builds(
        Chunk,
        raw=st.sampled_from([b"", b"{}", RAW]),
        text=st.one_of(st.just(""), TEXT),
        reasoning=st.one_of(st.just(""), TEXT),
        tool_calls=st.lists(PIECES, max_size=3).map(tuple),
        thinking_block=st.sampled_from([None, None, None, BLOCK, REDACTED]),
        resumed_by=st.sampled_from(["", "", "b"]),
        index=st.sampled_from([0, 0, 0, 1]),
        usage=st.sampled_from([None, Usage(3, 2)]),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(
    CHUNKS,
    st.sampled_from(["stop", "tool_calls", "length", "content_filter", None]),
    st.sampled_from([None, CUT]),
    st.booleans(),
)
def test_any_chunks_add_up_to_the_final_response(chunks, finish_reason, fails, likely):
    chunks = [*chunks, Chunk(finish_reason=finish_reason)]
    body = {"tools": [CUSTOM, FUNCTION], "top_logprobs": 1 if likely else 0}
    events = events_in(streamed(*chunks, fails=fails, **body))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] in LAST for event in events] == [False] * (len(events) - 1) + [True]
    final = events[-1]["response"]
    output = accumulated(events)
    if fails is None:
        assert output == final["output"]
        assert all(item.get("status") != "in_progress" for item in output)
        plain = whole(*chunks, reply=Answered(), **body)
        assert (plain["status"], plain.get("usage")) == (final["status"], final.get("usage"))
        assert text_of(plain) == text_of(final)
        assert contents(plain["output"]) == contents(final["output"])
    else:
        assert text_of({"output": output}) == text_of(final)
        assert [item["id"] for item in output] == [item["id"] for item in final["output"]]
    ids = [item["call_id"] for item in final["output"] if "call_id" in item]
    assert len(ids) == len(set(ids))


def contents(output):
    """Give what was thought and called, however it is cut into items."""
    thoughts = [part["text"] for item in output if item["type"] == "reasoning" for part in item["summary"]]
    blocks = [unsealed(item.get("encrypted_content")) for item in output if item["type"] == "reasoning"]
    calls = [
        (item["name"], item.get("input"), item.get("arguments"), item["type"])
        for item in output
        if item["type"].endswith("_call")
    ]
    return "".join(thoughts), [block for found in blocks for block in found], sorted(calls, key=repr)
