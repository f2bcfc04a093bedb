"""What a gateway key is: whose, for what, until when; and finding one by its secret without learning anything else."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Self

import msgspec

from llamafarm.errors import ConfigError
from llamafarm.types import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Key", "Keys", "is_tenant", "new_key"]

_SECRET_BYTES = 32
_LONGEST_SECRET = 256
"""Characters; ours have 55. What is longer is refused unread, so that a large header costs nothing."""
_LONGEST_TENANT = 64
_ID_BYTES = 4

Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z]{1,32}$")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key as the file has it. A field this version does not know may be a limit, so it is refused, not ignored."""

    id: Id
    """Public: it is part of the secret, and of every log line about the key."""
    tenant: str
    """Who it was made for: 1 to 64 characters that can be printed. One tenant may have several keys."""
    sha256: Digest
    """Of the secret. A plain hash is right here, where a password would need a slow one: 256 random bits cannot be
    guessed, however many guesses a second a hash allows."""
    created: Moment
    expires: Moment | None = None
    strategies: tuple[str, ...] = ()
    """The strategies it may use; empty: all."""
    admin: bool = False
    """Whether it may also reach what an operator needs: reload and the like."""

    def __repr__(self) -> str:
        """Give its id and tenant: enough to tell it from others."""
        return f"Key({self.id}, {self.tenant!r})"

    def may_use(self, strategy: str) -> bool:
        """Tell whether it is good for a strategy."""
        return not self.strategies or strategy in self.strategies

    def is_expired(self, now: float) -> bool:
        """Tell whether its time is over at `now`, in seconds since 1970."""
        return self.expires is not None and now >= self.expires.timestamp()


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of a file at one moment. Immutable: a reload makes another."""

    by_digest: Mapping[str, Key]
    required: bool
    """Whether a request needs one. So it is as soon as there is a file, be it that no key in it is left: a gateway
    does not open by revoking its last key."""

    @classmethod
    def of(cls, keys: Iterable[Key], *, required: bool = True) -> Self:
        """Make it of keys. Raises ConfigError where two have one id or one secret, or a name cannot be one."""
        by_digest: dict[str, Key] = {}
        ids: set[str] = set()
        for key in keys:
            if key.id in ids or key.sha256 in by_digest:
                raise ConfigError(f"two keys have the id {key.id} or one secret")
            if not is_tenant(key.tenant):
                raise ConfigError(f"key {key.id} has no proper tenant: 1 to {_LONGEST_TENANT} printable characters")
            ids.add(key.id)
            by_digest[key.sha256] = key
        return cls(MappingProxyType(by_digest), required)

    def find(self, secret: str) -> Key | None:
        """Give the key a caller's secret belongs to, also one that is expired; None where there is none.

        How long it takes says nothing about the keys: what is looked up is a hash that the caller cannot steer.
        """
        if len(secret) > _LONGEST_SECRET or not secret.isascii():
            return None
        digest = hashlib.sha256(secret.encode()).hexdigest()
        key = self.by_digest.get(digest)
        return key if key is not None and hmac.compare_digest(key.sha256, digest) else None

    def with_key(self, key: Key) -> Self:
        """Give these and one more."""
        return self.of((*self.by_digest.values(), key))

    def without(self, key_id: str) -> Self:
        """Give these but one. Raises ConfigError where there is none with that id."""
        left = [key for key in self.by_digest.values() if key.id != key_id]
        if len(left) == len(self.by_digest):
            raise ConfigError("no key has that id: `llamafarm keys list` shows those there are")
        return self.of(left)


def is_tenant(name: str) -> bool:
    """Tell whether a tenant may be called so: the name goes into logs and headers."""
    return 0 < len(name) <= _LONGEST_TENANT and name.isprintable() and name == name.strip()


def new_key(
    tenant: str,
    *,
    now: datetime,
    taken: Iterable[str] = (),
    strategies: tuple[str, ...] = (),
    admin: bool = False,
    expires: datetime | None = None,
) -> tuple[Key, Secret]:
    """Make a key with an id that is not `taken`, and its secret, which is kept nowhere.

    The secret is ``lf-ID-RANDOM`` with 32 random bytes. Raises ConfigError for a name that is none.
    """
    if not is_tenant(tenant):
        raise ConfigError(
            f"tenant {tenant[:_LONGEST_TENANT]!r}: expected 1 to {_LONGEST_TENANT} printable characters, "
            "without blanks around them"
        )
    known = set(taken)
    while (key_id := secrets.token_hex(_ID_BYTES)) in known:
        pass
    secret = f"lf-{key_id}-{secrets.token_urlsafe(_SECRET_BYTES)}"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    key = Key(id=key_id, tenant=tenant, sha256=digest, created=now, expires=expires, strategies=strategies, admin=admin)
    return key, Secret(secret, f"gateway key {key_id}")
