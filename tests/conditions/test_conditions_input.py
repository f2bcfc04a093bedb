"""What is read from a request's body: every shape OpenAI's format has, and none that crashes."""

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamafarm.conditions import Facts, Input, compile_condition
from llamafarm.types import Call

PNG = "data:image/png;base64," + "A" * 100_000
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}},
}


def user(content, **more):
    return {"role": "user", "content": content, **more}


def test_a_conversation():
    found = Input.of(
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
                user("Hi"),
                {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "content": "42", "tool_call_id": "c1"},
                user([{"type": "text", "text": "And"}, {"type": "text", "text": "now?"}]),
                {"role": "assistant", "content": "Well"},
            ]
        }
    )
    assert found.messages == 7
    assert found.text == "And\nnow?"
    assert found.system == "Be brief.\nBe kind."
    assert found.all_text == "Be brief.\nBe kind.\nHi\n42\nAnd\nnow?\nWell"
    assert found.length == len("Be brief.Be kind.Hi42Andnow?Well")


@pytest.mark.parametrize("key", ["prompt", "input"])
def test_prompts_of_completions_and_inputs_of_embeddings(key):
    one = Input.of({key: "Hello"})
    assert (one.text, one.length, one.messages, one.system) == ("Hello", 5, 1, None)
    several = Input.of({key: ["Hello", "you"]})
    assert (several.text, several.length, several.messages) == ("Hello\nyou", 8, 1)
    assert Input.of({key: [1, 2, 3]}).tokens == 3
    assert Input.of({key: [[1, 2, 3], [4]]}).tokens == 4
    assert Input.of({key: [[1, 2, 3], "abcd"]}).tokens == 4


def test_nothing_asked():
    found = Input.of({})
    assert (found.text, found.all_text, found.system, found.length, found.messages, found.tokens) == (
        "",
        "",
        None,
        0,
        0,
        0,
    )
    abilities = (found.has_images, found.requires_tools, found.requires_json, found.requires_audio, found.is_code)
    assert abilities == (False,) * 5


@pytest.mark.parametrize("image", [{"url": PNG}, PNG, {"url": "https://example.com/a.png", "detail": "low"}])
def test_images(image):
    found = Input.of(
        {"messages": [user([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": image}]), user("x")]}
    )
    assert found.has_images
    assert found.requires_vision
    assert found.images == 1
    assert found.upper_bound < 2_000
    assert found.length == 2


def test_sound_and_documents():
    spoken = Input.of({"messages": [user([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}])]})
    assert spoken.requires_audio
    assert Input.of({"modalities": ["text", "audio"]}).requires_audio
    assert not Input.of({"modalities": ["text"]}).requires_audio
    assert Input.of({"messages": [user([{"type": "file", "file": {"file_data": "AAAA"}}])]}).files == 1


def test_abilities():
    assert Input.of({"tools": [TOOL]}).requires_tools
    assert Input.of({"functions": [TOOL["function"]]}).requires_tools
    assert not Input.of({"tools": []}).requires_tools
    assert not Input.of({"tools": "yes"}).requires_tools
    assert Input.of({"response_format": {"type": "json_object"}}).requires_json
    assert Input.of({"response_format": {"type": "json_schema", "json_schema": {}}}).requires_json
    assert not Input.of({"response_format": {"type": "text"}}).requires_json


def test_tokens_count_roles_tools_and_schemas():
    plain = Input.of({"messages": [user("x" * 400)]}).tokens
    assert 100 < plain < 110
    tools = Input.of({"messages": [user("x" * 400)], "tools": [TOOL]}).tokens
    assert plain + len(json.dumps(TOOL)) / 8 < tools < plain + len(json.dumps(TOOL))
    called = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "y" * 400}}]}
    assert Input.of({"messages": [user("x" * 400), called]}).tokens > plain + 100


def test_a_token_given_as_a_number_is_one():
    assert Input.of({"input": list(range(1000))}).upper_bound < 1000 + 600
    assert Input.of({"prompt": [list(range(1000))] * 3}).upper_bound < 3000 + 600


def test_the_bound_counts_bytes_that_no_field_is_known_for():
    assert Input.of({"messages": [user("x", name="n" * 5000)]}).upper_bound > 5000
    assert Input.of({"messages": [], "documents": [{"text": "d" * 5000}]}).upper_bound > 5000
    assert Input.of({"messages": [user("é" * 5000)]}).upper_bound > 10_000
    # An image's key elsewhere hides nothing from the bound.
    assert Input.of({"messages": [], "tools": [{"image_url": {"url": "d" * 5000}}]}).upper_bound > 5000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PART = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "image_url", "input_audio", "file"]) | JSON,
        "text": JSON,
        "image_url": JSON,
        "file": JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "system", "tool"]) | JSON,
        "content": JSON | st.lists(PART | JSON, max_size=3),
    },
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "messages": JSON | st.lists(MESSAGE | JSON, max_size=4),
        "prompt": JSON,
        "input": JSON,
        "tools": JSON,
        "functions": JSON,
        "modalities": JSON,
        "response_format": JSON,
    },
)


@given(BODY)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_body_crashes_and_the_bound_is_a_bound(body):
    found = Input.of(body)
    assert found.length <= len(found.all_text)
    assert found.text in found.all_text
    assert isinstance(found.is_code, bool)
    assert isinstance(found.requires_tools, bool)
    assert isinstance(found.requires_json, bool)
    assert isinstance(found.requires_audio, bool)
    assert found.has_images is (found.images > 0)
    assert isinstance(found.folded, str)
    assert isinstance(found.encoded, bytes)
    assert len(found.all_text.encode("utf-8", "surrogatepass")) <= found.upper_bound + found.messages
    assert found.tokens <= found.upper_bound


@pytest.mark.parametrize("name", ["text", "system", "all_text"])
def test_lone_surrogates_are_text(name):
    found = Input.of({"messages": [{"role": "system", "content": "\ud800"}, user("a\udfffb")]})
    assert getattr(found, name)
    assert found.encoded == b"a?b"
    assert found.upper_bound > 6


def test_a_deep_body_is_walked_without_recursion():
    deep = {}
    for _ in range(20_000):
        deep = {"a": [deep]}
    assert Input.of({"messages": [user("x")], "tools": [deep]}).upper_bound > 20_000


@pytest.mark.parametrize(
    "text",
    [
        "What is wrong here?\n```\nx\n```",
        "def add(a, b):\n    return a + b",
        "why: class Point {",
        "class Point:\n  x = 1",
        "#include <stdio.h>",
        "function go() { }",
        "const x = 1",
        "let total = 0;",
        "fn main() {",
        "public static void main(String[] args) {",
        "SELECT name FROM users WHERE id = 1",
        "from os import path",
        'import React from "react"',
        "Traceback (most recent call last):",
        "#!/bin/sh",
        "x = 1\ny = 2\nz = x + y",
        "if (a) {\n  b();\n}",
    ],
)
def test_shows_code(text):
    wanted = text if not text.startswith("why") else "class Point {"
    assert Input.of({"prompt": wanted}).is_code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Write me a poem about code.",
        "Let me know how to import goods from China; thanks.",
        "I return on Monday; the class begins then.",
        "Select a gift from the list, please.",
        "My function: buying presents. const is a word, too.",
        "From here, import duties are high.\nPublic transport is good.\nWhile we wait, let us sing.",
        "- one\n- two\n- three",
    ],
)
def test_prose_is_no_code(text):
    assert not Input.of({"prompt": text}).is_code


NEEDLES = [f"Word{number}" for number in range(60)] + ["Straße", "naïve", "a.c", "(", "中文"]


@given(st.lists(st.sampled_from([*NEEDLES, "word", "STRASSE", "abc", "A.C", "NAÏVE", "x" * 500, "İ"]), max_size=8))
def test_many_texts_are_found_at_once_as_one_by_one(parts):
    rule = compile_condition("input.contains(" + ", ".join(f'"{needle}"' for needle in NEEDLES) + ")")
    text = " ".join(parts)
    expected = any(needle.casefold() in text.casefold() for needle in NEEDLES)
    for padded in (text, text + "_" * 2000):  # the longer one is searched for all at once
        assert rule(Facts.of(Call({"messages": [user(padded)]}), datetime.now(UTC))) is expected


def test_many_texts_cost_little_more_than_a_few():
    facts = Facts.of(Call({"messages": [user("lorem ipsum " * 40_000)]}), datetime.now(UTC))
    few, many = (
        compile_condition("input.contains(" + ", ".join(f'"ipsum{word}"' for word in range(count)) + ")")
        for count in (2, 150)
    )

    def took(rule):
        start = time.perf_counter()
        assert not rule(facts)
        return time.perf_counter() - start

    took(few), took(many)  # the search is made when it is first needed
    assert min(took(many) for _ in range(5)) < 10 * min(took(few) for _ in range(5))
