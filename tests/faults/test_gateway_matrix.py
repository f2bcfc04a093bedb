"""Every fault between the gateway and its upstream, as a client of each API meets it: the library's table, over HTTP."""

import contextlib
import itertools
import json

import aiohttp
import pytest

from llamafarm import errors
from llamafarm.server.failures import Failure, failure_of
from llamafarm.server.run import Order, opened
from llamafarm.testing import FakeServer
from tests.faults import far_ends as far
from tests.faults.cells import ROWS
from tests.faults.rig import FULL, RECOVERIES, SLOWER, SPARE, nothing_left, text_of
from tests.faults.test_matrix import NEVER_NEXT, far_end, short_tail, unknown_name

__all__ = ["short_tail", "unknown_name"]  # fixtures

QUESTION = [{"role": "user", "content": "Which way?"}]
KINDS = {error.kind: error for error in errors.AttemptError.__subclasses__()}


class OpenAIClient:
    """Reads what OpenAI's API says."""

    path, headers = "/v1/chat/completions", {}

    @staticmethod
    def body(**more):
        return {"messages": QUESTION, **more}

    @staticmethod
    def text(answer):
        return answer["choices"][0]["message"]["content"]

    @staticmethod
    def read(payloads):
        """Give the text, whether it is said to be whole, and the error."""
        text, error, reasons = "", None, []
        for payload in payloads:
            if payload == "[DONE]":
                return text, reasons == ["stop"], error
            event = json.loads(payload)
            error = event.get("error", error)
            for choice in event.get("choices", []):
                text += choice["delta"].get("content") or ""
                reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
        assert not reasons
        return text, False, error

    @staticmethod
    def code(body):
        return body["error"]["code"]


class AnthropicClient:
    """Reads what Anthropic's API says."""

    path, headers = "/v1/messages", {"anthropic-version": "2023-06-01", "x-api-key": "none"}

    @staticmethod
    def body(**more):
        return {"model": "faults", "messages": QUESTION, "max_tokens": 500, **more}

    @staticmethod
    def text(answer):
        return "".join(block["text"] for block in answer["content"])

    @staticmethod
    def read(payloads):
        text, error, reason = "", None, None
        for payload in payloads:
            event = json.loads(payload)
            match event["type"]:
                case "content_block_start":
                    text += event["content_block"].get("text", "")
                case "content_block_delta":
                    text += event["delta"]["text"]
                case "message_delta":
                    reason = event["delta"]["stop_reason"]
                case "error":
                    error = event["error"]
                case "message_stop":
                    return text, reason == "end_turn", error
        assert reason is None
        return text, False, error

    @staticmethod
    def code(_):
        return None


def cells():
    ways = itertools.product(ROWS, (OpenAIClient, AnthropicClient), (False, True), RECOVERIES, (True, False))
    for row, api, stream, recovery, second in ways:
        if not row.plain and not stream:
            continue
        if FULL or recovery == ("continue" if api is OpenAIClient or second else "error"):
            way = "stream" if stream else "plain"
            name = f"{row.name}-{api.__name__}-{way}-{recovery}-{'two' if second else 'alone'}"
            yield pytest.param(row, api, stream, recovery, second, id=name)


@contextlib.asynccontextmanager
async def gateway(tmp_path, text):
    file = tmp_path / "strategies.yaml"
    file.write_text("strategies:\n- " + "\n  ".join(text.splitlines()) + "\n")
    order = Order(str(file), None, None, 0)
    async with opened(order, order.load({})) as process, aiohttp.ClientSession(process.urls[0]) as client:
        yield process, client


@pytest.mark.parametrize(("row", "api", "stream", "recovery", "second"), list(cells()))
async def test_each_fault_behind_the_gateway(  # noqa: PLR0917 - a cell of the table
    row, api, stream, recovery, second, tmp_path, monkeypatch, unknown_name
):
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path))
    async with nothing_left(), far_end(row) as (proxy, address), FakeServer(far.model()) as other:
        text = text_of(address, other.base_url if second else None, recovery, row.times)
        async with gateway(tmp_path, text) as (process, client):
            timeout = aiohttp.ClientTimeout(SLOWER * (row.times.wait + SPARE))
            body = api.body(stream=stream, **row.body)
            async with client.post(api.path, json=body, headers=api.headers, timeout=timeout) as response:
                content = await response.text()
            if row.leaves:
                await proxy.until_idle()
            check(row, api, response, content, stream=stream, recovery=recovery, second=second)
            assert process.gateway.in_flight == 0
            assert process.gateway.answered == 1
        asked = row.outcomes(stream=stream, second=second)
        assert len(other.requests) == (1 if goes_on(row, stream=stream, recovery=recovery, second=second) else 0), asked


def goes_on(row, *, stream, recovery, second):
    """Tell whether target `b` is asked."""
    last = row.outcomes(stream=stream, second=second)[-1]
    cut = row.is_cut(stream=stream) and recovery != "buffer"
    return last != "ok" and second and last not in NEVER_NEXT and not (cut and recovery == "error")


def check(row, api, response, content, *, stream, recovery, second):
    outcomes = row.outcomes(stream=stream, second=second)
    cut = row.is_cut(stream=stream) and recovery != "buffer"
    helped = goes_on(row, stream=stream, recovery=recovery, second=second)
    attempts = len(outcomes) + helped
    if outcomes[-1] == "ok" or helped:
        assert response.status == 200, content
        text, whole, error = read(api, content, stream=stream)
        assert (text, whole, error) == (far.TEXT, True, None)
        assert said(response, content, "x-llamafarm-attempts") == str(attempts)
    elif cut:
        assert response.status == 200, content
        text, whole, error = read(api, content, stream=True)
        assert text
        assert far.TEXT.startswith(text)
        assert not whole
        assert error["message"]
    else:
        expected = expectation(outcomes[-1])
        assert response.status == expected.status, content
        assert response.headers["x-should-retry"] == "false"
        assert response.headers["x-llamafarm-attempts"] == str(attempts)
        assert api.code(json.loads(content)) in (None, expected.code)


def read(api, content, *, stream):
    if not stream:
        return api.text(json.loads(content)), True, None
    return api.read([line[6:] for line in content.split("\n") if line.startswith("data: ")])


def said(response, content, name):
    """Give what the headers say, or what the comments of a stream say later."""
    later = [line for line in content.split("\n") if line.startswith(f": {name}: ")]
    return later[-1].rpartition(" ")[2] if later else response.headers[name]


def expectation(kind) -> Failure:
    """Give status and code that the library's error of this kind stands for."""
    return failure_of(KINDS[kind]("x"))
