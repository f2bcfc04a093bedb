"""Every construct of the rule language holds, or does not, for a request that decides it."""

import datetime as dt

import pytest

from llamafarm.conditions import BudgetFacts, Condition, Facts, compile_condition
from llamafarm.types import Call

WEDNESDAY_14H = dt.datetime(2026, 11, 18, 14, 30, tzinfo=dt.UTC)

CALL = Call(
    body={
        "messages": [
            {"role": "system", "content": "Answer in JSON."},
            {"role": "user", "content": "First question"},
            {"role": "assistant", "content": "First answer"},
            {"role": "user", "content": "Straße: refactor this CODE, ticket AB-123"},
        ],
        "temperature": 0.5,
        "max_completion_tokens": 300,
        "max_tokens": 100,
        "response_format": {"type": "json_object"},
    },
    model="gpt-4o",
    stream=True,
    tags=frozenset({"urgent", "eu-only"}),
    metadata={"team": "search", "level": "3"},
)
FACTS = Facts.of(CALL, WEDNESDAY_14H, BudgetFacts(daily_left=2.5, daily_used=7.5))


def holds(text: str, facts: Facts = FACTS) -> bool:
    result = compile_condition(text)(facts)
    assert isinstance(result, bool)
    return result


@pytest.mark.parametrize(
    "text",
    [
        # tags
        "urgent",
        'tag("eu-only")',
        "not private",
        "!private",
        '"eu-only" in request.tags',
        '"private" not in request.tags',
        # logic, in either spelling, with the usual precedence
        "urgent and not private",
        "urgent && !private",
        "private || urgent",
        "private && private || urgent",
        "urgent || private && private",
        "!private && !private",
        "not private == urgent",
        "!private == urgent",
        "urgent == !private",
        "not not urgent",
        "!!urgent",
        "!(private || false)",
        "true",
        "True and not False",
        "urgent == true",
        "urgent != private",
        # the input
        "input.length > 50",
        "input.length == 82",
        "input.tokens > 20",
        "input.messages == 4",
        'input.contains("code")',
        'input.contains("nothing", "REFACTOR")',
        'input.contains("STRASSE")',
        'not input.contains("First answer")',
        'input.matches("[A-Z]{2}-\\d+")',
        'input.matches(r"\\bCODE\\b")',
        'input.matches("\\\\bCODE\\\\b")',
        'not input.matches("code")',
        'input.matches("(?i)code")',
        'input.matches("Stra.e")',
        'not input.matches("^CODE")',
        '"First answer" in input.all_text',
        '"first answer" not in input.all_text',
        'input.system == "Answer in JSON."',
        'input.text != "x"',
        "input.requires_json",
        "not input.has_images",
        "not input.requires_vision",
        "not input.requires_tools",
        "not input.requires_audio",
        "not input.is_code",
        # the request
        'request.model == "gpt-4o"',
        'request.model in ["gpt-4o", "gpt-5"]',
        'request.model in ("gpt-4o",)',
        '"gpt" in request.model',
        "request.stream",
        "request.max_tokens == 300",
        "request.temperature <= 0.5",
        'request.metadata["team"] == "search"',
        "request.metadata['level'] >= \"2\"",
        # time and money
        "time.hour == 14",
        "9 <= time.hour < 17",
        'time.weekday == "wednesday"',
        'time.weekday == "Wednesday"',
        '"WEDNESDAY" == time.weekday',
        'time.weekday not in ["saturday", "Sunday"]',
        "budget.daily_left < 3",
        "budget.daily_used / (budget.daily_used + budget.daily_left) == 0.75",
        # numbers and lists
        "1 + 2 * 3 == 7",
        "(1 + 2) * 3 == 9",
        "7 % 4 == 3",
        "7 / 2 == 3.5",
        "-3 < -2",
        "2 - -1 == 3",
        "1_000 == 1e3",
        "4 in [1, 2, 4.0]",
        "-1 in [-1]",
        "5 not in (1, 2)",
        "1 < 2 < 3",
        'input.text\n  != "x" and\n\turgent',
    ],
)
def test_holds(text):
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "private",
        "private && private",
        "private && private || private",
        "Urgent",
        "urgent and private",
        "not urgent",
        "!urgent || private",
        "input.length > 2000",
        "1 < 2 < 2",
        "3 > 2 > 2",
        'input.contains("First question")',
        'request.model == "GPT-4o"',
        "22 <= time.hour or time.hour < 6",
    ],
)
def test_does_not_hold(text):
    assert not holds(text)


@pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize(
    "missing", ["budget.monthly_left", "budget.monthly_left + 1", "-budget.monthly_left", "1 / (input.messages - 4)"]
)
def test_a_missing_value_compares_false_on_either_side(missing, sign):
    assert not holds(f"{missing} {sign} 1")
    assert not holds(f"1 {sign} {missing}")
    assert not holds(f"{missing} {sign} {missing}")
    assert holds(f"not ({missing} {sign} 1)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("request.user == null", True),
        ("null != request.user", False),
        ("request.model == null", False),
        ("request.model != null", True),
        ('request.metadata["team"] != null', True),
        ('request.metadata["none"] == null', True),
        ("budget.monthly_left + 1 == null", True),
        ("input.length == null", False),
        ("null == null", True),
        ('request.user in ["a"]', False),
        ('request.user not in ["a"]', False),
        ('"a" in request.user', False),
        ('"a" not in request.user', False),
        ('request.metadata["none"] in request.tags', False),
    ],
)
def test_null_asks_whether_a_value_is_missing(text, expected):
    assert holds(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "input.length % (input.messages - 4) == 0",
        "input.length / (input.messages - 4) > 0",
        "9e299 * 9e299 * input.length > 0",
        "9e299 * 9e299 * 0 == 0",
        "input.length * " + " * ".join(["9223372036854775807"] * 40) + " > 0",
    ],
)
def test_what_cannot_be_calculated_is_missing(text):
    assert not holds(text)
    assert holds(f"not ({text})")


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r'"a\nb"', "a\nb"),
        (r'"a\tb"', "a\tb"),
        (r'"a\\b"', "a\\b"),
        (r"'it\'s'", "it's"),
        (r'"say \"hi\""', 'say "hi"'),
        (r'"\u00e9"', "é"),
        (r'"\d\b\x41\u12"', r"\d\b\x41\u12"),
        (r'r"\n"', r"\n"),
        ('"&& || ! true null # {"', "&& || ! true null # {"),
        ('"ünïcödé 🙂"', "ünïcödé 🙂"),
    ],
)
def test_text_literals(literal, value):
    condition = compile_condition(f"input.text == {literal}")
    assert condition(Facts.of(Call({"prompt": value}), WEDNESDAY_14H))
    assert not condition(Facts.of(Call({"prompt": value + "x"}), WEDNESDAY_14H))


@pytest.mark.parametrize(
    ("text", "constant"),
    [
        ("1 > 2", False),
        ("1 + 1 == 2", True),
        ("true", True),
        ("urgent and false", False),
        ("urgent or true", True),
        ("urgent and true", None),
        ("urgent or 1 > 2", None),
        ("not (urgent and 1 > 2)", True),
        ("3 in [1, 2]", False),
        ("input.length != null", True),
        ("time.hour >= 22 and time.hour < 6", False),
        ("22 <= time.hour < 6", False),
        ("time.hour >= 22 or time.hour < 6", None),
        ("urgent and time.hour > 23", False),
        ("urgent or time.hour < 24", True),
        ("time.hour < 12 or not time.hour < 12", True),
        ('time.weekday == "monday" and time.weekday == "tuesday"', False),
        ('time.weekday in ["monday"] and time.hour == 3', None),
        ("time.hour > 12 and input.length > 3", None),
        ("urgent", None),
    ],
)
def test_what_can_never_change_is_known(text, constant):
    condition = compile_condition(text)
    assert condition.is_constant is constant
    if constant is not None:
        assert condition(FACTS) is constant


def test_a_condition_knows_what_it_names():
    condition = compile_condition(
        'urgent and tag("eu-only") or input.length > 3 and input.contains("a") and request.metadata["k"] == "v"'
        " or false and budget.daily_left > 1"
    )
    assert condition.tags == {"urgent", "eu-only"}
    assert condition.names == {"input.length", "input.contains", "request.metadata", "budget.daily_left"}
    assert condition.warnings == ()
    assert condition.text.startswith("urgent")


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("urgent", {"urgent"}),
        ('tag("eu-only") and input.length > 3', {"eu-only"}),
        ("input.length > 3 and (a or b)", {"a", "b"}),
        ("(a or b) and c", {"c"}),
        ("a and b or c", {"a", "c"}),
        ("a or input.length > 3", None),
        ("a or 1 > 2", {"a"}),
        ("not a", None),
        ("a == b", None),
        ("a != false", None),
        ("input.length > 3", None),
        ("a and false", set()),
        ("true", None),
    ],
)
def test_a_condition_knows_without_which_tags_it_cannot_hold(text, tags):
    assert compile_condition(text).only_with == tags


def test_a_condition_is_a_value():
    first, second = compile_condition("urgent"), compile_condition("urgent")
    assert first == second
    assert isinstance(first, Condition)
    assert "urgent" in repr(first)
    with pytest.raises(AttributeError):
        first.text = "x"


@pytest.mark.parametrize(
    ("word", "fact"),
    [
        ("input_length", "input.length"),
        ("inputlength", "input.length"),
        ("input_lenght", "input.length"),
        ("lenght", "input.length"),
        ("imput", "input.…"),
        ("has_images", "input.has_images"),
        ("requires_vison", "input.requires_vision"),
        ("input_contains", 'input.contains("…")'),
        ("budget_daily_left", "budget.daily_left"),
        ("weekday", "time.weekday"),
        ("hour", "time.hour"),
        ("request_metadata", 'request.metadata["…"]'),
    ],
)
def test_a_bare_word_near_a_fact_is_a_tag_with_a_warning(word, fact):
    condition = compile_condition(f"{word} or {word}")
    assert condition.tags == {word}
    (warning,) = condition.warnings
    assert f"`{word}`" in warning
    assert fact in warning
    assert compile_condition(f'tag("{word}")').warnings == ()


@pytest.mark.parametrize(
    "word",
    ["urgent", "complex", "private", "test", "next", "eu", "batch", "cheap", "code", "gpu", "dev", "premium", "x"],
)
def test_an_ordinary_tag_has_no_warning(word):
    assert compile_condition(word).warnings == ()
