"""Finds the proxy the environment names for a URL (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`)."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from llamafarm.errors import ConnectError
from llamafarm.transport.guard import is_localhost, is_loopback_address

if TYPE_CHECKING:
    from llamafarm.transport.endpoint import Endpoint

__all__ = ["Proxy", "proxy_for"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    url: str
    """Without user name and password."""
    authorization: str | None
    """What `Proxy-Authorization` should say."""


def proxy_for(endpoint: Endpoint) -> Proxy | None:
    """Find the proxy for a place; None: connect directly, as always to this machine itself.

    Raises `ConnectError` for a proxy that does not speak HTTP: going past it would break the rule of the network.
    """
    if endpoint.socket is not None or is_localhost(endpoint.host) or is_loopback_address(endpoint.host):
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    url = proxies.get(endpoint.scheme) or proxies.get("all")
    if not url or proxy_bypass(f"{endpoint.host}:{endpoint.port}"):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConnectError(
            f"cannot connect to {endpoint.place}: the environment names a {parts.scheme} proxy, and only http and "
            f"https proxies are supported; change {endpoint.scheme.upper()}_PROXY, or list the host in NO_PROXY",
        )
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + b64encode(pair.encode()).decode("ascii")
    return Proxy(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", authorization)
