"""Decides whether a request is let in, by its headers alone: with which key, or without one from this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

from llamafarm.spec.formats import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.server.http.messages import Head
    from llamafarm.server.keys.key import Key, Keys

__all__ = ["ANONYMOUS", "Access", "Caller", "Denied", "Gate", "verdict"]

_HOST = r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z_.-]+))(?::[0-9]{1,5})?"
_AUTHORITY = re.compile(_HOST)
_ORIGIN = re.compile(rf"https?://{_HOST}")
_LONGEST_SHOWN = 60
_UNAUTHORIZED = 401
_FORBIDDEN = 403


class Access(Enum):
    """What a route asks of who calls it."""

    OPEN = "open"
    """Nothing: probes, which tell nothing either."""
    INFERENCE = "inference"
    """A key, where there are keys."""
    ADMIN = "admin"
    """A key made with `--admin`, where there are keys."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a verdict depends on beside the request."""

    keys: Keys
    loopback: bool
    """Whether the gateway listens where only this machine can reach it."""
    hosts: frozenset[str]
    """In lower case: names beside the loopback ones that a gateway without keys is asked by."""

    @classmethod
    def of(cls, keys: Keys, *, loopback: bool, hosts: Iterable[str] = ()) -> Self:
        """Make it with `hosts` as the strategy file spells them."""
        return cls(keys, loopback, frozenset(host.lower() for host in hosts))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is let in."""

    key: Key | None
    """None: anybody of this machine, or a route that is open to all."""

    @property
    def tenant(self) -> str:
        """The tenant's name; empty without a key."""
        return self.key.tenant if self.key is not None else ""

    def may_use(self, strategy: str) -> bool:
        """Tell whether a strategy is for this caller."""
        return self.key is None or self.key.may_use(strategy)


ANONYMOUS = Caller(None)


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a request is not let in. Nothing of what it gave as its key is in here."""

    status: int
    """401 or 403."""
    message: str

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What a 401 has to say about how to do better."""
        return (("www-authenticate", "Bearer"),) if self.status == _UNAUTHORIZED else ()


def verdict(gate: Gate, access: Access, head: Head, now: float) -> Caller | Denied:
    """Decide; `now` is in seconds since 1970.

    Without keys everybody on this machine is let in, to everything, whatever key they send: clients insist on sending
    one. Then what a browser would send for a page from elsewhere is refused. The path plays no part, so no spelling of
    it can: the route that was found says what `access` it asks.
    """
    if access is Access.OPEN:
        return ANONYMOUS
    if gate.keys.required:
        return _by_key(gate.keys, access, head, now)
    if not gate.loopback:
        return Denied(
            _UNAUTHORIZED,
            "this gateway can be reached from other machines and has no keys: nobody is let in until "
            "`llamafarm keys create` has made one",
        )
    return _from_here(gate, head)


def _by_key(keys: Keys, access: Access, head: Head, now: float) -> Caller | Denied:
    secret = _given(head)
    if isinstance(secret, Denied):
        return secret
    key = keys.find(secret)
    if key is None:
        return Denied(_UNAUTHORIZED, "this gateway knows no such key: ask whoever runs it for one")
    if key.is_expired(now):
        return Denied(_UNAUTHORIZED, f"gateway key {key.id} of {key.tenant} has expired: ask for another")
    if access is Access.ADMIN and not key.admin:
        return Denied(_FORBIDDEN, f"gateway key {key.id} of {key.tenant} is for inference: this needs an admin key")
    return Caller(key)


def _given(head: Head) -> str | Denied:
    """Give the secret that a request brings: OpenAI's clients have it in one header, Anthropic's in another."""
    authorization, plain = head.headers.get("authorization"), head.headers.get("x-api-key")
    if authorization is None:
        if plain is None:
            return Denied(_UNAUTHORIZED, "no gateway key: send one as `Authorization: Bearer KEY` or as `x-api-key`")
        return plain
    scheme, _, secret = authorization.partition(" ")
    secret = secret.strip(" ")
    if scheme.lower() != "bearer" or not secret:
        return Denied(_UNAUTHORIZED, "Authorization is not `Bearer KEY` with a gateway key")
    if plain is not None and plain != secret:
        return Denied(_UNAUTHORIZED, "Authorization and x-api-key hold different keys: send one of them")
    return secret


def _from_here(gate: Gate, head: Head) -> Caller | Denied:
    """Refuse what pages of other sites have a browser do.

    A page whose name was made to point here (DNS rebinding) says that name in `Host`; any other page that sends
    something says whose it is in `Origin`. ``null``, a page of nowhere in particular, is none of ours either.
    """
    host = head.headers.get("host", "")
    if not _is_ours(_AUTHORITY.fullmatch(host), gate):
        return _foreign("Host", host)
    origin = head.headers.get("origin")
    if origin is not None and not _is_ours(_ORIGIN.fullmatch(origin), gate):
        return _foreign("Origin", origin)
    return ANONYMOUS


def _is_ours(found: re.Match[str] | None, gate: Gate) -> bool:
    if found is None:
        return False
    name = (found[1] or found[2]).lower()
    return is_loopback(name) or name in gate.hosts


def _foreign(header: str, value: str) -> Denied:
    shown = value[:_LONGEST_SHOWN]
    return Denied(
        _FORBIDDEN,
        f"{header} is {shown!r}, which is not this machine: a gateway without keys answers only to localhost and the "
        "names under `server.hosts` of its strategy file",
    )
