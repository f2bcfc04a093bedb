"""A request's fields: what each becomes in a chat, what has no effect, what is refused and how."""

import pytest

from llamafarm.errors import BadCallError
from llamafarm.planning.sense import check_request
from llamafarm.server.http.messages import Head
from llamafarm.types import Operation
from tests.server.formats.responses.events import FUNCTION, chat, read, whole


def test_a_text_is_one_message():
    call = read()
    assert call.body == {"messages": [{"role": "user", "content": "Hi"}]}
    assert (call.operation, call.model, call.stream) == (Operation.CHAT, "m", False)


def test_instructions_come_first():
    assert chat(instructions="Be brief.")["messages"][0] == {"role": "system", "content": "Be brief."}


def test_model_stream_tags_and_user_are_read_as_everywhere():
    head = Head("POST", "/v1/responses", "", {"x-llamafarm-tags": "a"})
    call = read(head, stream=True, metadata={"tags": "b, c", "team": "x"}, user="u")
    assert (call.stream, call.tags, call.user) == (True, frozenset("abc"), "u")
    assert call.metadata == {"tags": "b, c", "team": "x"}
    assert "metadata" not in call.body, "OpenAI's chat refuses it without a store"


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"max_output_tokens": 20}, {"max_completion_tokens": 20}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"summary": "auto"}}, {}),
        ({"reasoning": None, "text": None, "include": None, "tools": None, "tool_choice": None}, {}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content", "web_search_call.results"]}, {}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"prompt_cache_key": "k", "safety_identifier": "s"}, {"prompt_cache_key": "k", "safety_identifier": "s"}),
        ({"store": True}, {}),
        ({"truncation": "auto", "max_tool_calls": 3, "stream_options": {"include_obfuscation": False}}, {}),
        ({"context_management": [{"type": "compaction"}], "parallel_tool_calls": True}, {}),
        ({"previous_response_id": None, "conversation": None, "prompt": None, "background": False}, {}),
        ({"seed": 3, "stop": ["x"], "made_up": {"a": 1}}, {"seed": 3, "stop": ["x"], "made_up": {"a": 1}}),
    ],
)
def test_a_field_in_a_chat(given, becomes):
    body = dict(chat(**given))
    del body["messages"]
    assert body == becomes
    check_request(read(**given))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id cannot be had here: .*whole conversation as input"),
        ({"conversation": "conv_1"}, "conversation cannot be had here: .*whole conversation as input"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt cannot be had here: .*instructions and input"),
        ({"background": True}, "background cannot be had here: .*leave background out"),
        ({"moderation": {"model": "m"}}, "moderation cannot be had here"),
        ({"n": 2}, "n is 2: a response is one answer"),
        ({"input": None}, "input is None: expected a text, or a list"),
        ({"input": []}, r"input is \[\]: expected a text, or a list"),
        ({"instructions": ["a"]}, "instructions is"),
        ({"max_output_tokens": 0}, "max_output_tokens is 0: expected a whole number from 1"),
        ({"max_output_tokens": True}, "max_output_tokens is True"),
        ({"max_tool_calls": "a"}, "max_tool_calls is 'a'"),
        ({"top_logprobs": -1}, "top_logprobs is -1"),
        ({"include": ["everything"]}, "include names 'everything': expected any of code_interp"),
        ({"include": [{}]}, "include names {}"),
        ({"include": "a"}, "include is 'a'"),
        ({"reasoning": "low"}, "reasoning is 'low': expected an object"),
        ({"reasoning": {"effort": 1}}, "effort is 1"),
        ({"text": "a"}, "text is 'a'"),
        ({"text": {"format": "a"}}, "format is 'a'"),
        ({"text": {"format": {"type": "xml"}}}, "text.format is of type 'xml'"),
        ({"text": {"format": {"type": "json_schema", "json_schema": {"name": "n"}}}}, "both stand beside its type"),
        ({"truncation": "some"}, "truncation is 'some': expected auto or disabled"),
        ({"parallel_tool_calls": 1, "tools": [FUNCTION]}, "parallel_tool_calls is 1"),
        ({"metadata": "a"}, "metadata is 'a'"),
        ({"stream": "yes"}, "stream is 'yes'"),
        ({"user": 1}, "user is 1"),
        ({"safety_identifier": []}, "safety_identifier is"),
        ({"prompt_cache_key": 1}, "prompt_cache_key is 1"),
    ],
)
def test_a_refusal_names_the_field_and_what_to_do(given, says):
    with pytest.raises(BadCallError, match=says) as refused:
        read(**given)
    assert "\n" not in str(refused.value)


def test_the_answer_repeats_the_request():
    response = whole(
        instructions="Be brief.",
        max_output_tokens=9,
        metadata={"tags": ["a", "b"], "n": 1, "t": "x"},
        reasoning={"effort": "low"},
        store=True,
        temperature=0.5,
        text={"verbosity": "low"},
        tools=[FUNCTION],
        tool_choice={"type": "function", "name": "weather"},
        truncation="auto",
        user="u",
    )
    assert response["instructions"] == "Be brief."
    assert response["max_output_tokens"] == 9
    assert response["metadata"] == {"tags": "a,b", "n": "1", "t": "x"}, "the schema has only texts"
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["store"] is False, "nothing is kept"
    assert (response["temperature"], response["top_p"]) == (0.5, None)
    assert response["text"] == {"verbosity": "low", "format": {"type": "text"}}
    assert response["tools"] == [{**FUNCTION, "strict": None}]
    assert response["tool_choice"] == {"type": "function", "name": "weather"}
    assert response["truncation"] == "disabled", "nobody shortens a prompt here"
    assert (response["parallel_tool_calls"], response["user"]) == (True, "u")


def test_what_was_not_said_is_not_made_up():
    response = whole()
    assert (response["tool_choice"], response["tools"], response["metadata"]) == ("auto", [], {})
    assert (response["temperature"], response["instructions"]) == (None, None)
    assert "user" not in response
    assert "usage" not in response
