"""Writes a request in OpenAI's format: where it goes, what its headers are, and its body as this target takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.errors import BadRequestError, ConnectError, CredentialsError
from llamafarm.providers.quirks import adapt
from llamafarm.transport import Endpoint

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer
    from llamafarm.types import Attempt, Target

__all__ = ["body_of", "endpoint_of", "headers_for"]

_KEY = "{key}"


def endpoint_of(target: Target) -> Endpoint:
    """Read a target's `base_url`. Raises `ConnectError` where there is none, or it is no URL."""
    if target.base_url is None:
        raise ConnectError(f"{target.provider}: the target {target.name!r} has no base_url; give it one")
    try:
        return Endpoint.parse(target.base_url)
    except ValueError as error:
        raise ConnectError(f"{target.provider}: {error}") from None


def headers_for(target: Target, peer: Peer) -> dict[str, str]:
    """Give a request's headers, by lower-case names, the key among them.

    A header whose value holds ``{key}`` is how the key is sent, and is left out where there is none; without such a
    header it is sent as a bearer token. Raises `CredentialsError` for a key that is not set or cannot be sent.
    """
    key = _key(target, peer)
    templates = {name.lower(): value for name, value in target.headers.items()}
    if "authorization" not in templates and not any(_KEY in value for value in templates.values()):
        templates["authorization"] = f"Bearer {_KEY}"
    headers = {"content-type": "application/json"}
    for name, value in templates.items():
        if _KEY not in value:
            headers[name] = value
        elif key is not None:
            headers[name] = value.replace(_KEY, key)
    return headers


def _key(target: Target, peer: Peer) -> str | None:
    secret = target.api_key
    if secret is None:
        return None
    if not secret.is_set:
        raise CredentialsError(f"{peer} needs an API key; set {secret.origin}")
    key = secret.reveal()
    if not key.isascii() or not key.isprintable():
        raise CredentialsError(f"{peer}: the API key from {secret.origin} holds a line break or an odd character")
    return key


def body_of(attempt: Attempt, peer: Peer, *, streamed: bool) -> bytes:
    """Encode an attempt's body, asking a stream for its usage. Raises `BadRequestError` where that cannot be."""
    body: dict[str, Any] = dict(attempt.body)
    options = body.pop("stream_options", None)
    body.pop("stream", None)
    if streamed:
        body["stream"] = True
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    try:
        return msgspec.json.encode(adapt(body, attempt.target.quirks))
    except UnicodeEncodeError:
        raise BadRequestError(f"{peer}: the request's text holds half a surrogate pair, which is no Unicode") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequestError(f"{peer}: the request cannot be written: {error}") from None
