"""Answers in the shapes of vendors who took OpenAI's format a little differently."""

import pytest

from llamafarm.testing.fake_server import FakeServer, events, reply

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


async def test_perplexity_sends_a_delta_beside_each_message(rig):
    said = {"role": "assistant", "content": "Hello world"}
    whole = {"index": 0, "message": said, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    async with FakeServer(reply(200, {"choices": [whole], "usage": USAGE})) as server:
        (chunk,) = await rig.send(server, stream=False)
    assert chunk.text == "Hello world"
    grown = [
        {"index": 0, "message": {"content": text}, "delta": {"content": piece}, "finish_reason": finish}
        for piece, text, finish in (("Hello", "Hello", None), (" world", "Hello world", "stop"))
    ]
    async with FakeServer(events(*({"choices": [choice], "usage": USAGE} for choice in grown))) as server:
        chunks = await rig.send(server)
    assert "".join(chunk.text for chunk in chunks) == "Hello world"


@pytest.mark.parametrize("reason", ["eos", "eos_token", "stop_sequence", "stop"])
@pytest.mark.parametrize("stream", [True, False])
async def test_together_and_tgi_have_words_of_their_own_for_a_proper_end(rig, reason, stream):
    part = {"delta" if stream else "message": {"content": "Hi"}, "index": 0, "finish_reason": reason}
    body = {"choices": [part]}
    async with FakeServer(events(body) if stream else reply(200, body)) as server:
        chunks = await rig.send(server, stream=stream)
    assert [chunk.finish_reason for chunk in chunks] == ["stop"]
