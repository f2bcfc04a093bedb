"""The drill: what it tries, and that its verdict is the right one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm import strategies
from llamafarm.errors import ConnectError, CostLimitError
from llamafarm.farm import find_strategy
from llamafarm.planning import Snapshot, plan
from llamafarm.planning.plan import behind
from llamafarm.testing import FakeAnswer, FakeProvider, FakeServer
from llamafarm.testing.drill import Drill, Promises, drill
from llamafarm.testing.drill.routes import cells_of, routes_of, rule_cases
from llamafarm.testing.fake_server import answer, reply
from tests.faults.far_ends import model
from tests.making import NO_GPU, routing, strategy

FAULTS = ["refused", "timeout", "429", "429 retry-after", "500", "timeout", "cut"]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def chain(*targets, more=""):
    """Write a strategy whose chain has these targets: (name, more of its config)."""
    parts = [
        f"  {name}: {{type: openai_compatible, config: {{provider: custom, base_url: 'http://{name}.invalid/v1',"
        f" default_model: {name}-model, max_retries: 0{config}}}}}"
        for name, config in targets
    ]
    names = ", ".join(name for name, _ in targets)
    return "\n".join(["name: s", "description: d", "components:", *parts, f"fallback_chain: [{names}]", more])


async def dry(text, fake=None, promises=None, **options):
    made = Drill(strategy(text), dry_run=True, fake=fake, promises=promises, environment={}, hardware=NO_GPU, **options)
    return await made.run()


def rows(report, target=None):
    return [row for row in report.faults if target in (None, row.target)]


# The faults


async def test_every_target_meets_every_fault_with_those_before_it_out_of_reach():
    report = await dry(chain(("a", ""), ("b", ""), ("c", "")))
    assert report.ok
    assert [row.fault for row in rows(report, "a")] == FAULTS
    assert [row.fault for row in rows(report, "b")] == FAULTS
    assert {row.answered_by for row in rows(report, "a") if row.fault != "cut"} == {"b"}
    assert {row.answered_by for row in rows(report, "b") if row.fault != "cut"} == {"c"}
    assert [row.streamed for row in rows(report, "a")] == [False] * 5 + [True] * 2
    assert {(row.ok, row.answered_by, row.note) for row in rows(report, "c")} == {
        (None, None, "nobody is left behind it")
    }


async def test_a_dead_fallback_is_found():
    report = await dry(chain(("a", ""), ("b", "")), FakeProvider({"b": ConnectError("b is down")}))
    assert not report.ok
    assert [(row.name, row.ok) for row in report.targets] == [("a", True), ("b", False)]
    assert {row.ok for row in rows(report, "a") if row.fault != "cut"} == {False}
    assert "b is down" in rows(report, "a")[0].note


@pytest.mark.parametrize(
    ("behind", "recovery", "promised", "came"),
    [
        (", supports: [prefill]", "continue", True, (True, "b", "went on")),
        ("", "continue", True, (False, None, "buffer")),
        ("", "continue", False, (True, None, "buffer")),
        ("", "buffer", False, (True, "b", "anew")),
        ("", "error", False, (True, None, "clear error")),
    ],
)
async def test_what_a_cut_stream_must_come_to(behind, recovery, promised, came):
    ok, answered_by, said = came
    text = chain(("a", ""), ("b", behind), more=f"optimization: {{stream_recovery: {recovery}}}")
    report = await dry(text, promises=Promises(continues=promised))
    (cut,) = [row for row in rows(report, "a") if row.fault == "cut"]
    assert (cut.ok, cut.answered_by) == (ok, answered_by)
    assert said in cut.note
    assert report.ok is ok


async def test_a_row_says_which_pauses_were_left_out():
    text = chain(("a", ", retry_delay: 6"), ("b", ", retry_delay: 6"), ("c", ""))
    report = await dry(
        text.replace("max_retries: 0, retry", "max_retries: 3, retry") + "optimization: {timeout_seconds: 60}"
    )
    said = {(row.target, row.fault): row.note for row in report.faults if not row.streamed}
    assert said["a", "500"] == said["a", "refused"] == "left out: pauses of up to 42 s between tries"
    assert said["b", "500"] == "left out: pauses of up to 48 s between tries", "then the time is up"
    assert said["a", "429"] == "", "another is asked at once"
    assert "pauses" not in (await dry(chain(("a", ""), ("b", "")))).faults[0].note, "it is tried once"


async def test_a_timer_is_never_made_longer():
    report = await dry(chain(("a", ", ttft_timeout: 0.01"), ("b", "")))
    plain, streamed = [row for row in rows(report, "a") if row.fault == "timeout"]
    assert plain.note == "shortened to 0.05 s from 60 s"
    assert streamed.note == ""


async def test_what_a_hedge_answers_says_nothing_of_the_fault():
    report = await dry(chain(("a", ", hedge_after: 0.001"), ("b", "")))
    timed = [row for row in rows(report, "a") if row.fault == "timeout"]
    assert {row.note for row in timed} == {"b was asked as well (hedge_after), and was first"}
    (cut,) = [row for row in rows(report, "a") if row.fault == "cut"]
    assert (cut.answered_by, cut.ok) == (None, True), "the cut is played, not overtaken"
    assert "clear error" in cut.note


@pytest.mark.parametrize(("needs", "said"), [("json", "nobody can go on with such an answer"), ("vision", "none of")])
async def test_why_nobody_goes_on_with_a_cut_answer(needs, said):
    able = ", supports: [json, vision]"
    rule = f"routing_rules: [{{condition: input.requires_{needs}, target: b}}]"
    report = await dry(chain(("a", able), ("b", able), more=rule))
    (cut,) = [row for row in rows(report, "b") if row.fault == "cut" and row.order == ("b", "a")]
    assert cut.note.startswith(f"the stream ends with a clear error, for {said}")
    assert ("target that can go on" in cut.note) is (needs != "json")


async def test_the_last_of_several_says_who_could_not_take_over():
    text = chain(("a", ""), ("b", ""), ("c", ", supports: []"), more="constraints: {blocked_models: [c-model]}")
    report = await dry(text)
    assert {(row.ok, row.note) for row in rows(report, "b") if row.ms is None} == {
        (None, "nobody can take over: c: blocked_models has c-model")
    }


async def test_an_entry_that_is_the_same_target_is_named():
    text = chain(("a", ""), ("b", "")).replace("b.invalid", "a.invalid").replace("b-model", "a-model")
    report = await dry(text)
    assert report.notes == ("b is the same target as a (address, key and model): it stands in for nobody",)


async def test_load_balancing_puts_each_pick_in_front():
    report = await dry(
        chain(("a", ""), ("b", ""), more="load_balancing: {policy: weighted, weights: {a: 3, b: 1}}"),
    )
    assert {row.order for row in report.faults} == {("a", "b"), ("b", "a")}
    assert {row.answered_by for row in rows(report) if row.ok and row.fault == "refused"} == {"a", "b"}


async def test_a_target_without_its_key_is_not_passed_unless_that_is_allowed():
    text = chain(("a", ", api_key: '${NO_SUCH_KEY}'"), ("b", ""))
    made = {}
    for allowed in (False, True):
        async with FakeServer(answer("Yes.")) as server:
            loaded = strategy(text.replace("http://b.invalid/v1", server.base_url))
            options = {"promises": Promises(allow_missing_keys=allowed), "environment": {}}
            made[allowed] = await Drill(loaded, **options).run()
    for allowed, report in made.items():
        assert report.targets[0].outcome == "no key"
        assert "NO_SUCH_KEY" in report.targets[0].detail
        assert report.targets[1].outcome == "answered"
        assert report.ok is allowed
    assert (await dry(text)).ok, "a dry run has a key for everybody"


# Planted mistakes


@pytest.mark.parametrize(
    ("text", "who", "said"),
    [
        (
            chain(
                ("a", ""),
                ("b", ""),
                more="routing_rules: [{condition: private, target: here, fallback: false}]\nconstraints: {blocked_models: ['smol*']}",
            ).replace(
                "components:",
                "components:\n  here: {type: llamacpp, config: {engine: embedded, default_model: smollm2-135m-instruct}}",
            ),
            "private",
            "blocked_models",
        ),
        (chain(("a", ""), ("b", ""), more="constraints: {privacy_mode: local_only}"), "a", "local_only"),
        (
            chain(
                ("a", ", supports: [json, tools]"),
                ("b", ", supports: [tools]"),
                more="routing_rules: [{condition: input.requires_json, target: a}]",
            ),
            "a",
            "b: it does not support json",
        ),
        (
            chain(("a", ", supports: [tools]"), ("b", ""), more="routing_rules: [{condition: input.has_images, target: a}]"),
            "input.has_images",
            "passed over",
        ),
        (
            chain(("a", ""), ("b", ""), more="routing_rules: [{condition: input.length > 5, target: a}, {condition: input.length > 9, target: b}]"),
            "input.length > 9",
            "earlier rule",
        ),
    ],
    ids=["a barred local target", "local_only", "no json behind", "passed over", "shadowed"],
)  # fmt: skip
async def test_a_planted_mistake_is_found(text, who, said):
    report = await dry(text)
    assert not report.ok
    wrong = [(row.name, row.detail) for row in report.targets if row.ok is False]
    wrong += [(row.target, row.note) for row in report.faults if row.ok is False]
    wrong += [(row.condition, row.note) for row in report.rules if row.ok is False]
    assert any(name == who and said in note for name, note in wrong), wrong


async def test_what_only_the_first_can_do_is_noted():
    report = await dry(chain(("a", ", supports: [vision, json]"), ("b", ", supports: [json]")))
    assert report.ok
    assert [note.partition(":")[0] for note in report.notes] == ["only a takes requests with vision"]


def test_a_strategy_that_refuses_to_send_is_not_drilled():
    with pytest.raises(CostLimitError, match="daily_budget"):
        Drill(strategy(chain(("a", ""), more="constraints: {daily_budget: 1}")), dry_run=True)


@pytest.mark.parametrize("name", strategies.names())
async def test_every_shipped_strategy_holds(name):
    _, found = find_strategy(None, name, {})
    made = Drill(found, dry_run=True, environment={}, hardware=NO_GPU)
    report = await made.run()
    assert report.ok, [row for row in (*report.targets, *report.faults, *report.rules) if row.ok is False]
    assert {row.outcome for row in report.targets} == {"answered"}
    assert len(report.rules) == len(found.routing_rules)
    assert all(row.ok for row in report.rules)


# Against brute force


TARGETS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from(["error", "continue", "buffer"])), min_size=1, max_size=3
)


def expected(targets, place, fault):
    """Say what must come of a fault: the verdict and who answers. A target is (alive, can go on, recovery)."""
    behind = list(range(place + 1, len(targets)))
    if not behind:
        return None, None
    first = next((number for number in behind if targets[number][0]), None)
    alive, _, recovery = targets[place]
    if fault != "cut" or not alive or recovery == "buffer":
        return first is not None, first
    if recovery == "error":
        return True, None
    able = [number for number in behind if targets[number][1]]
    went_on = next((number for number in able if targets[number][0]), None)
    return went_on is not None, went_on


@settings(max_examples=25, deadline=None)
@given(TARGETS)
def test_the_verdict_is_that_of_brute_force(targets):
    named = [
        (f"t{place}", f", stream_recovery: {recovery}, supports: [{'prefill' if able else 'json'}]")
        for place, (_, able, recovery) in enumerate(targets)
    ]
    dead = {f"t{place}": ConnectError("down") for place, (alive, *_) in enumerate(targets) if not alive}
    report = asyncio.run(dry(chain(*named), FakeProvider(dead)))
    assert [row.ok for row in report.targets] == [alive for alive, *_ in targets]
    seen = [(row.target, row.fault, row.ok, row.answered_by) for row in report.faults]
    wanted = []
    for place in range(len(targets)):
        for fault in FAULTS:
            ok, who = expected(targets, place, fault)
            wanted.append((f"t{place}", fault, ok, None if who is None else f"t{who}"))
    assert seen == wanted
    assert report.ok is (all(alive for alive, *_ in targets) and all(ok is not False for _, _, ok, _ in wanted))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, True, False])), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_rule_wants_those_that_planning_would_ask(rules):
    """The targets a rule leaves are those of the plan, where all are eligible."""
    here = "\n  here: {type: llamacpp, config: {engine: embedded, default_model: smollm2-135m-instruct}}"
    lines = [
        f"  - {{condition: 'tag(\"r{place}\")', target: {'here' if local else 'b'}"
        + ("}" if fallback is None else f", fallback: {str(fallback).lower()}}}")
        for place, (local, fallback) in enumerate(rules)
    ]
    made = routing(
        chain(("a", ""), ("b", ""), more="\n".join(["routing_rules:", *lines])).replace(
            "components:", f"components:{here}"
        )
    )
    for case in rule_cases(made, NOW):
        planned = plan(made, case.found.sample.call(stream=False), Snapshot(NOW))
        assert [target.name for target in planned] == [target.name for target in behind(case.rule, made.order)]


def test_what_one_route_has_shown_is_not_tried_again_on_another():
    made = routing(
        chain(("a", ""), ("b", ""), more="routing_rules: [{condition: x, target: a}, {condition: y, target: a}]")
    )
    cells = list(cells_of(routes_of(made, rule_cases(made, NOW), NOW)))
    assert len(cells) == 2 * len(FAULTS)


# Over real sockets


async def test_real_targets_are_called_and_broken_in_the_transport():
    text = "Two roads lead to Rome."
    async with FakeServer(model(text)) as a, FakeServer(model(text)) as b:
        loaded = strategy(
            chain(("a", ", supports: [prefill]"), ("b", ", supports: [prefill]"))
            .replace("http://a.invalid/v1", a.base_url)
            .replace("http://b.invalid/v1", b.base_url)
        )
        made = Drill(loaded, environment={})
        extent = made.extent()
        report = await made.run()
    assert report.ok, report.faults
    assert [(row.outcome, row.usage.output_tokens) for row in report.targets] == [("answered", 40)] * 2
    assert report.targets[0].first_token_ms <= report.targets[0].ms
    assert {row.answered_by for row in rows(report, "a")} == {"b"}
    sent = len(a.requests) + len(b.requests)
    cut = 1
    assert (extent.requests, sent) == (2 + len(FAULTS), 2 + len(FAULTS) + cut)
    assert extent.unpriced == ("a", "b")
    (last,) = [row for row in rows(report, "a") if row.fault == "cut"]
    assert "went on" in last.note
    assert b.requests[-1].json["messages"][-1] == {"role": "assistant", "content": "Two"}


async def test_a_real_fallback_that_is_down_is_found():
    async with FakeServer(answer("Yes.")) as a, FakeServer(reply(500, {"error": {"message": "broken"}})) as b:
        text = chain(("a", ""), ("b", "")).replace("http://a.invalid/v1", a.base_url)
        report = await drill(strategy(text.replace("http://b.invalid/v1", b.base_url)))
    assert not report.ok
    assert {row.ok for row in rows(report, "a") if row.fault != "cut"} == {False}


async def test_a_target_that_only_embeds_is_asked_for_vectors():
    async with FakeServer() as server:
        text = chain(("a", ", supports: [embedding]")).replace("http://a.invalid/v1", server.base_url)
        report = await drill(strategy(text))
    assert report.ok
    assert [request.path for request in server.requests] == ["/v1/embeddings"]


async def test_an_answer_in_one_piece_cannot_be_cut_and_that_is_said():
    report = await dry(
        chain(("a", ""), ("b", "")), FakeProvider({"a": FakeAnswer("", pieces=1), "b": FakeAnswer("Yes.")})
    )
    (cut,) = [row for row in rows(report, "a") if row.fault == "cut"]
    assert (cut.ok, cut.answered_by) == (None, "a")
    assert "in one piece" in cut.note


@pytest.mark.real
async def test_the_embedded_engine_goes_on_where_a_server_was_cut(smollm2, models_home, monkeypatch):
    monkeypatch.setenv("LLAMAFARM_HOME", str(models_home))
    here = "\n  here: {type: llamacpp, config: {engine: embedded, default_model: smollm2-135m-instruct}}"
    async with FakeServer(answer("The capital of France is Paris")) as server:
        text = chain(("a", "")).replace("http://a.invalid/v1", server.base_url)
        text = text.replace("components:", f"components:{here}").replace("[a]", "[a, here]")
        report = await drill(strategy(text))
    assert report.ok, report.faults
    assert {row.answered_by for row in rows(report, "a")} == {"here"}
    assert [row.outcome for row in report.targets] == ["answered"] * 2
