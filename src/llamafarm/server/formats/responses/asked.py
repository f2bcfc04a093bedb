"""What of a request its answer needs to know, and the call that carries it from one to the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llamafarm.types import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Asked", "ResponsesCall", "asked_of"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer says or does because of its request."""

    echo: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the response object that repeat the request, all of them."""
    custom_tools: frozenset[str] = frozenset()
    """Names of the tools whose input is a text, not JSON."""
    logprobs: bool = False
    """Whether the answer's tokens come with their probabilities, as far as the target gives them."""


@dataclass(slots=True)
class ResponsesCall(Call):
    """A call that came in by the Responses API."""

    asked: Asked = field(default_factory=Asked)


def asked_of(call: Call) -> Asked:
    """Give what an answer to this call has to know."""
    return call.asked if isinstance(call, ResponsesCall) else Asked()
