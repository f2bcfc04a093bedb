"""What schemathesis is told beside the document. It is loaded where that is installed."""

import json

import jsonschema_rs
import schemathesis

STREAM = "text/event-stream"


def whole(value):
    """Write 1.0 as 1: JSON Schema takes either for a whole number, the gateway and the vendors one of them."""
    if isinstance(value, float) and value.is_integer():
        return int(value) if abs(value) < 2**53 else value
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


@schemathesis.hook
def map_body(context, body):
    return whole(body)


@schemathesis.check
def events_conform(ctx, response, case):
    """Hold every event of a stream to its schema, and the stream to its end."""
    if STREAM not in response.headers.get("content-type", [""])[0]:
        return
    document = case.operation.schema.raw_schema
    described = document["paths"][case.operation.path]["post"]["responses"]["200"]["content"][STREAM]
    events = [line[6:] for line in response.content.decode().split("\n") if line.startswith("data: ")]
    assert events, "a stream without events"
    data = described["schema"]["properties"]["data"]
    if "contentSchema" in data:
        assert events.pop() == "[DONE]", "the stream does not end with [DONE]"
        schema = {**data["contentSchema"], "components": document["components"]}
        for event in events:
            jsonschema_rs.validate(schema, json.loads(event))
    assert all(isinstance(json.loads(event), dict) for event in events)
