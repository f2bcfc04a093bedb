"""Reads from an answer's headers how long a vendor asks to wait."""

from __future__ import annotations

import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["duration", "reset_hint", "retry_after"]

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_WHOLE_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+")
_EPOCH_SECONDS = 1e9
_EPOCH_MILLISECONDS = 1e12
_RESETS = {
    "x-ratelimit-reset-requests": "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-tokens": "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset": "x-ratelimit-remaining",
}
"""Headers with the time to a limit's reset, each with the header of what is left until then."""


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Give the seconds the vendor asks to wait, whatever the status; None where it does not, or asks for nonsense.

    `headers` are looked up by lower-case names; `now` is in Unix seconds.
    """
    now = time.time() if now is None else now
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    text = headers.get("retry-after")
    if text is not None:
        seconds = _number(text)
        return _until_date(text, now) if seconds is None else seconds
    return None


def reset_hint(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Give the seconds until a request that was over a rate limit may pass; None where the headers do not say.

    That is the last reset of the limits that are used up; else the soonest of those that do not say what is left. A
    limit with something left is no reason to wait. Vendors send these headers with every answer, so they mean nothing
    where the failure was another. Arguments as for `retry_after`.
    """
    now = time.time() if now is None else now
    used_up, unknown = [], []
    for reset, remaining in _RESETS.items():
        seconds = duration(headers.get(reset, ""), now)
        if seconds is None:
            continue
        left = _number(headers.get(remaining))
        if left is None:
            unknown.append(seconds)
        elif left == 0:
            used_up.append(seconds)
    return max(used_up) if used_up else min(unknown, default=None)


def duration(text: str, now: float) -> float | None:
    """Read ``1m3s``, ``7.66s``, ``120ms``, plain seconds, or a moment in Unix seconds or milliseconds."""
    text = text.strip().lower()
    if _WHOLE_DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(text))
    number = _number(text)
    if number is None or number < _EPOCH_SECONDS:
        return number
    return max(0.0, (number / 1000 if number >= _EPOCH_MILLISECONDS else number) - now)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until_date(text: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
