"""OpenAI's own package judges the answers of our API in its format."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from llamafarm.errors import StreamCutError
from llamafarm.server.formats.openai import Chat, Completions, Embeddings, Images, Model, model_list, one_model
from llamafarm.types import Call, Chunk, Operation, Usage
from tests.server.formats.openai.answers import answers, holed_answers, put_together
from tests.server.formats.openai.making import call, event, options, reply, streamed
from tests.server.formats.openai.making import given as given_

pytestmark = pytest.mark.doubles

HOW_MANY = 200


def many(strategy):
    """Have hypothesis make up answers: the same ones in each run."""
    made = []

    @settings(
        max_examples=HOW_MANY, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy, st.booleans())
    def keep(chunks, asked):
        made.append((chunks, asked))

    keep()
    assert len(made) >= HOW_MANY // 2
    return made


def says(answer):
    return [
        {
            "text": choice.text,
            "reasoning": choice.reasoning,
            "calls": [{"id": one.id, "name": one.name, "arguments": one.arguments} for one in choice.tool_calls],
            "blocks": [] if choice.index else list(answer.thinking_blocks),
            "finish": choice.finish_reason,
        }
        for choice in answer.choices
    ]


def thing(path, body, **more):
    return {"path": path, "body": body.decode("utf-8", "surrogatepass"), **more}


def complaints(things, verdicts):
    return [(one, said) for one, said in zip(things, verdicts, strict=True) if said]


async def test_any_stream_put_together_by_its_client_is_the_answer(judge):
    things = []
    for chunks, asked in many(answers()):
        answer = put_together(chunks)
        tokens = chunks[-1].usage.output_tokens if asked and chunks[-1].usage else None
        body = streamed(Chat(), call(**options(asked=asked)), reply("x"), chunks)
        things.append(thing("chat/completions", body, stream=True, says=says(answer), tokens=tokens))
    assert complaints(things, await judge("openai_judge.py", things)) == []


async def test_any_plain_answer_is_the_answer(judge):
    things = [
        thing("chat/completions", Chat().whole(call(), reply("x"), chunks), says=says(put_together(chunks)))
        for chunks, _ in many(answers())
    ]
    assert complaints(things, await judge("openai_judge.py", things)) == []


async def test_any_text_is_the_answer(judge):
    things = []
    for chunks, asked in many(answers()):
        answer = put_together(chunks)
        texts = [choice.text for choice in answer.choices]
        tokens = chunks[-1].usage.output_tokens if asked and chunks[-1].usage else None
        body = streamed(Completions(), call(**options(asked=asked)), reply("x"), chunks)
        things.append(thing("completions", body, stream=True, says=texts, tokens=tokens))
        things.append(thing("completions", Completions().whole(call(), reply("x"), chunks)))
    assert complaints(things, await judge("openai_judge.py", things)) == []


async def test_whatever_a_target_leaves_out_its_client_takes_every_event(judge):
    things = [
        thing("chat/completions", streamed(Chat(), call(**options(asked=asked)), reply("openai"), chunks), stream=True)
        for chunks, asked in many(holed_answers())
    ]
    assert complaints(things, await judge("openai_judge.py", things)) == []


async def test_it_can_complain(judge):
    good = event({"role": "assistant", "content": "a"})
    bad = [
        {**good, "choices": [{**good["choices"][0], "finish_reason": "eos"}]},
        {name: value for name, value in good.items() if name != "id"},
        {**good, "choices": [{"index": 0, "delta": {}}]},
        {**good, "service_tier": "on_demand"},
    ]
    things = [thing("chat/completions", b"data: %b\n\n" % json.dumps(one).encode(), stream=True) for one in bad]
    right = streamed(Chat(), call(), reply("x"), [Chunk(text="a", finish_reason="stop")])
    meant = [{"text": "b", "reasoning": "", "calls": [], "blocks": [], "finish": "stop"}]
    things.append(thing("chat/completions", right, stream=True, says=meant, tokens=None))
    assert all(await judge("openai_judge.py", things))


@pytest.mark.parametrize("dialect", ["openai", "x"])
@pytest.mark.parametrize("loop", [True, False])
async def test_an_error_in_the_midst_is_raised(judge, dialect, loop):
    writer = Chat().stream(call(), reply(dialect))
    chunks = given_(event({"role": "assistant", "content": "a"}))
    cut = StreamCutError("t broke off; the answer so far is not the whole")
    body = b"".join(map(writer.write, chunks)) + writer.fail(cut, "req_7")
    asked = thing("chat/completions", body, stream=True, loop=loop)
    assert await judge("openai_judge.py", [asked]) == [[f"APIError: {cut}"]]


async def test_who_goes_on_is_not_seen(judge):
    first = given_(event({"role": "assistant", "content": "a"}))
    chunks = [*first, Chunk(text="b", resumed_by="é\n"), Chunk(finish_reason="stop", usage=Usage(1, 2))]
    meant = [{"text": "ab", "reasoning": "", "calls": [], "blocks": [], "finish": "stop"}]
    body = streamed(Chat(), call(**options(asked=True)), reply("openai"), chunks)
    asked = thing("chat/completions", body, stream=True, says=meant, tokens=2)
    assert await judge("openai_judge.py", [asked, {**asked, "loop": True}]) == [[], []]


async def test_vectors_pictures_and_models(judge):
    vectors = ((0.5, -0.25), (1.0, 0.0))
    rows = [list(vector) for vector in vectors]
    things = []
    for packed in (True, False):
        asked = Call(
            body={"input": ["a"], "encoding_format": "base64" if packed else "float"}, operation=Operation.EMBEDDING
        )
        written = Embeddings().whole(asked, reply("ollama"), [Chunk(b"{}", vectors=vectors)])
        more = {"packed": True} if packed else {"encoding": "float"}
        things.append(thing("embeddings", written, vectors=rows, **more))
    counts = {"input_tokens": 3, "input_tokens_details": {"image_tokens": 1, "text_tokens": 2}}
    usage = {**counts, "output_tokens": 4, "total_tokens": 7}
    chunk = Chunk(json.dumps({"data": [{"b64_json": "AA=="}], "usage": usage, "quality": "hd"}).encode())
    things.append(thing("images/generations", Images().whole(call(), reply("openai"), [chunk])))
    things.append(thing("images/generations", streamed(Images(), call(), reply("openai"), [chunk]), stream=True))
    models = [Model("a", 17, "llamafarm"), Model("b", 18, "openai")]
    things += [thing("models", model_list(models)), thing("models/a", one_model(models[0]))]
    assert complaints(things, await judge("openai_judge.py", things)) == []
