"""Runs commands that ask, against servers of the test's own: strategies for them, and the program beside them."""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from tests.cli.program import Run

INHERITED = ("PATH", "HOME", "LANG", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_CONFIG_FILE")


def environment(folder, **extra):
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, "LLAMAFARM_HOME": str(folder / "home"), **extra}


def chain(folder, more="", **targets):
    """Write a strategy whose chain has these targets, each by its base URL; give the file."""
    parts = [
        f"      {name}: {{type: openai_compatible, config: {{provider: custom, base_url: '{url}', default_model: {name}-model, max_retries: 0}}}}"
        for name, url in targets.items()
    ]
    file = folder / "strategies.yaml"
    lines = ["strategies:", "  - name: test", "    description: For a test.", "    components:", *parts]
    lines.append(f"    fallback_chain: [{', '.join(targets)}]")
    file.write_text("\n".join([*lines, *(f"    {line}" for line in more.strip().splitlines())]) + "\n")
    return file


async def ask(*arguments, cwd, stdin=None, **extra):
    """Run the program to its end, with the test's servers going on meanwhile."""
    process = await start(
        *arguments, cwd=cwd, stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE, **extra
    )
    given = None if stdin is None else stdin if isinstance(stdin, bytes) else stdin.encode()
    out, err = await asyncio.wait_for(process.communicate(given), 60)
    return Run(process.returncode, out.decode(), err.decode())


async def start(*arguments, cwd, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, **extra):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "llamafarm.cli", *map(str, arguments),
        cwd=cwd, env=environment(cwd, **extra), stdin=stdin, stdout=stdout, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def lines(text):
    return [msgspec.json.decode(line) for line in text.splitlines()]


def refused():
    """An address where nothing listens."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def event(piece="", finish=None):
    choice = {"index": 0, "delta": {"content": piece} if piece else {}, "finish_reason": finish}
    return {"id": "fake-1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}


def held(*pieces, until):
    """Stream pieces of an answer and then stay silent until a gate opens; then end it."""

    async def behave(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for piece in pieces:
            writer.write(b"data: " + msgspec.json.encode(event(piece)) + b"\n\n")
        await writer.drain()
        await until.wait()
        writer.write(b"data: " + msgspec.json.encode(event("", "stop")) + b"\n\ndata: [DONE]\n\n")
        await writer.drain()
        writer.close()

    return behave
