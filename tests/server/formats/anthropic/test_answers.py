"""A plain answer as a message, and the list of models."""

import json

import pytest

from llamafarm.errors import BadCallError
from llamafarm.server.formats.anthropic import Listed, Messages, model_of, models_page
from llamafarm.types import Chunk, ToolCall, Usage
from tests.server.formats.anthropic.asked import TOOL, assistant, read, result, user
from tests.server.formats.anthropic.replies import asked, reply

USAGE = Usage(20, 7, cached_tokens=5, cache_write_tokens=3)


def whole(*chunks, dialect="openai"):
    return json.loads(Messages().whole(asked(), reply(dialect), chunks))


def test_a_message():
    calls = (ToolCall(0, "call_1", "f", '{"a": 1}'), ToolCall(1, "call_1", "g", ""))
    chunk = Chunk(b"{}", "Yes", "Hm", calls, "tool_calls", USAGE)
    assert whole(chunk, Chunk(text="other", index=1)) == {
        "id": "msg_0f",
        "type": "message",
        "role": "assistant",
        "model": "model-x",
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": ""},
            {"type": "text", "text": "Yes"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "call_1_1", "name": "g", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 5,
            "output_tokens": 7,
        },
    }


def test_bytes_of_the_same_format_pass():
    raw = b'{ "type": "message", "novel": 1 }'
    assert Messages().whole(asked(), reply("anthropic"), [Chunk(raw, "a", finish_reason="stop")]) == raw


def test_thoughts_with_their_signatures():
    signed = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    redacted = {"type": "redacted_thinking", "data": "ZA=="}
    made = whole(
        Chunk(reasoning="Hm", text="a", thinking_block=signed, finish_reason="stop"), Chunk(thinking_block=redacted)
    )
    assert made["content"] == [signed, redacted, {"type": "text", "text": "a"}]
    assert made["usage"]["output_tokens"] == 1


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "7", "null", "oops", '{"a": 1} 2'])
def test_arguments_that_are_no_object_are_told_as_they_are_and_can_be_sent_back(arguments):
    made = whole(Chunk(tool_calls=(ToolCall(0, "call_1", "f", arguments),), finish_reason="tool_calls"))
    (call,) = made["content"]
    assert call["input"] == {"invalid_arguments": arguments}
    back = read(assistant(call), user({**result("no"), "tool_use_id": "call_1"}), tools=[TOOL])
    assert json.loads(back.body["messages"][0]["tool_calls"][0]["function"]["arguments"]) == call["input"]


def test_a_custom_tools_text_is_the_input():
    call = ToolCall(0, "call_1", "grep", '{"a": 1}', "custom")
    (block,) = whole(Chunk(tool_calls=(call,), finish_reason="tool_calls"))["content"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "grep", {"input": '{"a": 1}'})


def test_the_list_of_models():
    models = [Listed(name, 1_790_000_000, 8192 if name == "a" else None, 512) for name in "abcde"]
    page = json.loads(models_page(models))
    assert [model["id"] for model in page["data"]] == list("abcde")
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, "a", "e")
    assert page["data"][0] == json.loads(model_of(models[0]))
    assert page["data"][0]["created_at"] == "2026-09-21T14:13:20Z"
    assert (page["data"][0]["max_input_tokens"], "max_input_tokens" in page["data"][1]) == (8192, False)
    assert json.loads(models_page([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("query", "names", "more"),
    [
        ({"limit": "2"}, "ab", True),
        ({"limit": "2", "after": "b"}, "cd", True),
        ({"limit": "2", "after": "d"}, "e", False),
        ({"limit": "2", "before": "d"}, "bc", True),
        ({"limit": "9", "before": "b"}, "a", False),
        ({"limit": "5", "after": "gone"}, "abcde", False),
    ],
)
def test_pages(query, names, more):
    page = json.loads(models_page([Listed(name) for name in "abcde"], **query))
    assert ("".join(model["id"] for model in page["data"]), page["has_more"]) == (names, more)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "", "9" * 5000, "²"])
def test_a_limit_that_is_none(limit):
    with pytest.raises(BadCallError, match="limit"):
        models_page([Listed("a")], limit=limit)
