"""Under local_only no prompt reaches Ollama before it has said that it runs the model itself."""

import dataclasses
import time

import pytest

from llamafarm import spec
from llamafarm.errors import AllFailedError, BlockedError, ConnectError, ModelMissingError, NoTargetError
from llamafarm.farm import Farm
from llamafarm.providers.ollama.provider import Ollama
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import reply, silence
from llamafarm.transport import HttpTransport, LoopbackOnly
from llamafarm.types import Attempt, Call, Target
from tests.providers.ollama_server import FakeOllama, Model

SECRET = "my secret"
CLOUD = Model("gpt-oss:120b", remote_host="https://ollama.com:443", remote_model="gpt-oss:120b")


@pytest.fixture
async def upstream():
    transport = HttpTransport(LoopbackOnly())
    yield Ollama(transport)
    await transport.aclose()


def attempt(server, model="fake-model", seconds=5.0):
    url = server if isinstance(server, str) else server.base_url
    where = Target("there", "ollama", "ollama", model, base_url=url, privacy="local_only")
    body = {"model": model, "messages": [{"role": "user", "content": SECRET}]}
    return Attempt(Call(body, stream=True), where, body, time.monotonic() + seconds)


async def send(upstream, tried):
    return "".join([chunk.text async for chunk in await upstream.send(tried)])


async def refused(upstream, server, kind=BlockedError, **options):
    with pytest.raises(kind) as caught:
        await send(upstream, attempt(server, **options))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    if isinstance(server, FakeServer):
        assert not [request for request in server.requests if SECRET.encode() in request.body]
    return str(caught.value)


async def test_before_every_prompt_it_is_asked_where_the_model_runs(upstream):
    async with FakeOllama() as server:
        for _ in range(3):
            assert await send(upstream, attempt(server)) == "Hello world"
        assert server.paths() == ["/api/show", "/api/chat"] * 3
        server.requests.clear()
        server.models = {"fake-model:latest": Model(remote_host="https://ollama.com")}
        await refused(upstream, server)
    assert server.paths() == ["/api/show"]


async def test_each_model_is_asked_about(upstream):
    async with FakeOllama(Model(), CLOUD) as server:
        await send(upstream, attempt(server))
        server.requests.clear()
        await refused(upstream, server, model="gpt-oss:120b")
    assert server.paths() == ["/api/show"]


@pytest.mark.parametrize(
    "model", [CLOUD, Model("x:1b", remote_host="http://192.168.1.9:11434"), Model("x:1b", remote_model="gpt-oss:120b")]
)
async def test_a_model_that_runs_elsewhere_is_refused_whatever_its_name(upstream, model):
    async with FakeOllama(model) as server:
        for _ in range(2):
            said = await refused(upstream, server, model=model.name)
        assert server.paths() == ["/api/show", "/api/show"], "a refusal is not kept"
        assert (model.remote_host or model.remote_model) in said
        assert "name a model that it runs here" in said
        status = await upstream.check(attempt(server, model.name).target)
    assert not status.ok
    assert "local_only" in status.detail


@pytest.mark.parametrize("model", ["glm-4.6:cloud", "gpt-oss:120b-cloud", "GLM:Cloud"])
async def test_the_names_of_cloud_models_are_not_even_asked_about(upstream, model):
    async with FakeOllama(Model(model)) as server:
        assert "runs in Ollama's cloud" in await refused(upstream, server, model=model)
        assert server.requests == []
        assert not (await upstream.check(attempt(server, model).target)).ok


@pytest.mark.parametrize(
    "script",
    [
        reply(500, {"error": "oh"}),
        reply(200, "[]"),
        reply(200, {"error": "odd"}),
        reply(200, "\x00"),
        reply(403, {"error": "no"}),
    ],
)
async def test_where_ollama_does_not_say_it_is_refused(upstream, script):
    async with FakeServer(script) as server:
        server.base_url = server.base_url.removesuffix("/v1")
        assert "does not say whether fake-model runs here" in await refused(upstream, server)


async def test_where_ollama_says_nothing_it_is_refused(upstream):
    async with FakeServer(silence()) as server:
        assert "said nothing of the model within" in await refused(upstream, server, seconds=0.1)
        await server.until_disconnected()


async def test_what_is_no_matter_of_privacy_keeps_its_name(upstream):
    await refused(upstream, "http://127.0.0.1:9", ConnectError)
    async with FakeOllama() as server:
        assert "ollama pull other" in await refused(upstream, server, ModelMissingError, model="other")


FILE = """
strategies:
  - name: private
    description: on this machine
    components:
      model_app: {{type: ollama, config: {{base_url: "{url}", default_model: "{model}", context_size: {window}}}}}
    constraints: {{privacy_mode: {mode}}}
    optimization: {{retry_policy: {{max_attempts: 1}}}}
"""


def farm(server, model="fake-model", mode="local_only", window=512):
    text = FILE.format(url=server.base_url, model=model, mode=mode, window=window)
    document = spec.load_text(text)
    assert document.findings == ()
    return Farm(document.file.strategies[0])


async def test_a_whole_strategy_answers():
    async with FakeOllama() as server, farm(server) as private:
        answer = await private.generate(SECRET)
        streamed = private.stream(SECRET)
        text = "".join([chunk.text async for chunk in streamed])
        embeddings = await private.embed(["a", "b c"])
    assert answer.text == text == "Hello world"
    assert answer.cost_usd == 0
    assert answer.usage.input_tokens == 9
    assert [len(vector) for vector in embeddings.vectors] == [3, 3]
    assert server.paths() == ["/api/show", "/api/chat", "/api/show", "/api/chat", "/api/show", "/api/embed"]
    assert {said.body["options"]["num_ctx"] for said in server.said} == {512}


async def test_a_whole_strategy_is_refused_for_a_model_in_the_cloud():
    async with FakeOllama(CLOUD) as server:
        async with farm(server, "gpt-oss:120b") as private:
            with pytest.raises(AllFailedError, match=r"local_only.*https://ollama.com:443") as caught:
                await private.generate(SECRET)
        assert isinstance(caught.value.cause, BlockedError)
        assert server.paths() == ["/api/show"]
        async with farm(server, "gpt-oss:120b", "private") as private:
            assert (await private.generate("Hi")).text == "Hello world"


async def test_what_does_not_fit_the_window_is_not_even_sent():
    async with FakeOllama() as server, farm(server, window=16) as private:
        with pytest.raises(NoTargetError, match="context window is 16"):
            await private.generate("word " * 100)
    assert server.requests == []


async def test_what_is_said_at_one_place_is_not_believed_of_another(upstream):
    home = reply(200, {"details": {}, "capabilities": ["thinking"]})
    away = reply(200, {"details": {}, "capabilities": []})

    async def behave(request, writer):
        first = "abcdefgh12345678" in request.path
        if request.path.endswith("/api/show"):
            await (home if first else away)(request, writer)
        else:
            await reply(200, {"message": {"content": "x"}, "done": True, "done_reason": "stop"})(request, writer)

    async with FakeServer(behave) as server:
        root = server.base_url.removesuffix("/v1")
        for path in ("abcdefgh12345678", "zyxwvuts87654321"):
            tried = attempt(f"{root}/{path}")
            tried = dataclasses.replace(
                tried,
                call=Call(tried.body),
                body={**tried.body, "think": True},
                target=dataclasses.replace(tried.target, privacy="public"),
            )
            await send(upstream, tried)
        asked = [request.path for request in server.requests]
        thinks = [request.json.get("think") for request in server.requests if "chat" in request.path]
    assert len([path for path in asked if "show" in path]) == 2
    assert thinks == [True, None]
