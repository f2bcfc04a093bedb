"""How many bytes a size like ``256 MB`` is."""

from __future__ import annotations

import re

__all__ = ["parse_bytes"]

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([kmgt]?i?b?)", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_bytes(size: str | int) -> int:
    """Give the bytes of a size: MB is 10^6, MiB is 2^20, a plain number is bytes. Raises ValueError."""
    match = _SIZE.fullmatch(str(size).strip())
    if match is None:
        raise ValueError(f"{size!r} is no size: write it like 256 MB or 2 GiB")
    number, unit = match[1], match[2].lower()
    step = 1024 if "i" in unit else 1000
    if unit.startswith("i"):
        raise ValueError(f"{size!r} is no size: write it like 256 MB or 2 GiB")
    return int(float(number) * step ** _POWERS[unit.rstrip("b").rstrip("i")])
