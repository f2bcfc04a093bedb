"""Conditions whose parts often meet, and facts that decide them one way and the other."""

import random
from types import SimpleNamespace

from hypothesis import strategies as st

from llamafarm.conditions.names import WEEKDAYS

_WHOLE = ("input.length", "input.tokens", "input.messages", "time.hour")
_MAY_MISS = ("request.max_tokens", "request.temperature", "budget.daily_left")
_SIGNS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
_NUMBERS = st.sampled_from(["-1", "0", "1", "1.5", "2", "3"])
_FACTS = st.sampled_from([*_WHOLE, *_MAY_MISS, "input.length"])
_TEXTS = st.sampled_from(["request.model", "request.user", 'request.metadata["k"]', "input.text"])
_LITERALS = st.sampled_from(['"a"', '"b"', '"c"'])
_LISTS = st.sampled_from(["in", "not in"])
_PARTS = st.one_of(
    st.sampled_from(["urgent", "private", 'tag("urgent")', "input.is_code", "request.stream", "true", "false"]),
    st.sampled_from(['input.contains("a")', 'input.contains("a", "b")', 'input.contains("b", "c")']),
    st.builds("{} {} {}".format, _FACTS, _SIGNS, _NUMBERS),
    st.builds("{} {} {}".format, _NUMBERS, _SIGNS, _FACTS),
    st.builds("{} {} {} {} {}".format, _NUMBERS, _SIGNS, _FACTS, _SIGNS, _NUMBERS),
    st.builds("{} + 1 {} {}".format, _FACTS, _SIGNS, _NUMBERS),
    st.builds("{} {} {}".format, _FACTS, _SIGNS, _FACTS),
    st.builds("{} {} [1, 2]".format, _FACTS, _LISTS),
    st.builds("{} {} {}".format, _TEXTS, _SIGNS, _LITERALS),
    st.builds('{} {} ["a", "c"]'.format, _TEXTS, _LISTS),
    st.builds('{} {} "abc"'.format, _TEXTS, _LISTS),
    st.builds("{} {} null".format, st.sampled_from([*_MAY_MISS, "request.user"]), st.sampled_from(["==", "!="])),
    st.builds("time.weekday {} {}".format, st.sampled_from(["==", "!="]), st.sampled_from(['"Monday"', '"tuesday"'])),
    st.builds('time.weekday {} ["monday", "Sunday"]'.format, _LISTS),
)
CONDITIONS = st.recursive(
    _PARTS.map("({})".format),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("(not {})".format, inner)
        | st.builds("!{}".format, inner)
    ),
    max_leaves=6,
)


def _facts(pick: random.Random) -> SimpleNamespace:
    text = pick.choice(["", "a", "b", "c", "ab", "xyz"])
    tags = frozenset(tag for tag in ("urgent", "private") if pick.random() < 0.5)
    number = [None, -1, 0, 0.5, 1, 1.5, 2, 3, 4]
    texts = [None, "a", "b", "bb", "c", "d"]
    return SimpleNamespace(
        input=SimpleNamespace(
            length=pick.randrange(5),
            tokens=pick.randrange(5),
            messages=pick.randrange(5),
            text=text,
            folded=text,
            is_code=pick.random() < 0.5,
        ),
        request=SimpleNamespace(
            model=pick.choice(texts),
            user=pick.choice(texts),
            stream=pick.random() < 0.5,
            tags=tags,
            metadata={"k": pick.choice(texts)},
            max_tokens=pick.choice(number),
            temperature=pick.choice(number),
        ),
        time=SimpleNamespace(hour=pick.choice([0, 1, 2, 3, 4, 22, 23]), weekday=pick.choice(WEEKDAYS)),
        budget=SimpleNamespace(daily_left=pick.choice(number)),
        tags=tags,
    )


_PICK = random.Random(2)
FACTS = tuple(_facts(_PICK) for _ in range(400))
