"""Runs the program in a terminal of its own, types into it and waits for what it shows."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

from tests.cli.asking import environment


def _take_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    def __init__(self, *arguments, cwd, **extra):
        self.arguments, self.cwd = arguments, cwd
        self.environment = environment(cwd, TERM="xterm", **extra)
        self.shown = ""
        self._seen = 0
        self._more = asyncio.Event()

    async def __aenter__(self):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(  # noqa: ASYNC220 - the asyncio kind has no terminal
            [sys.executable, "-m", "llamafarm.cli", *map(str, self.arguments)],
            cwd=self.cwd, env=self.environment, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, preexec_fn=_take_terminal,  # noqa: PLW1509 - no other way to a terminal of its own
        )  # fmt: skip
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return self

    def _read(self):
        try:
            content = os.read(self._ours, 65536)
        except OSError:  # the program has closed its side
            content = b""
        if not content:
            asyncio.get_running_loop().remove_reader(self._ours)
        self.shown += content.decode(errors="replace")
        self._more.set()

    async def until(self, text):
        """Wait for a text behind what was waited for before."""
        async with asyncio.timeout(60):
            while (at := self.shown.find(text, self._seen)) < 0:
                self._more.clear()
                await self._more.wait()
        self._seen = at + len(text)

    def type(self, text):
        os.write(self._ours, text.encode())

    async def ctrl(self, letter):
        # Python's line editor sees a signal only while it waits for a key, and what it shows comes just before that.
        await asyncio.sleep(0.2)
        self.type(chr(ord(letter.upper()) - 64))

    async def code(self):
        """Wait for the end and give the exit code."""
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), 60)

    async def __aexit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
