"""Judges answers by OpenAI's own package. Reads a JSON list, writes one of complaints. Runs where that is installed.

The package's client reads each answer as if a server had sent it, with strict response validation on; what it puts
together of a stream is compared with what was meant. The package is no wider than OpenAI's document, but for what
that requires and the package does not: those fields are looked for here.
"""

import asyncio
import json
import sys

import httpx2
import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import CompletionChoice

NEEDED = {
    "chat.completion": {"": ("choices", "created", "id", "model", "object"), "choice": ("finish_reason", "index", "logprobs", "message"), "message": ("content", "refusal", "role")},
    "chat.completion.chunk": {"": ("choices", "created", "id", "model", "object"), "choice": ("delta", "finish_reason", "index")},
    "text_completion": {"": ("choices", "created", "id", "model", "object"), "choice": ("finish_reason", "index", "logprobs", "text")},
}  # fmt: skip
"""What OpenAI's document requires, null or not."""

# A streamed piece of a legacy completion has a null finish reason, which neither document nor package say.
CompletionChoice.__annotations__["finish_reason"] |= None
CompletionChoice.model_fields["finish_reason"].annotation |= None
CompletionChoice.model_rebuild(force=True)
openai.types.Completion.model_rebuild(force=True)


def client_for(body, *, stream=False, strict=True, kind=openai.OpenAI, http=httpx2.Client):
    headers = {"content-type": "text/event-stream" if stream else "application/json"}
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers=headers, content=body.encode("utf-8", "surrogatepass"))
    )
    return kind(
        api_key="k", base_url="http://x/v1", max_retries=0, http_client=http(transport=transport),
        _strict_response_validation=strict,
    )  # fmt: skip


def missing(answer):
    """Give the fields that OpenAI's document requires and an answer does not have."""
    needed = NEEDED.get(answer.get("object"), {})
    found = [name for name in needed.get("", ()) if name not in answer]
    for choice in answer.get("choices", ()):
        found += [f"choices.{name}" for name in needed.get("choice", ()) if name not in choice]
        found += [f"message.{name}" for name in needed.get("message", ()) if name not in choice["message"]]
    return [f"{name} is missing" for name in found]


def asked(client, thing):
    """Have a client ask at the path of a thing to judge."""
    messages, stream = [{"role": "user", "content": "Hi"}], thing.get("stream", False)
    match thing["path"]:
        case "chat/completions":
            more = {"extra_body": {"stream_options": {"include_usage": True}}}
            return client.chat.completions.create(model="m", messages=messages, stream=stream, **more)
        case "completions":
            return client.completions.create(model="m", prompt="a", stream=stream)
        case "embeddings":
            return client.embeddings.create(model="m", input="a", encoding_format=thing.get("encoding", openai.omit))
        case "images/generations":
            return client.images.generate(prompt="a", stream=stream)
        case "models":
            return client.models.list()
    return client.models.retrieve("a")


def said_in(choice):
    """Give what a choice says, in the words of the test."""
    message = choice.message.to_dict()
    return {
        "text": message.get("content") or "",
        "reasoning": message.get("reasoning_content") or "",
        "calls": [
            {"id": one["id"], "name": one["function"]["name"], "arguments": one["function"]["arguments"]}
            for one in message.get("tool_calls") or ()
        ],
        "blocks": message.get("thinking_blocks") or [],
        "finish": choice.finish_reason,
    }


def judge_stream(thing):
    found, state, texts, usage = [], ChatCompletionStreamState(), {}, None
    for event in asked(client_for(thing["body"], stream=True), thing):
        found += missing(event.to_dict())
        if thing["path"] == "chat/completions" and "says" in thing:
            state.handle_chunk(event)
        elif thing["path"] == "completions":
            for choice in event.choices:
                texts[choice.index] = texts.get(choice.index, "") + choice.text
        usage = getattr(event, "usage", None) or usage
    if "says" not in thing:
        return found
    if thing["path"] == "chat/completions":
        choices = sorted(state.current_completion_snapshot.choices, key=lambda choice: choice.index)
        said = [said_in(choice) for choice in choices]
    else:
        said = [texts[index] for index in sorted(texts)]
    if said != thing["says"]:
        found.append(f"it says {said!r}, not {thing['says']!r}")
    if (usage and usage.completion_tokens) != thing["tokens"]:
        found.append(f"its usage is {usage!r}, not {thing['tokens']!r}")
    return found


def judge(thing):
    try:
        if thing.get("stream"):
            return judge_stream(thing)
        # With strict validation on, the package refuses the base64 that it asks for by itself, whoever sends it.
        answer = asked(client_for(thing["body"], strict=not thing.get("packed")), thing)
        found = missing(answer.to_dict())
        if "says" in thing and [said_in(choice) for choice in answer.choices] != thing["says"]:
            found.append(f"it says {[said_in(choice) for choice in answer.choices]!r}")
        if "vectors" in thing and [row.embedding for row in answer.data] != thing["vectors"]:
            found.append(f"its vectors are {[row.embedding for row in answer.data]!r}")
    except openai.APIError as error:
        return [f"{type(error).__name__}: {error}"]
    return found


async def judge_async(thing):
    """Read a stream with the client for code with an event loop: it closes what it read to the end or raised over."""
    client = client_for(thing["body"], stream=True, kind=openai.AsyncOpenAI, http=httpx2.AsyncClient)
    try:
        async for event in await asked(client, thing):
            if missing(event.to_dict()):
                return missing(event.to_dict())
    except openai.APIError as error:
        return [f"{type(error).__name__}: {error}"]
    return []


things = json.load(sys.stdin)
print(json.dumps([asyncio.run(judge_async(thing)) if thing.get("loop") else judge(thing) for thing in things]))
