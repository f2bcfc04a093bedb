"""Going on from a given beginning: what is asked of each kind of target, and that nothing comes twice."""

import msgspec
import pytest

from llamafarm.errors import StreamCutError, UntranslatableError
from llamafarm.testing.fake_server import FakeServer, answer, events, raw
from llamafarm.types import Operation

USER = {"role": "user", "content": "Where?"}
BEGUN = {"role": "assistant", "content": "It is in"}


async def go_on(
    rig, server, beginning="It is in", *, stream=True, prefill="last_message", body=None, quirks=(), **more
):
    changes = {"prefill": prefill, "quirks": frozenset(quirks), **more}
    operation = Operation.CHAT if body is None or "messages" in body else Operation.COMPLETION
    attempt = rig.attempt(
        rig.target(server, **changes),
        stream=stream,
        operation=operation,
        body=body or {"model": "m", "messages": [USER]},
    )
    attempt.beginning = beginning
    return [chunk async for chunk in await rig.upstream.send(attempt)]


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


def raw_text_of(chunks):
    """The text that a client sees which is given the chunks' bytes."""
    found = ""
    for chunk in chunks:
        for choice in msgspec.json.decode(chunk.raw).get("choices", ()) if chunk.raw else ():
            message = choice.get("delta") or choice.get("message") or {}
            found += message.get("content") or choice.get("text") or ""
    return found


def pieces(*texts, finish="stop"):
    made = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts]
    return events(*made, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})


@pytest.mark.parametrize(
    ("prefill", "messages", "around"),
    [
        ("last_message", [USER, BEGUN], {}),
        ("prefix", [USER, {**BEGUN, "prefix": True}], {}),
        ("partial", [USER, {**BEGUN, "partial": True}], {}),
        ("continue_final_message", [USER, BEGUN], {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_each_way_of_asking(rig, prefill, messages, around, stream):
    async with FakeServer(answer(" Paris.")) as server:
        chunks = await go_on(rig, server, prefill=prefill, stream=stream)
        sent = server.requests[0].json
    assert sent["messages"] == messages
    assert {name: sent.get(name) for name in ("continue_final_message", "add_generation_prompt")} == {
        name: around.get(name) for name in ("continue_final_message", "add_generation_prompt")
    }
    assert text_of(chunks) == " Paris."


async def test_deepseek_is_asked_elsewhere(rig):
    async with FakeServer(answer()) as server, FakeServer(answer(" Paris.")) as beta:
        chunks = await go_on(rig, server, prefill="prefix", prefill_url=beta.base_url + "/beta")
        assert server.requests == []
        assert beta.requests[0].path == "/v1/beta/chat/completions"
    assert text_of(chunks) == " Paris."


async def test_without_a_beginning_it_is_asked_as_ever(rig):
    async with FakeServer(answer()) as server, FakeServer(answer()) as beta:
        await go_on(rig, server, "", prefill="prefix", prefill_url=beta.base_url)
        assert beta.requests == []
        assert server.requests[0].json["messages"] == [USER]


async def test_it_goes_behind_a_beginning_of_the_callers_own(rig):
    async with FakeServer(answer()) as server:
        body = {"model": "m", "messages": [USER, {"role": "assistant", "content": "Well: "}]}
        await go_on(rig, server, prefill="prefix", body=body)
        assert server.requests[0].json["messages"] == [
            USER,
            {"role": "assistant", "content": "Well: It is in", "prefix": True},
        ]


async def test_a_legacy_completion_goes_on_from_its_prompt(rig):
    async with FakeServer(answer(" Paris.")) as server:
        chunks = await go_on(rig, server, prefill=None, body={"model": "m", "prompt": "Where? "})
        assert server.requests[0].json["prompt"] == "Where? It is in"
    assert text_of(chunks) == " Paris."


@pytest.mark.parametrize("body", [None, {"model": "m", "prompt": ["a", "b"]}])
async def test_what_cannot_go_on_is_not_asked(rig, body):
    async with FakeServer(answer()) as server:
        with pytest.raises(UntranslatableError, match="beginning"):
            await go_on(rig, server, prefill=None, body=body)
        assert server.requests == []


LONG = "The capital of France, as everybody knows, is"


@pytest.mark.parametrize(
    ("beginning", "quirks", "came", "new"),
    [
        ("It is in", (), [" Pa", "ris."], " Paris."),
        ("It is in", ("echoes_beginning",), ["It is", " in Pa", "ris."], " Paris."),
        ("It is in", ("echoes_beginning",), ["It is in Paris."], " Paris."),
        ("It is in", ("echoes_beginning",), ["It is in", " Paris."], " Paris."),
        ("It is in", ("echoes_beginning",), [" Paris."], " Paris."),
        ("It is in", ("echoes_beginning",), ["It is", " over."], "It is over."),
        ("ha", (), ["ha", "ha"], "haha"),
        ("ha", ("echoes_beginning",), ["ha", "ha"], "ha"),
        (LONG, (), [LONG[:20], LONG[20:] + " Paris."], " Paris."),
        (LONG, (), [" Paris."], " Paris."),
        (LONG, (), [LONG[:20], LONG[20:30]], ""),
        (LONG, (), [LONG[:10]], LONG[:10]),
        (LONG, ("echoes_beginning",), [LONG[:10]], ""),
        ("-" * 40, (), ["-" * 50, "-" * 10], "-" * 60),
        ("-" * 40, (), ["-" * 30], "-" * 30),
        ("| - | - |\n" * 4, (), ["| - | - |\n" * 5], "| - | - |\n" * 5),
        ("-" * 40, ("echoes_beginning",), ["-" * 50], "-" * 10),
        ("It is in ", ("no_trailing_space",), [" Paris."], "Paris."),
        ("It is in ", ("no_trailing_space",), ["Paris."], "Paris."),
        ("def f():\n", ("no_trailing_space",), ["\n", "    return"], "    return"),
        ("a\n\n", ("no_trailing_space",), ["\n", "\n", "b"], "b"),
        ("a\n\n", ("no_trailing_space",), ["\nb"], "b"),
        ("It is in ", ("no_trailing_space", "echoes_beginning"), ["It is in", " Paris."], "Paris."),
    ],
)
async def test_the_chunks_hold_only_what_follows(rig, beginning, quirks, came, new):
    async with FakeServer(pieces(*came)) as server:
        chunks = await go_on(rig, server, beginning, quirks=quirks)
    assert text_of(chunks) == raw_text_of(chunks) == new
    assert chunks[-1].finish_reason == "stop"
    async with FakeServer(answer("".join(came))) as server:
        chunks = await go_on(rig, server, beginning, quirks=quirks, stream=False)
    assert text_of(chunks) == raw_text_of(chunks) == new


async def test_white_space_at_the_end_is_not_sent(rig):
    async with FakeServer(answer()) as server:
        await go_on(rig, server, "It is in \n", quirks=["no_trailing_space"])
        await go_on(rig, server, " \n", quirks=["no_trailing_space"])
        await go_on(rig, server, "It is in \n")
        sent = [request.json["messages"][1:] for request in server.requests]
    assert sent == [[BEGUN], [], [{**BEGUN, "content": "It is in \n"}]]


@pytest.mark.parametrize(("quirks", "kept"), [((), "The capital"), (("echoes_beginning",), "")])
async def test_what_is_held_back_when_the_stream_is_cut_is_given_first_unless_it_is_a_repetition(rig, quirks, kept):
    event = msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": "The capital"}, "finish_reason": None}]})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    async with FakeServer(raw(head + b"data: " + event + b"\n\n")) as server:
        attempt = rig.attempt(rig.target(server, prefill="last_message", quirks=frozenset(quirks)))
        attempt.beginning = LONG
        reply = await rig.upstream.send(attempt)
        seen = []
        with pytest.raises(StreamCutError):  # noqa: PT012 - what came before it counts
            async for chunk in reply:
                seen.append(chunk.text)  # noqa: PERF401
        with pytest.raises(StreamCutError):
            await anext(reply)
    assert "".join(seen) == kept


async def test_a_repetition_that_is_cut_in_its_midst_is_left_out(rig):
    event = msgspec.json.encode({"choices": [{"index": 0, "delta": {"content": LONG[:30]}, "finish_reason": None}]})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    async with FakeServer(raw(head + b"data: " + event + b"\n\n")) as server:
        with pytest.raises(StreamCutError):
            await go_on(rig, server, LONG)
        attempt = rig.attempt(rig.target(server, prefill="last_message"))
        attempt.beginning = LONG
        reply = await rig.upstream.send(attempt)
        with pytest.raises(StreamCutError):
            await anext(reply)


async def test_leaving_it_cancels_the_request(rig):
    async with FakeServer(pieces("It is", finish=None)) as server:
        attempt = rig.attempt(rig.target(server, prefill="last_message"))
        attempt.beginning = "x"
        reply = await rig.upstream.send(attempt)
        await reply.aclose()
        await reply.aclose()


@pytest.mark.parametrize(
    ("parts", "longer"),
    [
        ([{"type": "text", "text": "The capital. "}], [{"type": "text", "text": "The capital. It is in"}]),
        (
            [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}],
            [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}, {"type": "text", "text": "It is in"}],
        ),
        ([], [{"type": "text", "text": "It is in"}]),
        ("", "It is in"),
    ],
)
async def test_it_goes_behind_a_beginning_in_parts(rig, parts, longer):
    messages = [USER, {"role": "assistant", "content": parts}]
    async with FakeServer(answer(" Paris.")) as server:
        await go_on(rig, server, body={"model": "m", "messages": messages})
        assert server.requests[0].json["messages"] == [USER, {"role": "assistant", "content": longer}]


OWN = {"role": "assistant", "content": "Well: "}
IN_PARTS = {**OWN, "content": [{"type": "text", "text": "Well"}, {"type": "text", "text": ": "}]}


@pytest.mark.parametrize("own", [OWN, IN_PARTS])
@pytest.mark.parametrize(("beginning", "quirks"), [("It is", ("echoes_beginning",)), (LONG, ())])
async def test_what_the_caller_began_is_left_out_of_a_repetition_too(rig, own, beginning, quirks):
    body = {"model": "m", "messages": [USER, own]}
    async with FakeServer(pieces("Well: ", beginning, " in Rome.")) as server:
        chunks = await go_on(rig, server, beginning, quirks=quirks, body=body)
    assert text_of(chunks) == raw_text_of(chunks) == " in Rome."
