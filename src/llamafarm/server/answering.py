"""One inference request: what is asked, the farm it goes to, its answer, and what is said of that answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadCallError, ClosedError, LlamaFarmError, StreamCutError
from llamafarm.server.failures import answered, failure_of
from llamafarm.server.formats.steering import refuse_steering

if TYPE_CHECKING:
    from llamafarm.reply import Reply
    from llamafarm.server.formats.protocol import Format
    from llamafarm.server.http.messages import Request, Responder
    from llamafarm.server.keys import Caller
    from llamafarm.server.serving import Serving
    from llamafarm.types import Call

__all__ = ["Exchange", "Visit", "answer", "decoded"]

_LONGEST_HEADER = 1000
_decoder = msgspec.json.Decoder()


@dataclass(slots=True)
class Exchange:
    """What became of a request, for the access log."""

    call: Call | None = None
    status: int = 200
    error: str | None = None
    """The code its client was given."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's number, who makes it, and what becomes of it."""

    request_id: str
    caller: Caller
    exchange: Exchange = field(default_factory=Exchange)


def decoded(body: bytes) -> dict[str, Any]:
    """Read a body as a JSON object that steers nothing. Raises `BadCallError`."""
    try:
        read = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadCallError(f"the body is no JSON: {error}") from None
    except RecursionError:
        raise BadCallError("the body is nested too deeply") from None
    if not isinstance(read, dict):
        raise BadCallError("the body is no JSON object")
    refuse_steering(read)
    return read


async def answer(request: Request, responder: Responder, api: Format, serving: Serving, visit: Visit) -> None:
    """Answer a request of one of the APIs that ask a model, however it ends but by the client's leaving."""
    exchange = visit.exchange
    try:
        call = exchange.call = api.read(decoded(request.body), request.head)
        call.id, call.tenant = visit.request_id, visit.caller.tenant
        farm, call.model = serving.find(call.model, visit.caller.may_use)
        async with await farm.send(call) as reply:
            if call.stream:
                await _stream(reply, responder, api, serving, exchange)
            else:
                await _whole(call, reply, responder, api)
    except LlamaFarmError as error:
        failure = failure_of(error)
        exchange.status, exchange.error = failure.status, failure.code
        status, headers, body = answered(failure, api.dialect, visit.request_id)
        responder.send(status, [*headers, *_about_failed(exchange.call)], body)


async def _whole(call: Call, reply: Reply, responder: Responder, api: Format) -> None:
    chunks = [chunk async for chunk in reply]
    body = api.whole(call, reply, chunks)
    headers = [("content-type", "application/json"), *_about(call, reply), *_about_end(call)]
    responder.send(200, headers, body)


async def _stream(reply: Reply, responder: Responder, api: Format, serving: Serving, exchange: Exchange) -> None:
    call = exchange.call
    assert call is not None  # noqa: S101 - it is what the reply answers
    writer = api.stream(call, reply)
    responder.start(200, [*_STREAM_HEADERS, *_about(call, reply)])
    skipped = 0
    try:
        async for chunk in reply:
            skipped += chunk.skipped
            events = writer.write(chunk)
            if events:
                await responder.write(events)
        if reply.outcome is None or reply.outcome.ended != "complete":
            raise StreamCutError("the answer so far is not the whole")
    except LlamaFarmError as error:
        told = ClosedError("the gateway is stopping: the answer so far is not the whole") if serving.closed else error
        exchange.error = failure_of(told).code
        last = writer.fail(told, call.id)
    else:
        last = writer.end()
    await responder.write(_comment(call, skipped) + last)
    responder.end()


_STREAM_HEADERS = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),  # nginx passes it on at once
)


def _about(call: Call, reply: Reply) -> list[tuple[str, str]]:
    """Give the headers that are known once the first token is there."""
    target = reply.target
    headers = [
        ("x-request-id", call.id),
        ("x-llamafarm-strategy", _plain(call.strategy)),
        ("x-llamafarm-target", _plain(target.name)),
        ("x-llamafarm-model", _plain(target.model)),
        ("x-llamafarm-attempts", str(len(call.attempts))),
        ("x-llamafarm-cache", "off"),
    ]
    notes = reply.record.notes if reply.record is not None else ()
    if notes:
        headers.append(("x-llamafarm-notes", _plain("; ".join(notes))))
    return headers


def _about_end(call: Call) -> list[tuple[str, str]]:
    """Give the headers that are known at the end."""
    return [("x-llamafarm-cost", _cost(call)), ("x-llamafarm-overhead-ms", _overhead(call))]


def _about_failed(call: Call | None) -> list[tuple[str, str]]:
    if call is None or not call.strategy:
        return []
    attempts = str(len(call.attempts))
    return [("x-llamafarm-strategy", _plain(call.strategy)), ("x-llamafarm-attempts", attempts), *_about_end(call)]


def _comment(call: Call, skipped: int) -> bytes:
    """Say in comments, which clients leave out, what was not known when a stream began."""
    said = [("x-llamafarm-attempts", str(len(call.attempts))), *_about_end(call)]
    if skipped:
        said.append(("x-llamafarm-skipped-events", str(skipped)))
    return "".join(f": {name}: {value}\n" for name, value in said).encode()


def _cost(call: Call) -> str:
    """Write what a call cost in dollars, exactly; ``unknown`` where nobody can tell."""
    if call.unpriced:
        return "unknown"
    dollars, rest = divmod(call.spent, 1_000_000_000)
    return f"{dollars}.{rest:09d}"


def _overhead(call: Call) -> str:
    """Write the milliseconds that were spent here, and not waiting for targets."""
    spent = (time.monotonic() - call.started) * 1e3 - sum(attempt.ms for attempt in call.attempts)
    return f"{max(0.0, spent):.2f}"


def _plain(text: str) -> str:
    """Write a name from the strategy file so that a header can hold it: other characters as ``%xx`` of their UTF-8."""
    if text.isascii() and text.isprintable():
        return text[:_LONGEST_HEADER]
    return "".join(
        character if character.isascii() and character.isprintable() else _escaped(character)
        for character in text[:_LONGEST_HEADER]
    )


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
