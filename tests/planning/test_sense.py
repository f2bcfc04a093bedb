"""Which requests make no sense, whatever target they would go to."""

import math

import pytest

from llamafarm.errors import BadCallError
from llamafarm.planning.sense import check_request
from llamafarm.types import Call, Operation

HELLO = [{"role": "user", "content": "Hi"}]
RIGHT = {
    "max_tokens": [1, 10**6],
    "max_completion_tokens": [1],
    "n": [1, 3],
    "best_of": [2],
    "dimensions": [1, 1536],
    "seed": [0, -1, 2**63],
    "temperature": [0, 0.0, 0.7, 2, 2.0],
    "top_p": [0, 0.5, 1],
    "frequency_penalty": [-2, 0.5, 2],
    "presence_penalty": [-2, 0.5, 2],
    "stop": ["x", "", ["x", "y"], (), ("x",)],
    "logprobs": [True, False, 0, 5],
    "top_logprobs": [0, 5],
    "logit_bias": [{}, {"50256": -100}],
    "reasoning_effort": ["low"],
    "response_format": [{"type": "text"}, {"type": "json_schema", "json_schema": {}}],
    "tools": [[], [{"type": "function"}], ({"type": "function"},)],
    "functions": [[{"name": "f"}]],
    "tool_choice": ["auto", {"type": "function", "function": {"name": "f"}}],
    "parallel_tool_calls": [True, False],
    "suffix": ["", "x"],
    "size": ["1024x1024"],
    "quality": ["high"],
    "user": ["u"],
    "encoding_format": ["float", "base64"],
}
WRONG = {
    "max_tokens": [0, -1, 1.5, 10.0, "10", True, [], math.nan],
    "max_completion_tokens": [0, "10"],
    "n": [0, "2", True, 1.0],
    "best_of": [0, "2"],
    "dimensions": [0, "8"],
    "seed": ["a", 1.5, True],
    "temperature": ["hot", "0.5", -0.1, 2.1, 5, True, math.nan, math.inf, [], {}, 10**400],
    "top_p": ["x", -0.1, 1.1],
    "frequency_penalty": ["x", -2.1, 3],
    "presence_penalty": ["x", -2.1, 3],
    "stop": [5, [5], {"a": "b"}, True, b"x"],
    "logprobs": ["yes", -1, 1.5],
    "top_logprobs": ["x", -1, True],
    "logit_bias": [5, []],
    "reasoning_effort": [5, True],
    "response_format": ["json", 5, {}, {"type": 5}],
    "tools": ["x", 5, {"type": "function"}, ["x"]],
    "functions": ["x", [5]],
    "tool_choice": [5, True, []],
    "parallel_tool_calls": ["yes", 1],
    "suffix": [5],
    "size": [1024],
    "quality": [1],
    "user": [5, ["u"]],
    "encoding_format": ["hex", 5, []],
}


def check(operation=Operation.CHAT, **body):
    check_request(Call(body, operation))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in RIGHT.items() for value in values])
def test_right_parameters_pass(name, value):
    check(messages=HELLO, **{name: value})


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_parameters_are_named_with_what_they_must_be(name, value):
    with pytest.raises(BadCallError, match=rf"^{name} is .*: expected ") as caught:
        check(messages=HELLO, **{name: value})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_null_is_as_good_as_absent(name):
    check(messages=HELLO, **{name: None})


@pytest.mark.parametrize("value", ["x", -1, None, [], {}])
def test_unknown_fields_are_the_targets_business(value):
    check(messages=HELLO, top_k=value, min_p=value, invented=value)


CONTENTS = [
    "Hi",
    "",
    None,
    [],
    [{"type": "text", "text": "Hi"}],
    [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}],
    [{"type": "image_url", "image_url": "https://x.example/a.png"}],
    [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, {"type": "invented"}],
]


@pytest.mark.parametrize("content", CONTENTS)
def test_right_contents_pass(content):
    check(messages=[{"role": "user", "content": content}])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (5, "neither a text nor a list"),
        ({"a": 1}, "neither a text nor a list"),
        ([5], "part 1 of its content is not an object with a type"),
        (["Hi"], "part 1 of its content is not an object with a type"),
        ([{"text": "Hi"}], "part 1 of its content is not an object with a type"),
        ([{"type": 5}], "part 1 of its content is not an object with a type"),
        ([{"type": "text", "text": "Hi"}, {"type": "text"}], "part 2 of its content has no text"),
        ([{"type": "text", "text": {"a": 1}}], "has no text"),
        ([{"type": "image_url"}], "has no url under image_url"),
        ([{"type": "image_url", "image_url": {}}], "has no url under image_url"),
        ([{"type": "image_url", "image_url": {"url": 5}}], "has no url under image_url"),
        ([{"type": "image_url", "image_url": ""}], "has no url under image_url"),
    ],
)
def test_malformed_contents_are_refused_with_their_place(content, says):
    with pytest.raises(BadCallError, match=f"^message 2: .*{says}"):
        check(messages=[*HELLO, {"role": "user", "content": content}])


@pytest.mark.parametrize("messages", [None, [], (), {}, "Hi", 5])
def test_there_have_to_be_messages(messages):
    with pytest.raises(BadCallError, match="there are no messages"):
        check(messages=messages)


@pytest.mark.parametrize("message", ["Hi", 5, None, {}, {"content": "Hi"}, {"role": 5, "content": "Hi"}])
def test_a_message_has_a_role(message):
    with pytest.raises(BadCallError, match="message 1 is not an object with role and content"):
        check(messages=[message])


def test_tool_calls_are_objects():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    check(messages=[*HELLO, {"role": "assistant", "tool_calls": [call]}])
    for wrong in (5, "x", ["x"], {"a": 1}):
        with pytest.raises(BadCallError, match="message 2: tool_calls is not a list of objects"):
            check(messages=[*HELLO, {"role": "assistant", "tool_calls": wrong}])


PROMPTS = ["x", "", ["x", "y"], [1, 2], [[1, 2], [3]]]
NO_PROMPTS = [None, [], 5, {"a": 1}, [None], ["x", 1], [[]], [["x"]], [1.5], [True]]


@pytest.mark.parametrize(("operation", "name"), [(Operation.COMPLETION, "prompt"), (Operation.EMBEDDING, "input")])
def test_prompts_and_inputs(operation, name):
    for prompt in PROMPTS:
        check(operation, **{name: prompt})
    for prompt in NO_PROMPTS:
        with pytest.raises(BadCallError, match=f"^{name}: expected a text, a list of texts"):
            check(operation, **{name: prompt})


def test_a_picture_is_made_of_a_text():
    check(Operation.IMAGE, prompt="a llama")
    for prompt in (None, ["a llama"], 5):
        with pytest.raises(BadCallError, match="there is no prompt"):
            check(Operation.IMAGE, prompt=prompt)
