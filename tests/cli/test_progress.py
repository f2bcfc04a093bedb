"""How far the fetching of a model file has come: a bar for a person, lines for a log, nothing where quiet is asked for."""

from __future__ import annotations

import io
import sys

import pytest

from llamafarm.cli.progress import Downloads
from llamafarm.cli.settings import Settings
from llamafarm.models.progress import Progress

STEPS = (
    Progress("small", 0, 98_000_000, "https://one.example/small.gguf", "downloading"),
    Progress("small", 49_000_000, 98_000_000, "https://one.example/small.gguf", "downloading"),
    Progress("small", 98_000_000, 98_000_000, "https://one.example/small.gguf", "checking"),
)


class Screen(io.StringIO):
    def __init__(self, *, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.fixture
def shown(monkeypatch):
    def show(settings, *, is_terminal, steps=STEPS):
        screen = Screen(is_terminal=is_terminal)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        with Downloads(settings) as downloads:
            for step in steps:
                downloads(step)
        return screen.getvalue()

    return show


def test_a_log_gets_a_line_a_step_and_not_one_a_byte(shown):
    assert shown(Settings(), is_terminal=False) == (
        "llamafarm: fetching small (98 MB) from https://one.example/small.gguf\n"
    )


def test_a_terminal_gets_a_bar_that_goes_away(shown):
    text = shown(Settings(), is_terminal=True)
    assert "fetching small" in text
    assert "98.0 MB" in text
    assert text.endswith(("\x1b[2K", "\x1b[?25h", "\n", "\r"))


@pytest.mark.parametrize("is_terminal", [True, False])
def test_quiet_is_quiet(shown, is_terminal):
    assert shown(Settings(quiet=True), is_terminal=is_terminal) == ""


def test_a_bar_that_is_interrupted_gives_the_cursor_back(shown):
    assert "\x1b[?25h" in shown(Settings(), is_terminal=True, steps=STEPS[:1])
