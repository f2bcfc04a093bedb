import msgspec

from llamafarm.apps.embedded_failure import failure_of_event, failure_of_exception
from llamafarm.apps.embedded_reply import chunk_of, vectors_of, whole_of
from llamafarm.errors import BadRequestError, ContextExceededError, EngineError
from llamafarm.types import Operation, Target, ToolCall, Usage

TARGET = Target("local", "llamacpp", "embedded", "m", local=True)


def event(delta=None, finish=None, index=0, **more):
    return {
        "id": "a",
        "choices": [{"index": index, "delta": delta or {}, "finish_reason": finish}],
        "model": "/p",
        **more,
    }


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}


def test_a_chunk_has_what_its_event_says_and_the_callers_model_name():
    chunk = chunk_of(event({"content": "hi", "reasoning_content": "hm"}, "stop", 1, usage=USAGE, extra=1), "m")
    assert (chunk.text, chunk.reasoning, chunk.finish_reason, chunk.index) == ("hi", "hm", "stop", 1)
    assert chunk.usage == Usage(5, 2, cached_tokens=3)
    raw = msgspec.json.decode(chunk.raw)
    assert (raw["model"], raw["extra"]) == ("m", 1)


def test_tool_calls_come_in_pieces_and_whole():
    first = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{"}}
    second = {"index": 0, "function": {"arguments": "}"}}
    events = [event({"tool_calls": [first]}), event({"tool_calls": [second]}), event(finish="tool_calls")]
    assert chunk_of(dict(events[1]), "m").tool_calls == (ToolCall(0, "", "", "}"),)
    whole = whole_of(events, Operation.CHAT, "m")
    assert whole.tool_calls == (ToolCall(0, "c1", "f", "{}"),)
    message = msgspec.json.decode(whole.raw)["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_a_whole_answer_joins_text_logprobs_and_usage():
    pieces = [event({"role": "assistant", "content": None}), event({"content": "a"}), event({"content": "b"}, "stop")]
    pieces[1]["choices"][0]["logprobs"] = {"content": [{"token": "a"}]}
    pieces[2]["choices"][0]["logprobs"] = {"content": [{"token": "b"}]}
    whole = whole_of([*pieces, {"choices": [], "id": "a", "usage": USAGE}], Operation.CHAT, "m")
    raw = msgspec.json.decode(whole.raw)
    assert (whole.text, whole.finish_reason, raw["object"], raw["id"]) == ("ab", "stop", "chat.completion", "a")
    assert [row["token"] for row in raw["choices"][0]["logprobs"]["content"]] == ["a", "b"]
    assert whole.usage == Usage(5, 2, cached_tokens=3)


def test_the_usage_of_several_prompts_is_added_up():
    def piece(index, finish, **more):
        return {"choices": [{"index": index, "text": f"t{index}", "finish_reason": finish}], **more}

    whole = whole_of([piece(1, "stop", usage=USAGE), piece(0, "stop", usage=USAGE)], Operation.COMPLETION, "m")
    raw = msgspec.json.decode(whole.raw)
    assert [choice["text"] for choice in raw["choices"]] == ["t0", "t1"]
    assert raw["object"] == "text_completion"
    assert whole.usage == Usage(10, 4, cached_tokens=6)


def test_vectors():
    chunk = vectors_of({"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": 4}, "model": "/p"}, "m")
    assert chunk.usage == Usage(4, 0)
    assert b"/p" not in chunk.raw


def test_complaints_have_their_place_in_the_tree():
    def kind(**error):
        return type(failure_of_event(error, TARGET))

    assert kind(code=400, type="exceed_context_size_error", message="x") is ContextExceededError
    assert kind(code=500, type="server_error", message="input is too large to process") is ContextExceededError
    assert kind(code=400, type="invalid_request_error", message="x") is BadRequestError
    assert kind(code=500, type="server_error", message="x") is EngineError
    assert kind() is EngineError
    assert type(failure_of_exception(MemoryError(), TARGET)) is EngineError
    assert type(failure_of_exception(ValueError("no"), TARGET)) is BadRequestError
    assert "local (m)" in str(failure_of_event({"message": "x"}, TARGET))
