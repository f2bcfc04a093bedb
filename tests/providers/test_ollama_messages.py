import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.errors import UntranslatableError
from llamafarm.providers.failures import Peer
from llamafarm.providers.ollama.messages import Conversation

PIXEL = "iVBORw0KGgo="
PEER = Peer("ollama", "localhost:11434")


def write(*messages):
    notes = []
    return Conversation(PEER, notes).write(list(messages)), notes


def test_texts_and_roles():
    written, notes = write(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "Three", "reasoning_content": "counting"},
        {"role": "assistant", "content": None, "refusal": "No."},
    )
    assert written == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One\ntwo"},
        {"role": "assistant", "content": "Three", "thinking": "counting"},
        {"role": "assistant", "content": "No."},
    ]
    assert notes == []


@pytest.mark.parametrize("start", ["data:image/png;base64,", "data:image/png;charset=x;BASE64,", "DATA:;base64,"])
def test_pictures_are_sent_as_bare_base64(start):
    part = {"type": "image_url", "image_url": {"url": start + PIXEL[:6] + "\n" + PIXEL[6:], "detail": "low"}}
    written, _ = write({"role": "user", "content": [part, {"type": "text", "text": "What?"}]})
    assert written == [{"role": "user", "content": "What?", "images": [PIXEL]}]


@pytest.mark.parametrize("url", ["https://example.com/secret.png?key=1", "data:image/svg+xml,<svg/>", 7, None])
def test_a_picture_elsewhere_is_refused_and_never_fetched(url):
    with pytest.raises(UntranslatableError, match=r"only as base64.*data:image/png;base64") as caught:
        write({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "'input_audio'"),
        ({"role": "user", "content": ["text"]}, "part of type None"),
        ({"role": "user", "content": 7}, "neither text nor a list"),
        ({"role": "assistant", "content": "", "tool_calls": [{"id": "x"}]}, "names no function"),
        ("Hi", "not an object"),
    ],
)
def test_what_it_has_no_place_for_is_refused(message, said):
    with pytest.raises(UntranslatableError, match=said) as caught:
        write(message)
    assert str(caught.value).startswith("ollama (localhost:11434): ")


def test_a_body_without_messages_is_refused():
    with pytest.raises(UntranslatableError, match="messages are not a list"):
        Conversation(PEER, []).write(None)


def call(arguments, name="weather", **more):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_tool_calls_and_their_answers():
    written, notes = write(
        {"role": "assistant", "content": None, "tool_calls": [call('{"city": "Paris"}')]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 °C"},
        {"role": "tool", "tool_call_id": "unknown", "content": "?", "name": "clock"},
        {"role": "assistant", "content": "", "function_call": {"name": "old", "arguments": ""}},
        {"role": "function", "name": "old", "content": "done"},
    )
    assert written == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}}],
        },
        {"role": "tool", "content": "18 °C", "tool_name": "weather", "tool_call_id": "call_1"},
        {"role": "tool", "content": "?", "tool_name": "clock", "tool_call_id": "unknown"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "old", "arguments": {}}}]},
        {"role": "tool", "content": "done", "tool_name": "old"},
    ]
    assert notes == []


@pytest.mark.parametrize(("given", "sent"), [('{"city": "Par', '{"city": "Par'), ("[1]", [1]), ([1], [1]), ("7", 7)])
def test_arguments_that_are_no_object_are_kept_and_noted(given, sent):
    written, notes = write({"role": "assistant", "content": "", "tool_calls": [call(given), call(given)]})
    assert written[0]["tool_calls"][1]["function"]["arguments"] == {"value": sent}
    assert notes == ["the arguments of a call of weather are no JSON object: they were sent as its field 'value'"]


def test_names_of_speakers_are_noted_once():
    _, notes = write({"role": "user", "content": "a", "name": "Ann"}, {"role": "user", "content": "b", "name": "Bob"})
    assert notes == ["Ollama does not know names of those who speak: they were left out"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_arguments_survive_the_way_there(arguments):
    written, notes = write({"role": "assistant", "tool_calls": [call(json.dumps(arguments))]})
    assert written[0]["tool_calls"][0]["function"]["arguments"] == arguments
    assert notes == []


@given(VALUES | st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name", "function_call"]), VALUES))
def test_whatever_comes_is_written_or_refused(message):
    try:
        ((written,), _) = write(message)
    except UntranslatableError as error:
        written = {"content": str(error)}
    assert isinstance(written["content"], str)
