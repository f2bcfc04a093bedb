"""Which bytes are a request's head, what it asks for, and how its body is framed; anything doubtful is rejected.

llhttp parses, and is strict by itself about line ends, folding, names and both lengths together. What it lets pass and
a proxy in front could read otherwise is judged here: the end of the head is searched for apart from the parser, and
the two must agree; headers that decide something come once; the host, the target and the encodings have one spelling.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import httptools

from llamafarm.server.http.messages import Head

if TYPE_CHECKING:
    from llamafarm.server.http.limits import Limits

__all__ = ["CHUNKED", "HeadParser", "RejectedError"]

CHUNKED: Final = -1
"""The length of a body that says itself where it ends."""

_END = b"\r\n\r\n"
_METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
}
_ONCE = frozenset({
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
    "x-api-key",
    "x-request-id",
})  # fmt: skip
_NAMES = {
    spelled.encode(): name
    for name in (
        *_ONCE,
        "accept",
        "accept-encoding",
        "accept-language",
        "anthropic-version",
        "connection",
        "user-agent",
    )
    for spelled in (name, name.title())
}
"""Saves decoding and folding the usual ones."""
_HOST = re.compile(r"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN_FORM = re.compile(r"(/[!\"$->@-~]*)(?:\?([!\"$-~]*))?")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_CODINGS = re.compile(r"(?:(?:x-)?(?:gzip|compress)|deflate)[ \t]*,[ \t]*chunked", re.IGNORECASE)


@lru_cache(maxsize=1024)
def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


class RejectedError(Exception):
    """A request that is not taken: the connection answers with this status and closes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class HeadParser:
    """Takes one request's head as it comes. The `on_…` methods are llhttp's."""

    __slots__ = (
        "_complete",
        "_count",
        "_first",
        "_limits",
        "_line",
        "_parser",
        "_tail",
        "_target",
        "_twice",
        "headers",
        "size",
        "version",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._target = b""
        self._tail = b""
        self._first = b""
        self._line = b""
        self._count = 0
        self._twice = ""
        self._complete = False
        self.headers: dict[str, str] = {}
        self.size = 0
        """Bytes taken so far."""
        self.version = ""

    def on_url(self, part: bytes) -> None:
        """Add a piece of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, and notice one that may come only once."""
        self._count += 1
        key = _NAMES.get(name) or name.decode("ascii").lower()
        text = value.decode("latin-1").strip(" \t")
        if key in self.headers:
            if key in _ONCE:
                self._twice = key
            text = f"{self.headers[key]}, {text}"
        self.headers[key] = text

    def on_headers_complete(self) -> None:
        """Note that for llhttp, too, the head ends here."""
        self._complete = True

    def feed(self, data: bytes, start: int = 0) -> int:
        """Take from `data` what belongs to the head; give where it ends, or -1 while it does not.

        Raises `RejectedError`.
        """
        at = data.find(_END, start)
        stop = at + len(_END)
        if self._tail:
            across = (self._tail + data[start : start + 3]).find(_END)
            if across >= 0:
                at, stop = across, start + across + len(_END) - len(self._tail)
        if at < 0:
            stop = len(data)
            self._tail = (self._tail + data[max(start, stop - 3) :])[-3:]
        room = self._limits.header_bytes - self.size
        piece = data[start : min(stop, start + room)]
        self.size += stop - start
        if not self._line:
            self._find_line(self._first + piece)
        self._parse(piece)
        if len(self._target) > self._limits.target_bytes:
            raise RejectedError(414, f"the URL is longer than {self._limits.target_bytes} bytes")
        if self._count > self._limits.header_count:
            raise RejectedError(431, f"there are more than {self._limits.header_count} headers")
        if self.size > self._limits.header_bytes:
            raise RejectedError(431, f"the headers are longer than {self._limits.header_bytes} bytes")
        if self._complete is not (at >= 0):
            raise RejectedError(400, "the request line or a header is malformed")
        return stop if at >= 0 else -1

    def _find_line(self, first: bytes) -> None:
        """Keep the request line as it was sent; an empty line before it is passed over."""
        begin = 2 if first.startswith(b"\r\n") else 0
        end = first.find(b"\r\n", begin)
        if end >= 0:
            self._line = first[begin:end]
        else:
            self._first = first

    def _parse(self, piece: bytes) -> None:
        parser = self._parser
        if parser is None:
            raise RuntimeError("a head is taken once")
        try:
            parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # nothing is switched to: the request is answered as if it had not asked (RFC 9110, 7.8)
        except httptools.HttpParserInvalidMethodError:
            raise RejectedError(501, "the request's method is not known here") from None
        except httptools.HttpParserInvalidURLError:
            raise RejectedError(400, "the request's URL is malformed") from None
        except httptools.HttpParserError as error:
            raise RejectedError(400, f"the request is malformed: {error}") from None

    def head(self, peer: str) -> Head:
        """Give the head, judged. Raises `RejectedError`."""
        parser = self._parser
        if parser is None:
            raise RuntimeError("a head is judged once")
        self._parser = None  # which refers to this object: undone at once, neither waits for the garbage collector
        name = parser.get_method()
        self.version = "1.1" if self._line.endswith(b" HTTP/1.1") else parser.get_http_version()
        if self.version not in {"1.1", "1.0"}:
            raise RejectedError(505, f"HTTP/{self.version} is not spoken here; use HTTP/1.1")
        method = _METHODS.get(name)
        if method is None:
            raise RejectedError(501, f"the method {name.decode('ascii')} is not known here")
        if self._line != b"%b %b HTTP/%b" % (name, self._target, self.version.encode()):
            raise RejectedError(400, "the request line is malformed")
        if self._twice:
            raise RejectedError(400, f"the header {self._twice} came more than once")
        path, query = self._place(method)
        encoding = self.headers.get("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            raise RejectedError(415, "compressed bodies are not taken; send it without Content-Encoding")
        return Head(method, path, query, self.headers, peer)

    def _place(self, method: str) -> tuple[str, str]:
        """Give path and query as they were sent, of a target that is one of this server's."""
        host = self.headers.get("host")
        if host is None:
            if self.version == "1.1":
                raise RejectedError(400, "the Host header is missing")
        elif not _is_host(host):
            raise RejectedError(400, "the Host header is malformed")
        target = self._target.decode("latin-1")
        if target == "*" and method == "OPTIONS":
            return target, ""
        absolute = None if target[0] == "/" else _ABSOLUTE.fullmatch(target)
        if absolute:
            authority = absolute[1].lower()
            if not _is_host(authority) or authority != (host or authority).lower():
                raise RejectedError(400, "the request's URL is not one of this server's")
            target = absolute[2] if absolute[2].startswith("/") else "/" + absolute[2]
        origin = _ORIGIN_FORM.fullmatch(target)
        if not origin:
            raise RejectedError(400, "the request's URL is malformed")
        return origin[1], origin[2] or ""

    def length(self) -> int:
        """Give the body's length, or `CHUNKED`. Raises `RejectedError`."""
        length = self.headers.get("content-length")
        coding = self.headers.get("transfer-encoding")
        if coding is None:
            if length is None:
                return 0
            if not (length.isascii() and length.isdecimal()):
                raise RejectedError(400, "the Content-Length header is malformed")
            return int(length) if len(length) < 20 else 10**19  # noqa: PLR2004 - more digits than any length has
        if length is not None:
            raise RejectedError(400, "Content-Length and Transfer-Encoding came together")
        if self.version == "1.0":
            raise RejectedError(400, "HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() == "chunked":
            return CHUNKED
        if _CODINGS.fullmatch(coding):
            raise RejectedError(501, "of transfer encodings only chunked is known here")
        raise RejectedError(400, "the Transfer-Encoding header is malformed")

    def persistent(self) -> bool:
        """Whether the client would go on with this connection."""
        asked = self.headers.get("connection")
        if asked is None:
            return self.version == "1.1"
        tokens = {token.strip(" \t") for token in asked.lower().split(",")}
        return "close" not in tokens and (self.version == "1.1" or "keep-alive" in tokens)

    def continues(self) -> bool:
        """Whether the client waits for a 100 before it sends its body. Raises `RejectedError`."""
        expected = self.headers.get("expect")
        if expected is None or self.version == "1.0":
            return False
        if expected.lower() != "100-continue":
            raise RejectedError(417, "of expectations only 100-continue is known here")
        return True
