"""A farm over scripted upstreams: the chain is followed, money and records are right, streamed or not."""

import asyncio

import pytest

from llamafarm import errors
from llamafarm.farm import Farm, make_call
from llamafarm.types import Chunk, ToolCall, Usage
from tests.making import NO_GPU, Scripted, strategy

TEXT = """
name: chained
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma%s}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: mb%s}}
fallback_chain: [a, b]
optimization: {retry_policy: {max_attempts: 2, initial_backoff: 0}%s}
"""
PLAIN = TEXT % ("", "", "")
PRICED = TEXT % (", price: {input: 1, output: 10}", ", price: {input: 1, output: 10}", "")


def farm(scripts, text=PLAIN, sinks=(), usage=None):
    upstream = Scripted(scripts, usage)
    return Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, sinks=sinks), upstream


async def streamed(opened, prompt="Hi", **options):
    stream = opened.stream(prompt, **options)
    async for _ in stream:
        pass
    return stream.answer


async def plain(opened, prompt="Hi", **options):
    return await opened.generate(prompt, **options)


@pytest.fixture(params=[plain, streamed], ids=["plain", "streamed"])
def ask(request):
    return request.param


def outcomes(attempts):
    return [(attempt.target, attempt.outcome) for attempt in attempts]


async def test_the_first_target_answers(ask):
    made, upstream = farm({"a": ["Paris"], "b": ["?"]})
    async with made as opened:
        answer = await ask(opened)
    assert (answer.text, answer.target, answer.model, answer.strategy) == ("Paris", "a", "ma", "chained")
    assert outcomes(answer.attempts) == [("a", "ok")]
    assert len(upstream.sent) == 1


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (errors.ConnectError("x"), 2),
        (errors.TransientError("x"), 2),
        (errors.AttemptTimeoutError("x"), 1),
        (errors.RateLimitError("x"), 1),
        (errors.RateLimitError("x", retry_after=0.0), 2),
        (errors.QuotaError("x"), 1),
        (errors.CredentialsError("x"), 1),
        (errors.ModelMissingError("x"), 1),
        (errors.BadReplyError("x"), 1),
        (errors.StreamCutError("x"), 1),
        (errors.ModelFileError("x"), 1),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
async def test_a_target_that_fails_gives_way_to_the_next(ask, failure, tries):
    made, _ = farm({"a": [failure], "b": ["Paris"]})
    async with made as opened:
        answer = await ask(opened)
    assert answer.text == "Paris"
    assert outcomes(answer.attempts) == [("a", failure.kind)] * tries + [("b", "ok")]
    assert answer.attempts[0].error == "x"


async def test_a_failure_before_the_first_token_of_a_stream_gives_way_too(ask):
    made, _ = farm({"a": [[Chunk(), errors.TransientError("busy")]], "b": ["Paris"]})
    async with made as opened:
        assert (await ask(opened)).target == "b"


async def test_a_stream_cut_after_its_first_token_is_an_error_and_never_whole():
    made, _ = farm({"a": [["Par", errors.StreamCutError("gone")]], "b": ["?"]})
    async with made as opened:
        stream = opened.stream("Hi")
        with pytest.raises(errors.StreamCutError, match="gone"):
            async for _ in stream:
                pass
        assert stream.answer.text == "Par"
        assert stream.answer.finish_reason is None
        assert outcomes(stream.answer.attempts) == [("a", "stream_cut")]


@pytest.mark.parametrize("failure", [errors.BadRequestError("bad"), errors.ContentPolicyError("no")])
async def test_what_another_target_would_refuse_too_goes_to_the_caller(ask, failure):
    made, upstream = farm({"a": [failure], "b": ["Paris"]})
    async with made as opened:
        with pytest.raises(errors.AllFailedError) as caught:
            await ask(opened)
    assert caught.value.cause is failure
    assert caught.value.status == 400
    assert len(upstream.sent) == 1


async def test_what_cannot_be_said_to_one_target_goes_to_the_next(ask):
    made, upstream = farm({"a": [errors.UntranslatableError("no word")], "b": ["Paris"]}, PRICED)
    async with made as opened:
        answer = await ask(opened)
    assert answer.target == "b"
    assert outcomes(answer.attempts) == [("a", "untranslatable"), ("b", "ok")]
    assert answer.attempts[0].cost == 0
    assert len(upstream.sent) == 2, "nor is it tried again"


async def test_a_prompt_too_long_goes_only_to_a_larger_or_unknown_window(ask):
    text = TEXT % (", context_window: 1000", ", context_window: %d", "")
    for window, expected in ((1000, 1), (2000, 2)):
        made, upstream = farm({"a": [errors.ContextExceededError("long")], "b": ["Paris"]}, text % window)
        async with made as opened:
            if expected == 2:
                assert (await ask(opened)).target == "b"
            else:
                with pytest.raises(errors.AllFailedError, match="long"):
                    await ask(opened)
        assert len(upstream.sent) == expected


async def test_when_all_fail_the_most_useful_error_leads(ask):
    made, _ = farm({"a": [errors.CredentialsError("key")], "b": [errors.ConnectError("down")]})
    async with made as opened:
        with pytest.raises(errors.AllFailedError, match="every target failed: a: key; b: down") as caught:
            await ask(opened)
    assert caught.value.cause.kind == "credentials"
    assert outcomes(caught.value.attempts) == [("a", "credentials"), ("b", "connect"), ("b", "connect")]


async def test_usage_is_billed_at_the_answering_targets_price(ask):
    made, _ = farm({"a": [errors.TransientError("x")], "b": ["Paris"]}, PRICED, usage=Usage(1000, 100))
    async with made as opened:
        answer = await ask(opened, max_tokens=200)
    assert answer.cost_usd == pytest.approx(0.002)
    assert answer.usage == Usage(1000, 100)


async def test_an_attempt_that_may_have_worked_is_billed_at_its_worst_case(ask):
    made, upstream = farm({"a": [errors.AttemptTimeoutError("x")], "b": ["Paris"]}, PRICED, usage=Usage(1, 1))
    async with made as opened:
        answer = await ask(opened, max_tokens=200)
    call = upstream.sent[0].call
    assert answer.cost_usd == pytest.approx((call.input_bytes * 1_000 + 200 * 10_000 + 11_000) / 1e9)
    assert call.held == 0


async def test_a_target_without_a_price_makes_the_cost_unknown(ask):
    made, _ = farm({"a": ["Paris"], "b": ["?"]})
    async with made as opened:
        assert (await ask(opened)).cost_usd is None


async def test_one_without_a_price_that_did_nothing_costs_nothing(ask):
    made, _ = farm(
        {"a": [errors.CredentialsError("x")], "b": ["Paris"]}, TEXT % ("", ", price: {input: 1, output: 1}", "")
    )
    async with made as opened:
        assert (await ask(opened)).cost_usd == pytest.approx(5 / 1e6)


async def test_what_may_have_been_billed_without_a_bound_makes_the_cost_unknown(ask):
    made, _ = farm({"a": [errors.AttemptTimeoutError("x")], "b": ["Paris"]}, PRICED)
    async with made as opened:
        assert (await ask(opened)).cost_usd is None
        assert (await ask(opened, max_tokens=100)).cost_usd is not None


async def test_a_stream_left_by_its_reader_costs_its_worst_case_or_what_nobody_can_tell():
    made, _ = farm({"a": ["Paris"], "b": ["?"]}, PRICED)
    async with made as opened:
        for options, known in ({}, False), ({"max_tokens": 100}, True):
            stream = opened.stream("Hi", **options)
            await anext(stream)
            await stream.aclose()
            assert (stream.answer.cost_usd is not None) is known


async def test_the_cost_limit_holds_over_all_attempts_together(ask):
    limited = PRICED + "constraints: {max_cost_per_request: 0.02}\n"
    made, upstream = farm({"a": [errors.AttemptTimeoutError("x")], "b": ["Paris"]}, limited, usage=Usage(10, 10))
    async with made as opened:
        with pytest.raises(errors.AllFailedError) as caught:
            await ask(opened, max_tokens=1500)
    call = upstream.sent[0].call
    assert len(upstream.sent) == 1, "what the first attempt may have cost leaves too little for the second"
    assert call.spent <= 20_000_000
    assert outcomes(caught.value.attempts) == [("a", "timeout"), ("b", "cost_limit")]


async def test_the_money_left_lowers_the_output_limit(ask):
    limited = PRICED + "constraints: {max_cost_per_request: 0.01}\n"
    made, upstream = farm({"a": ["Paris"], "b": ["?"]}, limited, usage=Usage(10, 10))
    async with made as opened:
        await ask(opened)
    sent = upstream.sent[0]
    cap = sent.body["max_tokens"]
    assert 256 <= cap < 1000
    assert sent.call.input_bytes * 1_000 + cap * 10_000 <= 10_000_000


@pytest.mark.key("strategies[].optimization.parallel_requests")
@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_than_parallel_requests_are_under_way(limit):
    text = TEXT % ("", "", f", parallel_requests: {limit}")
    gate, busy, most = asyncio.Event(), 0, 0

    class Slow(Scripted):
        async def send(self, attempt):
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await gate.wait()
            busy -= 1
            return await super().send(attempt)

    made = Farm(strategy(text), environment={}, upstreams={"openai": Slow({"a": ["x"]})}, hardware=NO_GPU)
    async with made as opened:
        tasks = [asyncio.create_task(opened.generate("Hi")) for _ in range(5)]
        for _ in range(20):
            await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*tasks)
    assert most == limit


async def test_leaving_a_stream_early_closes_it_at_the_target():
    made, upstream = farm({"a": [["Pa", "ris"]], "b": ["?"]})
    async with made as opened:
        async with opened.stream("Hi") as stream:
            await anext(stream)
        assert upstream.closed == 1


async def test_every_call_is_reported_once_however_it_ends():
    events = []

    class Sink:
        def emit(self, event):
            events.append(event)

    made, _ = farm({"a": [errors.TransientError("x")], "b": ["Paris"]}, PRICED, sinks=[Sink()], usage=Usage(10, 10))
    async with made as opened:
        await opened.generate("Hi", max_tokens=10)
        with pytest.raises(errors.UnknownModelError):
            await opened.generate("Hi", model="nobody")
        async with opened.stream("Hi") as stream:
            await anext(stream)
    assert [(event.ended, event.target, event.error) for event in events] == [
        ("complete", "b", None),
        ("failed", None, "unknown_model"),
        ("abandoned", "b", None),
    ]
    assert events[0].cost == 10 * 1_000 + 10 * 10_000
    assert len(events[0].attempts) == 3


async def test_tool_calls_in_pieces_are_put_together():
    pieces = [
        Chunk(tool_calls=(ToolCall(0, "c1", "f", ""), ToolCall(1, "c2", "g", ""))),
        Chunk(tool_calls=(ToolCall(1, arguments='{"b":'),)),
        Chunk(tool_calls=(ToolCall(0, arguments='{"a":1}'), ToolCall(1, arguments="2}"))),
    ]
    made, _ = farm({"a": [pieces], "b": ["?"]})
    async with made as opened:
        answer = await opened.generate("Hi")
    assert answer.tool_calls == (ToolCall(0, "c1", "f", '{"a":1}'), ToolCall(1, "c2", "g", '{"b":2}'))


def test_the_farm_answers_code_without_an_event_loop():
    made, upstream = farm({"a": [["Pa", "ris"]], "b": ["?"]})
    with made as opened:
        assert opened.run(opened.generate("Hi")).text == "Paris"
        assert "".join(chunk.text for chunk in opened.iterate(opened.stream("Hi"))) == "Paris"
        for chunk in opened.iterate(opened.stream("Hi")):
            assert chunk.text == "Pa"
            break
    assert upstream.closed == 3


def test_a_farm_that_is_not_open_says_so():
    made, _ = farm({"a": ["x"]})
    with pytest.raises(errors.BadCallError, match="open the farm first"):
        made.run(made.generate("Hi"))


async def test_a_farm_that_was_closed_says_so():
    made, _ = farm({"a": ["x"]})
    async with made:
        pass
    with pytest.raises(errors.BadCallError, match="open the farm first"):
        await made.generate("Hi")


@pytest.mark.parametrize("prompt", ["", "  \n"])
async def test_an_empty_prompt_is_refused(prompt):
    made, upstream = farm({"a": ["x"]})
    async with made as opened:
        with pytest.raises(errors.BadCallError, match="the prompt is empty"):
            await opened.generate(prompt)
    assert upstream.sent == []


async def test_a_priced_target_on_this_machine_is_capped_like_any_other():
    text = """
    name: priced
    description: d
    components:
      near: {type: vllm, config: {default_model: m, price: {input: 0, output: 100}}}
    constraints: {max_cost_per_request: 0.05}
    """
    upstream = Scripted({"near": ["x"]})
    async with Farm(strategy(text), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU) as opened:
        await opened.generate("Hi")
    assert upstream.sent[0].body["max_tokens"] == 500


async def test_a_stream_cut_by_a_decisive_error_is_billed_for_what_came():
    made, upstream = farm({"a": [["Par", errors.QuotaError("empty")]], "b": ["?"]}, PRICED)
    async with made as opened:
        with pytest.raises(errors.StreamCutError, match="empty, and no other target could go on with it"):
            await streamed(opened, max_tokens=100)
    assert upstream.sent[0].call.spent > 100 * 10_000


async def test_an_option_nobody_knows_is_refused_and_further_fields_have_their_place():
    made, upstream = farm({"a": ["x"]})
    async with made as opened:
        with pytest.raises(errors.BadCallError, match=r"tag is not an option: did you mean tags\? .*extra_body"):
            await opened.generate("Hi", tag=["private"])
        await opened.generate("Hi", extra_body={"top_k": 3})
    assert upstream.sent[0].body["top_k"] == 3


async def test_one_text_is_not_embedded_letter_by_letter():
    made, upstream = farm({"a": ["x"]})
    async with made as opened:
        with pytest.raises(errors.BadCallError, match="put the one text into a list"):
            await opened.embed("a cat")
    assert upstream.sent == []


class Broken(Scripted):
    """An upstream with a mistake of its own, before its first event or behind some."""

    def __init__(self, pieces):
        super().__init__({"b": ["Paris"]})
        self.pieces = pieces

    async def send(self, attempt):
        if attempt.target.name == "b":
            return await super().send(attempt)
        self.sent.append(attempt)
        if self.pieces is None:
            raise TypeError("a secret")
        return self._broken()

    async def _broken(self):
        for piece in self.pieces:
            yield Chunk(text=piece)
        raise KeyError("a secret")


@pytest.mark.parametrize("pieces", [None, []])
async def test_a_modules_own_mistake_is_a_failed_attempt_like_any_other(ask, pieces):
    seen = []
    upstream = Broken(pieces)
    made = Farm(strategy(PRICED), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU, sinks=[Sink(seen)])
    async with made as opened:
        answer = await ask(opened, max_tokens=100)
    assert outcomes(answer.attempts) == [("a", "bad_reply"), ("b", "ok")]
    assert "the module that speaks 'openai' failed" in answer.attempts[0].error
    assert "secret" not in answer.attempts[0].error
    assert upstream.sent[0].call.held == 0
    assert [event.ended for event in seen] == ["complete"]


async def test_a_modules_own_mistake_in_the_middle_ends_the_stream():
    seen = []
    made = Farm(
        strategy(PRICED), environment={}, upstreams={"openai": Broken(["Pa"])}, hardware=NO_GPU, sinks=[Sink(seen)]
    )
    async with made as opened:
        stream = opened.stream("Hi")
        with pytest.raises(errors.StreamCutError, match="failed over the answer"):
            async for _ in stream:
                pass
    assert [event.ended for event in seen] == ["cut"]


class Sink:
    def __init__(self, seen):
        self.emit = seen.append


class Noting(Scripted):
    async def send(self, attempt):
        attempt.notes.append(f"noted at {attempt.target.name}")
        return await super().send(attempt)


async def test_every_attempt_has_its_notes_the_failed_one_too(ask):
    upstream = Noting({"a": [errors.TransientError("x"), errors.QuotaError("y")], "b": ["Paris"]})
    made = Farm(strategy(PLAIN), environment={}, upstreams={"openai": upstream}, hardware=NO_GPU)
    async with made as opened:
        answer = await ask(opened)
    assert [attempt.notes for attempt in answer.attempts] == [("noted at a",)] * 2 + [("noted at b",)]


async def test_a_usage_that_comes_too_early_settles_nothing():
    early = Chunk(text="Par", usage=Usage(9, 0))
    for pieces in ([early, errors.StreamCutError("x")], [early, "is"]):
        made, upstream = farm({"a": [pieces], "b": ["?"]}, PRICED.replace("[a, b]", "[a]"))
        upstream.usage = None
        async with made as opened:
            stream = opened.stream("Hi", max_tokens=100)
            try:
                async for _ in stream:
                    pass
            except errors.StreamCutError:
                pass
        assert upstream.sent[0].call.spent >= 100 * 10_000


@pytest.mark.parametrize("cut", [True, False])
async def test_the_usage_of_the_first_of_two_choices_settles_nothing(cut):
    pieces = [Chunk(text="Par"), Chunk(finish_reason="stop", usage=Usage(9, 1)), errors.StreamCutError("x")]
    made, upstream = farm({"a": [pieces], "b": ["?"]}, PRICED.replace("[a, b]", "[a]"))
    async with made as opened:
        stream = opened.stream("Hi", max_tokens=100, n=2)
        await anext(stream)
        await anext(stream)
        if cut:
            with pytest.raises(errors.StreamCutError):
                await anext(stream)
        await stream.aclose()
        assert stream.answer.usage is None
    assert upstream.sent[0].call.spent >= 2 * 100 * 10_000


async def test_turns_are_taken_only_by_what_is_spread():
    text = PLAIN.replace("fallback_chain: [a, b]", "load_balancing: {policy: round_robin, targets: [a, b]}")
    text += "routing_rules: [{condition: special, target: b}]"
    made, upstream = farm({"a": ["x"], "b": ["x"]}, text)
    async with made as opened:
        for _ in range(3):
            await opened.generate("Hi")
            await opened.generate("Hi", tags=["special"])
            await opened.generate("Hi", model="mb")
            opened.explain(make_call({"messages": [{"role": "user", "content": "Hi"}]}, {}))
    assert [attempt.target.name for attempt in upstream.sent] == ["a", "b", "b", "b", "b", "b", "a", "b", "b"]
