"""What is not in the rule language is refused at its place, with words that say what to write."""

import pytest

from llamafarm.conditions import ConditionError, compile_condition


def refused(text: str) -> ConditionError:
    with pytest.raises(ConditionError) as caught:
        compile_condition(text)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return caught.value


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        # names
        ("input.lenght > 3", 6, "did you mean `input.length`?"),
        ("urgent && input.lenght > 3", 16, "did you mean `input.length`?"),
        ('"é🙂" in input.text and input.lenght > 3', 29, "did you mean `input.length`?"),
        ("inputs.length > 3", 0, "did you mean `input`?"),
        ("os.path", 0, "`os` is not known"),
        ("input.foo", 6, "it has length, tokens"),
        ("input > 5", 0, "say which, as in input.length"),
        ("tag", 0, 'tag("…")'),
        ("request.metadata", 0, 'request.metadata["…"]'),
        ("request.metadata.team", 17, 'request.metadata["team"]'),
        ('request.metadata.get("team")', 17, 'request.metadata["get"]'),
        ('request.metadata("team")', 0, 'request.metadata["…"]'),
        ("input.text.upper", 11, "a single dot"),
        ('input.text.contains("x")', 11, 'write input.contains("…")'),
        ('input.system.contains("x")', 13, 'write "…" in input.system'),
        # kinds
        ("input.length", 0, "compare it to something, as in input.length > 0"),
        ("input.text", 0, 'as in input.text == "…"'),
        ("5", 0, "compare something with it"),
        ("request.tags", 0, "with `in`"),
        ("urgent and input.length", 11, "as in input.length > 0"),
        ("not request.model", 4, "as in request.model"),
        ('input.length > "x"', 15, "they never compare"),
        ('input.length == "2000"', 16, "they never compare"),
        ('request.metadata["n"] > 5', 24, 'as a text it is "5"'),
        ("urgent == 1", 0, "`urgent` is read as a tag"),
        ("length > 2000", 0, "for the fact write input.length"),
        ('model == "x"', 0, "for the fact write request.model"),
        ('priority == "high"', 0, 'request.metadata["priority"]'),
        ('"high" == priority', 10, 'request.metadata["priority"]'),
        ("len(input) > 2000", 0, "write input.length"),
        ("urgent AND private", 7, "written in lower case: and"),
        ("NOT private", 0, "written in lower case: not"),
        ("urgent < private", 0, "no order"),
        ("request.user < null", 0, "== null"),
        ("input.text + 1", 0, "only numbers"),
        ('"a" * 1000000000', 0, "only numbers"),
        ('"a" + "b" == "ab"', 0, "only numbers"),
        ('"%s" % 5 == "5"', 0, "only numbers"),
        ("-input.text == 1", 1, "only a number"),
        ("1 / 0 > 1", 4, "division by zero"),
        ("urgent in request.tags", 10, "`in` looks for"),
        ("5 in input.text", 5, "`in` looks for"),
        ('"a" in [1, 2]', 7, "`in` looks for"),
        ('[1, "a"] == 1', 0, "a list holds"),
        ("1 in []", 5, "empty list"),
        ("1 in [input.length]", 5, "a list holds literal"),
        ("request.user in [null]", 16, "a list holds"),
        ("[1] == [1]", 0, "`in`"),
        ("request.tags == null or request.tags", 24, "`in`"),
        # weekdays
        ('time.weekday == "munday"', 16, 'did you mean "monday"?'),
        ('time.weekday == "wed"', 16, 'did you mean "wednesday"?'),
        ('time.weekday in ["tue"]', 16, 'did you mean "tuesday"?'),
        ('time.weekday == "holiday-x"', 16, "weekdays are monday"),
        ('time.weekday <= "friday"', 0, "no order"),
        ("time.weekday == 1", 16, "they never compare"),
        ("time.weekday == request.model", 16, "with a literal"),
        # calls
        ("input.contains", 0, 'input.contains("…")'),
        ("input.contains()", 0, "one text or more"),
        ("input.contains(5)", 15, "literal texts only"),
        ('input.contains("")', 15, "no empty text"),
        ("input.matches(request.user)", 14, "literal texts only"),
        ('input.matches("a", "b")', 0, "takes one text"),
        ('input.matches("(")', 14, "missing )"),
        ('input.matches("(?=a)")', 14, "look-around"),
        ('input.matches("(a)\\\\1")', 14, "back-references"),
        ('input.matches("(\\pL{30}){30}")', 14, "too large"),
        ('input.matches("((a{50}){50})")', 14, "invalid repetition"),
        ('input.matches("(.{30}){30}")', 14, "too large"),
        ("tag(urgent)", 4, "literal texts only"),
        ('tag("a", "b")', 0, "takes one text"),
        ("input.length()", 0, "drop the parentheses"),
        ('input.lenght("x")', 6, "did you mean `input.length`?"),
        ('contains("x")', 0, 'write input.contains("…")'),
        ('foo("x")', 0, "no function `foo`"),
        # shape
        ("", 0, "empty"),
        (" \n ", 0, "empty"),
        ("urgent private", 7, "an operator is missing between `urgent` and `private`"),
        ("input.length 5", 13, "an operator is missing"),
        ("urgent and", 10, "a value is missing after `and`"),
        ("and urgent", 0, "a value is missing before `and`"),
        ("input.length > ", 14, "a value is missing after `>`"),
        ("(urgent", 0, "never closed"),
        ("urgent)", 6, "closes nothing"),
        ("(urgent]", 7, "is closed by"),
        ("(urgent and)", 11, "a value is missing before `)`"),
        ("urgent, private", 6, "combine conditions with and, or"),
        ('input.contains("a" "b")', 19, "an operator is missing"),
        ("input.", 6, "a name is missing"),
        ("input.in", 6, "a name is missing"),
        ("urgent == not private", 10, "in parentheses"),
        ("a not b", 2, "an operator is missing"),
        ("eu-only", 0, 'write tag("eu-only")'),
        ("urgent and eu-only-strict", 11, 'write tag("eu-only-strict")'),
        # signs of other languages
        ("input.length = 5", 13, "=="),
        ("urgent & private", 7, "&&"),
        ("urgent | private", 7, "||"),
        ("urgent ? a : b", 7, "two rules"),
        ("urgent if private else x", 7, "two rules"),
        ("request.user is null", 13, "== null"),
        ("input.text == “x”", 14, "straight quotes"),
        ("größe", 2, 'tag("…")'),
        ("input.length > 2k", 15, "numbers like 2000"),
        ("input.length > 0x10", 15, "numbers like 2000"),
        ("input.length > 9223372036854775808", 15, "too large"),
        ("input.length > 1e301", 15, "too large"),
        ("input.length > .5", 15, "a value is missing before `.`"),
        ('input.text == "x', 14, "no closing"),
        ('input.text == f"x"', 14, "no prefix but r"),
        ('input.text == b"x"', 14, "no prefix but r"),
    ],
)
def test_says_where_and_what_to_write(text, offset, words):
    error = refused(text)
    assert words in str(error)
    assert error.offset == offset


@pytest.mark.parametrize(
    "text",
    [
        "input.__class__",
        "().__class__",
        '"".__class__.__mro__',
        "input.text.__class__",
        "tag.__globals__",
        "__import__('os')",
        "__builtins__",
        'request.metadata["k"].__class__',
        'request.metadata["k"]["x"] == "y"',
        "request.metadata[0] == 1",
        'request.metadata["a":"b"] == "c"',
        "request.metadata[request.user] == null",
        "input.text[0] == 1",
        "[1][0] == 1",
        "lambda: 1",
        "(lambda: urgent)()",
        "[x for x in y]",
        "{x for x in y}",
        "(x for x in y)",
        "{1: 2}",
        "(x := 1)",
        "tag(*urgent)",
        "tag(**urgent)",
        "[*urgent]",
        'tag(name="x")',
        'f"{input.text}"',
        "yield urgent",
        "await urgent",
        "urgent; private",
        "import os",
        "exec('1')",
        "eval('1')",
        "open('/etc/passwd')",
        "getattr(input, 'text')",
        "input.contains.__self__",
        'input.contains("a")("b")',
        "2 ** 999999999 > 1",
        "5 // 2 == 2",
        "~1 == 2",
        "1 << 999999999 > 1",
        "1 @ 2",
        "urgent # private",
        "`urgent`",
        "$urgent",
        "...",
        "1j == 1",
        "urgent\\\nprivate",
        "\uff49nput.length > 1",
        "input\u2024length > 1",
        "urgent\x00",
        '"\x00" in input.text',
        "\ud800",
        "urgent\u202eprivate",
    ],
)
def test_no_way_out(text):
    assert refused(text).offset is not None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 33 + "urgent" + ")" * 33,
        "[" * 2000,
        "(" * 4096,
        "not " * 60 + "urgent",
        "!" * 399 + "urgent",
        "-" * 300 + "1 == 1",
        "1" + " + 1" * 60 + " == 61",
        "x." * 190 + "y",
        " or ".join(["urgent"] * 201),
        "input.contains(" + ", ".join(['"a"'] * 200) + ")",
        "input.length > " + "9" * 4000,
        "urgent" + " " * 5000,
        '"' + "a" * 4095,
    ],
)
def test_bombs_are_refused(text):
    refused(text)


def test_the_caps_leave_room_for_real_rules():
    assert compile_condition("(" * 32 + "urgent" + ")" * 32)
    assert compile_condition(" or ".join(f"tag{number}" for number in range(200)))
    assert compile_condition("input.contains(" + ", ".join(f'"word {number}"' for number in range(190)) + ")")
    assert compile_condition("urgent" + " " * 4090)


def test_a_message_is_one_printable_line():
    message = str(refused('"a\u202e\x1b[31m\n\ud800" + 1 > 2'))
    assert message.isprintable()
    assert len(str(refused('"' + "a" * 3000 + '" + 1 > 2'))) < 200
