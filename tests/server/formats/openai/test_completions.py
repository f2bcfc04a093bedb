import json

import pytest

from llamafarm.server.formats.openai import Completions
from llamafarm.types import Chunk, Operation, Usage
from tests.server.formats.openai.making import call, data_of, given, head, options, reply, streamed, whole_given

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
LOGPROBS = {"tokens": ["a"], "token_logprobs": [None], "top_logprobs": [None], "text_offset": [0]}


def event(text="", finish=None, *, index=0, **more):
    choice = {"index": index, "text": text, "logprobs": LOGPROBS if text else None, "finish_reason": finish}
    return {"id": "cmpl-up", "object": "text_completion", "created": 17, "model": "b", "choices": [choice], **more}


EVENTS = [event("He"), event("llo"), event("", "length")]


def framed(*events):
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)


def written(chunks, dialect="openai", **body):
    return streamed(Completions(), call(**body), reply(dialect), chunks)


def test_every_parameter_is_taken():
    body = {
        "model": "m", "prompt": ["a", [1, 2]], "suffix": "z", "echo": True, "n": 2, "best_of": 3, "logprobs": 5,
        "stream": True, "x_vendor": {"a": 1},
    }  # fmt: skip
    made = Completions().read(body, head())
    assert (made.model, made.stream, made.operation) == ("m", True, Operation.COMPLETION)
    assert made.body == {name: value for name, value in body.items() if name not in ("model", "stream")}


def test_what_keeps_the_schema_passes_byte_by_byte():
    assert written(given(*EVENTS)) == framed(*EVENTS) + b"data: [DONE]\n\n"
    whole = json.dumps(event("Hello", "stop", usage=USAGE), indent=1).encode()
    assert Completions().whole(call(), reply("openai"), whole_given(whole)) == whole


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_usage_comes_once_where_it_is_asked_for(asked, own):
    usage = {**event(), "choices": [], "usage": USAGE}
    events = [*EVENTS, usage] if own else [*EVENTS[:-1], {**EVENTS[-1], "usage": USAGE}]
    said = data_of(written(given(*events), **options(asked=asked)))
    counted = [one["usage"] for one in said[:-1] if one.get("usage")]
    assert [{name: one[name] for name in USAGE} for one in counted] == ([USAGE] if asked else [])
    assert "".join(choice["text"] for one in said[:-1] for choice in one["choices"]) == "Hello"


def test_what_is_missing_is_filled_in():
    bare = [{"choices": [{"text": "a"}], "x": 1}, {"choices": [{"text": "", "finish_reason": "eos"}], "x": 1}]
    said = data_of(written(given(*bare)))[:-1]
    assert [one["x"] for one in said] == [1, 1]
    assert [one["choices"][0] for one in said] == [
        {"index": 0, "text": "a", "logprobs": None, "finish_reason": None},
        {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"},
    ]
    assert {(one["id"], one["model"]) for one in said} == {("cmpl-7", "m-1")}
    whole = json.loads(Completions().whole(call(), reply("openai"), whole_given(bare[1])))
    assert whole["choices"] == [{"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}]
    assert whole["x"] == 1


def test_log_probabilities_in_the_shape_of_chat_are_put_into_that_of_this_format():
    def piece(text):
        other = {"token": "z", "logprob": -2.0, "bytes": [122]}
        token = {"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": [other]}
        return {**event(text), "choices": [{**event(text)["choices"][0], "logprobs": {"content": [token]}}]}

    said = data_of(written(given(piece("He"), piece("llo"), event("", "stop"))))
    assert [one["choices"][0]["logprobs"] for one in said[:-1]] == [
        {"tokens": ["He"], "token_logprobs": [-0.5], "top_logprobs": [{"z": -2.0}], "text_offset": [0]},
        {"tokens": ["llo"], "token_logprobs": [-0.5], "top_logprobs": [{"z": -2.0}], "text_offset": [2]},
        None,
    ]


def test_another_dialect_is_written_from_values():
    chunks = [Chunk(b"{}", "a"), Chunk(b"{}", reasoning="Hm"), Chunk(b"{}", "b", index=1)]
    ends = [Chunk(b"{}", finish_reason="length"), Chunk(finish_reason="tool_calls", index=1, usage=Usage(3, 2))]
    said = data_of(written([*chunks, *ends], "ollama", **options(asked=True)))
    assert [one["choices"] for one in said[:-1]] == [
        [{"index": 0, "text": "a", "logprobs": None, "finish_reason": None}],
        [{"index": 1, "text": "b", "logprobs": None, "finish_reason": None}],
        [{"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}],
        [{"index": 1, "text": "", "logprobs": None, "finish_reason": "stop"}],
        [],
    ]
    assert [one["usage"] for one in said[:-2]] == [None] * 4
    assert said[-2]["usage"]["total_tokens"] == 5
    assert {one["id"] for one in said[:-1]} == {"cmpl-7"}
    whole = json.loads(Completions().whole(call(), reply("ollama"), [Chunk(b"{}", "ab", finish_reason="stop")]))
    assert (whole["object"], whole["choices"][0]["text"]) == ("text_completion", "ab")


def test_another_target_goes_on_under_the_firsts_id():
    said = data_of(written([*given(EVENTS[0]), Chunk(text="llo", resumed_by="b"), Chunk(finish_reason="stop")]))
    assert {one["id"] for one in said[:-1]} == {"cmpl-up"}
    assert "".join(one["choices"][0]["text"] for one in said[:-1]) == "Hello"
