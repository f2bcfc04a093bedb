"""A request in Anthropic's own format on its way to Anthropic: as it came, but for what the file and the model demand."""

import json
import time

import pytest
from hypothesis import given

from llamafarm.catalog.vendors import find_vendor
from llamafarm.errors import UntranslatableError
from llamafarm.planning import body_for
from llamafarm.providers.anthropic.native import native_request, with_headers
from llamafarm.providers.anthropic.provider import Anthropic
from llamafarm.server.formats.anthropic import Messages
from llamafarm.spec.strategy import Constraints
from llamafarm.testing import FakeServer
from llamafarm.transport import HttpTransport
from llamafarm.types import Attempt, Native, Target
from tests.providers.anthropic_server import answer, block, delta, end, start, stop, stream, whole
from tests.providers.conftest import KEY, Rig
from tests.server.formats.anthropic.asked import (
    HI,
    SCHEMA,
    TOOL,
    assistant,
    head,
    request,
    requests,
    result,
    said,
    use,
    user,
)

HEADERS = find_vendor("anthropic").headers
UNKNOWN = {"type": "hologram", "beam": {"of": [1, None]}}
BUDGET = {"type": "enabled", "budget_tokens": 2048}
ADAPTIVE = {"type": "adaptive"}
FORM = {"type": "json_schema", "schema": SCHEMA}


def attempt_of(asked, *, constraints=None, beginning="", headers=None, **about):
    call = Messages().read(asked, head(**(headers or {})))
    about = {name: frozenset(value) if name == "quirks" else value for name, value in about.items()}
    target = Target("claude", "anthropic", "anthropic", "claude-x", headers=HEADERS, **about)
    body = body_for(call, target, constraints or Constraints())
    return Attempt(call, target, body, time.monotonic() + 5, beginning=beginning)


def sent(asked, **options):
    before = json.dumps(asked)
    translation = native_request(attempt_of(asked, **options))
    assert json.dumps(asked) == before, "the attempt may be made again"
    return translation.body, translation.notes


@given(requests())
def test_it_is_sent_as_it_came(asked):
    assert sent(asked) == ({**asked, "model": "claude-x"}, ())


def test_what_nobody_here_knows_survives():
    asked = request(
        user(said("a", novel=1), UNKNOWN), assistant(UNKNOWN), HI, stream=True, made_up={"a": [None]}, top_k=3
    )
    assert sent(asked) == ({**asked, "model": "claude-x"}, ())


def test_the_file_lowers_the_limit():
    asked = request(max_tokens=900)
    body, _ = sent(asked, constraints=Constraints(max_output_tokens=100))
    assert body == {**asked, "model": "claude-x", "max_tokens": 100}
    assert sent(asked, max_output=64)[0]["max_tokens"] == 64


@pytest.mark.parametrize(
    ("lowered", "thinking"),
    [
        (3000, BUDGET),
        (2048, {"type": "enabled", "budget_tokens": 1024}),
        (1500, {"type": "enabled", "budget_tokens": 1024}),
        (1024, None),
    ],
)
def test_a_budget_fits_into_a_limit_that_the_file_lowers(lowered, thinking):
    body, notes = sent(request(max_tokens=9000, thinking=BUDGET), constraints=Constraints(max_output_tokens=lowered))
    assert body.get("thinking") == thinking
    assert bool(notes) == (thinking != BUDGET)


def test_defaults_apply_where_the_caller_says_nothing():
    defaults = {"temperature": 0.3, "system_prompt": "Be kind.", "max_tokens": 7, "stop": ["x"]}
    body, _ = sent(request(), defaults=defaults)
    assert body == {**request(), "model": "claude-x", "temperature": 0.3, "system": "Be kind.", "stop_sequences": ["x"]}
    said_so = request(system=[said("Mine.")], temperature=1.0, stop_sequences=["y"])
    assert sent(said_so, defaults=defaults)[0] == {**said_so, "model": "claude-x"}


@pytest.mark.parametrize("mode", ["private", "local_only"])
def test_a_private_strategy_does_not_say_for_whom_it_asks(mode):
    asked = request(metadata={"user_id": "u1"}, user_profile_id="p", diagnostics={"a": 1}, novel=1)
    body, _ = sent(asked, constraints=Constraints(privacy_mode=mode), privacy=mode)
    assert body == {**request(novel=1), "model": "claude-x"}
    assert sent(asked)[0]["metadata"] == {"user_id": "u1"}


def test_the_gateways_tags_are_not_the_vendors_affair():
    assert sent(request(metadata={"user_id": "u1", "tags": ["a"]}))[0]["metadata"] == {"user_id": "u1"}


@pytest.mark.parametrize(
    ("quirk", "fields", "gone"),
    [
        ("no_temperature", {"temperature": 0.2, "top_p": 0.9, "top_k": 5}, {}),
        ("one_sampler", {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}),
        ("no_thinking", {"thinking": ADAPTIVE}, {}),
        ("no_thinking_budget", {"thinking": BUDGET, "max_tokens": 4000}, {"thinking": ADAPTIVE, "max_tokens": 4000}),
        ("no_adaptive_thinking", {"thinking": ADAPTIVE}, {}),
        ("no_effort", {"output_config": {"effort": "low", "x": 1}}, {"output_config": {"x": 1}}),
        ("no_xhigh_effort", {"output_config": {"effort": "xhigh"}}, {"output_config": {"effort": "high"}}),
        ("no_max_effort", {"output_config": {"effort": "max"}}, {"output_config": {"effort": "xhigh"}}),
        ("no_forced_tools", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}}, {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        ("no_json_schema", {"tools": [{**TOOL, "strict": True}]}, {"tools": [TOOL]}),
        ("always_thinks", {"thinking": {"type": "disabled"}}, {"output_config": {"effort": "low"}}),
    ],
)  # fmt: skip
def test_what_a_model_refuses_is_left_out_and_noted(quirk, fields, gone):
    body, notes = sent(request(**fields), quirks=[quirk])
    assert body == {**request(**gone), "model": "claude-x"}
    assert notes
    assert sent(request(**fields))[1] == ()


def test_thoughts_without_a_signature_are_another_vendors():
    thought = {"type": "thinking", "thinking": "Hm."}
    asked = request(HI, assistant(thought, use()), user(result("4")), thinking=BUDGET, max_tokens=4000, tools=[TOOL])
    body, notes = sent(asked)
    assert body["messages"] == [HI, assistant(use()), user(result("4"))]
    assert "thinking" not in body, "the vendor refuses it behind calls that seem to have come without thoughts"
    assert len(notes) == 2
    whole_turn = request(
        HI, assistant({**thought, "signature": "s"}, use()), user(result("4")), thinking=BUDGET, max_tokens=4000
    )
    assert sent(whole_turn) == ({**whole_turn, "model": "claude-x"}, ())
    assert sent(request(HI, assistant({**thought, "signature": ""}), HI))[0]["messages"] == [HI, HI]


def test_it_goes_on_from_a_beginning():
    begun = {"type": "text", "text": "Once upon"}
    assert sent(request(), beginning="Once upon ")[0]["messages"] == [HI, assistant(begun)]
    asked = request(HI, {"role": "assistant", "content": "So: "})
    assert sent(asked, beginning="Once upon ")[0]["messages"] == [HI, assistant(said("So: "), begun)]
    assert sent(request(), beginning=" ")[0]["messages"] == [HI]


def test_a_model_that_goes_on_from_no_beginning_is_not_asked_to():
    for given_, beginning in ((request(HI, assistant(said("So"))), ""), (request(), "Once")):
        assert sent(given_, beginning=beginning)[0]["messages"][-1]["role"] == "assistant"
        with pytest.raises(UntranslatableError, match="the model goes on from none"):
            sent(given_, beginning=beginning, quirks=["no_beginning"])


def test_a_budget_stays_as_the_client_has_it_where_the_file_does_not_lower_the_limit():
    asked = request(thinking=BUDGET, max_tokens=2048)  # as a beta allows it
    assert sent(asked) == ({**asked, "model": "claude-x"}, ())


def test_what_thinks_unasked_shows_it_in_a_stream():
    body, _ = sent(request(stream=True), quirks=["thinks_unasked"])
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert "thinking" not in sent(request(), quirks=["thinks_unasked"])[0]


def test_another_formats_request_is_none_of_its_business():
    attempt = attempt_of(request())
    attempt.call.native = None
    assert native_request(attempt) is None
    attempt.call.native = Native("other", {})
    assert native_request(attempt) is None


def test_betas_are_added_to_the_targets_own():
    given = attempt_of(request(), headers={"anthropic_beta": "b-1,c-2"})
    assert with_headers(given).target.headers == {**HEADERS, "anthropic-beta": "b-1,c-2"}
    given.target = Target("t", "p", "anthropic", "m", headers={"Anthropic-Beta": "a-0,b-1"})
    assert with_headers(given).target.headers == {"anthropic-beta": "a-0,b-1,c-2"}
    plain = attempt_of(request())
    assert with_headers(plain) is plain


# Over real sockets


@pytest.fixture
async def rig():
    transport = HttpTransport()
    rig = Rig(transport)
    rig.upstream = Anthropic(transport)
    yield rig
    await transport.aclose()


async def asked_of(rig, server, asked, headers=None, **about):
    call = Messages().read(asked, head(**(headers or {})))
    target = rig.target(server, provider="anthropic", dialect="anthropic", headers=HEADERS, **about)
    attempt = Attempt(call, target, body_for(call, target, Constraints()), time.monotonic() + 5)
    return [chunk async for chunk in await rig.upstream.send(attempt)]


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_vendor_gets_the_clients_words(rig, streamed):
    asked = request(user(said("a", novel=1)), stream=streamed, made_up=1)
    async with FakeServer(answer()) as server:
        chunks = await asked_of(rig, server, asked, {"anthropic_beta": "x-2026-01-01", "x_api_key": "clients"})
    (got,) = server.requests
    wanted = {**asked, "model": "fake-model"}
    assert got.json == {name: value for name, value in wanted.items() if name != "stream" or value}
    assert got.headers["anthropic-beta"] == "x-2026-01-01"
    assert got.headers["x-api-key"] == KEY
    assert "".join(chunk.text for chunk in chunks) == "Hello world"
    assert all(chunk.raw for chunk in chunks)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_schemas_answer_that_comes_as_a_tools_arguments_has_no_bytes_of_its_own(rig, streamed):
    call = {"type": "tool_use", "id": "toolu_1", "name": "answer"}
    if streamed:
        behave = stream(
            start(),
            block(0, **call, input={}),
            delta(0, type="input_json_delta", partial_json='{"a":1}'),
            stop(0),
            *end("tool_use"),
        )
    else:
        behave = whole({**call, "input": {"a": 1}}, reason="tool_use")
    async with FakeServer(behave) as server:
        asked = request(stream=streamed, output_config={"format": FORM})
        chunks = await asked_of(rig, server, asked, quirks=frozenset({"no_json_schema"}))
    assert "".join(chunk.text for chunk in chunks).replace(" ", "") == '{"a":1}'
    assert not any(chunk.raw or chunk.tool_calls for chunk in chunks)
