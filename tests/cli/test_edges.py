"""The edges of the command line: bytes that are no text, streams that are closed, files that never end, no home."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer
from tests.cli.asking import ask, chain, environment, lines, refused
from tests.cli.program import Run, llamafarm

if sys.platform == "win32":
    pytest.skip("needs a POSIX shell", allow_module_level=True)

NO_TEXT = b"a\xff".decode("utf-8", "surrogateescape")
PROGRAM = f"{sys.executable} -m llamafarm.cli"


def shell(command, cwd, **extra):
    """Run a line of shell in which `llamafarm` is the program; variables that are None are unset."""
    variables = {name: value for name, value in {**environment(cwd), **extra}.items() if value is not None}
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace("llamafarm", PROGRAM)],
        cwd=cwd, env=variables, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
    )  # fmt: skip
    return Run(done.returncode, done.stdout.decode(), done.stderr.decode())


# Files that never end


@pytest.mark.parametrize("option", ["--image", "--json-schema"])
@pytest.mark.parametrize("file", ["pipe", "/dev/zero"])
def test_a_file_that_is_none_is_neither_waited_for_nor_read_for_ever(tmp_path, option, file):
    chain(tmp_path, first=refused())
    os.mkfifo(tmp_path / "pipe")
    run = llamafarm("generate", "Hi", option, file, cwd=tmp_path)
    run.assert_one_clear_line(3 if option == "--image" else 2)
    assert f"{file}: not a regular file" in run.err


def test_a_schema_of_any_size_is_not_read(tmp_path):
    chain(tmp_path, first=refused())
    with (tmp_path / "huge.json").open("wb") as huge:
        huge.truncate(11 << 20)
    run = llamafarm("generate", "Hi", "--json-schema", "huge.json", cwd=tmp_path)
    run.assert_one_clear_line(2)
    assert "more than the 10 MB" in run.err


# Bytes that are no text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--strategy-file", NO_TEXT, "generate", "hi"), 2),
        (("generate", "hi", "--image", NO_TEXT), 3),
        (("generate", "hi", "--image", f"https://x.example/{NO_TEXT}"), 3),
        (("generate", "hi", "--model", NO_TEXT), 3),
        (("generate", "hi", "--tag", NO_TEXT), 3),
        (("generate", "hi", "--strategy", NO_TEXT), 2),
        (("chat", "--load", NO_TEXT), 3),
        (("info", NO_TEXT), 2),
        (("compare", "hi", "--target", NO_TEXT), 3),
        (("init", NO_TEXT), 2),
        (("catalog", "info", NO_TEXT), 2),
        (("pull", NO_TEXT), 4),
    ],
)
def test_a_failure_that_names_what_is_no_text_is_still_shown(tmp_path, arguments, code):
    chain(tmp_path, first=refused())
    run = llamafarm(*arguments, "--output", "json", cwd=tmp_path)
    run.assert_one_clear_line(code)
    assert run.json
    llamafarm(*arguments, cwd=tmp_path).assert_one_clear_line(code)


@pytest.mark.parametrize("parameter", [f"{NO_TEXT}=1", f'x="{NO_TEXT}"'])
def test_a_parameter_that_is_no_text_is_not_sent(tmp_path, parameter):
    chain(tmp_path, first=refused())
    run = llamafarm("generate", "Hi", "--param", parameter, cwd=tmp_path)
    assert run.code in (2, 3)
    run.assert_one_clear_line(run.code)


def test_a_file_whose_name_is_no_text_is_described_and_checked(tmp_path):
    chain(tmp_path, first=refused()).rename(tmp_path / NO_TEXT)
    for form in ("json", "text", "github"):
        good = llamafarm("validate-config", NO_TEXT, "--format", form, cwd=tmp_path)
        assert (good.code, good.err) == (0, "")
    for form in ("json", "text"):
        told = llamafarm("--strategy-file", NO_TEXT, "info", "--output", form, cwd=tmp_path)
        listed = llamafarm("--strategy-file", NO_TEXT, "list-strategies", "--output", form, cwd=tmp_path)
        assert (told.code, told.err, listed.code, listed.err) == (0, "", 0, "")
    (tmp_path / NO_TEXT).write_text("strategies: 5\n")
    for form in ("json", "text", "github"):
        bad = llamafarm("validate-config", NO_TEXT, "--format", form, cwd=tmp_path)
        assert (bad.code, bad.err) == (2, "")
        assert "a" in bad.out
    shown = llamafarm("validate-config", NO_TEXT, "--format", "json", cwd=tmp_path).json
    assert shown["findings"][0]["file"] == "a?"


def test_a_batch_of_a_file_whose_name_is_no_text(tmp_path):
    chain(tmp_path, first=refused())
    (tmp_path / f"{NO_TEXT}.jsonl").write_text("[1]\n")
    for options in ((), ("--out", f"{NO_TEXT}.out")):
        run = llamafarm("batch", f"{NO_TEXT}.jsonl", *options, cwd=tmp_path)
        assert run.code == 1, run.err
        assert "Traceback" not in run.err
    assert lines((tmp_path / f"{NO_TEXT}.out").read_text())[0]["error"]["message"].startswith("a?.jsonl:1: expected")


# Closed and full streams


@pytest.mark.parametrize(
    "command",
    ["generate -", "generate hi -", "complete -", "chat", "embed", "embed -", "batch - --format txt", "explain -"],
)
def test_a_closed_standard_input_is_one_clear_line(tmp_path, command):
    chain(tmp_path, first=refused())
    run = shell(f"llamafarm {command} <&-", tmp_path)
    run.assert_one_clear_line(3)
    assert "standard input is closed" in run.err


async def test_a_closed_standard_input_does_not_matter_where_nothing_is_read(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await asyncio.to_thread(shell, "llamafarm generate Hi <&-", tmp_path)
    assert (run.code, run.out, run.err) == (0, "Yes.\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", [None, "1"])
@pytest.mark.parametrize(
    "command",
    [
        "--help", "", "--version", "generate --help", "catalog", "catalog list -h", "schema", "init local_development",
        "validate-config none.yaml --format json", "generate Hi --strategy-file none.yaml --output json",
    ],
)  # fmt: skip
def test_a_full_disk_behind_stdout_is_one_clear_line_whatever_is_printed(tmp_path, command, unbuffered):
    run = shell(f"llamafarm {command} >/dev/full", tmp_path, PYTHONUNBUFFERED=unbuffered)
    run.assert_one_clear_line(4)
    assert "standard output: No space left" in run.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_cannot_be_said_leaves_the_exit_code(tmp_path):
    assert shell("llamafarm generate --wrong 2>/dev/full", tmp_path).code == 2
    assert shell("llamafarm generate Hi --strategy-file none.yaml 2>/dev/full", tmp_path).code == 2
    assert shell("llamafarm generate Hi --strategy-file none.yaml --output json >/dev/full 2>&1", tmp_path).code == 4


def test_a_failures_reader_that_leaves_is_no_crash(tmp_path):
    command = "{ sleep 0.1; llamafarm generate Hi --strategy-file none.yaml --output json; echo $? >&2; } | true"
    assert shell(command, tmp_path).err == "0\n"


def test_the_program_alone_prints_its_help(tmp_path):
    bare, asked = llamafarm(cwd=tmp_path), llamafarm("--help", cwd=tmp_path)
    assert (bare.code, bare.out, bare.err) == (0, asked.out, "")
    assert asked.out.count("--help") == 1


# No home


@pytest.mark.parametrize("command", ["pull smollm2", "catalog list"])
def test_a_home_of_nobody_is_one_clear_line(tmp_path, command):
    chain(tmp_path, first=refused())
    run = shell(f"llamafarm {command}", tmp_path, LLAMAFARM_HOME="~no-such-user")
    run.assert_one_clear_line(2)
    assert "LLAMAFARM_HOME is '~no-such-user'" in run.err


NOBODY = "import os, sys; os.getuid = lambda: 54321987; from llamafarm.cli import main; sys.exit(main(sys.argv[1:]))"


def as_nobody(*arguments, cwd, **extra):
    variables = {name: value for name, value in environment(cwd).items() if name not in ("HOME", "LLAMAFARM_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, *arguments],
        cwd=cwd, env={**variables, **extra}, capture_output=True, text=True, input="hi\n", timeout=60, check=False,
    )  # fmt: skip
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [("catalog", "list"), ("pull", "smollm2")])
def test_a_user_that_the_system_does_not_know_is_told_what_to_set(tmp_path, arguments):
    run = as_nobody(*arguments, cwd=tmp_path)
    run.assert_one_clear_line(2)
    assert "set LLAMAFARM_HOME" in run.err


async def test_a_user_that_the_system_does_not_know_can_still_ask_others(tmp_path):
    async with FakeServer(answer("Yes."), answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        asked = await asyncio.to_thread(as_nobody, "generate", "Hi", cwd=tmp_path)
        talked = await asyncio.to_thread(as_nobody, "chat", cwd=tmp_path)
    assert (asked.code, asked.out, asked.err) == (0, "Yes.\n", "")
    assert (talked.code, talked.out) == (0, "Yes.\n")
    assert "no history is kept" in talked.err


def test_a_model_in_the_home_of_nobody_is_told_with_its_place(tmp_path):
    chain(tmp_path, first=refused())
    file = tmp_path / "s.yaml"
    file.write_text(
        "strategies:\n  - name: a\n    description: d\n    components:\n"
        "      here: {type: llamacpp, config: {engine: embedded, default_model: ~no-such-user/x.gguf}}\n"
    )
    run = llamafarm("generate", "Hi", "--strategy-file", "s.yaml", cwd=tmp_path)
    run.assert_one_clear_line(2)
    assert "s.yaml:5:" in run.err
    assert "no home folder is known for '~no-such-user'" in run.err


@pytest.mark.parametrize("name", ["~no-such-user/x", "/dev/zero", "a\0b", "pipe"])
@pytest.mark.parametrize("command", ["/save", "/load"])
async def test_a_name_that_no_file_can_have_leaves_the_chat_alive(tmp_path, command, name):
    os.mkfifo(tmp_path / "pipe")
    async with FakeServer(answer("One."), answer("Two.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", cwd=tmp_path, stdin=f"one\n{command} {name}\ntwo\n")
    assert run.out == "One.\nTwo.\n"
    run.assert_one_clear_line(1)
    assert [message["content"] for message in server.requests[1].json["messages"]] == ["one", "One.", "two"]
