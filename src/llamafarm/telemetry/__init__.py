"""What is recorded about calls: one `Event` each; every place it goes to is a sink."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamafarm.telemetry.logs import LogSink, logging_to

__all__ = ["LogSink", "logging_to"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.logs"), name)
