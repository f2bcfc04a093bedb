"""What of a request in Anthropic's words other targets are sent: OpenAI's format and no more, or a clear refusal."""

import json
import time

import msgspec
import pytest
from hypothesis import given

from llamafarm.apps.embedded import Embedded
from llamafarm.catalog import find_vendor
from llamafarm.errors import UntranslatableError
from llamafarm.models.store import ModelStore
from llamafarm.planning.sense import check_request
from llamafarm.providers.failures import Peer
from llamafarm.providers.ollama.request import request_of
from llamafarm.providers.openai.request import body_of
from llamafarm.providers.plain import UNKNOWN, plain_body
from llamafarm.server.formats.anthropic import Messages
from llamafarm.types import Attempt, Target
from tests.server.formats.anthropic.asked import (
    CITED,
    ELSEWHERE,
    HI,
    MARK,
    NOTE,
    PAPER,
    PDF,
    PICTURE,
    SEARCH,
    STORED,
    TOOL,
    assistant,
    head,
    request,
    requests,
    result,
    said,
    use,
    user,
)

FIELDS = {"role", "content", "tool_calls", "tool_call_id", "reasoning_content"}
PARTS = {"text": {"type", "text"}, "image_url": {"type", "image_url"}, "file": {"type", "file"}}
BY_URL = {"type": "document", "source": {"type": "url", "url": "https://x"}}
ODD_INSIDE = {"type": "document", "source": {"type": "content", "content": ["a"]}}


def attempt_at(asked, target):
    call = Messages().read(asked, head())
    return Attempt(call, target, {**call.body, **target.defaults, "model": target.model}, time.monotonic() + 5)


def spoken(asked, vendor="custom", model="m", **about):
    """The body, and what was noted. A ``custom`` endpoint is one that nobody knows."""
    row = find_vendor(vendor)
    target = Target("gpt", vendor, row.dialect, model, quirks=row.quirks_of(model), **about)
    attempt = attempt_at(asked, target)
    before = json.dumps(attempt.call.body)
    raw = body_of(attempt, Peer(vendor, "here"), streamed=False)
    assert json.dumps(attempt.call.body) == before, "the next target may be Anthropic's"
    return msgspec.json.decode(raw), attempt.notes


def messages(*given):
    return spoken(request(*given))[0]["messages"]


@given(requests())
def test_nothing_is_left_that_only_one_vendor_knows(asked):
    asked = {name: value for name, value in asked.items() if name != "container"}
    asked["tools"] = [tool for tool in asked["tools"] if tool != SEARCH]
    try:
        body, _ = spoken(asked)
    except UntranslatableError:
        assert STORED["source"]["type"] in json.dumps(asked["messages"])
        return
    assert not body.keys() & {"cache_control", "context_management", "thinking", "output_config"}
    assert body.get("reasoning_effort") in (None, "low", "medium", "high")
    for message in body["messages"]:
        assert message.keys() <= FIELDS
        parts = message["content"] if isinstance(message["content"], list) else []
        assert all(part.keys() == PARTS[part["type"]] for part in parts)
        assert isinstance(message["content"], str | None) or message["role"] in ("user", "system")
    for tool in body["tools"]:
        assert tool.keys() == {"type", "function"}
    call = Messages().read(asked, head())
    call.body = body
    check_request(call)


def test_a_request_in_openais_words_goes_to_such_an_endpoint_as_it_is():
    attempt = attempt_at(request(user(said("a", cache_control=MARK))), Target("t", "p", "openai", "m"))
    attempt.call.native = None
    assert plain_body(attempt, UNKNOWN, "here") == attempt.body


def test_a_vendor_that_takes_marks_gets_them():
    asked = request(
        user(said("a", cache_control=MARK)), assistant(use()), user(result([said("b", cache_control=MARK)]))
    )
    body, notes = spoken({**asked, "tools": [{**TOOL, "cache_control": MARK}]}, "openrouter", "anthropic/claude-opus-5")
    assert body["messages"][0]["content"] == [said("a", cache_control=MARK)]
    assert body["messages"][2]["content"] == [said("b", cache_control=MARK)]
    assert body["tools"][0]["cache_control"] == MARK
    assert notes == []


def test_pictures_that_tools_gave_follow_as_the_users():
    asked = [
        HI,
        assistant(use(1), use(2)),
        user(result([said("one"), PICTURE]), result("two", 2, is_error=True), said("And?")),
    ]
    *_, one, two, shown, more = messages(*asked)
    assert one["content"] == "one\n(What it shows is in the next message.)"
    assert two == {"role": "tool", "tool_call_id": "toolu_2", "content": "Error: two"}
    assert [part["type"] for part in shown["content"]] == ["text", "image_url"]
    assert more == {"role": "user", "content": [said("And?")]}
    *_, one, _, _ = spoken(request(*asked), "mistral")[0]["messages"]
    assert [part["type"] for part in one["content"]] == ["text", "image_url"], "it takes pictures there"


def test_documents():
    body, notes = spoken(request(user(NOTE, {**PAPER, "title": None}, CITED)))
    named = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "t\nn"},
        {"type": "file", "file": {**named, "filename": "document.pdf"}},
        {"type": "file", "file": named},
    ]
    assert notes == ["citations of messages left out: only Anthropic has it"]


def test_what_was_found_is_text():
    found = {"type": "search_result", "title": "T", "source": "S", "content": [said("a"), said("b")]}
    inside = {"type": "document", "source": {"type": "content", "content": [said("c"), ELSEWHERE]}}
    (message,) = messages(user(found, inside))
    assert [part.get("text") for part in message["content"]] == ["T\nS\na\nb", "c", None]


def test_what_the_vendors_tools_did_before_is_left_out_with_a_note():
    done = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    body, notes = spoken(request(HI, assistant(done, found, said("It rains.")), HI))
    assert body["messages"][1] == {"role": "assistant", "content": "It rains."}
    assert len(notes) == 1


def test_fields_of_the_vendors_own_are_left_out_with_a_note():
    body, notes = spoken(request(speed="fast", cache_control=MARK, made_up=1, seed=7))
    assert body.keys() == {"model", "messages", "max_tokens", "seed"}
    left_out = [note.partition(":")[0] for note in notes]
    assert left_out == ["cache_control left out", "speed left out", "made_up left out"]


def test_defaults_of_the_target_are_its_own_affair():
    given = {"chat_template_kwargs": {"a": 1}, "reasoning_effort": "max"}
    body, _ = spoken(request(), defaults=given)
    assert given.items() <= body.items()


def test_fields_that_a_message_may_have_one_day_do_not_fail_elsewhere():
    odd = {**HI, "novel": 1, "tool_calls": [{"function": {}}]}
    call = Messages().read(request(odd), head())
    assert call.body["messages"] == [{**HI, "novel": 1}]
    assert messages(odd) == [HI]
    called = assistant({**use(), "caller": {"type": "direct"}})
    assert messages(HI, called, user(result("4")))[1]["tool_calls"][0].keys() == {"id", "type", "function"}


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (request(tools=[TOOL, SEARCH]), "the tool web_search_20250305"),
        (request(tools=[{"type": "novel", "name": "n"}]), "the tool novel"),
        (request(user(STORED)), "messages[0].content[0]: image with a source of the type 'file'"),
        (request(user(BY_URL)), "messages[0].content[0]: document with a source of the type 'url'"),
        (request(user({"type": "hologram"})), "messages[0].content[0]: a part of the type hologram"),
        (request(user(ODD_INSIDE)), "messages[0].content[0].source.content: a part without a type"),
        (request(mcp_servers=[{"url": "https://m"}]), "mcp_servers"),
        (request(container="c"), "container"),
        (request(inference_geo="us"), "inference_geo us"),
    ],
)
def test_what_only_anthropic_does_is_refused_by_name(asked, what):
    with pytest.raises(UntranslatableError) as caught:
        spoken(asked)
    assert str(caught.value) == f"custom (here): {what} is of Anthropic's own; a target of Anthropic's may take it"


@pytest.mark.parametrize(
    ("vendor", "asked", "said_so", "noted"),
    [
        (
            "custom",
            {"output_config": {"effort": "max"}},
            {"reasoning_effort": "high"},
            "effort sent as reasoning_effort",
        ),
        ("custom", {"output_config": {"effort": "low"}}, {"reasoning_effort": "low"}, ""),
        ("custom", {"thinking": {"type": "disabled"}}, {}, "effort left out: m has no switch for it"),
        ("openai", {"output_config": {"effort": "low"}}, {}, "effort left out: m does not reason"),
        ("deepseek", {"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}, ""),
        ("deepseek", {"output_config": {"effort": "low"}}, {"thinking": {"type": "enabled"}}, ""),
    ],
)
def test_how_hard_to_think(vendor, asked, said_so, noted):
    supports = frozenset({"tools"}) if vendor == "openai" else None
    body, notes = spoken(request(**asked), vendor, supports=supports)
    assert {name: body[name] for name in ("reasoning_effort", "thinking") if name in body} == said_so
    assert noted in "".join(notes)
    assert bool(notes) == bool(noted)


def test_ollama_takes_any_effort():
    target = Target("there", "ollama", "ollama", "m", base_url="http://127.0.0.1:9")
    attempt = attempt_at(request(output_config={"effort": "max"}, made_up=1), target)
    _, body = request_of(attempt, Peer("ollama", "here"), streamed=False)
    assert body["think"] == "max"
    assert attempt.notes == ["made_up left out: it is none of OpenAI's"]


async def test_the_embedded_engine_is_asked_for_none_of_it(tmp_path):
    target = Target("here", "llamacpp", "embedded", "m")
    engine = Embedded(ModelStore(tmp_path))
    with pytest.raises(UntranslatableError, match="the tool web_search_20250305 is of Anthropic's own"):
        await engine.send(attempt_at(request(tools=[SEARCH]), target))
    await engine.aclose()
