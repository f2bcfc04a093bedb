"""Whatever an answer is: its events keep the schema, and put together they are the answer."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.server.formats.openai import Chat, Completions
from llamafarm.server.formats.openai.schema import chat_event, chat_whole, text_event, text_whole
from tests.server.formats.openai.answers import answers, holed_answers, put_together
from tests.server.formats.openai.making import call, data_of, options, reply, streamed


def read_back(events):
    """Put a stream together, as clients do: texts joined, tool calls by their index."""
    choices = {}
    for one in events:
        for choice in one["choices"]:
            delta = choice["delta"]
            so_far = choices.setdefault(choice["index"], {"text": "", "reasoning": "", "calls": {}, "blocks": []})
            so_far["text"] += delta.get("content") or ""
            so_far["reasoning"] += delta.get("reasoning_content") or ""
            so_far["blocks"] += delta.get("thinking_blocks", [])
            for piece in delta.get("tool_calls", ()):
                known = so_far["calls"].setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
                known["id"] += piece.get("id", "")
                known["name"] += piece["function"].get("name", "")
                known["arguments"] += piece["function"].get("arguments", "")
            so_far["finish"] = choice["finish_reason"] or so_far.get("finish")
    return choices


def as_read(answer):
    return {
        choice.index: {
            "text": choice.text,
            "reasoning": choice.reasoning,
            "calls": {
                one.index: {"id": one.id, "name": one.name, "arguments": one.arguments} for one in choice.tool_calls
            },
            "blocks": [] if choice.index else list(answer.thinking_blocks),
            "finish": choice.finish_reason,
        }
        for choice in answer.choices
    }


@settings(deadline=None)
@given(answers(), st.booleans())
def test_values_come_back_from_a_stream_of_chat(chunks, asked):
    events = data_of(streamed(Chat(), call(**options(asked=asked)), reply("x"), chunks))
    assert events.pop() == "[DONE]"
    for one in events:
        chat_event.decode(json.dumps(one))
    answer = put_together(chunks)
    assert read_back(events) == as_read(answer)
    roles = [choice["index"] for one in events for choice in one["choices"] if "role" in choice["delta"]]
    assert sorted(roles) == sorted(set(roles)) == [choice.index for choice in answer.choices]
    counted = [one["usage"]["completion_tokens"] for one in events if one.get("usage")]
    usage = chunks[-1].usage
    assert counted == ([usage.output_tokens] if asked and usage else [])


@settings(deadline=None)
@given(answers())
def test_values_come_back_from_a_plain_answer(chunks):
    written = Chat().whole(call(), reply("x"), chunks)
    chat_whole.decode(written)
    answer = put_together(chunks)
    for choice, made in zip(json.loads(written)["choices"], answer.choices, strict=True):
        message = choice["message"]
        assert (choice["index"], choice["finish_reason"]) == (made.index, made.finish_reason)
        assert (message["content"] or "") == made.text
        assert message.get("reasoning_content", "") == made.reasoning
        names = [one["function"]["name"] for one in message.get("tool_calls", ())]
        assert names == [one.name for one in made.tool_calls]


@settings(deadline=None)
@given(answers(), st.booleans())
def test_texts_come_back_from_legacy_completions(chunks, asked):
    events = data_of(streamed(Completions(), call(**options(asked=asked)), reply("x"), chunks))
    assert events.pop() == "[DONE]"
    texts = {}
    for one in events:
        text_event.decode(json.dumps(one))
        for choice in one["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + choice["text"]
    assert texts == {choice.index: choice.text for choice in put_together(chunks).choices}
    written = Completions().whole(call(), reply("x"), chunks)
    text_whole.decode(written)
    assert {choice["index"]: choice["text"] for choice in json.loads(written)["choices"]} == texts


@pytest.mark.parametrize("asked", [True, False])
@settings(deadline=None, max_examples=300)
@given(chunks=holed_answers())
def test_whatever_a_target_leaves_out_every_event_keeps_the_schema(asked, chunks):
    events = data_of(streamed(Chat(), call(**options(asked=asked)), reply("openai"), chunks))
    assert events.pop() == "[DONE]"
    for one in events:
        chat_event.decode(json.dumps(one))
    assert sum(bool(one.get("usage")) for one in events) <= asked
    deltas = [choice["delta"] for one in events for choice in one["choices"]]
    joined = "".join(delta.get("content") or delta.get("refusal") or "" for delta in deltas)
    assert joined == "".join(chunk.text for chunk in chunks)
