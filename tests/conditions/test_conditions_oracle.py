"""Where the rule language and CEL agree in meaning, an independent CEL implementation gives the same verdicts."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.conditions import Facts, compile_condition
from llamafarm.types import Call

cel = pytest.importorskip("cel_expr_python.cel", reason="the CEL library has no wheel for this platform")

NOW = dt.datetime(2026, 11, 18, 14, tzinfo=dt.UTC)
ENVIRONMENT = cel.NewEnv(
    variables={
        "length": cel.Type.INT,
        "messages": cel.Type.INT,
        "hour": cel.Type.INT,
        "model": cel.Type.STRING,
        "text": cel.Type.STRING,
        "urgent": cel.Type.BOOL,
        "private": cel.Type.BOOL,
    }
)
# Our spelling and CEL's; CEL's `contains` minds the case, so the texts below are in lower case.
INTEGERS = st.sampled_from(
    [("input.length", "length"), ("input.messages", "messages"), ("time.hour", "hour")]
) | st.integers(-50, 50).map(lambda number: (str(number), str(number)))
CALCULATIONS = st.recursive(
    INTEGERS,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda parts: tuple(f"({parts[0][side]} {parts[1]} {parts[2][side]})" for side in (0, 1))
    ),
    max_leaves=4,
)
WORDS = st.sampled_from(["a", "code", "model", "de", "x y", "gpt"])


def both(shape, *parts):
    return tuple(shape.format(*(part[side] if isinstance(part, tuple) else part for part in parts)) for side in (0, 1))


COMPARISONS = (
    st.builds(
        lambda a, sign, b: both("{} {} {}", a, sign, b),
        CALCULATIONS,
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        CALCULATIONS,
    )
    | st.builds(lambda a, b: both("{} in [{}, 1, 14]", a, b), CALCULATIONS, st.integers(0, 9))
    | st.builds(
        lambda sign, word: both('{} {} "{}"', ("request.model", "model"), sign, word),
        st.sampled_from(["==", "!=", "<", ">="]),
        WORDS,
    )
    | st.builds(lambda word: both('{} in ["a", "{}"]', ("request.model", "model"), word), WORDS)
    | st.builds(lambda word: (f'input.contains("{word}")', f'text.contains("{word}")'), WORDS)
    | st.builds(lambda word: (f'"{word}" in input.text', f'text.contains("{word}")'), WORDS)
    | st.builds(lambda word: (f'input.matches("^{word}|{word}$")', f'text.matches("^{word}|{word}$")'), WORDS)
)
TRUTHS = st.sampled_from([(word, word) for word in ("urgent", "private", "true", "false")])
CONDITIONS = st.recursive(
    TRUTHS | COMPARISONS.map(lambda pair: both("({})", pair)),
    lambda inner: (
        st.builds(lambda a, sign, b: both("{} {} {}", a, sign, b), inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds(lambda a: both("({})", a), inner)
        | st.builds(lambda a: both("!({})", a), inner)
        | st.builds(lambda a, sign, b: both("({}) {} ({})", a, sign, b), inner, st.sampled_from(["==", "!="]), inner)
    ),
    max_leaves=8,
)
REQUESTS = st.tuples(
    st.lists(st.sampled_from(["a code", "x y", "model", "de", ""]), min_size=1, max_size=3),
    st.sampled_from(["gpt", "model", "z"]),
    st.sets(st.sampled_from(["urgent", "private"])),
)


@given(CONDITIONS, REQUESTS, st.integers(0, 23))
@settings(max_examples=500, deadline=None)
def test_same_verdict_as_cel(condition, request, hour):
    ours, theirs = condition
    texts, model, tags = request
    call = Call({"messages": [{"role": "user", "content": text} for text in texts]}, model=model, tags=frozenset(tags))
    facts = Facts.of(call, NOW.replace(hour=hour))
    expected = ENVIRONMENT.compile(theirs).eval(
        data={
            "length": sum(map(len, texts)),
            "messages": len(texts),
            "hour": hour,
            "model": model,
            "text": texts[-1],
            "urgent": "urgent" in tags,
            "private": "private" in tags,
        }
    )
    assert compile_condition(ours)(facts) is bool(expected.value()), ours
    assert expected.type() == cel.Type.BOOL
