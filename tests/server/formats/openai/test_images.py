import json

import pytest

from llamafarm.errors import BadReplyError, ConnectError
from llamafarm.server.formats.openai import Images
from llamafarm.types import Call, Chunk, Operation
from tests.server.formats.openai.making import head, reply

PARTS = {"image_tokens": 1, "text_tokens": 2}
USAGE = {"input_tokens": 3, "input_tokens_details": PARTS, "output_tokens": 4, "total_tokens": 7}
ANSWER = {
    "created": 17,
    "data": [{"b64_json": "AA=="}, {"b64_json": "AQ=="}],
    "usage": USAGE,
    "size": "1024x1024",
    "x": 1,
}


def whole(answer):
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return Images().whole(Call(body={}), reply("openai"), [Chunk(raw)])


def test_what_keeps_the_schema_passes_byte_by_byte():
    raw = json.dumps(ANSWER, indent=1).encode()
    assert whole(raw) == raw


def test_what_is_missing_is_filled_in_and_misfits_are_left_out():
    said = json.loads(whole({"data": [{"url": "https://x.example/a"}], "usage": {"a": 1}, "quality": "hd", "x": 1}))
    assert isinstance(said.pop("created"), int)
    assert said == {"data": [{"url": "https://x.example/a"}], "x": 1}


def test_a_stream_has_an_event_for_each_picture():
    call = Images().read({"prompt": "a cat", "stream": True, "partial_images": 2, "quality": "low"}, head())
    assert (call.operation, call.stream) == (Operation.IMAGE, True)
    writer = Images().stream(call, reply("openai"))
    events = writer.write(Chunk(json.dumps(ANSWER).encode())) + writer.end()
    blocks = [block.split("\n") for block in events.decode().split("\n\n") if block]
    assert [block[0] for block in blocks] == ["event: image_generation.completed"] * 2
    assert [json.loads(block[1].removeprefix("data: ")) for block in blocks] == [
        {
            "type": "image_generation.completed",
            "b64_json": picture["b64_json"],
            "created_at": 17,
            "background": "auto",
            "output_format": "png",
            "quality": "low",
            "size": "1024x1024",
            "usage": USAGE,
        }
        for picture in ANSWER["data"]
    ]
    assert writer.write(Chunk()) == b""


def test_a_stream_cannot_give_an_address():
    writer = Images().stream(Call(body={}), reply("openai"))
    with pytest.raises(BadReplyError, match="only the address"):
        writer.write(Chunk(b'{"created": 1, "data": [{"url": "https://x.example/a"}]}'))


def test_an_error_is_an_event():
    name, data = (
        Images().stream(Call(body={}), reply()).fail(ConnectError("t is gone"), "req_7").decode().split("\n", 1)
    )
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["message"] == "t is gone"
