"""Judges requests and events by the types of Anthropic's own package. Reads a JSON list, writes one of complaints.

The version is the last one for the API's version 2023-06-01, which we speak. Runs where that package is installed, not where this project is. Of every object, fields that the package does not
know are a complaint, too.
"""

import json
import sys
from collections.abc import Iterable

import anthropic
import anthropic.types as known
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import is_typeddict

OLD_FIELDS = ("temperature", "top_p", "top_k")
"""The package has left them out of its types, as newer models refuse them; the older ones take them."""


def strict_types():
    for name, module in list(sys.modules.items()):
        if name.startswith("anthropic.types"):
            for kind in vars(module).values():
                if is_typeddict(kind):
                    kind.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    # A message may also hold an answer's blocks as the package's objects, which let any field pass: we send no objects.
    blocks = known.content_block_param.ContentBlockParam
    known.MessageParam.__annotations__["content"] = str | Iterable[blocks]


strict_types()
JUDGES = {
    "request": TypeAdapter(known.message_create_params.MessageCreateParams),
    "event": TypeAdapter(known.RawMessageStreamEvent),
    "message": TypeAdapter(known.Message),
}


def read_on(value):
    """Go through it all: a list's items are checked only as they are read."""
    if isinstance(value, dict):
        for item in value.values():
            read_on(item)
    elif not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for item in value:
            read_on(item)


def asked(thing):
    """Ask a server with the package's client, and judge what that makes of the answer."""
    client = anthropic.Anthropic(api_key="k", base_url=thing["host"], max_retries=0)
    answer = client.messages.create(**thing["body"])
    if not thing["body"].get("stream"):
        return complaints({"kind": "message", "body": answer.to_dict()})
    events = [event.to_dict() for event in answer]
    said = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    found = [complaint for event in events for complaint in complaints({"kind": "event", "body": event})]
    return found if said == thing["says"] else [*found, f"it says {said!r}"]


def complaints(thing):
    if thing["kind"] == "client":
        return asked(thing)
    body = {name: value for name, value in thing["body"].items() if name not in OLD_FIELDS}
    try:
        read_on(JUDGES[thing["kind"]].validate_python(body))
    except ValidationError as error:
        return [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
    return []


print(json.dumps([complaints(thing) for thing in json.load(sys.stdin)]))
