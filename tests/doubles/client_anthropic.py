"""Asks a gateway by Anthropic's own client, by every route, and writes what that made of it as JSON.

Runs where the client is installed: URL, the strategy to ask, and the scenarios wanted, else all. Strict response validation is on.
"""

import json
import sys
from typing import Literal

import anthropic
from pydantic import BaseModel

URL, STRATEGY, *WANTED = sys.argv[1:]
client = anthropic.Anthropic(base_url=URL, api_key="any", _strict_response_validation=True)
WEATHER = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
LOOK = [
    {"type": "text", "text": "look"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
]
found = {}


class Fruit(BaseModel):
    kind: Literal["plum", "pear"]


def scenario(work):
    if WANTED and work.__name__ not in WANTED:
        return work
    try:
        found[work.__name__] = work()
    except anthropic.APIError as error:
        found[work.__name__] = failed(error)
    return work


def failed(error):
    """Give an error by what a program tells it: its class, its status, its type."""
    body = error.body if isinstance(error.body, dict) else {}
    return [type(error).__name__, getattr(error, "status_code", None), body.get("error", {}).get("type")]


def user(content):
    return {"role": "user", "content": content}


def asked(content, **more):
    messages = content if isinstance(content, list) and "role" in content[0] else [user(content)]
    return client.messages.create(**{"model": STRATEGY, "max_tokens": 100, "messages": messages, **more})


def streamed(content, **more):
    messages = content if isinstance(content, list) and "role" in content[0] else [user(content)]
    with client.messages.stream(**{"model": STRATEGY, "max_tokens": 100, "messages": messages, **more}) as events:
        pieces = "".join(events.text_stream)
        answer = events.get_final_message()
    assert pieces == "".join(block.text for block in answer.content if block.type == "text")
    return answer


def said(answer):
    return ["".join(block.text for block in answer.content if block.type == "text"), answer.stop_reason]


@scenario
def text():
    return said(asked("greet", system="Be kind."))


@scenario
def text_streamed():
    return said(streamed("greet", system=[{"type": "text", "text": "Be kind."}]))


@scenario
def limit():
    answer = asked("count", max_tokens=3)
    return [*said(answer), answer.usage.input_tokens, answer.usage.output_tokens]


@scenario
def limit_streamed():
    answer = streamed("count", max_tokens=3)
    return [*said(answer), answer.usage.output_tokens]


def thoughts(answer):
    return [[block.thinking for block in answer.content if block.type == "thinking"], said(answer)]


@scenario
def reasoning():
    return thoughts(asked("think", max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 1024}))


@scenario
def reasoning_streamed():
    return thoughts(streamed("think", max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 1024}))


@scenario
def vision():
    return said(asked(LOOK))


@scenario
def vision_streamed():
    return said(streamed(LOOK))


def loop(ask):
    """Ask, call the tools, send what they gave, ask again."""
    messages = [user("weather in two cities")]
    first = ask(messages, tools=[WEATHER])
    calls = [block for block in first.content if block.type == "tool_use"]
    assert len({call.id for call in calls}) == len(calls)
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "7 degrees"} for call in calls]
    messages += [{"role": "assistant", "content": first.content}, user(results)]
    return [first.stop_reason, [call.input["city"] for call in calls], said(ask(messages, tools=[WEATHER]))]


@scenario
def tools():
    return loop(asked)


@scenario
def tools_streamed():
    return loop(streamed)


@scenario
def structured():
    answer = client.messages.parse(model=STRATEGY, max_tokens=100, messages=[user("a fruit")], output_format=Fruit)
    return answer.parsed_output.kind


@scenario
def counted():
    return client.messages.count_tokens(model=STRATEGY, messages=[user("greet")], tools=[WEATHER]).input_tokens > 0


@scenario
def rate_limit():
    return said(asked("too many"))


@scenario
def rate_limit_streamed():
    return said(streamed("too many"))


@scenario
def context_limit():
    return said(asked("too long"))


@scenario
def overloaded():
    return said(asked("overloaded"))


@scenario
def broken_stream():
    return said(streamed("cut me"))


@scenario
def unknown_model():
    return said(asked("greet", model="nobody"))


@scenario
def bad_parameter():
    return said(asked("greet", extra_body={"temperature": "hot"}))


@scenario
def models():
    names = [model.id for model in client.models.list(limit=2)]
    return [STRATEGY in names, client.models.retrieve(STRATEGY).type]


@scenario
def unknown_model_retrieved():
    return client.models.retrieve("nobody").id


json.dump(found, sys.stdout)
