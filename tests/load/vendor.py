"""A vendor as a process of its own: ``python vendor.py`` prints its port. The prompt's first word says what it does.

It answers with the prompt, so that every answer can be told from every other, and with the models it was asked for on
behalf of this prompt, so that a test sees which generation of a strategy file each attempt came from. Of words: ``hold``
never answers, ``first`` gives one event and stays, ``flood`` never ends, ``together:N`` gives one event and goes on once
N streams have come as far. A model called ``down…`` is out of order.
"""

import asyncio
import json
import sys
from typing import ClassVar

EVENTS = 20
_COMMON = {"id": "c1", "created": 1}
_USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _framed(payload):
    data = b"data: " + payload + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta, finish=None, model="m"):
    choice = {"index": 0, "logprobs": None, "delta": delta, "finish_reason": finish}
    body = {**_COMMON, "model": model, "object": "chat.completion.chunk", "choices": [choice]}
    return _framed(json.dumps(body).encode())


FLOOD = _event({"content": "x" * 64_000})
"""An event of a stream that never ends."""


class Vendor(asyncio.Protocol):
    """One connection. What all of them share is in the class: there is one vendor."""

    open, asked, holding, most_holding = 0, 0, 0, 0
    seen: ClassVar = {}
    """The models a prompt was asked of in vain."""
    prompts: ClassVar = []
    keeping = False
    barrier = None
    there = 0

    def connection_made(self, transport):
        self.transport = transport
        self.came = bytearray()
        self.task = None
        self.writable = asyncio.Event()
        self.writable.set()
        Vendor.open += 1

    def connection_lost(self, _exc):
        Vendor.open -= 1
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    def data_received(self, data):
        self.came += data
        while (end := self.came.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self.came[:end]).lower().split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
            if len(self.came) < end + 4 + length:
                return
            body = bytes(self.came[end + 4 : end + 4 + length])
            del self.came[: end + 4 + length]
            self.answer(lines[0], body)

    def send(self, document, status="200 OK"):
        content = json.dumps(document).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        self.transport.write(head.encode() + content)

    def answer(self, line, body):
        if line.startswith(b"get /stats"):
            names = ("open", "asked", "holding", "most_holding", "prompts")
            self.send({name: getattr(Vendor, name) for name in names})
            return
        Vendor.asked += 1
        asked = json.loads(body)
        prompt, model = asked["messages"][-1]["content"], asked["model"]
        if Vendor.keeping:
            Vendor.prompts.append(prompt)
        if model.startswith("down"):
            Vendor.seen.setdefault(prompt, []).append(model)
            self.send({"error": {"message": "out of order"}}, "503 Service Unavailable")
            return
        text = f"{prompt}|{','.join([*Vendor.seen.pop(prompt, ()), model])}"
        word = prompt.split(" ", 1)[0]
        if word in {"hold", "first", "flood"} or asked.get("stream"):
            self.task = asyncio.create_task(self.stream(word, text, model))
        else:
            message = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "logprobs": None, "message": message, "finish_reason": "stop"}
            self.send({**_COMMON, "model": model, "object": "chat.completion", "choices": [choice], "usage": _USAGE})

    async def stream(self, word, text, model):
        Vendor.holding += 1
        Vendor.most_holding = max(Vendor.holding, Vendor.most_holding)
        try:
            if word == "hold":
                await asyncio.Event().wait()
            self.transport.write(_STREAM + _event({"role": "assistant", "content": ""}, model=model))
            size = -(-len(text) // EVENTS)
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            self.transport.write(_event({"content": pieces[0]}, model=model))
            await self.linger(word)
            for piece in pieces[1:]:
                self.transport.write(_event({"content": piece}, model=model))
                await asyncio.sleep(0)
            self.transport.write(_event({}, "stop", model=model) + _framed(b"[DONE]") + b"0\r\n\r\n")
        finally:
            Vendor.holding -= 1
            self.task = None

    async def linger(self, word):
        if word == "first":
            await asyncio.Event().wait()
        while word == "flood":
            await self.writable.wait()
            self.transport.write(FLOOD)
            await asyncio.sleep(0.05)
        if word.startswith("together:"):
            Vendor.barrier = Vendor.barrier or asyncio.Event()
            Vendor.there += 1
            if Vendor.there == int(word.partition(":")[2]):
                Vendor.barrier.set()
            await Vendor.barrier.wait()


async def main():
    Vendor.keeping = "--keep" in sys.argv
    server = await asyncio.get_running_loop().create_server(Vendor, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
