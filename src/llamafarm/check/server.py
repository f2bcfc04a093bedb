"""Knows whether the gateway would be open to other machines without anybody having a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.errors import Finding, Severity
from llamafarm.spec.formats import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    from llamafarm.spec import Document

__all__ = ["open_server"]


def open_server(document: Document, keys: Path) -> Finding | None:
    """Warn of a host that others can reach, where the file of gateway keys does not exist: `serve` would not start."""
    host = document.file.server.host
    if is_loopback(host) or not document.is_read("server.host", "server.keys") or keys.exists():
        return None
    message = (
        f"other machines can reach {host}, and there is no file of gateway keys: `serve` refuses to start until "
        "`llamafarm keys create` has made a key"
    )
    return document.finding("server.host", "open-server", Severity.WARNING, message)
