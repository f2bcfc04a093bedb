"""Plain answers as response objects."""

import json

import pytest

from llamafarm.server.formats.responses.thoughts import unsealed
from llamafarm.types import Call, Chunk, ToolCall, Usage
from tests.server.formats.responses.events import CUSTOM, FUNCTION, RESPONSES, Answered, messages, read, text_of, whole

BLOCK = {"type": "thinking", "thinking": "Hm", "signature": "sig"}
REDACTED = {"type": "redacted_thinking", "data": "x"}


def test_a_text():
    call = read()
    chunk = Chunk(b"{}", text="Hello", finish_reason="stop", usage=Usage(9, 5, 3, 2, 1))
    response = json.loads(RESPONSES.whole(call, Answered(), [chunk]))
    mark = call.id.removeprefix("req_")
    assert (response["id"], response["object"], response["model"]) == (f"resp_{mark}", "response", "m-1")
    assert (response["status"], response["error"], response["incomplete_details"]) == ("completed", None, None)
    assert response["completed_at"] >= response["created_at"] > 1_700_000_000
    assert response["output"] == [
        {
            "id": f"msg_{mark}0000",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
        }
    ]
    assert response["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 14,
    }


def test_reasoning_text_and_calls_in_this_order():
    calls = (ToolCall(0, "c1", "weather", '{"a":1}'), ToolCall(1, "c2", "weather", "{}"))
    output = whole(Chunk(text="Hi", reasoning="Hm", tool_calls=calls, finish_reason="tool_calls"), tools=[FUNCTION])[
        "output"
    ]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert "encrypted_content" not in output[0]
    assert (output[2]["call_id"], output[2]["name"], output[2]["arguments"]) == ("c1", "weather", '{"a":1}')
    assert len({item["id"] for item in output}) == 4


def test_signed_reasoning_can_be_sent_back():
    chunks = [
        Chunk(text="Hi", reasoning="Hm", thinking_block=BLOCK, finish_reason="stop"),
        Chunk(thinking_block=REDACTED),
    ]
    output = whole(*chunks, include=["reasoning.encrypted_content"])["output"]
    assert unsealed(output[0]["encrypted_content"]) == [BLOCK, REDACTED]
    (answer,) = messages(*output)
    assert answer == {
        "role": "assistant",
        "reasoning_content": "Hm",
        "thinking_blocks": [BLOCK, REDACTED],
        "content": "Hi",
    }


def test_a_custom_call_is_one_whatever_the_request_says():
    tool = ToolCall(0, "c1", "patch", '{"input":"a"}', "custom")
    (item,) = whole(Chunk(tool_calls=(tool,), finish_reason="tool_calls"))["output"]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "patch", '{"input":"a"}')


def test_a_call_of_a_custom_tool():
    tool = ToolCall(0, "c1", "patch", '{"input":"a\\nb"}')
    (item,) = whole(Chunk(tool_calls=(tool,), finish_reason="tool_calls"), tools=[CUSTOM])["output"]
    assert (item["type"], item["call_id"], item["name"], item["input"]) == ("custom_tool_call", "c1", "patch", "a\nb")
    assert messages(item)[0]["tool_calls"][0]["function"]["arguments"] == '{"input":"a\\nb"}'


@pytest.mark.parametrize("ids", [("", ""), ("c", "c"), ("c", "")])
def test_every_call_has_an_id_of_its_own(ids):
    calls = tuple(ToolCall(place, given, "weather", "{}") for place, given in enumerate(ids))
    output = whole(Chunk(tool_calls=calls, finish_reason="tool_calls"))["output"]
    found = {item["call_id"] for item in output}
    assert len(found) == 2
    assert "" not in found
    assert ids[0] in found or not ids[0]


@pytest.mark.parametrize(
    ("finish_reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_is_not_whole_says_so(finish_reason, why):
    calls = (ToolCall(0, "c1", "weather", '{"a'),)
    response = whole(Chunk(text="Hel", tool_calls=calls, finish_reason=finish_reason))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": why})
    assert response["completed_at"] is None
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]


@pytest.mark.parametrize("finish_reason", ["stop", "tool_calls", "function_call", "made_up", None])
def test_any_other_end_is_a_whole_answer(finish_reason):
    assert whole(Chunk(text="a", finish_reason=finish_reason))["status"] == "completed"


def test_an_answer_without_a_word_has_an_empty_message():
    response = whole(Chunk(finish_reason="stop"))
    assert (len(response["output"]), text_of(response)) == (1, "")
    assert whole(Chunk(finish_reason="content_filter"))["output"] == []


def test_other_choices_are_left_out():
    assert text_of(whole(Chunk(text="a", finish_reason="stop"), Chunk(text="b", index=1))) == "a"


LIKELY = {
    "token": "Hé",
    "logprob": -0.5,
    "bytes": None,
    "top_logprobs": [{"token": "\\xf0", "logprob": -1, "bytes": [240]}],
}
RAW = json.dumps({"choices": [{"logprobs": {"content": [LIKELY]}}]}).encode()


def likelihoods(raw, dialect="openai", **body):
    chunk = Chunk(raw, text="Hé", finish_reason="stop")
    return whole(chunk, reply=Answered(dialect), **body)["output"][0]["content"][0]["logprobs"]


def test_likelihoods_come_from_the_targets_bytes_where_they_were_asked_for():
    found = [
        {
            "token": "Hé",
            "logprob": -0.5,
            "bytes": [72, 195, 169],
            "top_logprobs": [{"token": "\\xf0", "logprob": -1, "bytes": [240]}],
        }
    ]
    assert likelihoods(RAW, include=["message.output_text.logprobs"]) == found
    assert likelihoods(RAW, "embedded", top_logprobs=1) == found
    assert likelihoods(RAW) == []
    assert likelihoods(RAW, "anthropic", top_logprobs=1) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"choices":[]}',
        b'{"choices":[{"logprobs":null}]}',
        b'{"choices":[{"logprobs":{"content":null}}]}',
        b'{"choices":[{"logprobs":{"content":"odd"}}]}',
        b"[" * 5000,
    ],
)
def test_bytes_without_likelihoods_do_no_harm(raw):
    assert likelihoods(raw, top_logprobs=1) == []


def test_a_call_of_another_kind_is_answered_too():
    response = json.loads(RESPONSES.whole(Call({"messages": []}), Answered(), [Chunk(text="a", finish_reason="stop")]))
    assert text_of(response) == "a"
