"""Runs the program as a user would, in a process of its own with an environment of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Run:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    def assert_one_clear_line(self, code=2):
        """It failed, said why in one line, and showed no traceback."""
        assert self.code == code, (self.out, self.err)
        assert "Traceback" not in self.err
        assert len(self.err.strip().splitlines()) == 1, self.err
        assert "internal error" not in self.err


def llamafarm(*arguments, cwd, home=None, **environment) -> Run:
    inherited = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")
        if name in os.environ
    }
    done = subprocess.run(
        [sys.executable, "-m", "llamafarm.cli", *map(str, arguments)],
        cwd=cwd,
        env={**inherited, "LLAMAFARM_HOME": str(home or cwd / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@contextmanager
def serving(answers, default=(404, "text/plain", b"no such page")):
    """Serve fixed answers by path, as (status, content type, body), on a port of this machine; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, kind, body = answers.get(self.path, default)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def unused_port():
    """Give a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
