"""The embedded engine with the real model."""

import asyncio
import math
import subprocess
import sys
import textwrap
import threading
import time

import msgspec
import pytest

from llamafarm.apps.embedded import Embedded
from llamafarm.apps.engine import Engine
from llamafarm.catalog import find_model
from llamafarm.errors import (
    AttemptTimeoutError,
    BadRequestError,
    ContextExceededError,
    DownloadError,
    MissingExtraError,
    ModelFileError,
    UntranslatableError,
)
from llamafarm.models import DEFAULT_MODEL, ModelStore
from llamafarm.spec.components import AppConfig, AppModel
from llamafarm.types import Attempt, Call, Operation, Target

pytestmark = pytest.mark.real

SYSTEM = {"role": "system", "content": find_model("embedded", DEFAULT_MODEL).defaults["system_prompt"]}
SECONDS = 120.0


def attempt(
    body, *, stream=False, operation=Operation.CHAT, model=DEFAULT_MODEL, config=None, seconds=SECONDS, **limits
):
    target = Target("local", "llamacpp", "embedded", model, local=True, settings=config)
    call = Call(body, operation=operation, stream=stream)
    return Attempt(call, target, dict(body), time.monotonic() + seconds, **limits)


def chat(text, **more):
    return {
        "model": "x",
        "messages": [SYSTEM, {"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": 40,
        **more,
    }


FRANCE = chat("What is the capital of France?")


async def answer(engine, made):
    return [chunk async for chunk in await engine.send(made)]


@pytest.fixture
async def engine(smollm2, models_home):
    running = Embedded(ModelStore(models_home), download=False)
    yield running
    await running.aclose()


async def test_answers_and_a_stream_joins_to_the_same_text(engine, smollm2):
    whole = await answer(engine, attempt(FRANCE))
    assert len(whole) == 1
    assert whole[0].text == "The capital of France is Paris."
    assert whole[0].finish_reason == "stop"
    chunks = await answer(engine, attempt(FRANCE, stream=True))
    assert "".join(chunk.text for chunk in chunks) == whole[0].text
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert (usages[0].input_tokens, usages[0].output_tokens) == (
        whole[0].usage.input_tokens,
        whole[0].usage.output_tokens,
    )
    for chunk in (*whole, *chunks):
        assert msgspec.json.decode(chunk.raw)["model"] == DEFAULT_MODEL
        assert str(smollm2.parent).encode() not in chunk.raw


async def test_leaving_a_stream_frees_the_engine_at_once(engine):
    story = chat("Tell me a long story.", max_tokens=3000)
    stream = await engine.send(attempt(story, stream=True))
    while not (await anext(stream)).text:
        pass
    await stream.aclose()
    assert (await answer(engine, attempt(FRANCE)))[0].text == "The capital of France is Paris."
    unread = await engine.send(attempt(story, stream=True))
    del unread
    assert "Paris" in (await answer(engine, attempt(FRANCE)))[0].text


async def test_a_cancelled_wait_in_the_queue_leaves_it_sound(engine):
    story = await engine.send(attempt(chat("Tell me a long story.", max_tokens=3000), stream=True))
    waiting = asyncio.create_task(engine.send(attempt(FRANCE)))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(AttemptTimeoutError, match="busy with other requests"):
        await engine.send(attempt(FRANCE, seconds=0.2))
    await story.aclose()
    assert "Paris" in (await answer(engine, attempt(FRANCE)))[0].text


async def test_four_at_once_load_once_and_all_answer(engine, monkeypatch):
    loads = []
    load = Engine.load
    monkeypatch.setattr(Engine, "load", lambda *a, **k: (loads.append(a), load(*a, **k))[1])
    answers = await asyncio.gather(*(answer(engine, attempt(FRANCE)) for _ in range(4)))
    assert {chunks[0].text for chunks in answers} == {"The capital of France is Paris."}
    assert len(loads) == 1


@pytest.mark.key("strategies[].components{}.config<app>.context_size")
async def test_a_prompt_that_is_too_long_is_refused_and_context_size_decides(engine):
    long = chat("word " * 600, max_tokens=1)
    for stream in (True, False):
        with pytest.raises(ContextExceededError, match="context size"):
            await answer(engine, attempt(long, stream=stream, config=AppConfig(context_size=512)))
    assert (await answer(engine, attempt(long, config=AppConfig(context_size=1024))))[0].finish_reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (chat("hi") | {"temperature": "warm"}, "temperature"),
        ({"messages": "hi"}, "messages"),
        (chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}}]), "image"),
        (chat("hi", seed=object()), "JSON"),
    ],
)
async def test_a_bad_request_is_named_and_the_engine_goes_on(engine, body, words):
    with pytest.raises(BadRequestError, match=rf"local.*{words}"):
        await answer(engine, attempt(body))
    assert (await answer(engine, attempt(chat("hi", max_tokens=2))))[0].usage.output_tokens == 2


async def test_what_the_model_cannot_do_is_left_to_the_next_target(engine):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with pytest.raises(UntranslatableError, match=r"local.*cannot call tools"):
        await answer(engine, attempt(chat("hi", tools=tools)))


async def test_completions(engine):
    body = {"prompt": ["Once upon", "The sky is"], "max_tokens": 4, "temperature": 0}
    raw = msgspec.json.decode((await answer(engine, attempt(body, operation=Operation.COMPLETION)))[0].raw)
    assert [choice["index"] for choice in raw["choices"]] == [0, 1]
    assert raw["usage"]["completion_tokens"] == 8


async def test_embeddings(engine):
    body = {"input": ["A cat sits.", "Bread is baked."]}
    chunk = (await answer(engine, attempt(body, operation=Operation.EMBEDDING)))[0]
    vectors = [row["embedding"] for row in msgspec.json.decode(chunk.raw)["data"]]
    assert [len(vector) for vector in vectors] == [576, 576]
    assert all(math.isclose(sum(x * x for x in vector), 1, rel_tol=1e-3) for vector in vectors)
    assert vectors[0] != vectors[1]
    assert chunk.usage.input_tokens > 0
    with pytest.raises(ContextExceededError):
        await answer(engine, attempt({"input": "word " * 3000}, operation=Operation.EMBEDDING))
    with pytest.raises(UntranslatableError, match="576 dimensions"):
        await answer(engine, attempt({"input": "a", "dimensions": 5}, operation=Operation.EMBEDDING))


async def test_deadlines(engine):
    made = attempt(FRANCE, seconds=0)
    with pytest.raises(AttemptTimeoutError, match="no whole answer"):
        await answer(engine, made)
    assert made.call.waited > 0, "loading the model moved the deadline by as much"
    with pytest.raises(AttemptTimeoutError, match="no first token"):
        await answer(engine, attempt(chat("word " * 2000), stream=True, ttft=0.01))
    assert "Paris" in (await answer(engine, attempt(FRANCE)))[0].text


async def test_while_another_target_remains_a_cold_model_gives_way_and_loads_meanwhile(engine, monkeypatch):
    load, may_load = Engine.load, threading.Event()
    monkeypatch.setattr(Engine, "load", lambda *a, **k: (may_load.wait(60), load(*a, **k))[1])
    with pytest.raises(AttemptTimeoutError, match="not ready in time"):
        await engine.send(attempt(FRANCE, seconds=1, last=False))
    [loading] = engine._engines.values()
    may_load.set()
    await loading
    assert "Paris" in (await answer(engine, attempt(FRANCE, last=False)))[0].text


async def test_freed_and_loaded_again_and_again(smollm2, models_home):
    for _ in range(3):
        engine = Embedded(ModelStore(models_home), download=False)
        await engine.prepare(attempt(FRANCE).target)
        await engine.aclose()
        await engine.aclose()


@pytest.mark.key("strategies[].components{}.config<app>.cpu_threads")
@pytest.mark.key("strategies[].components{}.config<app>.gpu_layers")
async def test_threads_and_layers_reach_the_library(engine, monkeypatch):
    import xllamacpp

    seen = []
    server = xllamacpp.Server
    monkeypatch.setattr(xllamacpp, "Server", lambda params: (seen.append(params), server(params))[1])
    await engine.prepare(attempt(FRANCE, config=AppConfig(cpu_threads=1, gpu_layers=0)).target)
    await engine.prepare(attempt(FRANCE).target)
    assert (seen[0].cpuparams.n_threads, seen[0].cpuparams_batch.n_threads, seen[0].n_gpu_layers) == (1, 1, 0)
    assert seen[1].n_gpu_layers == -1
    assert seen[1].cpuparams.n_threads != 1


@pytest.fixture
def damaged(smollm2, tmp_path):
    def make(kind):
        whole = smollm2.read_bytes()
        path = tmp_path / "bad.gguf"
        contents = {
            "truncated": whole[:50_000_000],
            "garbage": whole[:5_000_000] + b"\xff" * (len(whole) - 5_000_000),
            "unknown": whole.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0llamz", 1),
            "text": b"hello" * 100,
        }
        path.write_bytes(contents[kind])
        return path

    return make


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncated", "cut short"),
        ("garbage", "invalid data"),
        ("unknown", "architecture: 'llamz'"),
        ("text", "neither a GGUF"),
    ],
)
async def test_a_damaged_file_says_why_and_prints_nothing(engine, damaged, capfd, kind, words):
    path = damaged(kind)
    with pytest.raises(ModelFileError, match=words) as caught:
        await engine.send(attempt(FRANCE, model=str(path)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


async def test_a_file_by_path_and_a_failed_load_is_tried_again(engine, smollm2, tmp_path):
    path = tmp_path / "own.gguf"
    with pytest.raises(ModelFileError, match="there is no file"):
        await engine.send(attempt(FRANCE, model=str(path)))
    path.symlink_to(smollm2)
    assert "Paris" in (await answer(engine, attempt(FRANCE, model=str(path))))[0].text


@pytest.mark.key("strategies[].components{}.config<app>.models[].pull_on_start")
@pytest.mark.parametrize(("pull", "download"), [(False, True), (True, False)])
async def test_nothing_is_fetched_unless_both_the_file_and_the_program_say_so(tmp_path, pull, download):
    config = AppConfig(models=(AppModel(name="other", source="http://127.0.0.1:9/m.gguf", pull_on_start=pull),))
    engine = Embedded(ModelStore(tmp_path), download=download)
    made = attempt(FRANCE, model="other", config=config)
    with pytest.raises(ModelFileError, match="run `llamafarm pull other`"):
        await engine.send(made)
    status = await engine.check(made.target)
    assert not status.ok
    assert "llamafarm pull other" in status.detail
    await engine.aclose()


@pytest.mark.key("strategies[].components{}.config<app>.models[].pull_on_start")
async def test_where_both_say_so_it_is_fetched(tmp_path):
    config = AppConfig(models=(AppModel(name="other", source="http://127.0.0.1:9/m.gguf", pull_on_start=True),))
    engine = Embedded(ModelStore(tmp_path), download=True)
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/m\.gguf: 127\.0\.0\.1 cannot be reached"):
        await engine.send(attempt(FRANCE, model="other", config=config))  # it was asked for; nobody listens there
    await engine.aclose()


async def test_check_loads_nothing(engine, smollm2, tmp_path, monkeypatch):
    status = await engine.check(attempt(FRANCE).target)
    assert status.ok
    assert str(smollm2) in status.detail
    assert (
        "will be fetched at first use (98.4 MB)"
        in (await Embedded(ModelStore(tmp_path)).check(attempt(FRANCE).target)).detail
    )
    assert not (await engine.check(attempt(FRANCE, model="nobody").target)).ok
    monkeypatch.setattr("llamafarm.apps.embedded.installed", lambda: False)
    assert "llamafarm[embedded]" in (await engine.check(attempt(FRANCE).target)).detail
    assert engine._engines == {}


async def test_without_the_extra_it_says_what_to_install(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llamafarm\[embedded\]'"):
        await engine.send(attempt(FRANCE))


PROGRAM = """
    import asyncio, os, signal, sys, time
    from pathlib import Path
    from llamafarm.apps.embedded import Embedded
    from llamafarm.models import DEFAULT_MODEL, ModelStore
    from llamafarm.types import Attempt, Call, Target

    async def main(home, ending):
        engine = Embedded(ModelStore(Path(home)), download=False)
        body = {"messages": [{"role": "user", "content": "Tell me a long story."}], "max_tokens": 2000}
        target = Target("local", "llamacpp", "embedded", DEFAULT_MODEL, local=True)
        stream = await engine.send(Attempt(Call(body, stream=True), target, body, time.monotonic() + 60))
        await anext(stream)
        if ending == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            async for _ in stream:
                pass
        if ending == "exit":
            sys.exit(7)
        if ending == "close":
            await engine.aclose()

    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(("ending", "code"), [("close", 0), ("leave", 0), ("exit", 7), ("interrupt", 130)])
def test_it_ends_cleanly_and_prints_nothing_however_it_ends(smollm2, models_home, tmp_path, ending, code):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    child = subprocess.run(
        [sys.executable, str(script), str(models_home), ending], capture_output=True, timeout=120, check=False
    )
    assert (child.returncode, child.stdout, child.stderr) == (code, b"", b"")
