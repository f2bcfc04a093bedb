"""Ollama's own Python package judges what we send, and reads what the Ollama of our tests answers."""

import time

import pytest

from llamafarm.errors import BadRequestError
from llamafarm.providers.failures import Peer
from llamafarm.providers.ollama.request import request_of
from llamafarm.types import Attempt, Call, Operation, Target
from tests.doubles.bodies import BODIES
from tests.providers.ollama_server import FakeOllama, Model

pytestmark = pytest.mark.doubles

PEER = Peer("ollama", "localhost:11434")
TARGET = Target("there", "ollama", "ollama", "m", context_window=8192)
NOT_IN_THE_PACKAGE = {
    "shift: unknown",
    "truncate: unknown",
    "options.min_p: unknown",
    "messages.tool_call_id: unknown",
    "messages.tool_calls.id: unknown",
}
"""What this judge cannot speak on: the server is ahead of its Python package."""
THE_CALLERS_OWN = {"tools.function.strict: unknown"}
"""What is handed on in a tool as the caller wrote it; the server reads past it."""
OTHERS = {
    "completion": (Operation.COMPLETION, {"prompt": "def f(", "max_tokens": 9, "logprobs": 2, "min_p": 0.1}),
    "infill": (Operation.COMPLETION, {"prompt": "a", "suffix": "z", "stop": "q", "keep_alive": "10m"}),
    "vectors": (Operation.EMBEDDING, {"input": ["a", "b"], "dimensions": 2, "keep_alive": 60}),
    "probabilities": (Operation.CHAT, {**BODIES["text"], "logprobs": True, "top_logprobs": 3}),
}
HI = [{"role": "user", "content": "Hi"}]


def request(operation, body):
    given = {"model": "m", **body}
    path, written = request_of(
        Attempt(Call(given, operation), TARGET, given, time.monotonic() + 5), PEER, streamed=True
    )
    return {"kind": path, "body": written}


async def test_it_has_nothing_against_our_requests(judge):
    table = {**{name: (Operation.CHAT, body) for name, body in BODIES.items()}, **OTHERS}
    made, refused = {}, set()
    for name, (operation, body) in table.items():
        try:
            made[name] = request(operation, body)
        except BadRequestError:
            refused.add(name)
    assert refused == set()
    verdicts = await judge("ollama_judge.py", list(made.values()))
    known = NOT_IN_THE_PACKAGE | THE_CALLERS_OWN
    assert {name: said for name, said in zip(made, verdicts, strict=True) if set(said) - known} == {}
    assert {complaint for said in verdicts for complaint in said} == known


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"model": ""}, "model"),
        ({"made_up": 1}, "made_up"),
        ({"options": {"num_ctx": "many"}}, "options.num_ctx"),
        ({"format": "xml"}, "format"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages.content"),
        ({"messages": [{**HI[0], "images": ["§"]}]}, "messages.images"),
        ({"messages": [{**HI[0], "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]}, "arguments"),
    ],
)
async def test_it_can_complain(judge, change, place):
    made = request(Operation.CHAT, BODIES["text"])
    (said,) = await judge("ollama_judge.py", [{**made, "body": made["body"] | change}])
    assert any(place in complaint for complaint in said), said


async def asked(judge, server, method, **body):
    given = body if method == "list" else {"model": "fake-model", **body}
    thing = {"kind": "client", "host": server.base_url, "method": method, "body": given}
    return (await judge("ollama_judge.py", [thing]))[0]


async def test_its_client_reads_a_streamed_chat(judge):
    calls = (("weather", {"city": "Paris"}), ("clock", {}))
    async with FakeOllama(Model(thinking="let me", calls=calls)) as server:
        chunks = await asked(judge, server, "chat", messages=HI, stream=True, think=True)
    messages = [chunk["message"] for chunk in chunks]
    assert "".join(message.get("content", "") for message in messages) == "Hello world"
    assert "".join(message.get("thinking", "") for message in messages) == "letme"
    said = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    assert [(call["name"], call["arguments"]) for call in said] == list(calls)
    last = chunks[-1]
    assert (last["done"], last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == (True, "stop", 9, 2)


async def test_its_client_reads_plain_answers(judge):
    async with FakeOllama() as server:
        (chat,) = await asked(judge, server, "chat", messages=HI)
        (text,) = await asked(judge, server, "generate", prompt="Say it")
        (vectors,) = await asked(judge, server, "embed", input=["one", "two three"])
    assert chat["message"] == {"role": "assistant", "content": "Hello world"}
    assert (text["response"], text["done"]) == ("Hello world", True)
    assert vectors["embeddings"] == [[0.3, 0.5, 0.5], [0.9, 0.5, 0.5]]
    assert vectors["prompt_eval_count"] == 3


async def test_its_client_reads_what_there_is(judge):
    async with FakeOllama() as server:
        (listed,) = await asked(judge, server, "list")
        (shown,) = await asked(judge, server, "show")
    assert [model["model"] for model in listed["models"]] == ["fake-model:latest"]
    assert "thinking" in shown["capabilities"]
    assert shown["modelinfo"]["llama.context_length"] == 131072


async def test_its_client_reads_errors(judge):
    async with FakeOllama(Model(breaks_with="unexpected EOF")) as server:
        (broken,) = await asked(judge, server, "chat", messages=HI, stream=True)
        (missing,) = await asked(judge, server, "chat", model="none", messages=HI)
        server.busy = True
        (busy,) = await asked(judge, server, "chat", messages=HI)
    assert broken["error"] == "unexpected EOF"
    assert (missing["status_code"], missing["error"]) == (404, "model 'none' not found")
    assert busy["status_code"] == 503
