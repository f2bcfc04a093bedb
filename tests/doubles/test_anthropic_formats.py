"""Anthropic's own client reads what the gateway answers in its format, and its types judge what is sent on."""

import pytest

from llamafarm.errors import RateLimitError
from llamafarm.providers.anthropic.native import native_request
from llamafarm.server.formats.anthropic import CountTokens, Listed, Messages, model_of, models_page
from llamafarm.types import Chunk, ToolCall, Usage
from tests.providers.anthropic_server import STREAMS, block, start, text
from tests.providers.test_anthropic_native import attempt_of
from tests.server.formats.anthropic.asked import MARK, PAPER, PICTURE, TOOL, assistant, request, result, said, use, user
from tests.server.formats.anthropic.replies import asked, reply, writer
from tests.server.formats.anthropic.test_streams import passing

pytestmark = pytest.mark.doubles

SIGNED = {"type": "thinking", "thinking": "Hm", "signature": "s"}
REDACTED = {"type": "redacted_thinking", "data": "ZA=="}
END = Chunk(finish_reason="stop", usage=Usage(20, 7, cached_tokens=5, cache_write_tokens=3, reasoning_tokens=2))
USED = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 5,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 2},
}
F, G = ({"type": "tool_use", "id": f"call_{name}", "name": name, "input": {"a": 1}} for name in "fg")


def piece(index, *given):
    return Chunk(tool_calls=(ToolCall(index, *given),))


ANSWERS = {
    "text": ([Chunk(text="Hel"), Chunk(text="lo"), END], {"content": [said("Hello")], "stop_reason": "end_turn"}),
    "nothing": ([END], {"content": []}),
    "no usage": ([Chunk(text="Hello"), Chunk(finish_reason="length")], {"stop_reason": "max_tokens"}),
    "refusal": ([Chunk(text="I"), Chunk(finish_reason="content_filter")], {"stop_reason": "refusal"}),
    "reasoning": (
        [Chunk(reasoning="Hm"), Chunk(text="a"), END],
        {"content": [{**SIGNED, "signature": ""}, said("a")]},
    ),
    "signed": (
        [Chunk(reasoning="Hm", thinking_block=SIGNED), Chunk(thinking_block=REDACTED), Chunk(text="a"), END],
        {"content": [SIGNED, REDACTED, said("a")]},
    ),
}
PIECES = [
    piece(0, "call_f", "f"), piece(1, "call_g", "g"), piece(0, "", "", '{"a"'), piece(1, "", "", '{"a":'),
    piece(0, "", "", ":1}"), piece(1, "", "", "1}"), Chunk(finish_reason="tool_calls", usage=END.usage),
]  # fmt: skip


def streamed(*chunks, out=None):
    out = out or writer()
    return b"".join([*(out.write(chunk) for chunk in chunks), out.end()]).decode()


def resumed():
    answer = reply("anthropic")
    out = Messages().stream(asked(), answer)
    data = b"".join(out.write(chunk) for chunk in passing(start(), *text("Once", " upon")[:2]))
    answer.answered_by(reply("openai"))
    return data.decode() + streamed(Chunk(text=" a time", resumed_by="b"), END, out=out)


async def test_its_client_reads_our_answers(judge):
    made = {
        **{
            f"{name}, streamed": ("stream", streamed(*chunks), {**wanted}) for name, (chunks, wanted) in ANSWERS.items()
        },
        **{
            name: ("message", Messages().whole(asked(), reply(), chunks).decode(), wanted)
            for name, (chunks, wanted) in ANSWERS.items()
        },
        "tools, streamed": ("stream", streamed(*PIECES), {"content": [F, G], "stop_reason": "tool_use", "usage": USED}),
        "tools": (
            "message",
            Messages().whole(
                asked(), reply(), [Chunk(text="a", tool_calls=(ToolCall(0, "call_f", "f", '{"a":1}'),)), END]
            ),
            {"content": [said("a"), F], "stop_reason": "tool_use", "usage": USED},
        ),
        "resumed": ("stream", resumed(), {"content": [said("Once a time")], "stop_reason": "end_turn"}),
        "count": ("count", CountTokens().write(12), {"input_tokens": 12}),
        "models": ("models", models_page([Listed("a", 7, 8, 9), Listed("b")]), {"ids": ["a", "b"]}),
        "no models": ("models", models_page([]), {"ids": []}),
        "model": ("model", model_of(Listed("a")), {"id": "a"}),
    }
    made = {
        name: {"kind": kind, "body": body if isinstance(body, str) else body.decode(), "wanted": wanted}
        for name, (kind, body, wanted) in made.items()
    }
    verdicts = await judge("anthropic_reader.py", list(made.values()))
    assert {name: said for name, said in zip(made, verdicts, strict=True) if said} == {}


async def test_its_client_raises_our_error_in_the_midst_of_a_stream(judge):
    out = writer()
    data = out.write(Chunk(text="a")) + out.fail(RateLimitError("too many"), "req_1")
    thing = {"kind": "failing", "body": data.decode(), "wanted": {"type": "rate_limit_error", "message": "too many"}}
    assert await judge("anthropic_reader.py", [thing]) == [[]]


async def test_it_can_complain(judge):
    good = streamed(Chunk(text="a"), END)
    made = {
        "another text": ("stream", good, {"content": [said("b")]}),
        "unknown": ("stream", good.replace('"stop_sequence":null}', '"stop_sequence":null,"made_up":1}'), {}),
        "no id": ("message", '{"type":"message","role":"assistant","content":[],"model":"m"}', {}),
        "no lifecycle": ("model", '{"type":"model","id":"a","display_name":"a"}', {"id": "a"}),
        "text count": ("count", '{"input_tokens":"many"}', {}),
        "no error": ("failing", good, {"type": "api_error", "message": ""}),
    }
    things = [{"kind": kind, "body": body, "wanted": wanted} for kind, body, wanted in made.values()]
    verdicts = await judge("anthropic_reader.py", things)
    assert [name for name, said in zip(made, verdicts, strict=True) if not said] == []


REQUESTS = {
    "plain": request(),
    "blocks": request(user(said("a", cache_control=MARK), PICTURE, PAPER), system=[said("S", cache_control=MARK)]),
    "tools": request(
        user(said("a")),
        assistant(SIGNED, said("Well"), use(1), use(2)),
        user(result("x"), result([PICTURE], 2, is_error=True)),
        tools=[{**TOOL, "strict": True}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    ),
    "thinking": request(max_tokens=9000, thinking={"type": "enabled", "budget_tokens": 2000}, stream=True),
    "effort": request(thinking={"type": "adaptive"}, output_config={"effort": "max"}, metadata={"user_id": "u"}),
}
MODELS = {
    "plain": (),
    "newest": ("no_temperature", "no_thinking_budget", "no_forced_tools", "thinks_unasked"),
    "older": ("no_effort", "no_adaptive_thinking", "one_sampler"),
}


async def test_its_types_have_nothing_against_what_is_sent_on(judge):
    made = {
        f"{name}, {model}, {beginning!r}": native_request(attempt_of(body, quirks=quirks, beginning=beginning)).body
        for name, body in REQUESTS.items()
        for model, quirks in MODELS.items()
        for beginning in ("", "Once")
    }
    verdicts = await judge("anthropic_judge.py", [{"kind": "request", "body": body} for body in made.values()])
    assert {name: said for name, said in zip(made, verdicts, strict=True) if said} == {}


async def test_recorded_streams_pass_through_to_its_client(judge):
    things = []
    for name in ("text", "thinking", "tools"):
        raws = [line[6:] for line in (STREAMS / f"{name}.sse").read_bytes().splitlines() if line.startswith(b"data: ")]
        out = writer("anthropic")
        things.append({"kind": "stream", "body": streamed(*map(Chunk, raws), out=out), "wanted": {"type": "message"}})
    opened = passing(start(), block(0, type="text", text=""))
    body = streamed(*opened, out=writer("anthropic"))
    things.append({"kind": "stream", "body": body, "wanted": {"content": [said("")], "stop_reason": "end_turn"}})
    assert await judge("anthropic_reader.py", things) == [[]] * len(things)
