"""Judges the Responses API, as we speak it, by OpenAI's own package: its types, and its client on a server of ours.

Reads a JSON list, writes one of complaints. Runs where that package is installed, not where this project is. Of every
object, fields that the package does not know are a complaint, too.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import get_args

import openai
from openai.types import responses as known
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as params
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import is_typeddict

BEYOND = {
    "Response": {"store", "presence_penalty", "frequency_penalty"},  # the service sends them, the package has no name
    "ResponseErrorEvent": {"error"},  # what the client raises for; the service sends only this
    "ResponseFunctionCallArgumentsDoneEvent": {"name"},  # the package of 2025 has it, that of 2026 has not
}
OURS = {"reasoning_content", "thinking_blocks"}
"""Fields of a message that vendors other than OpenAI take; what goes to OpenAI is freed of them on its way."""


def strict_types():
    for name, module in list(sys.modules.items()):
        if name.startswith("openai.types"):
            for kind in vars(module).values():
                if is_typeddict(kind):
                    kind.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def members(union):
    for kind in get_args(union):
        yield from [kind] if isinstance(kind, type) else members(kind)


strict_types()
EVENTS = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in members(known.ResponseStreamEvent)
    if issubclass(kind, BaseModel)
}
PARAMS = {
    "request": TypeAdapter(params.ResponseCreateParamsStreaming),
    "chat": TypeAdapter(chat_params.CompletionCreateParamsNonStreaming),
}


def unknown(value, place):
    """Name the fields that a model has taken in though it does not know them."""
    if isinstance(value, BaseModel):
        extra = set(value.model_extra or ()) - BEYOND.get(type(value).__name__, set())
        yield from (f"{place}.{name}: unknown to {type(value).__name__}" for name in extra)
        for name in value.model_fields_set & set(type(value).model_fields):
            yield from unknown(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from unknown(item, f"{place}.{at}")


def read_on(value):
    """Go through it all: a list's items are checked only as they are read."""
    if isinstance(value, dict):
        for item in value.values():
            read_on(item)
    elif not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for item in value:
            read_on(item)


def judged(thing):
    kind, body = thing["kind"], thing["body"]
    if kind == "chat":
        body = {**body, "model": "m", "messages": [
            {name: value for name, value in message.items() if name not in OURS} for message in body["messages"]
        ]}  # fmt: skip
    if kind in PARAMS:
        read_on(PARAMS[kind].validate_python(body))
        return []
    model = known.Response if kind == "response" else EVENTS.get(body["type"])
    if model is None:
        return [f"{body['type']} is no event"]
    return list(unknown(model.model_validate(body, strict=True), kind))


class Given(BaseHTTPRequestHandler):
    """Answers whatever is asked with what the server was given."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", self.server.kind)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_):
        pass


def asked(thing):
    """Have the package's client read a stream, and tell what it makes of it: its final response, or what it raises."""
    server = HTTPServer(("127.0.0.1", 0), Given)
    server.kind, server.answer = thing["content_type"], thing["body"].encode()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}/v1"
    client = openai.OpenAI(api_key="k", base_url=host, max_retries=0, _strict_response_validation=True)
    seen = []
    try:
        if thing["content_type"] == "application/json":
            return [{"response": client.responses.create(model="m", input="Hi").to_dict()}]
        with client.responses.stream(model="m", input="Hi") as stream:
            for event in stream:
                seen.append(event.type)
                last = event
            response = getattr(last, "response", None)
            if last.type == "response.completed":
                response = stream.get_final_response()
            return [{"seen": seen, "response": response.to_dict(), "text": response.output_text}]
    except (openai.OpenAIError, RuntimeError) as error:
        return [{"seen": seen, "raises": type(error).__name__, "says": str(error)}]
    finally:
        server.shutdown()
        server.server_close()


def complaints(thing):
    if thing["kind"] == "client":
        return asked(thing)
    try:
        return judged(thing)
    except ValidationError as error:
        return [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]


print(json.dumps([complaints(thing) for thing in json.load(sys.stdin)]))
