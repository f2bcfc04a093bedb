"""Reads a `base_url`: an http or https URL, or a unix socket with an optional path behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import SplitResult, urlsplit, urlunsplit

__all__ = ["Endpoint"]

_SECRET_LENGTH = 16
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request goes."""

    scheme: str
    """``http`` or ``https``; a unix socket speaks ``http``."""
    host: str
    """Name or address, in lower case and without brackets; ``localhost`` for a unix socket."""
    port: int
    path: str = ""
    """Without a slash at its end."""
    query: str = ""
    """Kept with every request, like Azure's ``api-version=…``. May hold a key, so it is never shown."""
    socket: str | None = None
    """The unix socket's path."""

    @classmethod
    def parse(cls, base_url: str) -> Self:
        """Read a `base_url`; ValueError says what is wrong with it.

        A unix socket is written ``unix:/run/llama.sock``, or with a path behind a colon:
        ``unix:/run/llama.sock:/v1``.
        """
        if base_url.startswith("unix:"):
            return cls._of_socket(base_url)
        parts = _split(base_url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"{_shown(parts)!r} is not a URL; it should look like https://api.example.com/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError(f"the URL of {parts.hostname} holds a user name or password; use api_key instead")
        try:
            port = parts.port or _DEFAULT_PORTS[parts.scheme]
        except ValueError:
            raise ValueError(f"the port in {_shown(parts)!r} is not a number from 1 to 65535") from None
        return cls(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), parts.query)

    @classmethod
    def _of_socket(cls, base_url: str) -> Self:
        socket, _, path = base_url.removeprefix("unix:").partition(":")
        socket = "/" + socket.lstrip("/") if socket.startswith("//") else socket
        if not socket.startswith("/") or socket == "/":
            raise ValueError(f"{base_url!r} does not name a socket; it should look like unix:/run/llama.sock:/v1")
        if "\0" in base_url:
            raise ValueError("a base_url must not hold blanks or control characters")
        parts = urlsplit(path)
        return cls("http", "localhost", 80, parts.path.rstrip("/"), parts.query, socket)

    def join(self, path: str) -> Self:
        """Give the same place with a path added behind its own."""
        return replace(self, path=f"{self.path}/{path}")

    @property
    def url(self) -> str:
        """The URL to request."""
        return urlunsplit((self.scheme, self._netloc, self.path, self.query, ""))

    @property
    def shown(self) -> str:
        """The URL for messages: without its query, and without what in its path looks like a key."""
        if self.socket is not None:
            return f"unix:{self.socket}:{self.path}" if self.path else f"unix:{self.socket}"
        return urlunsplit((self.scheme, self._netloc, self.shown_path, "", ""))

    @property
    def shown_path(self) -> str:
        """The path for messages: without what in it looks like a key."""
        return "/".join("***" if _looks_secret(part) else part for part in self.path.split("/"))

    @property
    def place(self) -> str:
        """The host (with a port that is not the scheme's own) or the socket, for messages."""
        return self.socket if self.socket is not None else self._netloc

    @property
    def _netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def _looks_secret(part: str) -> bool:
    """Whether a part of a path is long and mixed like a key: some gateways take theirs there."""
    return len(part) >= _SECRET_LENGTH and any(map(str.isdigit, part)) and any(map(str.isalpha, part))


def _split(base_url: str) -> SplitResult:
    if any(character <= " " or character == "\x7f" for character in base_url):
        raise ValueError("a base_url must not hold blanks or control characters")
    try:
        return urlsplit(base_url)
    except ValueError:
        raise ValueError("a base_url's brackets must hold an IPv6 address") from None


def _shown(parts: SplitResult) -> str:
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))
