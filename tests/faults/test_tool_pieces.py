"""Pieces of tool calls that come twice, out of order, or without their end."""

import pytest

from llamafarm.errors import StreamCutError
from llamafarm.testing import ChaosProxy, FakeServer
from llamafarm.testing.fake_server import events
from tests.faults import far_ends as far
from tests.faults.rig import RECOVERIES, ask, check_money, farm_of, nothing_left, text_of

PARIS, ROME = '{"city": "Paris"}', '{"city": "Rome"}'

ORDERS = {
    "in order": [
        far.call(0, "c0", "weather"),
        far.call(0, arguments=PARIS[:9]),
        far.call(0, arguments=PARIS[9:]),
        far.call(1, "c1", "weather"),
        far.call(1, arguments=ROME),
    ],
    "mixed": [
        far.call(0, "c0", "weather"),
        far.call(1, "c1", "weather"),
        far.call(1, arguments=ROME[:4]),
        far.call(0, arguments=PARIS[:9]),
        far.call(1, arguments=ROME[4:]),
        far.call(0, arguments=PARIS[9:]),
    ],
    "the second first": [
        far.call(1, "c1", "weather", ROME),
        far.call(0, "c0", "weather", PARIS),
    ],
    "names with every piece": [
        far.call(0, "c0", "weather", PARIS[:9]),
        far.call(0, "c0", "weather", PARIS[9:]),
        far.call(1, "c1", "weather", ROME),
        far.call(1, "c1", "weather"),
    ],
    "the name after the arguments": [
        far.call(0, arguments=PARIS),
        far.call(0, "c0", "weather"),
        far.call(1, arguments=ROME[:3]),
        far.call(1, "c1", "weather", ROME[3:]),
    ],
    "empty pieces between": [
        far.call(0, "c0", "weather"),
        far.call(0),
        far.call(0, arguments=PARIS),
        far.call(1, "c1", "weather", ROME),
        far.call(1),
    ],
}


@pytest.mark.parametrize("recovery", RECOVERIES)
@pytest.mark.parametrize("order", ORDERS)
async def test_each_call_is_there_once_and_whole(order, recovery):
    async with (
        nothing_left(),
        FakeServer(far.tool_pieces(*ORDERS[order])) as server,
        farm_of(text_of(server.base_url, None, recovery)) as farm,
    ):
        seen = await ask(farm, stream=True, tools=far.TOOLS)
        check_money(farm, seen.call)
    assert seen.error is None
    assert seen.answer.finish_reason == "tool_calls"
    assert [(call.id, call.name, call.arguments) for call in seen.answer.tool_calls] == [
        ("c0", "weather", PARIS),
        ("c1", "weather", ROME),
    ]


@pytest.mark.parametrize("recovery", RECOVERIES)
async def test_half_a_call_is_never_gone_on_with(recovery):
    half = [far.piece(tool_calls=[piece]) for piece in ORDERS["in order"][:2]]
    whole = far.tool_pieces(*ORDERS["in order"])
    async with (
        nothing_left(),
        FakeServer(events(*half, done=False)) as server,
        ChaosProxy(server.base_url) as proxy,
        FakeServer(whole) as other,
        farm_of(text_of(proxy.base_url, other.base_url, recovery)) as farm,
    ):
        seen = await ask(farm, stream=True, tools=far.TOOLS)
        check_money(farm, seen.call)
    if recovery == "buffer":
        assert seen.error is None
        assert [call.arguments for call in seen.answer.tool_calls] == [PARIS, ROME]
        assert seen.attempts == [("a", "stream_cut"), ("b", "ok")]
    else:
        assert isinstance(seen.error, StreamCutError)
        assert seen.attempts == [("a", "stream_cut")]
        assert not other.requests
