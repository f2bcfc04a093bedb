"""`llamafarm serve` as a process of its own: how it starts, what signals do to it, and how it ends."""

import asyncio
import contextlib
import json
import os
import signal
import sys

import aiohttp
import pytest

from llamafarm.testing.fake_server import answer, silence
from tests.server.conftest import one, until
from tests.server.test_gateway import CHAT, event

SECONDS = 30


class Serve:
    """A running `llamafarm serve`."""

    def __init__(self, process, tmp_path):
        self.process = process
        self.file = tmp_path / "strategies.yaml"
        self.said = []
        self.url = ""
        self.client = None

    async def until(self, words):
        """Wait until a line with these words has been on stderr."""
        async with asyncio.timeout(SECONDS):
            for line in self.said:
                if words in line:
                    return line
            while line := (await self.process.stderr.readline()).decode():
                self.said.append(line)
                if words in line:
                    return line
        raise AssertionError(f"it ended without saying {words!r}: {''.join(self.said)}")

    async def ended(self):
        async with asyncio.timeout(SECONDS):
            rest = await self.process.stderr.read()
            self.said += rest.decode().splitlines(keepends=True)
            return await self.process.wait()

    async def chat(self, **more):
        async with self.client.post("/v1/chat/completions", json={**CHAT, **more}) as response:
            return response.status, await response.read()


@pytest.fixture
def serve(tmp_path):
    @contextlib.asynccontextmanager
    async def start(text, *options, **environment):
        file = tmp_path / "strategies.yaml"
        arguments = [sys.executable, "-m", "llamafarm.cli", "serve", "--port", "0", *options]
        if text is not None:
            file.write_text(text)
            arguments += ["--strategy-file", str(file)]
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "LLAMAFARM_HOME": str(tmp_path / "home"), **environment},
        )
        started = Serve(process, tmp_path)
        try:
            line = await started.until("llamafarm serves")
            started.url = line.split(" at ")[1].split("/v1")[0]
            async with aiohttp.ClientSession(started.url) as client:
                started.client = client
                yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    return start


async def ready(started):
    async with started.client.get("/readyz") as response:
        return response.status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_answers_and_ends_in_peace(serve, upstream, number):
    async with serve(one(upstream)) as started:
        assert (await started.chat())[0] == 200
        assert await ready(started) == 200
        started.process.send_signal(number)
        assert await started.ended() == 0


async def test_a_wrong_file_stops_the_start_with_the_report(serve, upstream):
    text = one(upstream).replace("description", "descripton").replace("default_model", "defalt_model")
    with pytest.raises(AssertionError, match="ended without saying") as caught:
        async with serve(text):
            pass
    assert "descripton" in str(caught.value)
    assert "defalt_model" in str(caught.value)


async def test_a_host_others_can_reach_needs_keys(serve, upstream):
    with pytest.raises(AssertionError, match="there are no gateway keys: make one with"):
        async with serve(one(upstream), "--host", "0.0.0.0"):
            pass


@pytest.mark.key("server.drain_delay")
@pytest.mark.key("server.shutdown_grace")
async def test_requests_in_flight_end_before_it_does(serve, upstream):
    go_on = asyncio.Event()

    async def behave(request, writer):
        await go_on.wait()
        await answer("at last")(request, writer)

    upstream.script = [behave]
    async with serve(one(upstream, server="drain_delay: 1, shutdown_grace: 20")) as started:
        asked = asyncio.create_task(started.chat())
        await until(lambda: upstream.requests)
        started.process.send_signal(signal.SIGTERM)
        await started.until("stopping")
        async with started.client.get("/livez") as response:
            assert response.status == 200
        assert await ready(started) == 503
        go_on.set()
        status, body = await asked
        assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "at last")
        assert await started.ended() == 0


async def test_streams_that_outlast_the_grace_end_with_an_error_event(serve, upstream):
    upstream.script = [_begin_and_stay]
    async with serve(one(upstream, server="shutdown_grace: 0.5")) as started:
        asked = asyncio.create_task(started.chat(stream=True))
        await until(lambda: upstream.requests)
        started.process.send_signal(signal.SIGTERM)
        status, body = await asked
        last = [line for line in body.decode().split("\n") if line.startswith("data: ")][-1]
        assert status == 200
        assert json.loads(last[6:])["error"]["code"] == "closed"
        assert "the gateway is stopping" in last
        assert await started.ended() == 0


async def test_who_left_is_in_the_log_with_what_it_cost(serve, upstream):
    upstream.script = [_begin_and_stay]
    async with serve(one(upstream, target="price: {input: 1, output: 1}")) as started:
        asked = asyncio.create_task(started.chat(stream=True, max_tokens=50))
        await until(lambda: upstream.requests)
        await asyncio.sleep(0.2)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        line = json.loads(await started.until('"status":499'))
    assert (line["strategy"], line["target"], line["stream"], line["attempts"]) == ("s", "a", True, 1)
    assert line["cost_usd"] > 0


async def test_without_keys_it_says_who_may_ask(serve, upstream):
    async with serve(one(upstream)) as started:
        await started.until("there are no gateway keys")


async def _begin_and_stay(request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
    writer.write(b"data: " + json.dumps(event("One")).encode() + b"\n\n")
    await writer.drain()
    await request.gone.wait()


async def test_a_second_signal_ends_it_at_once(serve, upstream):
    upstream.script = [silence()]
    async with serve(one(upstream, server="shutdown_grace: 600")) as started:
        asked = asyncio.create_task(started.chat())
        await until(lambda: upstream.requests)
        started.process.send_signal(signal.SIGTERM)
        await started.until("stopping")
        started.process.send_signal(signal.SIGTERM)
        assert await started.ended() == 1
        await asyncio.gather(asked, return_exceptions=True)
        assert "ended at once by a second signal: 1 requests are cut" in "".join(started.said)
        assert '"status":499' in "".join(started.said)


@pytest.mark.key("server.watch")
@pytest.mark.parametrize("how", ["signal", "request", "change"])
async def test_a_changed_file_is_served_and_a_broken_one_is_not(serve, upstream, how):
    async def reload(started, status):
        if how == "signal":
            started.process.send_signal(signal.SIGHUP)
        elif how == "request":
            async with started.client.post("/admin/reload", json={}) as response:
                assert response.status == status, await response.text()

    watch = "true" if how == "change" else "false"
    text = one(upstream, server=f"watch: {watch}")
    async with serve(text) as started:
        started.file.write_text(text.replace("name: s", "name: t"))
        await reload(started, 200)
        await started.until("loaded: t")
        assert (await started.chat(model="t"))[0] == 200
        assert (await started.chat(model="s"))[0] == 404
        started.file.write_text(text.replace("name: s", "nam: s"))
        await reload(started, 422)
        line = await started.until("not reloaded")
        assert "strategies.yaml:4:5" in line
        assert (await started.chat(model="t"))[0] == 200


async def test_a_version_that_stays_though_the_file_changed_is_warned_about(serve, upstream):
    text = "version: 1.2.0\n" + one(upstream)
    async with serve(text) as started:
        started.file.write_text(text.replace("name: s", "name: t"))
        await started.until("its version is still 1.2.0")


@pytest.mark.real
async def test_without_a_file_the_embedded_model_is_served(serve, smollm2, models_home):
    async with serve(None, LLAMAFARM_HOME=str(models_home)) as started:
        async with started.client.get("/v1/models") as response:
            assert (await response.json())["data"][0]["id"] == "local_development"
        body = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "stream": True}
        async with started.client.post("/v1/chat/completions", json=body) as response:
            assert response.status == 200
            text = ""
            async for line in response.content:
                if line.startswith(b"data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        text += choice["delta"].get("content") or ""
        assert "Paris" in text
