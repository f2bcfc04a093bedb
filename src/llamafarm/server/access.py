"""The access log: a line for every request, what it asked for and how it ended; nothing of its content."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamafarm.server.answering import Visit
    from llamafarm.server.http.messages import Head

__all__ = ["log_request"]

_log = logging.getLogger("llamafarm.access")
GONE = 499
"""The status of a request whose client did not wait for an answer, as nginx writes it."""


def log_request(head: Head, visit: Visit, status: int, seconds: float) -> None:
    """Write one line at INFO."""
    if not _log.isEnabledFor(logging.INFO):
        return
    fields: dict[str, Any] = {
        "request": visit.request_id,
        "peer": head.peer or None,
        "tenant": visit.caller.tenant or None,
        "method": head.method,
        "path": head.path[:200],
        "status": status,
        "ms": round(seconds * 1e3, 1),
    }
    exchange = visit.exchange
    call = exchange.call
    if call is not None:
        last = call.attempts[-1] if call.attempts else None
        fields |= {
            "strategy": call.strategy or None,
            "target": last.target if last else None,
            "model": last.model if last else None,
            "stream": call.stream,
            "attempts": len(call.attempts),
            "cost_usd": None if call.unpriced else call.spent / 1e9,
        }
    if exchange.error is not None:
        fields["error"] = exchange.error
    _log.info("%s %s %s", head.method, head.path, status, extra={"event": fields})
