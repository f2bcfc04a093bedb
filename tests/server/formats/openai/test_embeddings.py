import base64
import json
import struct

import pytest

from llamafarm.errors import BadCallError
from llamafarm.server.formats.openai import Embeddings
from llamafarm.types import Call, Chunk, Operation, Usage
from tests.server.formats.openai.making import head, reply

VECTORS = ((0.5, -0.25), (1.0, 0.0))
USAGE = {"prompt_tokens": 4, "total_tokens": 4}


def packed(vector):
    return base64.b64encode(struct.pack("<2f", *vector)).decode()


def body(rows, **more):
    data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]
    return {"object": "list", "model": "e", "data": data, "usage": USAGE, **more}


def written(raw, asked=None, dialect="openai", usage=None):
    encoding = {"encoding_format": asked} if asked else {}
    call = Call(body={"input": ["a", "b"], **encoding}, operation=Operation.EMBEDDING, input_tokens=3)
    raw = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return Embeddings().whole(call, reply(dialect), [Chunk(raw, usage=usage, vectors=VECTORS)])


@pytest.mark.parametrize("asked", [None, "float", "base64"])
def test_what_is_as_asked_passes_byte_by_byte(asked):
    raw = json.dumps(body(map(packed, VECTORS) if asked == "base64" else VECTORS, x=1), indent=1).encode()
    assert written(raw, asked) == raw


@pytest.mark.parametrize("asked", [None, "float", "base64"])
@pytest.mark.parametrize("came", ["other encoding", "no model", "no usage", "no index", "other dialect"])
def test_else_it_is_written_anew(asked, came):
    given = body(VECTORS if (asked == "base64") == (came == "other encoding") else map(packed, VECTORS))
    given = {**given, "data": list(given["data"])}
    if came == "no index":
        del given["data"][0]["index"]
    elif came.startswith("no "):
        del given[came.removeprefix("no ")]
    said = json.loads(written(given, asked, "ollama" if came == "other dialect" else "openai", Usage(4, 0)))
    rows = [packed(vector) for vector in VECTORS] if asked == "base64" else [list(vector) for vector in VECTORS]
    assert said == body(rows) | {"model": "m-1"}


def test_a_usage_nobody_told_is_the_estimate():
    assert json.loads(written({}, dialect="ollama"))["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_the_request_is_passed_on_and_never_a_stream():
    asked = {"model": "e", "input": [[1, 2]], "dimensions": 8, "encoding_format": "base64", "user": "u", "x": 1}
    call = Embeddings().read({**asked, "stream": False}, head())
    assert (call.operation, call.stream, call.model) == (Operation.EMBEDDING, False, "e")
    assert call.body == {name: value for name, value in asked.items() if name != "model"}
    with pytest.raises(BadCallError, match="come whole"):
        Embeddings().read({**asked, "stream": True}, head())
