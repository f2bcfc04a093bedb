"""Every fault, plain and streamed, under every `stream_recovery`, with another target and without."""

import contextlib
import itertools
import socket

import pytest

from llamafarm.errors import AllFailedError
from llamafarm.testing import ChaosProxy, FakeServer
from tests.faults import far_ends as far
from tests.faults.cells import ROWS
from tests.faults.rig import (
    FULL,
    RECOVERIES,
    SLOWER,
    SPARE,
    Notes,
    ask,
    check_money,
    check_whole,
    farm_of,
    nothing_left,
    text_of,
)

NEVER_NEXT = ("content_policy", "bad_request")


@pytest.fixture(autouse=True)
def short_tail(monkeypatch):
    monkeypatch.setattr("llamafarm.providers.stream._TAIL_SECONDS", 0.2)


@pytest.fixture
def unknown_name(monkeypatch):
    known = socket.getaddrinfo

    def look_up(host, *args, **options):
        if "no-such-host" in str(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@contextlib.asynccontextmanager
async def far_end(row):
    """Give the proxy before target `a`, and the address of the target."""
    tls = far.self_signed() if row.special == "tls" else None
    async with (
        FakeServer(*(row.script or (far.model(),)), tls=tls) as server,
        ChaosProxy(server.base_url, row.fault) as proxy,
    ):
        if row.special == "refused":
            await proxy.refuse()
        yield proxy, "http://no-such-host.example/v1" if row.special == "dns" else proxy.base_url


def cells():
    for row, stream, recovery, second in itertools.product(ROWS, (False, True), RECOVERIES, (True, False)):
        # How a stream is recovered says nothing about a plain answer: the full run shows that.
        if (row.plain or stream) and (FULL or stream or recovery == "continue"):
            name = f"{row.name}-{'stream' if stream else 'plain'}-{recovery}-{'two' if second else 'alone'}"
            yield pytest.param(row, stream, recovery, second, id=name)


@pytest.mark.parametrize(("row", "stream", "recovery", "second"), list(cells()))
async def test_each_fault(row, stream, recovery, second, unknown_name):
    notes = Notes()
    async with nothing_left(), far_end(row) as (proxy, address), FakeServer(far.model()) as other:
        text = text_of(address, other.base_url if second else None, recovery, row.times)
        async with farm_of(text, sinks=[notes]) as farm:
            seen = await ask(farm, stream=stream, seconds=SLOWER * (row.times.wait + SPARE), **row.body)
            if row.leaves:
                await proxy.until_idle()
            check(row, seen, stream=stream, recovery=recovery, second=second)
            check_money(farm, seen.call)
        assert len(other.requests) == sum(target == "b" for target, _ in seen.attempts)
    assert [event.ended == "complete" for event in notes.events] == [seen.error is None]
    assert notes.events[0].cost == seen.call.spent


def check(row, seen, *, stream, recovery, second):
    outcomes = row.outcomes(stream=stream, second=second)
    asked = [("a", outcome) for outcome in outcomes]
    cut = row.is_cut(stream=stream) and recovery != "buffer"
    goes_on = second and outcomes[-1] not in NEVER_NEXT and not (cut and recovery == "error")
    if outcomes[-1] == "ok":
        assert seen.attempts == asked
        check_whole(seen)
        assert seen.answer.target == "a"
    elif goes_on:
        assert seen.attempts == [*asked, ("b", "ok")]
        check_whole(seen)
        assert seen.answer.target == "b"
        assert [chunk.resumed_by for chunk in seen.chunks if chunk.resumed_by] == (["b"] if cut else [])
    else:
        assert seen.attempts == asked
        check_failed(seen, outcomes[-1], cut=cut)


def check_failed(seen, kind, *, cut):
    if cut:
        assert seen.error.kind == kind
        assert seen.text
        assert far.TEXT.startswith(seen.text)
        assert not any(chunk.finish_reason for chunk in seen.chunks)
    else:
        assert isinstance(seen.error, AllFailedError)
        assert seen.error.cause.kind == kind
        assert [record.outcome for record in seen.error.attempts] == [outcome for _, outcome in seen.attempts]
        assert not seen.chunks
    assert "\n" not in str(seen.error)
