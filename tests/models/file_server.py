"""A real HTTP server of files that can do, on demand, what real ones do to downloads."""

import asyncio
import hashlib
import io
import json
import struct
import zipfile
from dataclasses import dataclass, field

from aiohttp import web

CONTENT = b"GGUF" + bytes(range(256)) * 8192  # 2 MiB
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class FileServer:
    content: bytes = CONTENT
    etag: str | None = '"v1"'
    ranges: bool = True
    minds_if_range: bool = True
    status: int = 200
    cuts: list[int] = field(default_factory=list)
    """For each request in turn: after how many bytes of its body the connection is reset; then whole answers."""
    stall_after: int | None = None
    """Bytes after which an answer goes silent."""
    length: bool = True
    redirect: str | None = None
    pace: float = 0.0
    """Seconds between blocks of 64 KiB."""
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    url: str = ""
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Other paths: content type and body."""
    reached: dict[int, asyncio.Event] = field(default_factory=dict)

    def when_sent(self, count: int) -> asyncio.Event:
        return self.reached.setdefault(count, asyncio.Event())

    async def start(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self.handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def stop(self):
        await self.runner.cleanup()

    async def handle(self, request):
        self.requests.append(dict(request.headers) | {"path": request.path})
        if request.path in self.pages:
            kind, body = self.pages[request.path]
            return web.Response(body=body, headers={"Content-Type": kind})
        if self.redirect:
            raise web.HTTPFound(self.redirect)
        if self.status != 200:
            return web.Response(status=self.status)
        return await self.body(request)

    async def body(self, request):
        start, status, headers = 0, 200, {}
        if self.etag:
            headers["ETag"] = self.etag
        wanted = request.headers.get("Range", "")
        valid = not self.minds_if_range or request.headers.get("If-Range") in (None, self.etag)
        if self.ranges and wanted and valid:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(self.content)}"})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        response = web.StreamResponse(status=status, headers=headers)
        if self.length:
            response.content_length = len(self.content) - start
        await response.prepare(request)
        await self.write(request, response, start, self.cuts.pop(0) if self.cuts else None)
        return response

    async def write(self, request, response, start, cut):
        done = 0
        for position in range(start, len(self.content), 65536):
            if self.stall_after is not None and done >= self.stall_after:
                await asyncio.sleep(30)
            block = self.content[position : position + 65536]
            if cut is not None and done + len(block) > cut:
                await response.write(block[: cut - done])
                await asyncio.sleep(0.02)  # let it leave before the reset throws it away
                request.transport.abort()
                return
            await response.write(block)
            done += len(block)
            self.sent += len(block)
            for count, event in self.reached.items():
                if self.sent >= count:
                    event.set()
            await asyncio.sleep(self.pace)


def wheel(members):
    """Build a wheel's bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def json_page(files):
    return "application/vnd.pypi.simple.v1+json", json.dumps({"meta": {"api-version": "1.1"}, "files": files}).encode()


def html_page(links):
    anchors = "".join(f'<a href="{href}">x</a><br>' for href in links)
    return "text/html; charset=utf-8", f"<!DOCTYPE html><html><body>{anchors}</body></html>".encode()


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(fields=None, tensors=((("w", (32, 4), 0)),), data=True, version=3):
    """Build a GGUF file: fields are (type number, packed value) by key; tensors are (name, shape, type)."""
    fields = {"general.architecture": (8, text("llama"))} if fields is None else fields
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields))
    for key, (kind, packed) in fields.items():
        out += text(key) + struct.pack("<I", kind) + packed
    offset = 0
    for name, shape, kind in tensors:
        out += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
        out += struct.pack("<IQ", kind, offset)
        elements = 1
        for n in shape:
            elements *= n
        offset += elements * 4
    out += b"\0" * (-len(out) % 32)
    return out + (b"\0" * offset if data else b"")
