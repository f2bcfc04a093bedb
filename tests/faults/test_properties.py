"""What holds under any pattern of failures, delays and cuts; no sockets, and a clock that jumps."""

import asyncio
import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm import errors
from llamafarm.errors import LlamaFarmError
from llamafarm.farm import AnswerStream, Farm, make_call
from llamafarm.health import Health
from tests.faults.rig import FULL
from tests.faults.virtual_time import FOREVER, Act, Acting, run
from tests.making import NO_GPU, strategy

MORE = 20 if FULL else 1
PASSING = (
    errors.ConnectError("x"),
    errors.TransientError("x"),
    errors.QuotaError("x"),
    errors.CredentialsError("x"),
    errors.ModelMissingError("x"),
    errors.BadReplyError("x"),
    errors.RateLimitError("x"),
    errors.AttemptTimeoutError("x"),
    errors.ContextExceededError("x"),
)
ENDING = (errors.BadRequestError("x"), errors.ContentPolicyError("x"))
streamed = st.booleans()
slow = st.sampled_from([0.0, 0.0, 0.5, 3.0, FOREVER])


def farm_of(upstream, names, optimization="", health=None, ttft=2):
    components = "".join(
        f"  {name}: {{type: openai_compatible, config: {{provider: custom, base_url: 'https://{name}.example/v1',"
        f" default_model: m, supports: [prefill], price: {{input: 1, output: 1}}, max_tokens: 50}}}}\n"
        for name in names
    )
    text = (
        f"name: s\ndescription: d\ncomponents:\n{components}fallback_chain: [{', '.join(names)}]\n"
        f"optimization: {{timeout_seconds: 30, ttft_timeout: {ttft}, retry_policy: {{initial_backoff: 0.1}}{optimization}}}\n"
    )
    upstreams = {"openai": upstream}
    return Farm(strategy(text), environment={}, hardware=NO_GPU, upstreams=upstreams, health=health or Health())


async def ask(farm, *, stream):
    """Ask; give the call, the text that came, the error if there was one, and when the first of it came."""
    call = make_call({"messages": [{"role": "user", "content": "Hi"}]}, {}, stream=stream)
    text, first = "", None
    try:
        async with AnswerStream(call, farm.send) as chunks:
            async for chunk in chunks:
                first = time.monotonic() if first is None else first
                text += chunk.text
    except LlamaFarmError as error:
        assert call.held == 0
        return call, text, error, first
    assert call.held == 0
    return call, text, None, first


def named(count):
    return [f"t{at}" for at in range(count)]


acts = st.one_of(
    st.builds(Act, delay=slow),
    st.builds(Act, delay=slow, error=st.sampled_from(PASSING + ENDING)),
)


@given(st.lists(acts, min_size=1, max_size=5), streamed)
@settings(max_examples=40 * MORE, deadline=None)
def test_targets_are_asked_in_the_planned_order_until_one_answers(script, stream):
    async def work():
        names = named(len(script))
        upstream = Acting({name: [act] for name, act in zip(names, script, strict=True)})
        async with farm_of(upstream, names) as farm:
            call, text, error, first = await ask(farm, stream=stream)
        asked = [name for _, name in upstream.asked]
        assert asked == sorted(asked), "never back to a target that was left"
        assert list(dict.fromkeys(asked)) == names[: len(set(asked))], "none is left out"
        last = call.attempts[-1]
        if error is None:
            assert (last.outcome, text) == ("ok", "fine")
            assert last.target == asked[-1]
            assert first - call.started <= 30.001
        else:
            over = last.outcome in ("bad_request", "content_policy")
            assert over or set(asked) == set(names) or time.monotonic() - call.started >= 29.999
            assert time.monotonic() - call.started <= 30.001, "the deadline holds"
        assert all(record.outcome not in ("ok", "bad_request") for record in call.attempts[:-1])

    run(work())


@given(st.lists(st.builds(Act, delay=slow, error=st.sampled_from((None, *PASSING[:7]))), max_size=5), streamed)
@settings(max_examples=40 * MORE, deadline=None)
def test_whatever_those_before_it_do_the_last_target_has_time_to_answer(before, stream):
    async def work():
        names = named(len(before) + 1)
        upstream = Acting({name: [act] for name, act in zip(names, [*before, Act(delay=0.5)], strict=True)})
        async with farm_of(upstream, names) as farm:
            call, text, error, first = await ask(farm, stream=stream)
        assert error is None
        assert text == "fine"
        assert first - call.started <= 30.001

    run(work())


@given(
    st.lists(st.lists(st.sampled_from((None, *PASSING[:7])), min_size=3, max_size=3), min_size=1, max_size=25),
    st.floats(0, 20),
    streamed,
)
@settings(max_examples=30 * MORE, deadline=None)
def test_health_changes_the_order_but_never_that_somebody_answers(rounds, gap, stream):
    """One call after another, with a pattern of failures for each: it is answered where any target would."""

    async def work():
        names = named(3)
        upstream = Acting({name: [Act()] for name in names})
        health = Health(clock=time.monotonic)
        async with farm_of(upstream, names, health=health) as farm:
            for pattern in rounds:
                upstream.asked.clear()
                upstream.scripts = {name: [Act(error=e)] for name, e in zip(names, pattern, strict=True)}
                _, _, error, _ = await ask(farm, stream=stream)
                asked = list(dict.fromkeys(name for _, name in upstream.asked))
                if None in pattern:
                    assert error is None
                    assert pattern[int(asked[-1][1])] is None
                else:
                    assert sorted(asked) == names, "each eligible target is asked before a call fails"
                await asyncio.sleep(gap)
            for target in farm.routing.targets:
                assert health.figures(target).in_flight == 0

    run(work())


@given(
    down=st.floats(1, 40),
    gap=st.floats(0.3, 2),
    failing=st.builds(Act, delay=st.sampled_from([0.0, 1.0]), error=st.sampled_from(PASSING[:2])),
    stream=streamed,
)
@settings(max_examples=15 * MORE, deadline=None)
def test_the_primary_is_back_within_15_seconds_of_its_recovery(down, gap, failing, stream):
    check_return(down, gap, failing, stream=stream)


@given(down=st.floats(1, 40), gap=st.floats(0.3, 2))
@settings(max_examples=15 * MORE, deadline=None)
def test_a_primary_that_was_silent_is_back_within_15_seconds(down, gap):
    check_return(down, gap, Act(delay=FOREVER), stream=True, ttft=13)


def check_return(down, gap, failing, *, stream, ttft=2):
    """Ask every `gap` seconds, each call for itself; the primary fails for `down` seconds."""

    async def work():
        upstream = Acting({"t0": [failing], "t1": [Act()]})
        begin = time.monotonic()
        async with farm_of(upstream, named(2), "", Health(clock=time.monotonic), ttft) as farm:
            results = []

            async def one():
                started = time.monotonic() - begin
                call, _, error, _ = await ask(farm, stream=stream)
                assert error is None
                results.append((started, call.attempts[-1].target, call.attempts[0].target))

            tasks = []
            while (now := time.monotonic() - begin) < down + 30:
                if now >= down:
                    upstream.scripts["t0"] = [Act()]
                tasks.append(asyncio.ensure_future(one()))
                await asyncio.sleep(max(0.01, min(gap, down - now)) if now < down else gap)
            await asyncio.gather(*tasks)
        late = {first for started, _, first in results if started >= down + 15}
        assert late == {"t0"}

    run(work())


@st.composite
def cut_texts(draw):
    """A text, and for each target but the last how its answer is split, and where it breaks off."""
    space = st.text(" \n\t\u00a0\u3000", min_size=0, max_size=4)
    word = st.text("abé日🦙.", min_size=1, max_size=5)
    text = draw(word) + "".join(draw(st.lists(st.builds("".join, st.tuples(space, word)), max_size=12))) + draw(space)
    cuts = sorted(draw(st.lists(st.integers(1, len(text)), max_size=4)))
    return text, cuts, random.Random(draw(st.integers(0, 2**16)))


class Splitting(Acting):
    """Each target gives what follows the beginning it is given, in odd pieces, up to its cut."""

    def __init__(self, text, cuts, dice, *, strips):
        super().__init__({})
        self.text, self.dice, self.strips = text, dice, strips
        self.cuts = dict(enumerate(cuts))

    def act_of(self, attempt):
        assert self.text.startswith(attempt.beginning)
        assert attempt.beginning == attempt.beginning.rstrip()
        at = len(attempt.beginning)
        cut = self.cuts.get(int(attempt.target.name[1]))
        rest = self.text[at : None if cut is None else max(cut, at)]
        if self.strips:
            rest = rest.lstrip()
        pieces = []
        while rest:
            size = self.dice.randint(0, 6)
            pieces.append(rest[:size])
            rest = rest[size:]
        return Act(pieces=tuple(pieces), cut=cut is not None, stalls=self.dice.random() < 0.3 and cut is not None)


@given(cut_texts())
@settings(max_examples=100 * MORE, deadline=None)
def test_a_recovered_answer_has_every_word_once_wherever_it_was_cut(case):
    async def work():
        text, cuts, dice = case
        upstream = Splitting(text, cuts, dice, strips=False)
        async with farm_of(upstream, named(len(cuts) + 1), ", stream_recovery: continue") as farm:
            call, seen, error, _ = await ask(farm, stream=True)
        assert error is None
        assert seen == text
        assert call.attempts[-1].outcome == "ok"

    run(work())


@given(cut_texts(), st.sampled_from(["error", "buffer"]))
@settings(max_examples=40 * MORE, deadline=None)
def test_an_answer_that_is_not_gone_on_with_is_half_and_an_error_or_whole(case, recovery):
    async def work():
        text, cuts, dice = case
        upstream = Splitting(text, cuts, dice, strips=False)
        async with farm_of(upstream, named(len(cuts) + 1), f", stream_recovery: {recovery}") as farm:
            _, seen, error, _ = await ask(farm, stream=True)
        assert not any(attempt.beginning for attempt in upstream.attempts)
        if error is None:
            assert seen == text
        else:
            assert recovery == "error"
            assert isinstance(error, errors.StreamCutError)
            assert text.startswith(seen)

    run(work())


@given(st.integers(0, 2**32))
@settings(max_examples=10 * MORE, deadline=None)
def test_fifty_calls_at_once_leave_the_figures_right(seed):
    """Some fail, some are slow, some are given up: nothing stays in flight, and no probe is left hanging."""

    async def work():
        dice = random.Random(seed)
        names = named(3)
        answers = [
            Act(delay=dice.choice([0.0, 0.1, 1.0, FOREVER]), error=dice.choice([None, None, *PASSING[:3]]))
            for _ in range(40)
        ]
        upstream = Acting({name: [*dice.sample(answers, len(answers)), Act()] for name in names})
        health = Health(clock=time.monotonic)
        hedged = dice.choice(["", ", hedge_after: 0.3"])
        async with farm_of(upstream, names, hedged, health) as farm:
            for _ in range(3):
                tasks = [asyncio.ensure_future(ask(farm, stream=dice.random() < 0.5)) for _ in range(50)]
                for task in tasks:
                    if dice.random() < 0.2:
                        asyncio.get_running_loop().call_later(dice.choice([0.0, 0.05, 0.2, 1.5]), task.cancel)
                done = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(one, tuple | asyncio.CancelledError) for one in done)
                assert {health.figures(target).in_flight for target in farm.routing.targets} == {0}
                await asyncio.sleep(70)
                assert all(health.is_available(target) for target in farm.routing.targets), "no probe is left behind"

    run(work())


@given(st.integers(1, 50))
@settings(max_examples=10 * MORE, deadline=None)
def test_one_request_finds_out_whether_a_target_is_back(count):
    async def work():
        upstream = Acting({"t0": [Act(error=errors.TransientError("x"))], "t1": [Act()]})
        async with farm_of(upstream, named(2), health=Health(clock=time.monotonic)) as farm:
            while farm.health.is_available(farm.routing.targets[0]):
                await ask(farm, stream=False)
            upstream.scripts["t0"] = [Act(delay=1.0)]
            await asyncio.sleep(10.1)
            upstream.asked.clear()
            await asyncio.gather(*(ask(farm, stream=False) for _ in range(count)))
            assert [name for _, name in upstream.asked].count("t0") == 1

    run(work())
