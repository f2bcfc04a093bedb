"""The items of an input: which messages they become, and which nobody behind a chat can take."""

import pytest

from llamafarm.errors import BadCallError
from llamafarm.planning.sense import check_request
from llamafarm.providers.anthropic.request import translate
from llamafarm.server.formats.responses.thoughts import sealed, unsealed
from tests.server.formats.responses.events import FUNCTION, messages, read

USER = {"role": "user", "content": "Hi"}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": '{"a":1}',
    "status": "completed",
}
CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
BLOCK = {"type": "thinking", "thinking": "Hm", "signature": "sig"}


def said(text, **more):
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part], **more}


def thought(text="", *blocks):
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {
        "type": "reasoning",
        "id": "rs_1",
        "summary": summary,
        "encrypted_content": sealed(blocks) if blocks else None,
    }


@pytest.mark.parametrize("role", ["user", "system", "developer", "assistant"])
def test_a_message_of_each_role(role):
    assert messages({"role": role, "content": "Hi"}) == [{"role": role, "content": "Hi"}]


@pytest.mark.parametrize(
    ("part", "becomes"),
    [
        ({"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
         {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}),
        ({"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
         {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}),
        ({"type": "input_image", "image_url": "data:image/png;base64,AA==", "file_id": None},
         {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}),
        ({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
         {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}),
        ({"type": "input_file", "file_id": "file_1"}, {"type": "file", "file": {"file_id": "file_1"}}),
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
         {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}),
    ],
)  # fmt: skip
def test_a_part_of_a_content(part, becomes):
    assert messages({"role": "user", "content": [part]}) == [{"role": "user", "content": [becomes]}]
    check_request(read(input=[{"role": "user", "content": [part]}]))


def test_a_single_text_part_becomes_a_text_and_several_stay_parts():
    part = {"type": "input_text", "text": "a"}
    assert messages({"role": "user", "content": [part]})[0]["content"] == "a"
    assert messages({"role": "user", "content": [part, part]})[0]["content"] == [{"type": "text", "text": "a"}] * 2


def test_what_belongs_to_an_answer_is_not_asked():
    part = {"type": "output_text", "text": "a", "annotations": [], "logprobs": []}
    assert messages({"role": "user", "content": [part]}) == [{"role": "user", "content": "a"}]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (
            {"type": "input_image", "file_id": "file_1"},
            "names a stored file, and this endpoint has none: give image_url",
        ),
        ({"type": "input_image"}, "image_url is None"),
        ({"type": "input_file", "file_url": "https://x"}, "file_url: nobody behind this endpoint fetches"),
        ({"type": "input_file"}, "has neither file_data nor file_id"),
        ({"type": "input_text"}, "text is None: expected a text"),
        ({"type": "video"}, "is of type 'video': expected input_text"),
        ("text", "is 'text': expected a part"),
    ],
)
def test_a_refused_part_is_named(part, says):
    with pytest.raises(BadCallError, match=rf"^input\[1\]\.content\[0\].*{says}"):
        read(input=[USER, {"role": "user", "content": [part]}])


def test_an_answer_may_be_a_refusal():
    refusal = {"type": "refusal", "refusal": "No."}
    assert messages(USER, said("", content=[refusal]))[1] == {"role": "assistant", "content": None, "refusal": "No."}


def test_items_of_one_answer_become_one_message():
    assert messages(USER, thought("Hm"), said("Let me see."), CALL, {**CALL, "call_id": "c2"}, RESULT)[1:] == [
        {
            "role": "assistant",
            "reasoning_content": "Hm",
            "content": "Let me see.",
            "tool_calls": [CALLED, {**CALLED, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]


def test_words_behind_a_call_join_its_message_as_its_result_has_to_follow_it():
    first, second, third = messages(USER, CALL, said("Wait."), RESULT)
    assert second == {"role": "assistant", "content": "Wait.", "tool_calls": [CALLED]}
    assert (first["role"], third["role"]) == ("user", "tool")


def test_words_around_a_call_are_one_message():
    first, second = messages(said("Let me see."), CALL, said(" Wait."), RESULT)
    assert (first["content"], first["tool_calls"], second["role"]) == ("Let me see. Wait.", [CALLED], "tool")


def test_calls_one_after_the_other_are_two_messages():
    roles = [message["role"] for message in messages(USER, CALL, RESULT, CALL, RESULT, said("Done"), said("Really"))]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant", "assistant"]


def test_reasoning_comes_back_with_its_signature():
    redacted = {"type": "redacted_thinking", "data": "x"}
    (_, answer, _) = messages(USER, thought("Hm", BLOCK), thought("", redacted), CALL, RESULT)
    assert answer["thinking_blocks"] == [BLOCK, redacted]
    assert answer["reasoning_content"] == "Hm"
    check_request(read(input=[USER, thought("Hm", BLOCK), CALL, RESULT]))


def test_anthropic_gets_its_reasoning_back_as_it_gave_it():
    call = read(input=[USER, thought("Hm", BLOCK), CALL, RESULT], tools=[FUNCTION])
    sent = translate({"model": "claude-x", **call.body}, frozenset(), streamed=False).body
    used = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
    assert sent["messages"][1] == {"role": "assistant", "content": [BLOCK, used]}


def test_the_text_of_reasoning_goes_before_its_summary():
    full = {**thought("short"), "content": [{"type": "reasoning_text", "text": "long"}]}
    assert messages(USER, full, said("a"))[1]["reasoning_content"] == "long"


def test_reasoning_that_somebody_else_encrypted_is_left_out():
    assert messages(USER, {**thought(), "encrypted_content": "gAAAAAB"}, said("a"))[1] == {
        "role": "assistant",
        "content": "a",
    }


def test_reasoning_that_led_to_nothing_is_left_out():
    assert messages(USER, thought("Hm", BLOCK), USER) == [USER, USER]


@pytest.mark.parametrize(
    "broken", [None, 3, "", "llamafarm.thinking.1.", "llamafarm.thinking.1.%%", "llamafarm.thinking.1.e30="]
)
def test_what_is_no_sealed_reasoning_is_none(broken):
    assert unsealed(broken) == []


def test_sealed_reasoning_of_an_unknown_kind_is_none():
    assert unsealed(sealed([{"type": "tool_use"}])) == []
    assert unsealed(sealed([BLOCK])) == [BLOCK]


def test_a_result_of_several_texts_stays_parts():
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    assert messages(CALL, {**RESULT, "output": parts})[1]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_a_picture_in_a_result_follows_the_results_of_all_calls():
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    second = {**RESULT, "call_id": "c2"}
    found = messages(USER, CALL, {**CALL, "call_id": "c2"}, {**RESULT, "output": [picture]}, second, said("A cat"))
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "tool", "user", "assistant"]
    assert isinstance(found[2]["content"], str)
    assert found[4]["content"][1] == {"type": "image_url", "image_url": {"url": picture["image_url"]}}
    assert "c1" in found[4]["content"][0]["text"]


def test_a_picture_in_a_result_goes_before_the_next_call():
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    found = messages(CALL, {**RESULT, "output": [picture]}, CALL, RESULT)
    assert [message["role"] for message in found] == ["assistant", "tool", "user", "assistant", "tool"]


def test_a_picture_in_the_last_result_is_not_lost():
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    assert messages(CALL, {**RESULT, "output": [picture]})[-1]["role"] == "user"


def test_a_custom_call_and_its_result():
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "patch", "input": 'say "hi"'}
    answer, result = messages(custom, {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"})
    assert answer["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input":"say \\"hi\\""}'}
    assert result == {"role": "tool", "tool_call_id": "c1", "content": "ok"}


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"type": "item_reference", "id": "msg_1"}, "refers to the stored item 'msg_1'.*send the item itself"),
        ({"id": "msg_1"}, "refers to the stored item 'msg_1'"),
        (
            {"type": "web_search_call", "id": "ws_1"},
            "is of type 'web_search_call', which only OpenAI's own.*leave it out",
        ),
        ({"type": "computer_call_output"}, "is of type 'computer_call_output'"),
        ({}, "is of type None"),
        ({"type": []}, "is of type"),
        ("Hi", "is 'Hi': expected an item"),
        ({"role": "tool", "content": "a"}, "role is 'tool'"),
        ({"role": "user"}, "content is None: expected a text or a list"),
        ({"role": "assistant", "content": 3}, "content is 3"),
        ({"role": "assistant", "content": [{"type": "input_image"}]}, "an answer consists of output_text and refusal"),
        ({**CALL, "call_id": None}, "call_id is None"),
        ({**CALL, "name": ""}, "name is ''"),
        ({**RESULT, "call_id": 3}, "call_id is 3"),
        ({**RESULT, "output": {"a": 1}}, "output is {'a': 1}"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "n"}, "input is None"),
        ({"type": "reasoning", "summary": "a"}, "summary is 'a'"),
        ({"type": "reasoning", "summary": ["a"]}, r"summary\[0\].text is None"),
    ],
)
def test_a_refused_item_is_named(item, says):
    with pytest.raises(BadCallError, match=rf"^input\[1\].*{says}"):
        read(input=[USER, item])


def test_an_input_without_a_message_is_refused():
    with pytest.raises(BadCallError, match="input has no message"):
        read(input=[thought("Hm")])
