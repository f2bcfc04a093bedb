"""Says which fields of a request a private strategy does not send, whatever format it is in."""

from __future__ import annotations

from typing import Any

__all__ = ["leave_out_kept"]

_KEPT_BY_VENDOR = (
    "user",
    "user_id",
    "user_profile_id",
    "safety_identifier",
    "session_id",
    "metadata",
    "store",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "diagnostics",
    "trace",
)
"""Fields by which a vendor keeps or groups what it is sent."""


def leave_out_kept(body: dict[str, Any]) -> None:
    """Take out of a body, OpenAI's or Anthropic's, all by which a vendor keeps or groups what it is sent."""
    for name in _KEPT_BY_VENDOR:
        body.pop(name, None)
