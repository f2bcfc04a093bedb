"""llm-katan answers as OpenAI and Anthropic do, checks keys, and speaks to nobody without the right one."""

import pytest

from llamafarm.errors import AllFailedError, CredentialsError
from tests.doubles.asking import answer_of, farm, text_of

pytestmark = pytest.mark.doubles


async def test_plain_and_streamed_answers(katan):
    async with farm(katan, model="tiny") as asked:
        whole = await asked.generate("Tell me", max_tokens=20)
        stream = asked.stream("Tell me", max_tokens=20)
        text = await text_of(stream)
    assert whole.text
    assert whole.usage.input_tokens > 0
    assert text
    assert stream.answer.finish_reason == whole.finish_reason == "stop"


@pytest.mark.parametrize("stream", [True, False])
async def test_anthropics_format_with_a_picture(katan, stream):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    said = [{"role": "user", "content": [{"type": "text", "text": "Tell me"}, picture]}]
    async with farm(katan, provider="anthropic", model="claude-opus-4-8") as asked:
        found = await answer_of(asked, said, stream=stream, max_tokens=20)
    assert "[image:image/png]" in found.text
    assert found.finish_reason == "stop"
    assert found.usage.input_tokens > 0


@pytest.mark.parametrize("provider", ["custom", "anthropic"])
async def test_the_wrong_key_is_said_so(katan, provider):
    async with farm(katan, provider=provider, model="tiny", key="wrong-canary") as asked:
        with pytest.raises(AllFailedError) as failed:
            await asked.generate("Tell me")
    assert isinstance(failed.value.cause, CredentialsError)
    assert "wrong-canary" not in str(failed.value)


async def test_its_models_are_listed(katan):
    async with farm(katan, model="tiny") as asked:
        status = await asked.check(asked.routing.order[0])
    assert status.ok, status.detail
    assert status.models == ("tiny",)
