"""Tells from an address alone, without asking any resolver, whether it stays on this machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from llamafarm.transport.guard import is_localhost, is_loopback_address

__all__ = ["is_loopback", "is_plain_http"]


def is_loopback(base_url: str | None) -> bool:
    """Whether a URL is a loopback address, `localhost` or a unix socket. Other names are never looked up."""
    if base_url is None:
        return False
    if base_url.startswith("unix:"):
        return True
    host = urlsplit(base_url).hostname or ""
    return is_localhost(host) or is_loopback_address(host)


def is_plain_http(base_url: str | None) -> bool:
    """Whether what is sent there could be read on the way."""
    return base_url is not None and base_url.lower().startswith("http:")
