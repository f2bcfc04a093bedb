"""The options that every command takes, those that only some do, and what is said of others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llamafarm.cli.app import COMMANDS
from tests.cli.asking import chain, refused
from tests.cli.program import llamafarm

ASKING = {"generate", "chat", "complete", "embed", "compare", "batch", "explain", "image"}


@pytest.fixture
def folder(tmp_path):
    chain(tmp_path, a=refused())
    return tmp_path


@pytest.mark.parametrize("name", sorted(COMMANDS))
@pytest.mark.parametrize("option", ["--model", "--tag"])
def test_what_says_where_a_request_goes_is_for_commands_that_send_one(name, option, folder):
    takes = name in ASKING or (name, option) == ("test", "--model")
    before = llamafarm(option, "x", name, "--help", cwd=folder)
    behind = llamafarm(name, option, "x", "--help", cwd=folder)
    if takes:
        assert (before.code, behind.code) == (0, 0)
        assert f"  {option} " in before.out
    else:
        before.assert_one_clear_line(2)
        assert f"{name} has no use for {option}" in before.err
        behind.assert_one_clear_line(2)
        assert option in behind.err


@pytest.mark.parametrize("name", ["validate-config", "list-strategies", "schema", "init", "catalog"])
def test_what_is_about_no_single_strategy_takes_none(name, folder):
    run = llamafarm("--strategy", "test", name, cwd=folder)
    run.assert_one_clear_line(2)
    assert f"{name} has no use for --strategy" in run.err


@pytest.mark.parametrize("name", ["info", "health-check", "test"])
def test_a_strategy_may_be_named_as_an_argument(name, folder):
    run = llamafarm(name, "multi_provider", "--strategy", "test", cwd=folder)
    run.assert_one_clear_line(2)
    assert "give one of them" in run.err
    assert "nobody" in llamafarm(name, "nobody", cwd=folder).err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("test", "--max-cost", "abc"), "'abc' is not a valid number"),
        (("generate", "hi", "--temperature", "hot"), "'hot' is not a valid number"),
        (("generate", "hi", "--max-tokens", "1.5"), "'1.5' is not a valid whole number"),
    ],
)
def test_a_number_that_is_none(folder, arguments, said):
    run = llamafarm(*arguments, cwd=folder)
    run.assert_one_clear_line(2)
    assert said in run.err


def test_the_package_runs_as_the_program(folder):
    command = [sys.executable, "-m", "llamafarm", "--version"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("llamafarm ")
