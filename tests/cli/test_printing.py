"""What scripts see of an answer: keys that are always there, and those that stand only where there is something."""

from __future__ import annotations

from llamafarm.cli.printing import answer_document, usage_document
from llamafarm.types import Answer, AttemptRecord, ToolCall, Usage

NOTE = "seed left out: m does not take it"


def test_the_usage_says_where_it_is_estimated_and_else_has_two_keys():
    assert usage_document(Usage(9, 2)) == {"input_tokens": 9, "output_tokens": 2}
    assert usage_document(None) == {"input_tokens": None, "output_tokens": None}
    assert usage_document(Usage(9, 2, estimated=True)) == {"input_tokens": 9, "output_tokens": 2, "estimated": True}


def test_an_answer_that_several_wrote_keeps_the_notes_of_each():
    attempts = (
        AttemptRecord("a", "m", "stream_cut", "it broke", 1.0, notes=(NOTE,)),
        AttemptRecord("b", "m", "ok", None, 1.0),
    )
    shown = answer_document(Answer(target="b", attempts=attempts, resumed_by=("b",), skipped=2))
    assert [attempt.get("notes") for attempt in shown["attempts"]] == [[NOTE], None]
    assert (shown["notes"], shown["resumed_by"], shown["skipped"]) == ([], ["b"], 2)


def test_a_usual_answer_has_none_of_these():
    shown = answer_document(Answer(attempts=(AttemptRecord("a", "m", "ok", None, 1.0),)))
    assert {"skipped", "resumed_by", "reasoning", "tool_calls"}.isdisjoint(shown)
    assert list(shown["attempts"][0]) == ["target", "model", "outcome", "error", "ms"]


def test_a_tool_call_says_of_which_kind_it_is():
    calls = (ToolCall(0, "c1", "f", "{}"), ToolCall(1, "c2", "grep", "a", "custom"))
    shown = answer_document(Answer(attempts=(AttemptRecord("a", "m", "ok", None, 1.0),), tool_calls=calls))
    assert [call["kind"] for call in shown["tool_calls"]] == ["function", "custom"]
