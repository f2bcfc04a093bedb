"""What the tests of the Responses API share: requests, replies, and a client that puts a stream's events together."""

import copy
import json

from llamafarm.server.formats.responses.format import Responses
from llamafarm.server.http.messages import Head
from llamafarm.types import Target

HEAD = Head("POST", "/v1/responses", "", {})
FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
CUSTOM = {"type": "custom", "name": "patch", "description": "Applies a patch."}
LAST = ("response.completed", "response.incomplete", "response.failed")
RESPONSES = Responses()


class Answered:
    """As much of a reply as a format looks at."""

    def __init__(self, dialect="openai", model="m-1"):
        self.target = Target(name="t", provider="custom", dialect=dialect, model=model)


def read(head=HEAD, **body):
    """Read a request about nothing in particular."""
    return RESPONSES.read({"model": "m", "input": "Hi", **body}, head)


def chat(**body):
    """Give the chat body that a request becomes."""
    return read(**body).body


def messages(*items, **body):
    """Give the messages that items of input become."""
    return chat(input=list(items), **body)["messages"]


def whole(*chunks, reply=None, **body):
    """Give the response object of a plain answer."""
    call = read(**body)
    return json.loads(RESPONSES.whole(call, reply or Answered(), chunks))


def streamed(*chunks, reply=None, fails=None, **body):
    """Give the bytes of a stream."""
    writer = RESPONSES.stream(read(stream=True, **body), reply or Answered())
    written = b"".join(writer.write(chunk) for chunk in chunks)
    return written + (writer.end() if fails is None else writer.fail(fails, "req_1"))


def events_in(stream):
    """Read server-sent events; comments are left out."""
    found = []
    for block in stream.decode().split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if not lines:
            continue
        name, data = lines
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


PARTS = {"content_part": ("content", "content_index"), "reasoning_summary_part": ("summary", "summary_index")}
TEXTS = {"output_text": ("content", "content_index"), "reasoning_summary_text": ("summary", "summary_index")}
FIELDS = {"function_call_arguments": "arguments", "custom_tool_call_input": "input"}


def accumulated(events):
    """Put a response together from the deltas alone, and see that what closes each thing says the same."""
    output = []
    done = set()
    for event in events:
        subject, _, what = event["type"].removeprefix("response.").rpartition(".")
        if "output_index" not in event:
            continue
        place = event["output_index"]
        if (subject, what) == ("output_item", "added"):
            assert place == len(output)
            output.append(copy.deepcopy(event["item"]))
            continue
        assert place not in done
        item = output[place]
        assert event.get("item_id", item["id"]) == item["id"]
        if subject == "output_item":
            # Only with its end are known how it ended, and what a vendor signed.
            given = {name: event["item"][name] for name in event["item"] if name in ("status", "encrypted_content")}
            assert {**item, **given} == event["item"]
            output[place] = event["item"]
            done.add(place)
        else:
            take(item, event, subject, what)
    return output


def take(item, event, subject, what):
    """Add to an item what an event says of it."""
    if subject in FIELDS:
        field = FIELDS[subject]
        if what == "delta":
            item[field] += event["delta"]
        else:
            assert {**item, **{name: event[name] for name in ("name", field) if name in event}} == item
        return
    where, index = (PARTS | TEXTS)[subject]
    if what == "added":
        assert event[index] == len(item[where])
        item[where].append(event["part"])
    elif what == "delta":
        item[where][event[index]]["text"] += event["delta"]
    else:
        assert item[where][event[index]]["text"] == event.get("part", event)["text"]
        item[where][event[index]] = event.get("part", item[where][event[index]])


def text_of(response):
    """Give what the model says."""
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])
