"""Has Anthropic's own client read answers of ours, strictly, and says what is wrong with them.

Reads a JSON list, writes one of complaints. Runs where that package is installed, not where this project is. An answer
comes from a server of this process, so the client reads it as it reads the vendor's. Fields that the package does not
know are a complaint, too.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
from pydantic import BaseModel, TypeAdapter

EVENT = TypeAdapter(anthropic.types.RawMessageStreamEvent)
ASKED = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


class Answering(BaseHTTPRequestHandler):
    body = b""
    kind = ""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-type", self.kind)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    def log_message(self, *_):
        pass


def unknown(value, place=""):
    """Name the fields that the package's types do not have."""
    if isinstance(value, BaseModel):
        for name in value.model_extra or {}:
            yield f"{place}.{name} is unknown"
        for name in value.model_fields_set:
            yield from unknown(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from unknown(item, f"{place}.{at}")


def stream_of(client, wanted):
    with client.messages.stream(**ASKED) as stream:
        for _ in stream:
            pass
        final = stream.get_final_message()
    for line in Answering.body.decode().split("\n"):
        if line.startswith("data: ") and line != 'data: {"type":"ping"}':
            yield from unknown(EVENT.validate_json(line.removeprefix("data: ")), "event")
    yield from differs(final, wanted)


def message_of(client, wanted):
    message = client.messages.create(**ASKED)
    yield from unknown(message, "message")
    yield from differs(message, wanted)


def differs(message, wanted):
    got = message.to_dict()
    found = {name: got.get(name) for name in wanted}
    if found != wanted:
        yield f"it says {found!r}, not {wanted!r}"


def failing(client, wanted):
    try:
        with client.messages.stream(**ASKED) as stream:
            for _ in stream:
                pass
    except anthropic.APIStatusError as error:
        if error.body["error"]["type"] != wanted["type"] or wanted["message"] not in str(error):
            yield f"it fails with {error!r}"
    else:
        yield "it does not fail"


def count_of(client, wanted):
    given = {name: value for name, value in ASKED.items() if name != "max_tokens"}
    count = client.messages.count_tokens(**given)
    yield from unknown(count, "count")
    yield from differs(count, wanted)


def models_of(client, wanted):
    page = client.models.list()
    yield from unknown(page, "page")
    if [model.id for model in page] != wanted["ids"]:
        yield f"it lists {page!r}"


def model_of(client, wanted):
    model = client.models.retrieve("m")
    yield from unknown(model, "model")
    if model.id != wanted["id"]:
        yield f"it is {model!r}"


READERS = {
    "stream": stream_of,
    "message": message_of,
    "failing": failing,
    "count": count_of,
    "models": models_of,
    "model": model_of,
}


def complaints(thing, host):
    Answering.body = thing["body"].encode()
    Answering.kind = "text/event-stream" if thing["kind"] in ("stream", "failing") else "application/json"
    client = anthropic.Anthropic(api_key="k", base_url=host, max_retries=0, _strict_response_validation=True)
    try:
        return list(READERS[thing["kind"]](client, thing["wanted"]))
    except (anthropic.APIError, ValueError) as error:
        return [repr(error)]


with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told = [complaints(thing, f"http://127.0.0.1:{server.server_port}") for thing in json.load(sys.stdin)]
    server.shutdown()
print(json.dumps(told))
