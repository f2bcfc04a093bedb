"""A vendor that answers at once, as a process of its own: ``python upstream.py`` prints its port."""

from __future__ import annotations

import asyncio
import json

CHUNKS = 200
_COMMON = {"id": "c1", "created": 1, "model": "m"}
_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def _choice(**more):
    return {"index": 0, "logprobs": None, **more}


def _event(delta, finish=None):
    body = {**_COMMON, "object": "chat.completion.chunk", "choices": [_choice(delta=delta, finish_reason=finish)]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


_MESSAGE = {"role": "assistant", "content": "Paris.", "refusal": None}
_WHOLE = json.dumps(
    {
        **_COMMON,
        "object": "chat.completion",
        "choices": [_choice(message=_MESSAGE, finish_reason="stop")],
        "usage": _USAGE,
    }
).encode()
_PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_WHOLE), _WHOLE)
_EVENTS = [
    _event({"role": "assistant", "content": ""}),
    *(_event({"content": "word "}) for _ in range(CHUNKS)),
    _event({}, "stop"),
    b"data: [DONE]\n\n",
]
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Vendor(asyncio.Protocol):
    """Answers each request whose body is whole."""

    def connection_made(self, transport):
        self.transport = transport
        self.came = b""
        self.tasks = set()

    def data_received(self, data):
        self.came += data
        while (end := self.came.find(b"\r\n\r\n")) >= 0:
            lines = self.came[:end].lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            if len(self.came) < end + 4 + length:
                return
            body, self.came = self.came[end + 4 : end + 4 + length], self.came[end + 4 + length :]
            if b'"stream":true' in body.replace(b" ", b""):
                task = asyncio.create_task(self.stream())
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
            else:
                self.transport.write(_PLAIN)

    async def stream(self):
        self.transport.write(_STREAM)
        for event in _EVENTS:
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(0)
        self.transport.write(b"0\r\n\r\n")


async def main():
    server = await asyncio.get_running_loop().create_server(Vendor, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
