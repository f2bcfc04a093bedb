"""`chat`: in a real terminal, and with lines piped in."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply, silence
from tests.cli.asking import ask, chain, held, lines, refused

if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

from tests.cli.terminal import Terminal


def said(request):
    return [(message["role"], message["content"]) for message in request.json["messages"]]


async def test_each_line_is_a_turn_with_what_was_said_before(tmp_path):
    async with FakeServer(answer("First."), answer("Second.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", "--system", "Be brief.", cwd=tmp_path, stdin="one\n\ntwo\n")
    assert (run.code, run.out, run.err) == (0, "First.\nSecond.\n", "")
    assert said(server.requests[1]) == [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "First."),
        ("user", "two"),
    ]


async def test_several_lines_make_one_turn(tmp_path):
    async with FakeServer() as server:
        chain(tmp_path, first=server.base_url)
        await ask("chat", cwd=tmp_path, stdin='"""one\ntwo\n"""\nthree\\\nfour\n"""five"""\n//slash\n')
    assert [said(request)[-1][1] for request in server.requests] == ["one\ntwo", "three\nfour", "five", "/slash"]


async def test_a_failed_turn_is_shown_and_the_conversation_goes_on(tmp_path):
    async with FakeServer(answer("One."), reply(400, {"error": {"message": "odd"}}), answer("Three.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", cwd=tmp_path, stdin="one\ntwo\nthree\n")
    assert run.out == "One.\nThree.\n"
    run.assert_one_clear_line(1)
    assert said(server.requests[2]) == [("user", "one"), ("assistant", "One."), ("user", "three")]


async def test_json_is_a_document_a_turn(tmp_path):
    async with FakeServer(answer("One."), reply(400, {"error": {"message": "odd"}})) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", "--output", "json", cwd=tmp_path, stdin="one\ntwo\n")
    first, second = lines(run.out)
    assert first["text"] == "One."
    assert second["error"]["kind"] == "all_failed"


async def test_commands_say_and_change_who_is_asked(tmp_path):
    more = "routing_rules: [{condition: urgent, target: second}]"
    async with FakeServer(answer("A.")) as a, FakeServer(answer("B.")) as b:
        chain(tmp_path, more, first=a.base_url, second=b.base_url)
        typed = "/model second\none\n/model -\ntwo\n/tags urgent\nthree\n/tags -\n/system Be kind.\nfour\n/cost\n/history\n/exit\nnever\n"
        run = await ask("chat", cwd=tmp_path, stdin=typed)
    assert (run.code, run.out) == (0, "B.\nA.\nB.\nA.\n")
    assert said(a.requests[-1])[0] == ("system", "Be kind.")
    assert "4 answers, 36 + 8 tokens" in run.err
    assert "user: three\nassistant: B.\n" in run.err


async def test_another_strategy_goes_on_with_the_conversation(tmp_path):
    async with FakeServer(answer("A.")) as a, FakeServer(answer("B.")) as b:
        chain(tmp_path, first=a.base_url)
        other = chain(tmp_path, first=b.base_url).read_text().replace("name: test", "name: other").partition("\n")[2]
        file = chain(tmp_path, first=a.base_url)
        file.write_text(file.read_text() + other)
        run = await ask("chat", cwd=tmp_path, stdin="one\n/strategy other\ntwo\n/strategy nobody\nthree\n")
    assert run.out == "A.\nB.\nB.\n"
    assert said(b.requests[0])[:2] == [("user", "one"), ("assistant", "A.")]
    assert "no strategy called 'nobody'" in run.err


async def test_a_conversation_is_saved_and_loaded(tmp_path):
    async with FakeServer(answer("A.")) as server:
        chain(tmp_path, first=server.base_url)
        await ask(
            "chat", "--system", "Hm.", cwd=tmp_path, stdin="one\n/save talk.json\n/save talk.md\ntwo\n/save talk.json\n"
        )
        await ask("chat", "--load", "talk.json", cwd=tmp_path, stdin="three\n")
        taken = await ask("chat", cwd=tmp_path, stdin="four\n/save talk.json\n")
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert [m["content"] for m in saved] == ["Hm.", "one", "A.", "two", "A."]
    assert "## user\n\none\n" in (tmp_path / "talk.md").read_text()
    assert [content for _, content in said(server.requests[2])] == ["Hm.", "one", "A.", "two", "A.", "three"]
    assert "is there already" in taken.err


async def test_retry_and_clear(tmp_path):
    async with FakeServer(
        answer("A."), answer("B."), reply(400, {"error": {"message": "odd"}}), answer("C.")
    ) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", cwd=tmp_path, stdin="one\n/retry\ntwo\n/retry\n/clear\n/retry\n/history\n")
    assert run.out == "A.\nB.\nC.\n"
    assert said(server.requests[1]) == [("user", "one")]
    assert said(server.requests[3]) == [("user", "one"), ("assistant", "B."), ("user", "two")]
    assert "nothing has been asked yet" in run.err


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("/nonsense", "there is no /nonsense"),
        ("/model nobody", "'nobody'; it has: first"),
        ("/save", "needs a file's name"),
        ("/load none.json", "none.json: No such file"),
        ("/load strategies.yaml", "not JSON"),
        ("/clear all", "takes nothing behind it"),
        ("/retry", "nothing has been asked yet"),
    ],
)
async def test_a_bad_command_is_one_clear_line(tmp_path, typed, word):
    chain(tmp_path, first=refused())
    run = await ask("chat", cwd=tmp_path, stdin=typed + "\n")
    run.assert_one_clear_line(1)
    assert word in run.err


async def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path):
    gate = asyncio.Event()
    async with FakeServer(held("Once upon", until=gate), answer("Fine.")) as server:
        chain(tmp_path, first=server.base_url)
        async with Terminal("chat", cwd=tmp_path) as terminal:
            await terminal.until("> ")
            terminal.type("tell me\n")
            await terminal.until("Once upon")
            await terminal.ctrl("c")
            await terminal.until("(stopped)")
            await asyncio.wait_for(server.requests[0].gone.wait(), 10)  # at once, not when it has been idle too long
            gate.set()
            await terminal.until("> ")
            terminal.type("and now?\n")
            await terminal.until("Fine.")
            await terminal.until("> ")
            terminal.type("/history\n")
            await terminal.until("assistant: Once upon (stopped)")
            await terminal.until("> ")
            await terminal.ctrl("d")
            assert await terminal.code() == 0
    assert said(server.requests[1]) == [("user", "tell me"), ("assistant", "Once upon"), ("user", "and now?")]


async def test_ctrl_c_before_the_first_word_takes_the_question_back(tmp_path):
    async with FakeServer(silence(), answer("Fine.")) as server:
        chain(tmp_path, first=server.base_url)
        async with Terminal("chat", cwd=tmp_path) as terminal:
            await terminal.until("> ")
            terminal.type("one\n")
            while not server.requests:  # noqa: ASYNC110 - another process opens them
                await asyncio.sleep(0.01)
            await terminal.ctrl("c")
            await terminal.until("(stopped)")
            await asyncio.wait_for(server.requests[0].gone.wait(), 10)
            terminal.type("two\n")
            await terminal.until("Fine.")
            terminal.type("/exit\n")
            assert await terminal.code() == 0
    assert said(server.requests[1]) == [("user", "two")]


async def test_at_the_prompt_ctrl_c_clears_the_line_and_twice_leaves(tmp_path):
    async with FakeServer(answer("Fine.")) as server:
        chain(tmp_path, first=server.base_url)
        async with Terminal("chat", cwd=tmp_path) as terminal:
            await terminal.until("> ")
            terminal.type("not this")
            await terminal.until("not this")
            await terminal.ctrl("c")
            await terminal.until("Ctrl-C again leaves")
            await terminal.until("> ")
            terminal.type("this\n")
            await terminal.until("Fine.")
            for _ in range(2):
                await terminal.until("> ")
                await terminal.ctrl("c")
            assert await terminal.code() == 130
    assert said(server.requests[0]) == [("user", "this")]


@pytest.mark.parametrize(("mode", "kept"), [("public", True), ("private", False), ("local_only", False)])
async def test_lines_are_remembered_unless_the_strategy_is_private(tmp_path, mode, kept):
    async with FakeServer(answer("Fine."), answer("Again.")) as server:
        chain(tmp_path, f"constraints: {{privacy_mode: {mode}}}", first=server.base_url)
        for _ in range(2):
            async with Terminal("chat", cwd=tmp_path) as terminal:
                await terminal.until("> ")
                # Two arrows up, past the command that left the first chat, recall the line before it.
                terminal.type("\x1b[A\x1b[A\n" if server.requests and kept else "hello there\n")
                await terminal.until(".")
                terminal.type("/exit\n")
                assert await terminal.code() == 0
    assert [said(request)[-1][1] for request in server.requests] == ["hello there"] * 2
    assert (tmp_path / "home" / "chat_history").exists() is kept
    if kept:
        assert (tmp_path / "home" / "chat_history").stat().st_mode & 0o077 == 0


async def test_a_progress_bar_or_a_prompt_is_never_on_stdout_of_a_script(tmp_path):
    async with FakeServer(answer("Fine.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", cwd=tmp_path, stdin="hello\n")
    assert run.out == "Fine.\n"


@pytest.mark.real
async def test_the_embedded_engine_is_stopped_in_the_middle_and_goes_on(tmp_path, smollm2, models_home):
    async with Terminal(
        "chat", "--strategy", "local_development", cwd=tmp_path, LLAMAFARM_HOME=str(models_home)
    ) as terminal:
        await terminal.until("> ")
        terminal.type("Write a very long story about a farm.\n")
        await terminal.until("story about a farm.\r\n")
        await terminal.until(" ")
        await terminal.ctrl("c")
        await terminal.until("(stopped)")
        await terminal.until("> ")
        terminal.type("/clear\n")
        await terminal.until("> ")
        terminal.type("What is the capital of France?\n")
        await terminal.until("Paris")
        await terminal.until("> ")
        terminal.type("/exit\n")
        assert await terminal.code() == 0


async def test_a_model_that_nobody_has_is_said_before_the_first_question(tmp_path):
    chain(tmp_path, first=refused())
    run = await ask("chat", "--model", "nope", cwd=tmp_path, stdin="")
    run.assert_one_clear_line(3)
    assert "'nope'" in run.err


async def test_markdown_is_for_reading_and_one_of_something_is_one(tmp_path):
    async with FakeServer(answer("One.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", cwd=tmp_path, stdin="one\n/cost\n/save c.md\n/load c.md\n")
    assert "1 answer, 9 + 2 tokens" in run.err
    assert "c.md: Markdown is for reading only" in run.err
    assert "JSON is malformed" not in run.err
