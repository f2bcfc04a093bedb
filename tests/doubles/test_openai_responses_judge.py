"""OpenAI's own package judges what we answer and send on where somebody speaks the Responses API with us."""

import json

import pytest

from llamafarm.errors import StreamCutError
from llamafarm.types import Chunk, ToolCall, Usage
from tests.server.formats.responses.events import CUSTOM, FUNCTION, chat, events_in, streamed, whole
from tests.server.formats.responses.test_answer import BLOCK, RAW, REDACTED

pytestmark = pytest.mark.doubles

JUDGE = "openai_responses_judge.py"
STOP = Chunk(finish_reason="stop", usage=Usage(9, 5, 3, 2, 1))
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
CHUNKS = {
    "text": [Chunk(text="Hel"), Chunk(text="lo"), STOP],
    "likelihoods": [Chunk(RAW, text="Hé"), STOP],
    "reasoning": [Chunk(reasoning="H"), Chunk(reasoning="m"), Chunk(text="a"), STOP],
    "signed reasoning": [Chunk(reasoning="Hm"), Chunk(thinking_block=BLOCK), Chunk(thinking_block=REDACTED), STOP],
    "calls": [
        Chunk(text="I see."),
        Chunk(tool_calls=(ToolCall(0, "c1", "weather"), ToolCall(1, "c2", "weather"))),
        Chunk(tool_calls=(ToolCall(1, arguments="{}"), ToolCall(0, arguments="{}"))),
        STOP,
    ],
    "calls without ids": [Chunk(tool_calls=(ToolCall(0, "", "weather", "{}"), ToolCall(1, "", "weather", "{}"))), STOP],
    "custom call": [Chunk(tool_calls=(ToolCall(0, "c1", "patch", '{"input":"a"}'),)), STOP],
    "nothing": [STOP],
    "switch": [Chunk(text="Hel"), Chunk(text="lo", resumed_by="b"), STOP],
    "limit": [Chunk(reasoning="Hm"), Chunk(text="a"), Chunk(finish_reason="length")],
    "filter": [Chunk(finish_reason="content_filter")],
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
PLAIN = {"input": "Hi"}
REQUESTS = {
    "plain": PLAIN,
    "much": {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}, PICTURE]}],
        "instructions": "Be brief.",
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "max_output_tokens": 100,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "service_tier": "flex",
        "store": True,
        "temperature": 0.5,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "weather"},
        "tools": [{**FUNCTION, "strict": False}, CUSTOM],
        "top_logprobs": 1,
        "top_p": 0.9,
        "truncation": "auto",
        "user": "u",
    },
    "allowed tools": {
        **PLAIN,
        "tools": [{**FUNCTION, "strict": None}, CUSTOM],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "patch"}]},
    },
    "conversation": {
        "input": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:;base64,AA=="}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "a"},
            {"type": "function_call_output", "call_id": "c1", "output": [PICTURE]},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "So.", "annotations": []}],
            },
        ],
    },
}  # fmt: skip


def event_stream(stream):
    return {"kind": "client", "content_type": "text/event-stream", "body": stream.decode()}


async def complaints(judge, made):
    """Give what it has against each thing, by the thing's name; nothing where it has none."""
    verdicts = await judge(JUDGE, list(made.values()))
    return {name: said for name, said in zip(made, verdicts, strict=True) if said}


async def test_it_has_nothing_against_our_responses_and_events(judge):
    made = {}
    for body_name, body in REQUESTS.items():
        for name, chunks in CHUNKS.items():
            made[name, body_name] = {"kind": "response", "body": whole(*chunks, **body)}
            for fails in (None, StreamCutError("it broke")):
                for event in events_in(streamed(*chunks, fails=fails, **body)):
                    place = (name, body_name, bool(fails), event["type"], event["sequence_number"])
                    made[place] = {"kind": "event", "body": event}
    assert len(made) > 500
    assert await complaints(judge, made) == {}


async def test_the_requests_are_such_as_it_makes_and_become_chats_that_it_knows(judge):
    made = {}
    for name, body in REQUESTS.items():
        made[name, "request"] = {"kind": "request", "body": {"model": "m", "stream": True, **body}}
        made[name, "chat"] = {"kind": "chat", "body": dict(chat(**body))}
    assert await complaints(judge, made) == {}


@pytest.mark.parametrize(
    ("thing", "place"),
    [
        ({"kind": "event", "body": {"type": "response.made_up"}}, "is no event"),
        ({"kind": "event", "body": {"type": "error", "message": "a"}}, "sequence_number"),
        ({"kind": "event", "body": {"type": "error", "message": "a", "sequence_number": 1, "made_up": 1}}, "made_up"),
        ({"kind": "response", "body": {"id": "a"}}, "created_at"),
        (
            {"kind": "chat", "body": {"messages": [{"role": "user", "content": [{"type": "input_text"}]}]}},
            "input_audio",
        ),
        ({"kind": "request", "body": {"model": "m", "made_up": 1}}, "made_up"),
    ],
)
async def test_it_can_complain(judge, thing, place):
    ((*said,),) = await judge(JUDGE, [thing])
    assert any(place in complaint for complaint in said), said


async def test_its_client_puts_our_streams_together(judge):
    whole_ones = {name: chunks for name, chunks in CHUNKS.items() if name not in ("limit", "filter")}
    streams = [streamed(*chunks, tools=[CUSTOM, FUNCTION]) for chunks in whole_ones.values()]
    verdicts = await judge(JUDGE, [event_stream(stream) for stream in streams])
    for stream, (said,) in zip(streams, verdicts, strict=True):
        events = events_in(stream)
        assert said["seen"] == [event["type"] for event in events]
        assert said["response"]["id"] == events[-1]["response"]["id"]
        ours = [item["id"] for item in events[-1]["response"]["output"]]
        assert [item["id"] for item in said["response"]["output"]] == ours


async def test_its_client_reads_what_is_not_whole(judge):
    ((said,),) = await judge(JUDGE, [event_stream(streamed(*CHUNKS["limit"]))])
    assert said["seen"][-1] == "response.incomplete"
    assert (said["response"]["incomplete_details"], said["text"]) == ({"reason": "max_output_tokens"}, "a")


@pytest.mark.parametrize("chunks", [[], [Chunk(text="Hel")]])
async def test_its_client_raises_for_a_failure(judge, chunks):
    stream = streamed(*chunks, fails=StreamCutError("a (m) stopped in the midst of its answer"))
    ((said,),) = await judge(JUDGE, [event_stream(stream)])
    assert (said["raises"], said["says"]) == ("APIError", "a (m) stopped in the midst of its answer")


async def test_its_client_reads_our_plain_answers(judge):
    ours = [whole(*chunks, tools=[CUSTOM, FUNCTION]) for chunks in CHUNKS.values()]
    asked = [{"kind": "client", "content_type": "application/json", "body": json.dumps(body)} for body in ours]
    for body, (said,) in zip(ours, await judge(JUDGE, asked), strict=True):
        assert [item["id"] for item in said["response"]["output"]] == [item["id"] for item in body["output"]]
