"""Tools: functions, tools that take a text, those that only OpenAI runs; and the choice among them."""

import pytest

from llamafarm.errors import BadCallError
from llamafarm.planning.sense import check_request
from llamafarm.server.formats.responses.tools import custom_arguments, custom_input
from llamafarm.types import ToolCall
from tests.server.formats.responses.events import CUSTOM, FUNCTION, chat, read

OTHER = {**FUNCTION, "name": "other"}


def names(body):
    return [tool["function"]["name"] for tool in body["tools"]]


def test_a_function_is_nested_and_keeps_what_is_unknown():
    tool = {**FUNCTION, "description": "d", "strict": True, "defer_loading": True, "made_up": None}
    (made,) = chat(tools=[tool])["tools"]
    function = {"name": "weather", "description": "d", "parameters": FUNCTION["parameters"], "strict": True}
    assert made == {"type": "function", "function": function, "defer_loading": True}


def test_a_custom_tool_is_a_function_with_a_text():
    call = read(tools=[CUSTOM, FUNCTION])
    made = call.body["tools"][0]["function"]
    assert (made["name"], made["description"]) == ("patch", "Applies a patch.")
    assert made["parameters"]["properties"] == {"input": {"type": "string"}}
    assert call.asked.custom_tools == {"patch"}


def test_a_grammar_is_told_to_the_model():
    form = {"type": "grammar", "syntax": "lark", "definition": "start: X"}
    (made,) = chat(tools=[{**CUSTOM, "format": form}])["tools"]
    assert made["function"]["description"] == "Applies a patch.\n\nThe input follows this lark grammar:\nstart: X"


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (custom_arguments('a "b"\n'), 'a "b"\n'),
        ("no json", "no json"),
        ('{"input": 3}', '{"input": 3}'),
        ('{"other": "a"}', '{"other": "a"}'),
        ('["a"]', '["a"]'),
        ("", ""),
    ],
)
def test_the_text_is_read_back_or_what_a_model_gave_in_its_place(arguments, given):
    assert custom_input(ToolCall(0, "c", "patch", arguments)) == given


def test_a_custom_call_has_its_text_as_it_is():
    assert custom_input(ToolCall(0, "c", "patch", '{"input":"a"}', "custom")) == '{"input":"a"}'


@pytest.mark.parametrize(
    ("choice", "becomes"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
        ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}),
    ],
)
def test_a_choice(choice, becomes):
    call = read(tools=[FUNCTION, CUSTOM], tool_choice=choice, parallel_tool_calls=False)
    assert (call.body["tool_choice"], call.body["parallel_tool_calls"]) == (becomes, False)
    check_request(call)


def test_allowed_tools_are_those_that_are_sent():
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]}
    body = chat(tools=[FUNCTION, OTHER], tool_choice=choice)
    assert (names(body), body["tool_choice"]) == (["other"], "required")


def test_without_tools_nothing_is_said_of_them():
    body = chat(tools=[], tool_choice="auto", parallel_tool_calls=True)
    assert body.keys() == {"messages"}, "OpenAI's chat refuses a choice among none"


@pytest.mark.parametrize(
    "kind",
    [
        "web_search",
        "web_search_preview",
        "file_search",
        "computer_use_preview",
        "mcp",
        "code_interpreter",
        "image_generation",
        "local_shell",
        "shell",
        "apply_patch",
        "namespace",
    ],
)
def test_a_tool_that_only_openai_offers_is_refused_by_name(kind):
    with pytest.raises(BadCallError, match=rf"^tools\[1\] is of type '{kind}', which only OpenAI's own service"):
        read(tools=[FUNCTION, {"type": kind}])
    with pytest.raises(BadCallError, match=f"^tool_choice names a tool of type '{kind}'"):
        read(tools=[FUNCTION], tool_choice={"type": kind})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"tools": {}}, "tools is {}"),
        ({"tools": ["weather"]}, r"tools\[0\] is 'weather'"),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "name is None: .*beside the tool's type and not",
        ),
        ({"tools": [{"name": "f"}]}, "is of type None"),
        ({"tool_choice": "required"}, "tool_choice is 'required', and there are no tools"),
        ({"tools": [FUNCTION], "tool_choice": "some"}, "tool_choice is 'some'"),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "x"}},
            "names 'x', .*none of the tools: weather",
        ),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": []}}, r"names \[\]"),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "tools": [CUSTOM]}},
            "is 'patch', which is none",
        ),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools is None"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "tools": [], "mode": "x"}}, "mode is 'x'"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "tools": [], "mode": "required"}}, "no tools"),
    ],
)
def test_a_refusal_says_what_is_wrong(body, says):
    with pytest.raises(BadCallError, match=says):
        read(**body)
