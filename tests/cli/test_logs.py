"""The log of the commands that send: as the file asks, on stderr, without content and secrets."""

from __future__ import annotations

import io
import logging

import msgspec
import pytest

from llamafarm.errors import NoTargetError
from llamafarm.telemetry import LogSink, logging_to
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from llamafarm.types import AttemptRecord, Event, Operation, Usage
from tests.cli.asking import ask, chain, lines, refused

JSON = "monitoring: {log_level: INFO, log_format: json}"


def made(**changes):
    values = {
        "id": "req_1", "strategy": "s", "operation": Operation.CHAT, "target": "t", "model": "m", "ended": "complete",
        "error": None, "detail": None, "usage": Usage(3, 4), "cost": 1_500, "ms": 12.34, "first_token_ms": 5.67,
        "attempts": (AttemptRecord("t", "m", "ok", None, 12.34),),
    }  # fmt: skip
    return Event(**{**values, **changes})


def logged(*events, level="DEBUG", log_format="json"):
    stream = io.StringIO()
    with logging_to(stream, level=level, log_format=log_format):
        sink = LogSink("1.2.3")
        for event in events:
            sink.emit(event)
    return stream.getvalue()


def test_a_line_of_json_holds_what_is_promised():
    line = msgspec.json.decode(logged(made()))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO", "id": "req_1", "strategy": "s", "version": "1.2.3", "operation": "chat", "target": "t",
        "model": "m", "ended": "complete", "error": None, "input_tokens": 3, "output_tokens": 4, "cost_usd": 1.5e-06,
        "ms": 12.3, "first_token_ms": 5.7, "attempts": [{"target": "t", "model": "m", "outcome": "ok", "ms": 12.3}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (made(), "INFO"),
        (made(ended="abandoned"), "INFO"),
        (
            made(
                attempts=(AttemptRecord("a", "m", "connect", "refused", 1.0), AttemptRecord("t", "m", "ok", None, 1.0))
            ),
            "WARNING",
        ),
        (made(ended="failed", error=NoTargetError.kind, detail="no"), "WARNING"),
        (made(ended="failed", error="all_failed", detail="no"), "ERROR"),
        (made(ended="cut", error="stream_cut", detail="no"), "ERROR"),
    ],
)
def test_the_level_says_how_bad_it_is(event, level):
    assert msgspec.json.decode(logged(event))["level"] == level


def test_text_is_one_line_of_names_and_values():
    line = logged(made(target="two words", error="x", detail="y"), log_format="text")
    assert line.count("\n") == 1
    assert ' INFO id=req_1 strategy=s version=1.2.3 operation=chat target="two words" model=m ended=complete' in line
    assert "cost_usd=0.0000015" in line
    assert "y" not in line.split("strategy=")[0]


def test_messages_of_vendors_are_not_logged():
    secret = "the prompt was: my diary"
    attempts = (AttemptRecord("t", "m", "bad_request", secret, 1.0),)
    event = made(ended="failed", error="bad_request", detail=secret, attempts=attempts)
    assert "diary" not in logged(event) + logged(event, log_format="text")


def test_lines_below_the_level_are_left_out():
    assert logged(made(), level="WARNING") == ""


def test_the_logger_is_afterwards_as_it_was():
    logger = logging.getLogger("llamafarm")
    before = (logger.level, logger.propagate, list(logger.handlers))
    logged(made())
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_other_records_are_lines_of_the_same_kind():
    stream = io.StringIO()
    with logging_to(stream, level="DEBUG", log_format="json"):
        logging.getLogger("llamafarm.providers").warning("skipped %d events", 2)
    line = msgspec.json.decode(stream.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "llamafarm.providers", "skipped 2 events")


@pytest.mark.key("strategies[].monitoring.log_level")
async def test_the_file_asks_for_the_level(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, "monitoring: {log_level: INFO}", good=server.base_url)
        chatty = await ask("generate", "Hi", cwd=tmp_path)
        chain(tmp_path, "monitoring: {log_level: ERROR}", good=server.base_url)
        silent = await ask("generate", "Hi", cwd=tmp_path)
        chain(tmp_path, good=server.base_url)
        default = await ask("generate", "Hi", cwd=tmp_path)
    assert " INFO id=req_" in chatty.err
    assert (silent.err, default.err) == ("", "")


@pytest.mark.key("strategies[].monitoring.log_format")
async def test_the_file_asks_for_the_format(tmp_path):
    async with FakeServer(answer("A private answer.")) as server:
        chain(tmp_path, JSON, good=server.base_url)
        run = await ask("generate", "A private question", cwd=tmp_path)
    (line,) = lines(run.err)
    assert (line["target"], line["input_tokens"], line["ended"]) == ("good", 9, "complete")
    assert "private" not in run.err


async def test_the_files_own_version_is_in_the_line(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        file = chain(tmp_path, JSON, good=server.base_url)
        file.write_text('version: "3.1.4"\n' + file.read_text())
        run = await ask("generate", "Hi", cwd=tmp_path)
    assert lines(run.err)[0]["version"] == "3.1.4"


async def test_a_call_that_needed_a_second_target_is_a_warning(tmp_path):
    async with FakeServer(reply(500, {"error": {"message": "down"}})) as a, FakeServer(answer("Yes.")) as b:
        chain(tmp_path, "monitoring: {log_level: WARNING, log_format: json}", bad=a.base_url, good=b.base_url)
        run = await ask("generate", "Hi", "--no-stream", cwd=tmp_path)
    (line,) = [msgspec.json.decode(text) for text in run.err.splitlines() if text.startswith("{")]
    assert (line["level"], [a["outcome"] for a in line["attempts"]]) == ("WARNING", ["transient", "ok"])


async def test_quiet_and_verbose_win_over_the_file(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, JSON, good=server.base_url)
        quiet = await ask("generate", "Hi", "--quiet", cwd=tmp_path)
        chain(tmp_path, good=server.base_url)
        verbose = await ask("generate", "Hi", "--verbose", cwd=tmp_path)
    assert quiet.err == ""
    assert " INFO id=req_" in verbose.err


async def test_a_failure_is_said_once_where_no_log_is_asked_for(tmp_path):
    chain(tmp_path, dead=refused())
    run = await ask("generate", "Hi", cwd=tmp_path)
    run.assert_one_clear_line(1)
