"""A streamed answer as Anthropic's events, whoever gives it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.errors import AllFailedError, RateLimitError, StreamCutError
from llamafarm.providers.anthropic.reply import Events, decode_event
from llamafarm.server.formats.anthropic import Messages
from llamafarm.types import Chunk, ToolCall, Usage
from tests.providers.anthropic_server import PING, STREAMS, block, delta, end, start, stop, text
from tests.server.formats.anthropic.replies import asked, events, message, reply, writer, written

USAGE = Usage(20, 7, cached_tokens=5, cache_write_tokens=3, reasoning_tokens=2)
END = Chunk(finish_reason="stop", usage=USAGE)
HEAD = {"id": "msg_0f", "type": "message", "role": "assistant", "model": "model-x"}


def passing(*made):
    """Chunks as the upstream gives them, of a vendor's events."""
    reader = Events()
    return [reader.take(*decode_event(json.dumps(event).encode())) for event in made]


def test_a_text():
    assert written(Chunk(), Chunk(text="Hel"), Chunk(text="lo"), END) == [
        {
            "type": "message_start",
            "message": {
                **HEAD,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 11,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": 0,
                },
            },
        },
        block(0, type="text", text=""),
        delta(0, type="text_delta", text="Hel"),
        delta(0, type="text_delta", text="lo"),
        stop(0),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 12,
                "cache_creation_input_tokens": 3,
                "cache_read_input_tokens": 5,
                "output_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        },
        {"type": "message_stop"},
    ]


def test_thoughts_text_and_tools_are_blocks_one_after_the_other():
    made = message(
        written(
            Chunk(reasoning="H"),
            Chunk(reasoning="m"),
            Chunk(text="Yes"),
            Chunk(tool_calls=(ToolCall(0, "call_1", "f"),)),
            Chunk(tool_calls=(ToolCall(0, arguments='{"a"'),)),
            Chunk(tool_calls=(ToolCall(0, arguments=":1}"),)),
            Chunk(tool_calls=(ToolCall(1, "call.2", "g", "{}"),)),
            Chunk(finish_reason="tool_calls"),
            Chunk(usage=USAGE),
        )
    )
    thought, said, f, g = made["content"]
    assert thought == {"type": "thinking", "thinking": "Hm", "signature": ""}
    assert said == {"type": "text", "text": "Yes"}
    assert f == {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}
    assert (g["name"], g["input"]) == ("g", {})
    assert g["id"].startswith("call_2_")
    assert (made["stop_reason"], made["usage"]["output_tokens"]) == ("tool_use", 7)


def test_a_signature_ends_its_thought():
    signed = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "ZA=="}
    made = written(
        Chunk(reasoning="Hm"), Chunk(thinking_block=signed), Chunk(thinking_block=redacted),
        Chunk(thinking_block={**signed, "thinking": "So"}), Chunk(text="a"), END,
    )  # fmt: skip
    assert message(made)["content"] == [signed, redacted, {**signed, "thinking": "So"}, {"type": "text", "text": "a"}]


calls = st.lists(
    st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=4), max_size=2), min_size=1, max_size=4
)


@given(calls, st.data())
def test_pieces_of_tool_calls_in_any_turns_make_whole_blocks(arguments, data):
    waiting = {}
    for index, given_arguments in enumerate(arguments):
        whole = json.dumps(given_arguments)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=3)))
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        waiting[index] = [
            ToolCall(index, f"call_{index}", f"f{index}"),
            *(ToolCall(index, arguments=each) for each in pieces),
        ]
    chunks = []
    while waiting:
        index = data.draw(st.sampled_from(sorted(waiting)))
        chunks.append(Chunk(tool_calls=(waiting[index].pop(0),), text=data.draw(st.sampled_from(["", "", "t"]))))
        waiting = {index: pieces for index, pieces in waiting.items() if pieces}
    made = message(written(*chunks, Chunk(finish_reason="tool_calls", usage=USAGE)))
    got = {each["id"]: (each["name"], each["input"]) for each in made["content"] if each["type"] == "tool_use"}
    assert got == {f"call_{index}": (f"f{index}", given) for index, given in enumerate(arguments)}
    said = "".join(each["text"] for each in made["content"] if each["type"] == "text")
    assert said == "".join(chunk.text for chunk in chunks)


def test_a_custom_tools_text_is_the_input():
    pieces = [
        ToolCall(0, "c1", "grep", 'say "', "custom"),
        ToolCall(1, "c2", "f", '{"a":1}'),
        ToolCall(0, arguments='a"\n', kind="custom"),
        ToolCall(2, "c3", "empty", kind="custom"),
    ]
    chunks = [*(Chunk(tool_calls=(piece,)) for piece in pieces), Chunk(text="Done"), Chunk(finish_reason="tool_calls")]
    made = message(written(*chunks))["content"]
    inputs = {block["name"]: block["input"] for block in made if block["type"] == "tool_use"}
    assert inputs == {"grep": {"input": 'say "a"\n'}, "f": {"a": 1}, "empty": {"input": ""}}
    assert made[-1] == {"type": "text", "text": "Done"}


def test_the_first_call_is_written_as_it_comes_and_the_next_once_it_is_whole():
    out = writer()
    out.write(Chunk(tool_calls=(ToolCall(0, "a", "f"),)))
    assert [e["type"] for e in events(out.write(Chunk(tool_calls=(ToolCall(0, arguments='{"a":'),))))] == [
        "content_block_delta"
    ]
    assert out.write(Chunk(tool_calls=(ToolCall(1, "b", "g", "{"),))) == b""
    assert events(out.write(Chunk(tool_calls=(ToolCall(0, arguments="1}"),))))[0]["delta"]["partial_json"] == "1}"
    assert [e["type"] for e in events(out.write(Chunk(tool_calls=(ToolCall(1, arguments="}"),))))] == [
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ]
    assert out.write(Chunk(tool_calls=(ToolCall(0, arguments="late"),))) == b""


def test_ids_are_there_and_none_is_twice():
    same = tuple(ToolCall(index, given, "f", "{}") for index, given in enumerate(["x", "x", "", "ü"]))
    ids = [each["id"] for each in message(written(Chunk(tool_calls=same), END))["content"]]
    assert ids[:3] == ["x", "x_1", "toolu_0f_2"]
    assert len(set(ids)) == 4
    assert all(each.replace("_", "").isascii() and each.replace("_", "").isalnum() for each in ids)


@pytest.mark.parametrize(
    ("reason", "call", "stop_reason"),
    [
        ("stop", False, "end_turn"),
        ("length", False, "max_tokens"),
        ("content_filter", False, "refusal"),
        ("tool_calls", True, "tool_use"),
        ("function_call", True, "tool_use"),
        ("stop", True, "tool_use"),
        ("tool_calls", False, "end_turn"),
        ("length", True, "max_tokens"),
        ("made_up", False, "end_turn"),
    ],
)
def test_stop_reasons(reason, call, stop_reason):
    calls = (ToolCall(0, "a", "f", "{}"),) if call else ()
    made = message(written(Chunk(text="a", tool_calls=calls), Chunk(finish_reason=reason)))
    assert made["stop_reason"] == stop_reason


def test_usage_that_nobody_told_is_estimated():
    assert message(written(Chunk(text="12345678"), Chunk(finish_reason="stop")))["usage"] == {
        "input_tokens": 11,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 2,
    }


def test_an_answer_with_nothing_in_it_is_a_message_all_the_same():
    assert message(written(END))["content"] == []
    assert message(written())["stop_reason"] == "end_turn"


def test_other_choices_are_none_of_an_answer_with_one():
    assert message(written(Chunk(text="a"), Chunk(text="b", index=1), END))["content"] == [
        {"type": "text", "text": "a"}
    ]


# Bytes that pass


@pytest.mark.parametrize("name", ["text", "thinking", "tools", "search", "refusal"])
def test_the_vendors_events_pass_as_they_are(name):
    data = (STREAMS / f"{name}.sse").read_bytes()
    raws = [line.removeprefix(b"data: ") for line in data.splitlines() if line.startswith(b"data: ")]
    reader, out = Events(), writer("anthropic")
    passed = b"".join(out.write(reader.take(*decode_event(raw))) for raw in raws)
    assert passed == b"".join(b"event: %b\ndata: %b\n\n" % (json.loads(raw)["type"].encode(), raw) for raw in raws)
    assert out.end() == b""


def test_an_event_of_a_kind_nobody_knows_passes_and_breaks_no_frame():
    raw = b'{"type":\r\n"a\\nb: c",\n"x":1}'
    assert writer("anthropic").write(Chunk(raw)) == b'data: {"type":  "a\\nb: c", "x":1}\n\n'
    assert writer("anthropic").write(Chunk(b"7")) == b""


def test_a_chunk_that_says_nothing_begins_no_second_message():
    out = writer("anthropic")
    data = out.write(Chunk(skipped=1)) + b"".join(out.write(each) for each in passing(start(), *text("Hi"), *end()))
    assert message(events(data + out.end()))["id"] == "msg_1"


@pytest.mark.parametrize("left", range(1, 6))
def test_what_the_vendor_left_out_at_the_end_is_written(left):
    made = [start(), *text("Hi"), *end()]
    out = writer("anthropic")
    passed = b"".join(out.write(chunk) for chunk in passing(*made[:-left]))
    made = message(events(passed + out.end()))
    assert made["content"] == ([] if left == 5 else [{"type": "text", "text": "" if left == 4 else "Hi"}])


@pytest.mark.parametrize("cut", range(1, 6))
def test_another_target_goes_on_in_the_same_message_and_block(cut):
    """Whatever block is open where bytes ceased to pass, the next text stands where it has to."""
    first = [start(), PING, *text("Once ", "upon")][: cut + 1]
    answer, chunks = reply("anthropic", "first"), passing(*first)
    out = Messages().stream(asked(), answer)
    data = b"".join(out.write(chunk) for chunk in chunks)
    answer.answered_by(reply("openai", "second"))
    data += (
        out.write(Chunk(text=" a time", resumed_by="second")) + out.write(Chunk(text=".")) + out.write(END) + out.end()
    )
    made = message(events(data))
    assert made["id"] == "msg_1"
    said = "".join(chunk.text for chunk in chunks) + " a time."
    assert "".join(each["text"] for each in made["content"]) == said
    assert len(made["content"]) == (2 if cut == 5 else 1), (
        "an open block is gone on with; behind a closed one stands a new one"
    )


def test_a_thought_without_words_is_closed_before_another_target_goes_on():
    answer = reply("anthropic")
    out = Messages().stream(asked(), answer)
    data = b"".join(
        out.write(chunk) for chunk in passing(start(), block(0, type="thinking", thinking="", signature=""))
    )
    answer.answered_by(reply("anthropic"))
    data += out.write(Chunk(text="a", resumed_by="x")) + out.write(END) + out.end()
    assert [each["type"] for each in message(events(data))["content"]] == ["thinking", "text"]


def test_another_target_goes_on_in_a_block_that_is_not_the_first():
    answer = reply("anthropic")
    out = Messages().stream(asked(), answer)
    thought = [block(0, type="thinking", thinking="", signature=""), stop(0)]
    data = b"".join(out.write(chunk) for chunk in passing(start(), *thought, *text("On", "ce", index=1)[:3]))
    answer.answered_by(reply("openai"))
    data += out.write(Chunk(text=" upon", resumed_by="x")) + out.write(END) + out.end()
    assert message(events(data))["content"][1:] == [{"type": "text", "text": "Once upon"}]


def test_a_written_answer_goes_on_too():
    answer = reply("openai")
    out = Messages().stream(asked(), answer)
    data = out.write(Chunk(raw=b"{}", text="a"))
    answer.answered_by(reply("anthropic"))
    data += out.write(Chunk(text="b", resumed_by="x")) + out.write(END) + out.end()
    assert message(events(data))["content"] == [{"type": "text", "text": "ab"}]


# Errors in the midst of it


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StreamCutError("cut\nshort"), "api_error"),
        (RateLimitError("slow"), "rate_limit_error"),
        (AllFailedError("all", [], StreamCutError("cut")), "api_error"),
    ],
)
def test_an_error_is_the_last_event(error, kind):
    out = writer()
    out.write(Chunk(text="a"))
    (told,) = events(out.fail(error, "req_7"))
    assert told == {
        "type": "error",
        "error": {"type": kind, "message": " ".join(str(error).split())},
        "request_id": "req_7",
    }
    assert out.end() == b""
