"""`generate` and `complete`: one prompt, one answer, by whoever in the chain gives it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, events, reply
from tests.cli.asking import ask, chain, environment, event, refused, start
from tests.cli.program import llamafarm

CUT = events(event("Par"), event("is"), done=False)


async def test_stdout_holds_the_answer_alone(tmp_path):
    async with FakeServer(answer("The capital is Paris.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "What is it?", cwd=tmp_path)
    assert (run.code, run.out, run.err) == (0, "The capital is Paris.\n", "")
    sent = server.requests[0].json
    assert sent["messages"] == [{"role": "user", "content": "What is it?"}]
    assert sent["stream"] is True


@pytest.mark.parametrize("flags", [(), ("--no-stream",)])
async def test_a_target_that_fails_gives_way_to_the_next(tmp_path, flags):
    failing = (reply(500, {"error": {"message": "down"}}), reply(429, {"error": {"message": "slow"}}), events(event()))
    async with FakeServer(failing[0]) as a, FakeServer(failing[1]) as b, FakeServer(answer("Yes.")) as c:
        chain(tmp_path, dead=refused(), broken=a.base_url, busy=b.base_url, good=c.base_url)
        run = await ask("generate", "Hello?", *flags, cwd=tmp_path)
    assert (run.code, run.out) == (0, "Yes.\n")
    assert len(run.err.splitlines()) == 1, "one line says what happened"
    assert run.err.startswith("llamafarm: answered by good, not dead: ")
    assert "broken" in run.err
    assert "busy" in run.err


async def test_quiet_says_nothing_about_a_detour(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, dead=refused(), good=server.base_url)
        run = await ask("generate", "Hello?", "--quiet", cwd=tmp_path)
    assert (run.code, run.out, run.err) == (0, "Yes.\n", "")


async def test_json_has_the_attempts_in_order_and_the_answering_one_last(tmp_path):
    async with FakeServer(reply(503, {"error": {"message": "down"}})) as a, FakeServer(answer("Yes.")) as b:
        chain(tmp_path, broken=a.base_url, good=b.base_url)
        run = await ask("generate", "Hello?", "--output", "json", cwd=tmp_path)
    shown = run.json
    assert list(shown) == [
        "text",
        "strategy",
        "target",
        "model",
        "finish_reason",
        "usage",
        "cost_usd",
        "attempts",
        "notes",
    ]
    assert (shown["text"], shown["strategy"], shown["target"], shown["model"]) == ("Yes.", "test", "good", "good-model")
    assert shown["usage"] == {"input_tokens": 9, "output_tokens": 2}
    assert shown["finish_reason"] == "stop"
    assert [(a["target"], a["model"], a["outcome"]) for a in shown["attempts"]] == [
        ("broken", "broken-model", "transient"),
        ("good", "good-model", "ok"),
    ]
    assert "down" in shown["attempts"][0]["error"]
    assert shown["attempts"][1]["error"] is None
    assert all(a["ms"] > 0 for a in shown["attempts"])


async def test_a_stream_that_breaks_off_keeps_what_came(tmp_path):
    async with FakeServer(CUT) as a, FakeServer(answer("Yes.")) as b:
        chain(tmp_path, first=a.base_url, second=b.base_url)
        run = await ask("generate", "Hello?", cwd=tmp_path)
    assert run.out == "Paris\n"
    run.assert_one_clear_line(code=1)
    assert b.requests == [], "after the first token there is no fallback"


async def test_when_every_target_fails_the_error_names_each(tmp_path):
    async with FakeServer(reply(401, {"error": {"message": "no such key"}})) as server:
        chain(tmp_path, dead=refused(), locked=server.base_url)
        run = await ask("generate", "Hello?", cwd=tmp_path)
        as_json = await ask("generate", "Hello?", "--output", "json", cwd=tmp_path)
    run.assert_one_clear_line(code=1)
    assert run.out == ""
    assert "dead: " in run.err
    assert "locked: " in run.err
    assert as_json.code == 1
    assert [a["target"] for a in as_json.json["error"]["attempts"]] == ["dead", "locked"]


async def test_a_missing_key_is_told_of(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        file = chain(tmp_path, first=server.base_url, second=server.base_url)
        file.write_text(
            file.read_text().replace("default_model: first-model", "default_model: m, api_key: '${NO_SUCH_KEY}'")
        )
        run = await ask("generate", "Hello?", cwd=tmp_path)
    assert run.out == "Yes.\n"
    assert run.err == "llamafarm: answered by second, not first: NO_SUCH_KEY is not set\n"


async def test_request_options_reach_the_target(tmp_path):
    (tmp_path / "city.json").write_text('{"type": "object"}')
    async with FakeServer() as server:
        chain(tmp_path, first=server.base_url)
        run = await ask(
            "generate", "Hi", "--system", "Be brief.", "--temperature", "0.5", "--max-tokens", "7", "--top-p", "0.9",
            "--stop", "A", "--stop", "B", "--seed", "3", "--json-schema", "city.json", "--param", 'logit_bias={"1": 2}',
            cwd=tmp_path,
        )  # fmt: skip
    assert run.code == 0, run.err
    sent = server.requests[0].json
    expected = {
        "temperature": 0.5, "max_tokens": 7, "top_p": 0.9, "stop": ["A", "B"], "seed": 3, "logit_bias": {"1": 2},
        "response_format": {
            "type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True},
        },
    }  # fmt: skip
    assert {name: sent[name] for name in expected} == expected
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_pictures_are_sent_with_the_prompt(tmp_path):
    (tmp_path / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    async with FakeServer() as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "What?", "--image", "dot.png", "--image", "https://x.test/a.png", cwd=tmp_path)
    assert run.code == 0, run.err
    parts = server.requests[0].json["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "image_url"]
    assert parts[1]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("arguments", "piped", "sent"),
    [
        (("-",), "From a pipe.", "From a pipe."),
        ((), "From a pipe.", "From a pipe."),
        (("Sum up:",), "A long text.\n", "Sum up:\n\nA long text.\n"),
        (("Sum up:", "-"), "A long text.", "Sum up:\n\nA long text."),
        (("Just this",), "", "Just this"),
    ],
)
async def test_the_prompt_can_come_from_a_pipe(tmp_path, arguments, piped, sent):
    async with FakeServer() as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", *arguments, cwd=tmp_path, stdin=piped)
    assert run.code == 0, run.err
    assert server.requests[0].json["messages"][0]["content"] == sent


async def test_an_open_pipe_that_says_nothing_is_not_waited_for(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("generate", "Hi", cwd=tmp_path, stdin=asyncio.subprocess.PIPE)
        out = await asyncio.wait_for(process.stdout.read(), 60)
        err = (await process.stderr.read()).decode()
        await process.wait()
    assert out == b"Yes.\n"
    assert "nothing came from the pipe" in err


async def test_options_work_before_and_after_the_command(tmp_path):
    async with FakeServer() as a, FakeServer() as b:
        file = chain(
            tmp_path, "routing_rules: [{condition: urgent, target: second}]", first=a.base_url, second=b.base_url
        )
        file = file.rename(tmp_path / "other.yaml")
        common = ("--strategy-file", file, "--strategy", "test", "--output", "json")
        before = await ask(*common, "--tag", "urgent", "generate", "Hi", cwd=tmp_path)
        after = await ask("generate", "Hi", *common, "--tag", "urgent", cwd=tmp_path)
        by_model = await ask("--model", "first-model", "generate", "Hi", *common, "--tag", "urgent", cwd=tmp_path)
    assert [run.json["target"] for run in (before, after, by_model)] == ["second", "second", "first"]


async def test_verbose_says_how_it_went_on_stderr(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, dead=refused(), good=server.base_url)
        run = await ask("generate", "Hi", "--verbose", cwd=tmp_path)
    assert run.out == "Yes.\n"
    for word in (
        "strategy test",
        "target good",
        "model good-model",
        "9 + 2 tokens",
        "first token",
        "2 attempts",
        "dead (",
    ):
        assert word in run.err


async def test_complete_continues_a_text(tmp_path):
    async with FakeServer(answer("lazy dog")) as server:
        file = chain(tmp_path, first=server.base_url)
        file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, supports: [fim]"))
        streamed = await ask("complete", "Over the", "--suffix", ".", cwd=tmp_path)
        whole = await ask("complete", "Over the", "--output", "json", cwd=tmp_path)
    assert streamed.out == "lazy dog\n"
    assert whole.json["text"] == "lazy dog"
    assert [request.path for request in server.requests] == ["/v1/completions"] * 2
    assert server.requests[0].json["suffix"] == "."


async def test_an_answer_cut_at_its_limit_is_told_of(tmp_path):
    async with FakeServer(events(event("Long"), event("", "length"))) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "Hi", cwd=tmp_path)
    assert (run.code, run.out) == (0, "Long\n")
    assert "cut at its limit of tokens" in run.err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("generate", "Hi", "--strategy", "nobody"), 2, "no strategy called 'nobody'"),
        (("generate", "Hi", "--strategy-file", "none.yaml"), 2, "does not exist"),
        (("generate", "Hi", "--strategy-file", "."), 2, "folder"),
        (("generate", "Hi", "--model", "nothing"), 3, "'nothing'"),
        (("generate", ""), 3, "empty"),
        (("generate",), 3, "empty"),
        (("generate", "two", "words"), 2, "in quotes"),
        (("generate", "Hi", "--image", "none.png"), 3, "none.png"),
        (("generate", "Hi", "--image", "strategies.yaml"), 3, "not a PNG"),
        (("generate", "Hi", "--param", "top_k"), 2, "KEY=JSON"),
        (("generate", "Hi", "--param", "user=bob"), 2, "double quotes"),
        (("generate", "Hi", "--param", "messages=[]"), 2, "the prompt gives it"),
        (("generate", "Hi", "--json-schema", "none.json"), 2, "none.json"),
        (("generate", "Hi", "--json-schema", "strategies.yaml"), 2, "not JSON"),
        (("generate", "Hi", "--max-tokens", "none"), 2, "--max-tokens"),
        (("generate", "Hi", "--wrong"), 2, "--wrong"),
        (("generat", "Hi"), 2, "generat"),
        (("complete", ""), 3, "empty"),
        (("generate", b"caf\xe9".decode("utf-8", "surrogateescape")), 3, "UTF-8"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, arguments, code, word):
    chain(tmp_path, first=refused())
    run = llamafarm(*arguments, cwd=tmp_path)
    run.assert_one_clear_line(code)
    assert word in run.err


async def test_a_pipe_that_is_not_text_is_one_clear_line(tmp_path):
    chain(tmp_path, first=refused())
    run = await ask("generate", cwd=tmp_path, stdin=b"caf\xe9")
    run.assert_one_clear_line(3)
    assert "UTF-8" in run.err


async def test_a_reader_that_leaves_is_no_error(tmp_path):
    async with FakeServer(answer("word " * 50_000)) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("generate", "Hi", cwd=tmp_path)
        await process.stdout.readexactly(10)
        process.stdout._transport.close()
        err = await asyncio.wait_for(process.stderr.read(), 60)
        assert await process.wait() == 0
    assert err == b""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("generate", "Hi"), ("generate", "Hi", "--output", "json"), ("--help",)])
async def test_a_full_disk_behind_stdout_is_one_clear_line(tmp_path, arguments):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        with Path("/dev/full").open("w") as full:  # noqa: ASYNC230 - opening a device takes no time
            process = await start(*arguments, cwd=tmp_path, stdout=full)
            err = (await asyncio.wait_for(process.stderr.read(), 60)).decode()
            assert await process.wait() == 4
    assert "No space left" in err
    assert len(err.splitlines()) == 1


async def test_ctrl_c_stops_the_answer_and_tells_the_target(tmp_path):
    import signal

    from tests.cli.asking import held

    gate = asyncio.Event()
    async with FakeServer(held("Once upon", until=gate)) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("generate", "A story", cwd=tmp_path)
        assert await asyncio.wait_for(process.stdout.readexactly(9), 60) == b"Once upon"
        process.send_signal(signal.SIGINT)
        rest, err = await asyncio.wait_for(process.communicate(), 60)
        await asyncio.wait_for(server.requests[0].gone.wait(), 60)
        gate.set()
    assert (process.returncode, rest, err) == (130, b"\n", b"\n")


@pytest.mark.real
def test_the_embedded_engine_answers_without_the_http_library(tmp_path, smollm2, models_home):
    code = (
        "import sys; from llamafarm.cli import main;"
        " code = main(['generate', 'What is the capital of France?', '--temperature', '0', '--strategy', 'local_development']);"
        " sys.stderr.write(' '.join(name for name in ('aiohttp', 'rich', 'httpx') if name in sys.modules)); sys.exit(code)"
    )
    variables = {**environment(tmp_path), "LLAMAFARM_HOME": str(models_home)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=variables,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Paris" in run.stdout
    reason = "ollama: cannot connect to localhost:11434: nothing listens there; start the server or check base_url"
    assert run.stderr == f"llamafarm: answered by embedded, not model_app: {reason}\n"


async def test_a_closed_stdout_is_no_crash(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        command = f"{sys.executable} -m llamafarm.cli generate Hi >&-"
        process = await asyncio.create_subprocess_shell(
            command, cwd=tmp_path, env=environment(tmp_path), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        _, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (0, b"")


def test_every_error_of_a_file_is_a_line_and_nothing_else_is(tmp_path):
    (tmp_path / "strategies.yaml").write_text(
        "strategies:\n  - name: a\n    components: {x: {type: ollama, config: {bse_url: 1, timeout: -1}}}\n"
    )
    run = llamafarm("generate", "Hi", cwd=tmp_path)
    assert run.code == 2
    first, *errors = run.err.splitlines()
    assert first == "llamafarm: strategies.yaml: 2 errors"
    assert ["bse_url" in errors[0], "timeout" in errors[1], len(errors)] == [True, True, 2]


async def test_a_target_that_a_rule_chose_is_not_called_a_detour(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        file = chain(
            tmp_path, "routing_rules: [{condition: urgent, target: second}]", first=refused(), second=server.base_url
        )
        file.write_text(
            file.read_text().replace("default_model: first-model", "default_model: m, api_key: '${NO_SUCH_KEY}'")
        )
        run = await ask("generate", "Hi", "--tag", "urgent", cwd=tmp_path)
    assert (run.out, run.err) == ("Yes.\n", "")


async def test_quiet_wins_over_verbose(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "Hi", "-q", "-v", cwd=tmp_path)
    assert (run.code, run.out, run.err) == (0, "Yes.\n", "")


async def test_where_all_fail_those_that_could_not_be_asked_are_named(tmp_path):
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    more = "routing_rules: [{condition: urgent, target: seeing, fallback: false}]"
    file = chain(tmp_path, more, seeing=refused(), blind=refused())
    file.write_text(file.read_text().replace("default_model: blind", "supports: [json], default_model: blind"))
    run = await ask("generate", "Hi", "--image", "p.png", cwd=tmp_path)
    alone = [
        await ask("generate", "Hi", "--image", "p.png", *option, cwd=tmp_path)
        for option in (("--model", "test/seeing"), ("--tag", "urgent"))
    ]
    assert run.code == 1
    noted, failed = run.err.splitlines()
    assert noted.startswith("llamafarm: not asked: blind: ")
    assert "cannot connect" in failed
    for other in alone:
        other.assert_one_clear_line(1)


async def test_without_a_log_nothing_of_one_is_shown(tmp_path):
    async with FakeServer(reply(401, {"error": {"message": "no such key"}})) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "Hi", cwd=tmp_path)
    run.assert_one_clear_line(1)
