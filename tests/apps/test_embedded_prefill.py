"""The real engine goes on from the beginning of an answer, and says only what follows."""

import time

import msgspec
import pytest

from llamafarm.apps.embedded import Embedded
from llamafarm.catalog import find_model
from llamafarm.errors import UntranslatableError
from llamafarm.models import DEFAULT_MODEL, ModelStore
from llamafarm.types import Attempt, Call, Operation, Target

pytestmark = pytest.mark.real

SYSTEM = {"role": "system", "content": find_model("embedded", DEFAULT_MODEL).defaults["system_prompt"]}
MESSAGES = [SYSTEM, {"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
async def engine(smollm2, models_home):
    running = Embedded(ModelStore(models_home), download=False)
    yield running
    await running.aclose()


async def go_on(engine, body, beginning, *, stream, operation=Operation.CHAT):
    target = Target("local", "llamacpp", "embedded", DEFAULT_MODEL, local=True)
    body = {"temperature": 0, "max_tokens": 8, **body}
    attempt = Attempt(Call(body, operation=operation, stream=stream), target, dict(body), time.monotonic() + 120)
    attempt.beginning = beginning
    return [chunk async for chunk in await engine.send(attempt)]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("beginning", "rest"), [("The capital of France is", " Paris."), ("The capital of France is ", "Paris.")]
)
async def test_it_goes_on(engine, stream, beginning, rest):
    chunks = await go_on(engine, {"messages": MESSAGES}, beginning, stream=stream)
    assert "".join(chunk.text for chunk in chunks) == rest
    assert any(chunk.finish_reason == "stop" for chunk in chunks)
    if not stream:
        assert msgspec.json.decode(chunks[0].raw)["choices"][0]["message"]["content"] == rest


@pytest.mark.parametrize("given", ["The capital of", [{"type": "text", "text": "The capital of"}]])
async def test_it_goes_on_from_the_callers_own_beginning(engine, given):
    messages = [*MESSAGES, {"role": "assistant", "content": given}]
    (chunk,) = await go_on(engine, {"messages": messages}, " France is", stream=False)
    assert chunk.text == " Paris."


async def test_a_completion_goes_on(engine):
    (chunk,) = await go_on(
        engine, {"prompt": "The capital of"}, " France is", stream=False, operation=Operation.COMPLETION
    )
    assert chunk.text.startswith(" Paris")
    with pytest.raises(UntranslatableError, match="one text"):
        await go_on(engine, {"prompt": ["a", "b"]}, "x", stream=False, operation=Operation.COMPLETION)
