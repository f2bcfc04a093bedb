"""Knows what is wrong with a strategy file beyond its own text: vendors, prices, reachability, privacy, hardware."""

from __future__ import annotations

from llamafarm.check.strategy import check

__all__ = ["check"]
