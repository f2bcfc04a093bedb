import json

import pytest

from llamafarm.server.formats.openai import Chat
from llamafarm.types import Chunk, ToolCall, Usage
from tests.server.formats.openai.making import call, reply, whole_given

MESSAGE = {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []}
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
ANSWER = {
    "id": "chatcmpl-up",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-x",
    "choices": [{"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}],
    "usage": USAGE,
    "x_vendor": {"a": [1.50]},
}


def written(chunks, dialect="openai", **body):
    return Chat().whole(call(**body), reply(dialect), chunks)


@pytest.mark.parametrize("dialect", ["openai", "embedded"])
@pytest.mark.parametrize("indent", [None, 2])
def test_what_keeps_the_schema_passes_byte_by_byte(dialect, indent):
    raw = json.dumps({**ANSWER, "n": 10**30}, indent=indent).encode()
    assert written(whole_given(raw), dialect) == raw


def broken(**changes):
    answer = json.loads(json.dumps(ANSWER))
    choice, message = answer["choices"][0], answer["choices"][0]["message"]
    for name, value in changes.items():
        where = message if name in message or name == "tool_calls" else choice if name in choice else answer
        if value is None:
            where.pop(name)
        else:
            where[name] = value
    return answer


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"object": "text_completion"},
        {"created": "now"},
        {"model": None},
        {"index": None},
        {"logprobs": None},
        {"logprobs": []},
        {"refusal": None},
        {"role": "model"},
        {"annotations": [1]},
        {"finish_reason": "eos_token"},
        {"service_tier": "on_demand"},
        {"usage": {**USAGE, "total_tokens": "11"}},
    ],
    ids=str,
)
def test_what_breaks_the_schema_is_filled_in_and_keeps_the_rest(changes):
    said = json.loads(written(whole_given(broken(**changes))))
    assert said["x_vendor"] == {"a": [1.5]}
    assert said["object"] == "chat.completion"
    assert {**said["choices"][0]["message"], "annotations": []} == MESSAGE
    assert {**said["choices"][0], "message": MESSAGE} == ANSWER["choices"][0]
    assert said["id"] == ("chatcmpl-7" if "id" in changes else "chatcmpl-up")
    assert said["model"] == ("m-1" if "model" in changes else "gpt-x")
    assert isinstance(said["created"], int)
    assert "service_tier" not in said
    assert changes.keys() & {"usage"} or said["usage"] == USAGE


def test_numbers_larger_than_a_machines_survive_the_filling_in():
    assert b'"n":' + b"9" * 30 in written(whole_given(broken(id=None) | {"n": int("9" * 30)}))


def test_tool_calls_are_filled_in():
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": "b", "index": 1, "function": {"name": "g"}}]
    said = json.loads(written(whole_given(broken(tool_calls=calls))))["choices"][0]["message"]["tool_calls"]
    assert said == [
        {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "b", "index": 1, "type": "function", "function": {"name": "g", "arguments": ""}},
    ]


def test_a_custom_tools_call():
    call = {"id": "c1", "type": "custom", "custom": {"name": "grep", "input": "a"}}
    untyped = {"id": "c1", "custom": {"name": "grep", "input": "a"}}
    from_values = [Chunk(b"{}", tool_calls=(ToolCall(0, "c1", "grep", "a", "custom"),), finish_reason="tool_calls")]
    for made in (
        written(from_values, "anthropic"),
        written(whole_given(broken(tool_calls=[call]))),
        written(whole_given(broken(tool_calls=[untyped]))),
    ):
        assert json.loads(made)["choices"][0]["message"]["tool_calls"] == [call]


def test_a_content_of_parts_is_written_as_text_and_reasoning():
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "Hi"}]
    message = json.loads(written(whole_given(broken(content=parts))))["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Hi", "refusal": None, "reasoning_content": "Hm"}


def test_another_dialect_is_written_from_values():
    blocks = [{"type": "thinking", "thinking": "Hm", "signature": "s"}, {"type": "redacted_thinking", "data": "ZA=="}]
    calls = (ToolCall(0, "c1", "f", "{}"), ToolCall(1, "", "g", '{"a":1}'))
    first = Chunk(b"{}", "", "Hm", calls, "tool_calls", Usage(9, 5, 4, 1, 2), thinking_block=blocks[0])
    said = json.loads(written([first, Chunk(thinking_block=blocks[1])], "anthropic"))
    assert isinstance(said.pop("created"), int)
    assert said == {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "refusal": None,
                    "reasoning_content": "Hm",
                    "thinking_blocks": blocks,
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                        {"id": "call_701", "type": "function", "function": {"name": "g", "arguments": '{"a":1}'}},
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }


def test_what_was_thought_can_be_sent_back():
    from llamafarm.providers.anthropic.request import translate

    block = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    call_ = (ToolCall(0, "c1", "f", "{}"),)
    answer = json.loads(written([Chunk(b"{}", "", "Hm", call_, "tool_calls", thinking_block=block)], "anthropic"))
    turns = [{"role": "user", "content": "?"}, answer["choices"][0]["message"]]
    turns.append({"role": "tool", "tool_call_id": "c1", "content": "4"})
    sent = translate({"model": "claude-x", "messages": turns}, frozenset()).body["messages"]
    assert sent[1]["content"] == [block, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}]


def test_several_choices_are_written_in_order_and_without_usage_none_is_made_up():
    said = json.loads(
        written([Chunk(b"{}", "a", finish_reason="stop"), Chunk(text="b", index=1, finish_reason="odd")], "x")
    )
    assert [(one["index"], one["message"]["content"], one["finish_reason"]) for one in said["choices"]] == [
        (0, "a", "stop"),
        (1, "b", "stop"),
    ]
    assert "usage" not in said


def test_a_refusal_is_none_of_the_content():
    message = json.loads(written([Chunk(b"{}", "No", refusal=True, finish_reason="stop")], "x"))["choices"][0][
        "message"
    ]
    assert message == {"role": "assistant", "content": None, "refusal": "No"}


def test_a_client_that_knows_only_functions_gets_a_function_call():
    chunk = Chunk(b"{}", tool_calls=(ToolCall(0, "c", "f", "{}"),), finish_reason="tool_calls")
    choice = json.loads(written([chunk], "ollama", functions=[{"name": "f"}]))["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]
    with_tools = json.loads(written([chunk], "ollama", functions=[{"name": "f"}], tools=[{}]))["choices"][0]
    assert with_tools["finish_reason"] == "tool_calls"
