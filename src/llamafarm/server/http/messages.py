"""A request as it came in, what answers it, and what an application is to a connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Application", "Handler", "Head", "Headers", "Refusal", "Request", "Responder"]

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Head:
    """A request's first line and headers, before its body is taken."""

    method: str
    path: str
    """As it was sent, percent-encoding and all; without the query."""
    query: str
    headers: Mapping[str, str]
    """By lower-case name; those that came more than once joined by ``, ``. A connection refuses a request in which
    one that decides something (host, content-length, authorization …) came twice."""
    peer: str = ""
    """The client's address; empty for a unix socket."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request with all of its body."""

    head: Head
    body: bytes


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of the program
    """The answer to a request whose body is not wanted; the connection is closed behind it where one was to come."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


class Responder(Protocol):
    """Answers one request: by `send`, or by `start`, any number of `write`, and `end`."""

    @property
    def started(self) -> bool:
        """Whether the status line has gone out, so that no other can."""

    def send(self, status: int, headers: Headers, body: bytes) -> None:
        """Give the whole answer; its length is put into the headers."""

    def start(self, status: int, headers: Headers) -> None:
        """Begin an answer whose length is not known yet."""

    async def write(self, data: bytes) -> None:
        """Send the next piece, and wait while the client takes none: too long, and the connection is cut."""

    def end(self) -> None:
        """End what `start` began."""

    def abort(self) -> None:
        """Cut the connection, so that what was sent does not pass for the whole."""


Handler = Callable[[Request, Responder], Awaitable[None]]
"""Answers a request. It is cancelled when the client is gone, and must then let go of everything and end."""


class Application(Protocol):
    """What a connection asks about each request."""

    def admit(self, head: Head) -> Handler:
        """Find who answers, by the head alone and without waiting. Raises `Refusal`."""

    def refuse(self, status: int, message: str, head: Head | None) -> Refusal:
        """Word an answer that the connection itself gives (a broken request, a limit), as clients expect it."""
