"""Requests in OpenAI's format, of every kind a caller makes, for the vendors' own types to judge our translation."""

from __future__ import annotations

__all__ = ["BODIES", "EFFORTS", "OWN"]

HI = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}
BARE = {"type": "function", "function": {"name": "g"}}
CALL = {"id": "call.1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
TEXT = {"type": "text", "text": "Look:"}
PDF = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjc="}}
MARK = {"type": "ephemeral"}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def user(*parts):
    return {"role": "user", "content": list(parts)}


BODIES = {
    "text": {"messages": [HI]},
    "system": {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Rhyme."}, HI]
    },
    "turns": {"messages": [HI, {"role": "assistant", "content": "Hello"}, HI, HI]},
    "picture": {"messages": [user(TEXT, PIXEL)]},
    "sampling": {"messages": [HI], "temperature": 0.7, "top_p": 0.9, "top_k": 5, "seed": 7, "max_tokens": 20},
    "penalties": {"messages": [HI], "frequency_penalty": 0.5, "presence_penalty": -0.5, "stop": "END"},
    "stops": {"messages": [HI], "stop": ["a", "b"], "max_completion_tokens": 9, "user": "u1"},
    "tools": {"messages": [HI], "tools": [TOOL, BARE]},
    "one tool": {"messages": [HI], "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    "some tool": {"messages": [HI], "tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    "no tool": {"messages": [HI], "tools": [TOOL], "tool_choice": "none"},
    "functions": {"messages": [HI], "functions": [TOOL["function"]], "function_call": "auto"},
    "strict tool": {"messages": [HI], "tools": [{**TOOL, "function": {**TOOL["function"], "strict": True}}]},
    "results": {
        "messages": [
            HI,
            {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call.2"}]},
            {"role": "tool", "tool_call_id": "call.1", "content": "4"},
            {"role": "tool", "tool_call_id": "call.2", "content": [TEXT, PIXEL]},
            HI,
        ],
        "tools": [TOOL],
    },
    "function's result": {
        "messages": [
            HI,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "4"},
        ],
    },
    "schema": {
        "messages": [HI],
        "response_format": {"type": "json_schema", "json_schema": {"name": "fruit", "schema": SCHEMA, "strict": True}},
    },
    "object": {"messages": [HI], "response_format": {"type": "json_object"}},
    **{f"effort {effort}": {"messages": [HI], "reasoning_effort": effort, "temperature": 0.5} for effort in EFFORTS},
}
OWN = {
    "document": {"messages": [user(TEXT, PDF)]},
    "picture elsewhere": {
        "messages": [user(TEXT, {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}})]
    },
    "cached": {
        "messages": [
            {"role": "system", "content": [{**TEXT, "cache_control": MARK}]},
            user({**TEXT, "cache_control": {**MARK, "ttl": "1h"}}, {**PIXEL, "cache_control": MARK}),
        ],
        "tools": [{**TOOL, "cache_control": MARK}],
    },
    "thought": {
        "messages": [
            HI,
            {
                "role": "assistant",
                "content": "Well.",
                "tool_calls": [CALL],
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "t", "signature": "s"},
                    {"type": "redacted_thinking", "data": "ZA=="},
                ],
            },
            {"role": "tool", "tool_call_id": "call.1", "content": ""},
        ],
        "tools": [TOOL],
        "reasoning_effort": "high",
    },
    "failed result": {
        "messages": [
            HI,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call.1", "content": "?", "is_error": True},
        ],
    },
    "budget": {"messages": [HI], "thinking": {"type": "enabled", "budget_tokens": 1024}, "service_tier": "priority"},
    "vendor's tool": {"messages": [HI], "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
}
"""What only Anthropic has a word for."""
