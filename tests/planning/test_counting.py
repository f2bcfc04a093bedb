"""Limits on tokens, judged by each target's own tokenizer where it has one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm import errors, planning
from llamafarm.conditions import Input
from llamafarm.planning import money
from llamafarm.planning.counting import Size, Sizes
from llamafarm.spec.strategy import Constraints
from llamafarm.tokens import TokenizerError, estimate, upper_bound
from llamafarm.types import Call, Operation, Target
from tests.making import NO_GPU, call, names, routing, snapshot

TEXT = """
name: counted
description: d
components:
  cloud: {type: openai_compatible, config: {provider: custom, base_url: 'https://x.example/v1', default_model: m%s}}
  here: {type: llamacpp, config: {engine: embedded}}
fallback_chain: [cloud, here]
"""


class Words:
    """A tokenizer that takes each word for a token, and knows how often it was asked."""

    name = "words"

    def __init__(self):
        self.asked = 0

    def count(self, text):
        self.asked += 1
        if "forbidden" in text:
            raise TokenizerError("not this")
        return len(text.split())


class Letters(Words):
    name = "letters"

    def count(self, text):
        super().count(text)
        return len(text)


def planned(text, asked, **counters):
    """Plan with a tokenizer for each named target."""
    now = planning.Snapshot(now=snapshot().now, counter=lambda target: counters.get(target.name))
    return names(planning.plan(routing(text, NO_GPU), asked, now))


def explained(text, asked, **counters):
    now = planning.Snapshot(now=snapshot().now, counter=lambda target: counters.get(target.name))
    return planning.explain(routing(text, NO_GPU), asked, now)


LONG_WORDS = "incomprehensibilities " * 40
"""40 words, estimated at 220 tokens."""
SHORT_WORDS = "a " * 120
"""120 words, estimated at 60 tokens."""


def test_a_count_admits_what_the_estimate_would_refuse():
    text = TEXT % "" + "constraints: {max_input_tokens: 100}"
    with pytest.raises(errors.TokenLimitError, match=r"about 224 tokens \(estimated\) and max_input_tokens is 100"):
        planned(text, call(LONG_WORDS))
    assert planned(text, call(LONG_WORDS), cloud=Words(), here=Words()) == ["cloud", "here"]
    assert planned(text, call(LONG_WORDS), here=Words()) == ["here"], "each target by its own"


def test_a_count_refuses_what_the_estimate_would_admit():
    text = TEXT % "" + "constraints: {max_input_tokens: 100}"
    assert planned(text, call(SHORT_WORDS)) == ["cloud", "here"]
    assert planned(text, call(SHORT_WORDS), cloud=Words()) == ["here"]
    with pytest.raises(errors.TokenLimitError, match=r"124 tokens there \(counted with its own tokenizer\)"):
        planned(text, call(SHORT_WORDS), cloud=Words(), here=Words())


def test_a_context_window_is_judged_by_the_count():
    text = TEXT % ", context_window: 100"
    assert planned(text, call(SHORT_WORDS)) == ["cloud", "here"]
    assert planned(text, call(SHORT_WORDS), cloud=Words()) == ["here"]
    assert planned(text, call(LONG_WORDS)) == ["here"]
    assert planned(text, call(LONG_WORDS), cloud=Words()) == ["cloud", "here"]
    reason = explained(text, call(SHORT_WORDS), cloud=Words()).verdicts[0].reasons
    assert reason == ("the prompt has 124 tokens there (counted with its own tokenizer) and its context window is 100",)


def test_max_tokens_less_the_count_is_left_for_the_answer():
    text = TEXT % "" + "constraints: {max_tokens: 300}"
    for counters, left in (({}, 300 - 64), ({"cloud": Words()}, 300 - 124)):
        asked = call(SHORT_WORDS)
        planned(text, asked, **counters)
        known = routing(text)
        assert money.output_cap(asked, known.named["cloud"], known.strategy.constraints) == left
    with pytest.raises(errors.TokenLimitError, match=r"about 64 tokens \(estimated\), which leaves none of max_tokens"):
        planned(text.replace("300", "60"), call(SHORT_WORDS))


def test_the_targets_own_system_prompt_is_counted_with_it():
    text = TEXT % ", system_prompt: 'one two three'" + "constraints: {max_input_tokens: 126}"
    assert planned(text, call("a " * 115), cloud=Words()) == ["cloud", "here"], "115 + 4 + 3 + 4"
    assert planned(text, call("a " * 116), cloud=Words()) == ["here"]
    own = [{"role": "system", "content": "x"}, {"role": "user", "content": "a " * 116}]
    assert planned(text, call(messages=own), cloud=Words()) == ["cloud", "here"], "the caller's own stands instead"


def test_a_local_rule_refuses_a_prompt_that_is_too_long_as_the_callers_fault():
    text = TEXT % "" + "constraints: {max_input_tokens: 100}\nrouting_rules: [{condition: urgent, target: here}]"
    with pytest.raises(errors.TokenLimitError, match="the rule 'urgent' sends this request to here"):
        planned(text, call(SHORT_WORDS, tags=("urgent",)), here=Words())


def test_the_first_of_two_limits_is_named():
    text = TEXT % "" + "constraints: {max_input_tokens: 30, max_tokens: 40}"
    with pytest.raises(errors.TokenLimitError, match="max_input_tokens is 30"):
        planned(text, call(SHORT_WORDS))


@pytest.mark.parametrize(
    ("limits", "prompt", "body"),
    [
        ("", LONG_WORDS, {}),
        ("constraints: {max_input_tokens: 20000}", LONG_WORDS, {}),
        ("constraints: {max_input_tokens: 20}", LONG_WORDS, {}),
        ("constraints: {max_tokens: 9000}", LONG_WORDS, {"max_tokens": 50}),
        ("constraints: {max_tokens: 9000, max_output_tokens: 50}", LONG_WORDS, {}),
        ("constraints: {max_input_tokens: 260000}", "a" * 1_000_004, {}),
    ],
    ids=["no limit", "fits for sure", "hopeless", "asks for less", "may have less", "a megabyte"],
)
def test_what_a_count_cannot_change_is_not_counted(limits, prompt, body):
    words = Words()
    try:
        planned(TEXT % "" + limits, call(prompt, **body), cloud=words)
    except errors.TokenLimitError:
        assert "20}" in limits
    assert words.asked == 0


def test_one_tokenizer_counts_a_prompt_once():
    words = Words()
    asked = call(SHORT_WORDS)
    planned(TEXT % "" + "constraints: {max_input_tokens: 150}", asked, cloud=words, here=words)
    explained(TEXT % "" + "constraints: {max_input_tokens: 150}", asked, cloud=words, here=words)
    assert words.asked == 4, "the prompt once for each decision, and the engine's own system prompt"


def test_a_text_its_tokenizer_cannot_take_is_estimated():
    text = TEXT % "" + "constraints: {max_input_tokens: 100}"
    assert planned(text, call("forbidden " + SHORT_WORDS), cloud=Words()) == ["cloud", "here"]
    hidden = TEXT % ", system_prompt: forbidden" + "constraints: {max_input_tokens: 100}"
    assert planned(hidden, call(SHORT_WORDS), cloud=Words()) == ["cloud", "here"]


def test_explaining_counts_wherever_it_can_and_says_by_what():
    shown = explained(TEXT % "", call("three short words"), cloud=Words(), here=Letters())
    assert shown.size == Size(7, "words")
    assert shown.sizes == (Size(7, "words"), Size(95, "letters"))
    assert shown.input_tokens == 7, "without any target's own system prompt, which the built-in model has"
    assert explained(TEXT % "", call("three short words")).size == Size(9, "estimate")
    assert (str(Size(3211, "o200k_base")), Size(3100).there) == (
        "3,211 tokens (counted with its own tokenizer)",
        "about 3,100 tokens there (estimated)",
    )


def test_what_explaining_counted_does_not_linger_on_the_call():
    text = TEXT % "" + "constraints: {max_input_tokens: 20}"
    asked = call("incomprehensibilities " * 12)
    assert not explained(text, asked, cloud=Words()).refusal
    with pytest.raises(errors.TokenLimitError, match="about 70 tokens"):
        planned(text, asked)


def test_explaining_decides_as_sending_does():
    text = TEXT % "" + "constraints: {max_input_tokens: 20}"
    shown = explained(text, call(LONG_WORDS), cloud=Words())
    assert isinstance(shown.refusal, errors.TokenLimitError)
    assert not shown.verdicts[0].eligible
    assert shown.sizes[0] == Size(44, "words")


@given(
    st.lists(st.text(st.characters()), max_size=5),
    st.sampled_from([len, upper_bound, estimate, lambda text: 100 * len(text)]),
    st.text(max_size=20),
)
def test_a_count_is_never_above_the_bound(texts, count, system):
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    prompt = Input.of(body)
    asked = Call(body, operation=Operation.CHAT, takes_system=True)
    asked.input_tokens, asked.input_bytes = prompt.tokens, prompt.upper_bound
    target = Target(name="t", provider="p", dialect="openai", model="m", defaults={"system_prompt": system})

    class Counter:
        name = "n"
        count = staticmethod(lambda text: 0)

    Counter.count = staticmethod(count)
    sizes = Sizes(asked, prompt, Constraints(), lambda _: Counter())
    assert sizes.counted_at(target).tokens <= money.input_bound(target, asked) + 4
    assert sizes.of_prompt(target).tokens <= prompt.upper_bound
