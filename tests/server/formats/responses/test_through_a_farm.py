"""A request goes through a farm, and its answer still knows what was asked."""

import json

from llamafarm.farm import Farm
from llamafarm.types import Chunk, ToolCall
from tests.making import NO_GPU, Scripted, strategy
from tests.server.formats.responses.events import CUSTOM, RESPONSES, events_in, read

TEXT = """
name: one
description: d
components: {a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma}}}
fallback_chain: [a]
"""
CALL = Chunk(tool_calls=(ToolCall(0, "c1", "patch", '{"input":"a"}'),))


async def asked(call):
    upstream = Scripted({"a": [[CALL]]})
    async with Farm(strategy(TEXT), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as farm:
        reply = await farm.send(call)
        chunks = [chunk async for chunk in reply]
        if not call.stream:
            return upstream, json.loads(RESPONSES.whole(call, reply, chunks))
        writer = RESPONSES.stream(call, reply)
        return upstream, events_in(b"".join([*map(writer.write, chunks), writer.end()]))[-1]["response"]


async def test_plain_and_streamed():
    for stream in (False, True):
        call = read(model="one", stream=stream, tools=[CUSTOM], instructions="Be brief.", max_output_tokens=9)
        upstream, response = await asked(call)
        assert (response["model"], response["instructions"], response["status"]) == ("ma", "Be brief.", "completed")
        assert [(item["type"], item["input"]) for item in response["output"]] == [("custom_tool_call", "a")]
        assert response["usage"]["total_tokens"] == 5
        (attempt,) = upstream.sent
        assert attempt.body["max_completion_tokens"] == 9
        assert attempt.body["messages"][0] == {"role": "system", "content": "Be brief."}
