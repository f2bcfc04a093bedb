"""Judges requests by the types of Ollama's own Python package, and asks a server with its client.

Runs where that package is installed, not where this project is. Reads a JSON list, writes one of complaints; of a
``client`` it is what the client got, and any complaint is an error.
"""

import json
import sys

import ollama
from ollama import _types as known
from pydantic import BaseModel, ValidationError

REQUESTS = {
    "api/chat": known.ChatRequest,
    "api/generate": known.GenerateRequest,
    "api/embed": known.EmbedRequest,
}


def unknown(given, read, place=""):
    """Give the fields that the package dropped, as it does what it does not know."""
    if isinstance(read, BaseModel):
        for name, value in given.items():
            if name not in type(read).model_fields:
                yield f"{place}{name}: unknown"
            else:
                yield from unknown(value, getattr(read, name), f"{place}{name}.")
    elif isinstance(given, list) and isinstance(read, list | tuple):
        for one, other in zip(given, read, strict=True):
            yield from unknown(one, other, place)


def of_kind(kind, value, place=""):
    try:
        read = kind.model_validate(value)
    except ValidationError as error:
        return [f"{place}{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
    return list(unknown(value, read, place))


def of_picture(image):
    try:
        known.Image(**image).model_dump()
    except ValueError as error:
        return [f"messages.images: {error}"]
    return []


def complaints(thing):
    if thing["kind"] == "client":
        return asked(thing)
    body = dict(thing["body"])
    found = of_kind(known.Options, body.get("options", {}), "options.")
    for message in body.get("messages", ()):
        images = [{"value": image} for image in message.get("images", ())]
        found += of_kind(known.Message, {**message, **({"images": images} if images else {})}, "messages.")
        found += [complaint for image in images for complaint in of_picture(image)]
    for tool in body.pop("tools", ()):  # what is in a schema is the caller's own
        parameters = tool["function"].get("parameters", {"type": "object"})
        found += of_kind(
            known.Tool, {**tool, "function": {**tool["function"], "parameters": {"type": "object"}}}, "tools."
        )
        assert parameters["type"] == "object"
    return sorted({*found, *of_kind(REQUESTS[thing["kind"]], body)})


def asked(thing):
    client = ollama.Client(thing["host"])
    try:
        answer = getattr(client, thing["method"])(**thing["body"])
        if not isinstance(answer, BaseModel):
            return [chunk.model_dump(mode="json", exclude_none=True) for chunk in answer]
    except ollama.ResponseError as error:
        return [{"status_code": error.status_code, "error": error.error}]
    return [answer.model_dump(mode="json", exclude_none=True)]


print(json.dumps([complaints(thing) for thing in json.load(sys.stdin)]))
