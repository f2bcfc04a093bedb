"""What no request may say, whatever its API: where a model is asked, and with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["refuse_steering"]

_STEERING = frozenset(
    (
        "api_base",
        "api_key",
        "api_type",
        "api_version",
        "azure_ad_token",
        "azure_ad_token_provider",
        "azure_endpoint",
        "base_url",
        "client",
        "custom_llm_provider",
        "default_headers",
        "default_query",
        "endpoint_url",
        "extra_headers",
        "extra_query",
        "headers",
        "http_client",
        "litellm_credential_name",
        "proxies",
        "proxy",
        "vertex_credentials",
        "vertex_location",
        "vertex_project",
    )
)
_STEERING_FAMILY = "aws_"
"""Fields by which other gateways let a caller choose where a request goes, and with whose key (CVE-2024-6587). None of
them is OpenAI's. We obey none; but a target that is such a gateway would, so they are not passed on either."""


def refuse_steering(fields: Iterable[str]) -> None:
    """Raise `BadCallError` where one of a body's fields steers; its value is not named, for it may be a key."""
    for name in fields:
        if name in _STEERING or name.startswith(_STEERING_FAMILY):
            raise BadCallError(
                f"{name:.60} is not taken from a request: where a model is asked, and with which key, is said in the"
                " strategy file; leave the field out"
            )
