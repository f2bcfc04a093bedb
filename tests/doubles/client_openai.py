"""Asks a gateway by OpenAI's own client, by every route, and writes what that made of it as JSON.

Runs where the client is installed: URL, the strategy to ask, and the scenarios wanted, else all. Strict response validation is on.
"""

import base64
import json
import struct
import sys
from typing import Literal

import openai
from pydantic import BaseModel

URL, STRATEGY, *WANTED = sys.argv[1:]
client = openai.OpenAI(base_url=f"{URL}/v1", api_key="any", _strict_response_validation=True)
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
FLAT = {"type": "function", **WEATHER["function"]}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
LOOK = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
found = {}


class Fruit(BaseModel):
    kind: Literal["plum", "pear"]


def scenario(work):
    if WANTED and work.__name__ not in WANTED:
        return work
    try:
        found[work.__name__] = work()
    except openai.APIError as error:
        found[work.__name__] = failed(error)
    return work


def failed(error):
    """Give an error by what a program tells it: its class, its status, its code."""
    return [type(error).__name__, getattr(error, "status_code", None), error.code]


def user(content):
    return {"role": "user", "content": content}


def asked(content, **more):
    return client.chat.completions.create(model=STRATEGY, messages=[user(content)], **more)


def streamed(messages, **more):
    with client.chat.completions.stream(
        model=STRATEGY, messages=messages, stream_options={"include_usage": True}, **more
    ) as events:
        for _ in events:
            pass
        return events.get_final_completion()


def said(answer):
    choice = answer.choices[0]
    return [choice.message.content, choice.finish_reason]


@scenario
def text():
    return said(asked("greet"))


@scenario
def text_streamed():
    return said(streamed([user("greet")]))


@scenario
def text_event_by_event():
    return "".join(event.choices[0].delta.content or "" for event in asked("greet", stream=True) if event.choices)


@scenario
def limit():
    answer = asked("count", max_tokens=3)
    return [*said(answer), answer.usage.prompt_tokens, answer.usage.completion_tokens]


@scenario
def limit_streamed():
    answer = asked("count", max_tokens=3, stream=True, stream_options={"include_usage": True})
    *_, last = answer
    return [last.usage.prompt_tokens, last.usage.completion_tokens]


@scenario
def reasoning():
    message = asked("think", reasoning_effort="low").choices[0].message
    return [message.content, message.model_extra.get("reasoning_content")]


@scenario
def vision():
    return said(asked(LOOK))


@scenario
def vision_streamed():
    return said(streamed([user(LOOK)]))


def loop(ask):
    """Ask, call the tools, send what they gave, ask again."""
    messages = [user("weather in two cities")]
    first = ask(messages)
    calls = first.choices[0].message.tool_calls
    assert len({call.id for call in calls}) == len(calls)
    cities = [json.loads(call.function.arguments)["city"] for call in calls]
    messages.append(first.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"}))
    for call in calls:
        call.function.__dict__.pop("parsed_arguments", None)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "7 degrees"})
    for call in messages[1]["tool_calls"]:
        call["function"].pop("parsed_arguments", None)
    messages[1].pop("parsed", None)
    return [first.choices[0].finish_reason, cities, said(ask(messages))]


@scenario
def tools():
    return loop(lambda messages: client.chat.completions.create(model=STRATEGY, messages=messages, tools=[WEATHER]))


@scenario
def tools_streamed():
    return loop(lambda messages: streamed(messages, tools=[WEATHER]))


@scenario
def structured():
    answer = client.chat.completions.parse(model=STRATEGY, messages=[user("a fruit")], response_format=Fruit)
    return answer.choices[0].message.parsed.kind


@scenario
def structured_streamed():
    return streamed([user("a fruit")], response_format=Fruit).choices[0].message.parsed.kind


@scenario
def response():
    answer = client.responses.create(model=STRATEGY, input="greet", instructions="Be kind.")
    return [answer.output_text, answer.status]


@scenario
def response_streamed():
    with client.responses.stream(model=STRATEGY, input="greet") as events:
        pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
        answer = events.get_final_response()
    assert "".join(pieces) == answer.output_text
    return [answer.output_text, answer.status]


@scenario
def response_limit():
    answer = client.responses.create(model=STRATEGY, input="count", max_output_tokens=16)
    return [answer.output_text, answer.status, answer.incomplete_details.reason, answer.usage.output_tokens]


@scenario
def response_vision():
    parts = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": PIXEL, "detail": "auto"}]
    return client.responses.create(model=STRATEGY, input=[user(parts)]).output_text


@scenario
def response_structured():
    return client.responses.parse(model=STRATEGY, input="a fruit", text_format=Fruit).output_parsed.kind


def respond(messages):
    return client.responses.create(model=STRATEGY, input=messages, tools=[FLAT])


def respond_streamed(messages):
    with client.responses.stream(model=STRATEGY, input=messages, tools=[FLAT]) as events:
        return events.until_done().get_final_response()


def response_loop(ask):
    messages = [user("weather in two cities")]
    first = ask(messages)
    calls = [item for item in first.output if item.type == "function_call"]
    cities = [json.loads(call.arguments)["city"] for call in calls]
    messages += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    for call in calls:
        messages.append({"type": "function_call_output", "call_id": call.call_id, "output": "7 degrees"})
    return [cities, ask(messages).output_text]


@scenario
def response_tools():
    return response_loop(respond)


@scenario
def response_tools_streamed():
    return response_loop(respond_streamed)


@scenario
def response_with_a_memory():
    return client.responses.create(model=STRATEGY, input="greet", previous_response_id="resp_1").output_text


@scenario
def rate_limit():
    return said(asked("too many"))


@scenario
def rate_limit_streamed():
    return list(asked("too many", stream=True))


@scenario
def context_limit():
    return said(asked("too long"))


@scenario
def overloaded():
    return said(asked("overloaded"))


@scenario
def overloaded_response():
    return client.responses.create(model=STRATEGY, input="overloaded").output_text


@scenario
def broken_stream():
    return list(asked("cut me", stream=True))


@scenario
def unknown_model():
    return client.chat.completions.create(model="nobody", messages=[user("greet")]).id


@scenario
def bad_parameter():
    return asked("greet", extra_body={"temperature": "hot"}).id


@scenario
def models():
    names = [model.id for model in client.models.list()]
    return [STRATEGY in names, client.models.retrieve(STRATEGY).owned_by]


@scenario
def unknown_model_retrieved():
    return client.models.retrieve("nobody").id


@scenario
def vectors():
    numbers = client.embeddings.create(model="embed", input="embed me", encoding_format="float").data[0].embedding
    # It asks for base64 where nothing is said, which its own strict types do not know.
    usual = openai.OpenAI(base_url=f"{URL}/v1", api_key="any").embeddings.create(
        model="embed", input=["embed me", "embed me"]
    )
    packed = client.embeddings.with_raw_response.create(model="embed", input="embed me", encoding_format="base64")
    text = json.loads(packed.content)["data"][0]["embedding"]
    assert list(struct.unpack("<3f", base64.b64decode(text))) == numbers
    return [numbers, [row.embedding for row in usual.data]]


@scenario
def pictures():
    return client.images.generate(model="image", prompt="a red cat", response_format="b64_json").data[0].b64_json


@scenario
def pictures_streamed():
    events = client.images.generate(model="image", prompt="a red cat", stream=True)
    return [[event.type, event.b64_json] for event in events]


@scenario
def completion():
    choice = client.completions.create(model="complete", prompt="greet", max_tokens=20).choices[0]
    return [choice.text, choice.finish_reason]


@scenario
def completion_streamed():
    openai.types.CompletionChoice.__annotations__["finish_reason"] |= None
    openai.types.CompletionChoice.model_fields["finish_reason"].annotation |= None
    openai.types.CompletionChoice.model_rebuild(force=True)
    openai.types.Completion.model_rebuild(force=True)
    events = client.completions.create(model="complete", prompt="greet", max_tokens=20, stream=True)
    return "".join(event.choices[0].text for event in events if event.choices)


json.dump(found, sys.stdout)
