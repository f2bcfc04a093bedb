"""What is said when the application itself fails: to the log where, to the client no more than that."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

from llamafarm.server.http.messages import Refusal

if TYPE_CHECKING:
    from llamafarm.server.http.messages import Application, Head

__all__ = ["FAILED", "report", "worded"]

FAILED = "the server failed on this request"

_log = logging.getLogger(__name__)


def report(error: Exception, head: Head | None) -> None:
    """Log where it happened, and not its text, in which a request's content may be."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{head.method} {head.path}" if head else "a request"
    _log.error("%s failed: %s at %s:%s", what, type(error).__name__, frame.filename, frame.lineno)
    _log.debug("the same, with its text", exc_info=error)


def worded(application: Application, status: int, message: str, head: Head | None) -> Refusal:
    """Give an answer of the connection's in the application's words; plainly, should it have none."""
    try:
        return application.refuse(status, message, head)
    except Exception as error:  # noqa: BLE001 - the outer edge: the client is answered all the same
        report(error, head)
        return Refusal(status, [("content-type", "text/plain")], message.encode())
