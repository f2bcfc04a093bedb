"""A stream cut behind every byte of it: never half an answer for a whole one, never a word twice or lost."""

import pytest

from llamafarm.errors import StreamCutError
from llamafarm.testing import ChaosProxy, FakeServer, Fault
from tests.faults import far_ends as far
from tests.faults.rig import FULL, RECOVERIES, ask, check_money, check_whole, farm_of, nothing_left, text_of

STEP = 1 if FULL else 37
TEXT = "Two  roads:\n\n one führt 日本 🦙,\tthe  other does  not."


async def recorded(address):
    """Give the bytes of a whole stream as they cross the wire, and how many of them a whole answer takes."""
    async with ChaosProxy(address) as proxy, farm_of(text_of(proxy.base_url, None)) as farm:
        check_whole(await ask(farm, stream=True), TEXT)
        return proxy.passed


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("second", [True, False], ids=["two", "alone"])
@pytest.mark.parametrize("recovery", RECOVERIES)
async def test_a_stream_cut_behind_any_byte(recovery, second, how):
    async with (
        nothing_left(),
        FakeServer(far.model(TEXT)) as server,
        FakeServer(far.model(TEXT)) as other,
        ChaosProxy(server.base_url) as proxy,
    ):
        length = await recorded(server.base_url)
        text = text_of(proxy.base_url, other.base_url if second else None, recovery)
        endings = set()
        # The full run has each byte; the others begin where the recoveries and the ways to cut leave gaps.
        begin = 0 if FULL else (7 * RECOVERIES.index(recovery) + 3 * (how == "close")) % STEP
        for count in (*range(begin, length, STEP), length - 1, length):
            proxy.script = [Fault(count, how)]
            async with farm_of(text) as farm:
                seen = await ask(farm, stream=True)
                check_money(farm, seen.call)
            endings.add(check(seen, recovery, second=second))
        assert endings >= {"a"} | EXPECTED[recovery, second]


EXPECTED = {
    ("error", True): {"b", "cut"},
    ("error", False): {"failed", "cut"},
    ("continue", True): {"b", "a+b"},
    ("continue", False): {"failed", "cut"},
    ("buffer", True): {"b"},
    ("buffer", False): {"failed"},
}


def check(seen, recovery, *, second):
    """See that an answer is whole or an error says that it is not; give who answered, or how it failed."""
    outcomes = [outcome for target, outcome in seen.attempts if target == "a"]
    if seen.error is None:
        check_whole(seen, TEXT)
        if outcomes[-1] == "ok":
            return "a"
        assert second
        assert seen.attempts[-1] == ("b", "ok")
        return "a+b" if any(chunk.resumed_by for chunk in seen.chunks) else "b"
    assert not any(chunk.finish_reason for chunk in seen.chunks)
    if seen.chunks:
        assert recovery != "buffer"
        assert not second or recovery == "error"
        assert isinstance(seen.error, StreamCutError)
        assert TEXT.startswith(seen.text)
        return "cut"
    assert not second
    return "failed"
