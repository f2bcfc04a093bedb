"""No text, however odd, does anything but compile or raise `ConditionError`; no compiled rule ever raises."""

import ast
import datetime as dt
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llamafarm.conditions import BudgetFacts, Condition, ConditionError, Facts, Input, compile_condition
from llamafarm.conditions.names import NAMES
from llamafarm.types import Call

NOW = dt.datetime(2026, 11, 18, 14, tzinfo=dt.UTC)
FULL = Facts.of(
    Call(
        {"messages": [{"role": "user", "content": "Some CODE"}], "temperature": 0.3, "max_tokens": 7},
        model="m",
        user="u",
        tags=frozenset({"urgent"}),
        metadata={"k": "v"},
    ),
    NOW,
    BudgetFacts(1.5, 20.0, 0.0),
)
EMPTY = Facts.of(Call({}), NOW)

SIGNS = """and or not in && || ! == != < <= > >= + - * / % ( ) [ ] , . = ** // : ; { } @ ~ ^ & | \\ #
    true false null None is lambda if else for await input request time budget tag urgent eu-only
    0 1 2.5 1e5 9223372036854775807 "a" "monday" r"\\d" 'x' "" f"x" "unclosed input.lenght
    input.contains( input.matches( request.metadata[ input.contains("a") request.metadata["k"] tag("x")
    __class__ .__class__ .__globals__ __import__ ( ) ( ) \x00 é \ud800"""
WORDS = st.sampled_from([*NAMES, *SIGNS.split()])
SOUP = st.lists(WORDS, max_size=30).flatmap(lambda words: st.sampled_from([" ".join(words), "".join(words)]))


def attempt(text: str) -> Condition | ConditionError:
    try:
        return compile_condition(text)
    except ConditionError as error:
        return error


def gives_verdicts(condition: Condition) -> None:
    for facts in (FULL, EMPTY):
        verdict = condition(facts)
        assert isinstance(verdict, bool)
        assert condition.is_constant in (None, verdict)
        assert not verdict or condition.only_with is None or condition.only_with & facts.tags


def compiles_or_refuses(text: str) -> None:
    result = attempt(text)
    if isinstance(result, Condition):
        gives_verdicts(result)
    else:
        assert result.offset is None or 0 <= result.offset <= len(text)
        assert str(result).isprintable()


@given(SOUP)
@settings(max_examples=600, deadline=None)
def test_token_soup(text):
    compiles_or_refuses(text)


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text(text):
    compiles_or_refuses(text)


NUMBERS = st.sampled_from([name for name, fact in NAMES.items() if fact.kind == "a number"] + ["0", "1", "2.5", "7"])
TEXTS = st.sampled_from(
    [name for name, fact in NAMES.items() if fact.kind == "a text"] + ['"a"', '"u"', 'request.metadata["k"]']
)
TRUTHS = st.sampled_from(
    [name for name, fact in NAMES.items() if fact.kind == "true or false"]
    + [
        "urgent",
        "true",
        "false",
        'tag("a")',
        'input.contains("code", "x")',
        'input.matches("C.D")',
        '("urgent" in request.tags)',
    ]
)
CALCULATIONS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/%"), inner) | st.builds("-{}".format, inner)
    ),
    max_leaves=5,
)
COMPARISONS = (
    st.builds("{} {} {}".format, CALCULATIONS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), CALCULATIONS)
    | st.builds(
        "{} {} {} {} {}".format, CALCULATIONS, st.sampled_from("<>"), CALCULATIONS, st.sampled_from("<>"), CALCULATIONS
    )
    | st.builds("{} {} {}".format, TEXTS, st.sampled_from(["<", "==", "!=", "in", "not in"]), TEXTS)
    | st.builds("{} {} null".format, CALCULATIONS | TEXTS, st.sampled_from(["==", "!="]))
    | st.builds("{} in [1, 2.5, -3]".format, CALCULATIONS)
    | st.builds("time.weekday {} {}".format, st.sampled_from(["==", "!="]), st.sampled_from(['"monday"', '"Sunday"']))
)
CONDITIONS = st.recursive(
    TRUTHS | COMPARISONS.map("({})".format),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or", "&&", "||"]), inner)
        | st.builds("(not {})".format, inner)
        | st.builds("!{}".format, inner)
    ),
    max_leaves=8,
)


@given(CONDITIONS)
@settings(max_examples=400, deadline=None)
@example("(time.hour / 0.0 > 1)")
def test_every_well_formed_condition_gives_a_verdict_for_every_request(text):
    result = attempt(text)
    if isinstance(result, ConditionError):
        assert "division by zero" in str(result)
        return
    gives_verdicts(result)
    for facts in (FULL, EMPTY):
        assert compile_condition(f"not ({text})")(facts) is not result(facts)


ESCAPES = st.sampled_from(
    [
        "{}.__class__",
        "{}.__init__.__globals__",
        "getattr({}, 'x')",
        "{}[0]",
        "(lambda: {})()",
        "[x for x in {}]",
        "{{{}}}",
        "({} if true else false)",
        "tag(*{})",
        "tag(**{})",
        "(y := {})",
        "{}.format",
        "({})()",
        "f'{{{}}}'",
        "{} ** 2",
        "{} // 2",
        "{} << 2",
        "{}; true",
        "type({})",
    ]
)


@given(CONDITIONS, ESCAPES, st.sampled_from(["{}", "urgent and {}", "not ({})", "{} == 1", "({}, 1)"]))
@settings(max_examples=300, deadline=None)
def test_nothing_around_a_condition_lets_out(condition, escape, frame):
    with pytest.raises(ConditionError):
        compile_condition(frame.format(escape.format(condition)))


PYTHON_ONLY = (
    ast.Lambda, ast.IfExp, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Await,
    ast.Yield, ast.YieldFrom, ast.FormattedValue, ast.JoinedStr, ast.NamedExpr, ast.Starred, ast.Slice,
)  # fmt: skip


@given(SOUP | CONDITIONS)
@settings(max_examples=300, deadline=None)
def test_what_compiles_holds_no_construct_of_python_alone(text):
    from llamafarm.conditions.syntax import parse

    if isinstance(attempt(text), ConditionError):
        return
    for node in ast.walk(parse(text).root):
        assert not isinstance(node, PYTHON_ONLY)
        assert not (
            isinstance(node, ast.Attribute) and f"{ast.unparse(node.value)}.{node.attr}" not in {*NAMES, *CALLED}
        )


CALLED = ("input.contains", "input.matches", "request.metadata")


def test_compiling_deep_in_a_recursion_is_refused_not_broken():
    def sink(depth: int) -> str:
        if depth:
            return sink(depth - 1)
        try:
            compile_condition("(" * 30 + "urgent" + ")" * 30)
        except (ConditionError, RecursionError):
            return "refused"
        return "compiled"

    assert sink(1) == "compiled"
    assert sink(sys.getrecursionlimit() // 2) == "compiled"


def test_nothing_is_evaluated_as_text(monkeypatch):
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("builtins.eval", forbidden)
    monkeypatch.setattr("builtins.exec", forbidden)
    assert compile_condition('input.contains("code") and input.length + 1 > 3')(FULL)


class Counted(str):
    """A text that counts how often something walks over it."""

    __slots__ = ()
    walks = 0

    def casefold(self) -> str:
        Counted.walks += 1
        return super().casefold()


def test_a_text_is_folded_once_for_any_number_of_rules():
    Counted.walks = 0
    asked = Input.of({"messages": [{"role": "user", "content": "ignored"}]})
    vars(asked)["text"] = Counted("Some CODE " * 10)
    facts = Facts(asked, FULL.request, FULL.time)
    rules = [compile_condition(f'input.contains("word{number}", "code")') for number in range(50)]
    assert all(rule(facts) for rule in rules)
    assert Counted.walks == 1
