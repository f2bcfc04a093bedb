"""Several workers serve as one gateway: started, asked, told, and ended together."""

import asyncio
import json
import os
import signal
from collections import Counter

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from tests.server.conftest import one, until
from tests.server.test_gateway import CHAT, event
from tests.server.test_process import _begin_and_stay
from tests.server.workers.conftest import SECONDS, asked

PLACES = "optimization: {{parallel_requests: {}, queue_size: {}, timeout_seconds: 60}}"


def with_places(upstream, places, line):
    text = one(upstream, more="    " + PLACES.format(places, line))
    return text.replace("default_model: m", "default_model: m, timeout: 60")


class Held:
    """An upstream's behaviour: counts who is at work, and answers when it may."""

    def __init__(self):
        self.running = 0
        self.most = 0
        self.came = Counter()
        self.changed = asyncio.Condition()
        self.go_on = asyncio.Event()

    async def __call__(self, request, writer):
        self.came[request.json["messages"][-1]["content"]] += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            waits = [asyncio.create_task(event.wait()) for event in (self.go_on, request.gone)]
            _, left = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
        finally:
            self.running -= 1
        await answer("done")(request, writer)

    async def until(self, running):
        await until(lambda: self.running == running, SECONDS)


async def test_all_answer_and_add_up_and_end_together(workers, upstream):
    async with workers(one(upstream), 3) as started:
        answers = await asyncio.gather(*(started.chat() for _ in range(30)))
        assert {status for status, _ in answers} == {200}
        found = await started.at_all(3, lambda each: True)
        assert {each["pid"] for each in found} == set(started.pids)
        assert (
            sum(each["requests_answered"] for each in found) <= (await started.status())["workers"]["requests_answered"]
        )
        assert len(upstream.requests) == 30
        started.process.send_signal(signal.SIGINT)
        assert await started.ended() == 0
        await started.gone(started.pids)


async def test_a_bad_file_stops_the_start_with_the_report(workers, upstream):
    with pytest.raises(AssertionError, match="descripton"):
        async with workers(one(upstream).replace("description", "descripton"), 2):
            pass


@pytest.mark.key("strategies[].optimization.parallel_requests")
async def test_parallel_requests_hold_over_all_workers(workers, upstream):
    held = Held()
    upstream.script = [held]
    async with workers(with_places(upstream, 3, 5), 4) as started:
        asking = [asyncio.create_task(started.chat()) for _ in range(20)]
        done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        while len(waiting) > 8:
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=30)
            done |= more
        assert {(await task)[0] for task in done} == {503}
        assert b"3 requests at work (parallel_requests) and 5 waiting" in (await done.pop())[1]
        await held.until(running=3)
        held.go_on.set()
        assert {status for status, _ in await asyncio.gather(*waiting)} == {200}
        assert held.most == 3


async def test_who_waits_in_one_worker_gets_the_places_of_another(workers, upstream):
    held = Held()
    upstream.script = [held]
    async with workers(with_places(upstream, 2, 200), 4) as started:
        held.go_on.set()
        answers = await asyncio.gather(*(started.chat() for _ in range(120)))
        assert {status for status, _ in answers} == {200}
        assert held.most == 2


async def test_a_target_that_one_finds_bad_is_left_out_by_all_and_back_likewise(workers, upstream):
    text = one(upstream)
    async with FakeServer(reply(401, {"error": {"message": "no"}})) as bad:
        chained = text.replace(
            "    components:",
            "    fallback_chain: [b, a]\n    components:\n"
            f"      b: {{type: openai_compatible, config: {{provider: custom, base_url: '{bad.base_url}', default_model: b}}}}",
        )
        async with workers(chained, 3) as started:
            assert (await started.chat())[0] == 200

            def available(each, name="b"):
                return next(t["available"] for t in each["strategies"][0]["targets"] if t["name"] == name)

            await started.at_all(3, lambda each: not available(each))
            assert {status for status, _ in await asyncio.gather(*(started.chat() for _ in range(20)))} == {200}
            assert len(bad.requests) == 1
            os.kill(started.pids[0], signal.SIGKILL)
            await started.restarted(1)  # who comes later is told, too
            await started.at_all(3, lambda each: not available(each))
            bad.script = [answer("b again")]
            assert (await started.chat(model="s/b"))[0] == 200
            await started.at_all(3, available)


@pytest.mark.parametrize("how", ["signal", "request", "change"])
async def test_a_reload_is_for_all_and_a_broken_file_for_none(workers, upstream, how):
    text = one(upstream, server=f"watch: {'true' if how == 'change' else 'false'}")

    async def reload(started, status):
        if how == "signal":
            started.process.send_signal(signal.SIGHUP)
        elif how == "request":
            async with started.client.post("/admin/reload", json={}) as response:
                assert response.status == status, await response.text()
                return await response.json()
        return None

    async with workers(text, 3) as started:
        started.file.write_text(text.replace("name: s", "name: t"))
        answered = await reload(started, 200)
        if how == "request":
            assert answered == {"generation": 2, "version": None, "changed": True, "strategies": ["t"]}
            assert [(await started.chat(model="t"))[0] for _ in range(12)] == [200] * 12  # all do, once it is answered
        await started.at_all(3, lambda each: each["generation"] == 2 and each["strategies"][0]["name"] == "t")
        started.file.write_text(text.replace("name: s", "nam: s"))
        answered = await reload(started, 422)
        assert how != "request" or "strategies.yaml:4:5" in answered["error"]["message"]
        assert "strategies.yaml:4:5" in await started.logged("not reloaded")
        await started.at_all(3, lambda each: "nam" in (each["last_reload_error"] or ""))
        # One that is started now serves what the others do, and not what is on disk.
        os.kill(started.pids[1], signal.SIGKILL)
        await started.restarted(1)
        await started.at_all(3, lambda each: each["generation"] == 2 and "nam" in each["last_reload_error"])
        assert [(await started.chat(model="t"))[0] for _ in range(12)] == [200] * 12
        assert len([line for line in started.said if "not reloaded" in line]) == 1 or how == "change"


async def test_many_reloads_at_once_leave_all_with_the_same(workers, upstream):
    async with workers(one(upstream), 3) as started:

        async def reload():
            async with started.client.post("/admin/reload", json={}) as response:
                return (await response.json())["generation"]

        asking = [asyncio.create_task(started.chat()) for _ in range(60)]
        assert sorted(await asyncio.gather(*(reload() for _ in range(10)))) == list(range(2, 12))
        assert {status for status, _ in await asyncio.gather(*asking)} == {200}
        await started.at_all(3, lambda each: each["generation"] == 11)


async def test_streams_end_before_the_workers_do(workers, upstream):
    go_on = asyncio.Event()

    async def behave(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        writer.write(b"data: " + json.dumps(event("One")).encode() + b"\n\n")
        await writer.drain()
        await go_on.wait()
        writer.write(b"data: " + json.dumps(event("", "stop")).encode() + b"\n\ndata: [DONE]\n\n")
        await writer.drain()
        writer.close()

    upstream.script = [behave]
    async with workers(one(upstream), 3) as started:
        responses = [await started.client.post("/v1/chat/completions", json={**CHAT, "stream": True}) for _ in range(9)]
        started.process.send_signal(signal.SIGTERM)
        await started.logged("stopping", times=3)
        go_on.set()
        for response in responses:
            assert (await response.read()).rstrip().endswith(b"data: [DONE]")
        assert await started.ended() == 0
        await started.gone(started.pids)


async def test_a_second_signal_ends_all_at_once(workers, upstream):
    upstream.script = [_begin_and_stay]
    async with workers(one(upstream, server="shutdown_grace: 600"), 2) as started:
        response = await started.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
        started.process.send_signal(signal.SIGTERM)
        await started.logged("stopping")
        started.process.send_signal(signal.SIGTERM)
        assert await started.ended() == 1
        await started.gone(started.pids)
        response.close()


async def test_no_worker_outlives_its_parent(workers, upstream):
    upstream.script = [_begin_and_stay]
    async with workers(one(upstream, server="shutdown_grace: 1"), 3) as started:
        response = await started.client.post("/v1/chat/completions", json={**CHAT, "stream": True})
        started.process.kill()
        await started.gone(started.pids)
        assert b'"error"' in await response.read()


async def test_a_worker_that_is_told_to_end_drains_and_is_replaced(workers, upstream):
    held = Held()
    upstream.script = [held]
    async with workers(one(upstream), 2, "--verbose") as started:
        asking = [asyncio.create_task(started.client.post("/v1/chat/completions", json=asked(n))) for n in range(8)]
        await held.until(running=8)
        os.kill(started.pids[0], signal.SIGTERM)
        await started.logged("stopping")
        held.go_on.set()
        assert {response.status for response in await asyncio.gather(*asking)} == {200}
        found = await started.restarted(1)
        assert started.pids[0] not in found["workers"]["pids"]


HOPELESS = """
import sys
from llamafarm.cli import main
from llamafarm.server.workers import seat, supervisor
supervisor._FIRST_PAUSE = supervisor._LONGEST_PAUSE = 0.01
seat._MODULE = "llamafarm.server.workers.nobody"
sys.exit(main(sys.argv[1:]))
"""


async def test_workers_that_can_never_start_end_the_start_with_their_code(workers, upstream):
    with pytest.raises(AssertionError, match="before it was ready: the gateway cannot start") as caught:
        async with workers(one(upstream), 2, program=HOPELESS):
            pass
    assert "another takes its place" in str(caught.value)
