"""Requests of the Messages API: a few by hand, and any that both formats can say."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

from llamafarm.server.formats.anthropic import Messages
from llamafarm.server.http.messages import Head

HI = {"role": "user", "content": "Hi"}
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
TOOL = {"name": "f", "description": "d", "input_schema": SCHEMA}
PNG = base64.b64encode(b"\x89PNG").decode()
PDF = base64.b64encode(b"%PDF-1.7").decode()
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
ELSEWHERE = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
STORED = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
PAPER = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    "title": "a.pdf",
}
NOTE = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "n"}, "title": "t"}
CITED = {**PAPER, "citations": {"enabled": True}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def head(**headers: str) -> Head:
    return Head("POST", "/v1/messages", "", {name.replace("_", "-"): value for name, value in headers.items()})


def request(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 50, "messages": list(messages) or [HI], **fields}


def read(*messages: Any, **fields: Any):
    return Messages().read(request(*messages, **fields), head())


def said(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **fields}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def use(number: int = 1, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "f", "input": given or {"a": number}}


def result(content: Any = None, number: int = 1, **fields: Any) -> dict[str, Any]:
    given = {} if content is None else {"content": content}
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", **given, **fields}


# Any request that both formats can say

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
words = texts.filter(str.strip)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
marked = st.sampled_from([{}, {"cache_control": MARK}, {"cache_control": {**MARK, "ttl": "1h"}}])


def blocks(kinds: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    kind = texts.map(said) | st.sampled_from(kinds)
    return st.builds(lambda block, mark: {**block, **mark}, kind, marked)


shown = blocks([PICTURE, ELSEWHERE, STORED, PAPER, NOTE, CITED])
thoughts = st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, texts) | st.just(
    {"type": "redacted_thinking", "data": "ZA=="}
)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Questions and answers in turns, each call of a tool answered at once; the last word is the user's."""
    made = [user(*draw(st.lists(shown, min_size=1, max_size=3)))]
    for turn in range(draw(st.integers(0, 3))):
        calls = [use(turn * 10 + n) for n in range(draw(st.integers(0, 2)))]
        calls = [{**call, "input": draw(st.dictionaries(texts, values, max_size=3)), **draw(marked)} for call in calls]
        answer = [
            *draw(st.lists(thoughts, max_size=2)),
            *draw(st.lists(blocks([said("Well")]), min_size=1, max_size=2)),
        ]
        results = []
        for call in calls:
            content = draw(st.none() | texts | st.lists(shown, min_size=1, max_size=2))
            failed = draw(st.sampled_from([{}, {"is_error": True}, {"is_error": False}]))
            results.append({**result(content, **failed, **draw(marked)), "tool_use_id": call["id"]})
        asked = draw(st.lists(shown, min_size=0 if results else 1, max_size=2))
        made += [assistant(*answer, *calls), user(*results, *asked)]
    return made


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    made = request(*draw(turns()))
    optional = {
        "system": words
        | st.lists(st.builds(said, words) | st.just(said("s", cache_control=MARK)), min_size=1, max_size=2),
        "stop_sequences": st.lists(words, min_size=1, max_size=3),
        "metadata": st.builds(lambda name: {"user_id": name}, words),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "container": words,
        "context_management": st.just({"edits": []}),
        "cache_control": st.just(MARK),
    }
    for name, strategy in optional.items():
        if draw(st.booleans()):
            made[name] = draw(strategy)
    extra = st.sampled_from([{}, {"strict": True}, {"cache_control": MARK}, {"defer_loading": True}])
    made["tools"] = [
        {**TOOL, **draw(extra)},
        {"name": "g", "input_schema": SCHEMA},
        *draw(st.sampled_from([[], [SEARCH]])),
    ]
    if draw(st.booleans()):
        made["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if draw(st.booleans()):
        effort = draw(st.sampled_from(["low", "medium", "high", "xhigh", "max"]))
        made["thinking"] = {"type": "adaptive", "display": "summarized"}
        made["output_config"] = {**made.get("output_config", {}), "effort": effort}
        choices = [{"type": "auto"}, {"type": "none"}]
    else:
        if draw(st.booleans()):
            made["thinking"] = {"type": "disabled"}
        made |= {name: draw(st.floats(0, 1)) for name in ("temperature", "top_p") if draw(st.booleans())}
        made |= {"top_k": draw(st.integers(1, 40))} if draw(st.booleans()) else {}
        choices = [{"type": "auto"}, {"type": "any"}, {"type": "none"}, {"type": "tool", "name": "g"}]
    if draw(st.booleans()):
        choice = draw(st.sampled_from(choices))
        alone = choice["type"] != "none" and draw(st.booleans())
        made["tool_choice"] = {**choice, **({"disable_parallel_tool_use": True} if alone else {})}
    return made
