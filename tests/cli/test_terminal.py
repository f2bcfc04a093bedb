"""What reaches a terminal: nothing of what models, servers and files say is obeyed by it; a pipe gets it as it is."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from llamafarm.cli import printing
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, events, reply
from tests.cli.asking import ask, chain, event, refused
from tests.cli.program import llamafarm

if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

from tests.cli.terminal import Terminal

CLIPBOARD = "\x1b]52;c;cm0gLXJm\x07"
NASTY = f"ha{CLIPBOARD}\x1b]0;title\x07\x1b[2J\x9b2J\x7fend."


def obeyed(shown):
    """Give the sequences in what was shown that are not the program's own styles and line ends."""
    return [sign for sign in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\x7f") if sign in shown]


async def shown(*arguments, cwd, until="end.", **extra):
    async with Terminal(*arguments, cwd=cwd, **extra) as terminal:
        await terminal.until(until)
        await terminal.code()
        return terminal.shown


def test_control_characters_become_visible_and_newlines_and_tabs_stay():
    assert printing.printable("a\tb\nü\x1b[2J\x00\x7f\x9b\r") == "a\tb\nü\\u001b[2J\\u0000\\u007f\\u009b\\u000d"
    assert printing.printable("one\r\ntwo") == "one\ntwo"


@pytest.mark.parametrize("more", [(), ("--no-stream",), ("--output", "json")])
async def test_an_answer_is_not_obeyed(tmp_path, more):
    async with FakeServer(answer(NASTY)) as server:
        chain(tmp_path, first=server.base_url)
        seen = await shown("generate", "Hi", *more, cwd=tmp_path)
    assert obeyed(seen) == []
    assert "\\u001b]52;c;" in seen
    assert "\\u009b2J" in seen


async def test_neither_is_one_whose_sequences_come_in_pieces(tmp_path):
    pieces = [event(sign) for sign in NASTY]
    async with FakeServer(events(*pieces, event("", "stop"))) as server:
        chain(tmp_path, first=server.base_url)
        seen = await shown("generate", "Hi", cwd=tmp_path)
    assert obeyed(seen) == []


async def test_neither_is_one_in_a_chat_or_a_table(tmp_path):
    async with FakeServer(answer(NASTY + " and more" * 40)) as server:
        chain(tmp_path, first=server.base_url)
        compared = await shown("compare", "Hi", cwd=tmp_path, until="more")
        async with Terminal("chat", cwd=tmp_path) as terminal:
            await terminal.until("> ")
            terminal.type("Hi\n")
            await terminal.until("end.")
            terminal.type("/history\n")
            await terminal.until("assistant: ha")
            await terminal.until("end.")
    assert obeyed(compared) == []
    assert obeyed(terminal.shown) == []


async def test_a_pipe_gets_an_answer_as_it_is(tmp_path):
    async with FakeServer(answer(NASTY)) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "Hi", cwd=tmp_path)
    assert run.out == NASTY + "\n"


async def test_a_servers_error_is_not_obeyed_anywhere(tmp_path):
    async with FakeServer(reply(400, {"error": {"message": NASTY}})) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "Hi", cwd=tmp_path)
    assert run.code == 1
    assert obeyed(run.err) == []


async def test_a_files_names_and_descriptions_are_not_obeyed(tmp_path):
    file = chain(tmp_path, first=refused())
    file.write_text(file.read_text().replace("For a test.", '"For \\e]0;x\\a\\e[2J end."'))
    for command in ("list-strategies", "info"):
        assert obeyed(await shown(command, cwd=tmp_path)) == [], command


async def test_what_a_server_calls_its_models_is_not_obeyed(tmp_path):
    models = {"object": "list", "data": [{"id": f"{NASTY}{number}", "object": "model"} for number in range(2)]}
    async with FakeServer(reply(200, models)) as server:
        chain(tmp_path, first=server.base_url)
        seen = await shown("health-check", cwd=tmp_path, until="first")
    assert obeyed(seen) == []


async def test_a_reason_phrase_is_not_shown(tmp_path):
    async def behave(_, writer):
        writer.write(f"HTTP/1.1 418 {CLIPBOARD}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    (tmp_path / "strategies.yaml").write_text(
        "strategies:\n  - {name: s, description: d, components: {here: {type: llamacpp, config: {default_model: m,"
        " models: [{name: m, source: 'hf:some/where/m.gguf@main', sha256: '" + "1" * 64 + "'}]}}}}\n"
    )
    async with FakeServer(behave) as server:
        run = await ask("pull", cwd=tmp_path, HF_ENDPOINT=server.base_url.removesuffix("/v1"))
    assert run.code == 4
    assert "418" in run.err
    assert "cm0gLXJm" not in run.err


def test_what_is_wrong_with_a_file_is_not_obeyed(tmp_path):
    (tmp_path / "strategies.yaml").write_text('strategies: [{"na\\e]0;x\\ame": 1, "other": 2}]\n')
    run = llamafarm("generate", "Hi", cwd=tmp_path)
    assert run.code == 2
    assert obeyed(run.err) == []


def test_a_log_waits_for_the_end_of_the_line_that_is_under_way(monkeypatch):
    both = io.StringIO()
    monkeypatch.setattr(sys, "stdout", both)
    monkeypatch.setattr(sys, "stderr", both)
    from llamafarm.telemetry import logging_to

    with logging_to(printing.LineByLine(), level="INFO"), printing.Pieces() as pieces:
        pieces.write("cut ")
        logging.getLogger("llamafarm").warning("broken \x1b[2J")
        pieces.write("off")
    first, second = both.getvalue().splitlines()
    assert first == "cut off"
    assert "WARNING" in second
    assert obeyed(second) == []
