"""Knows which limits not even the smallest request could keep at a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.conditions import Input
from llamafarm.planning import money
from llamafarm.types import Call, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamafarm.spec.strategy import Constraints
    from llamafarm.types import Target

__all__ = ["beyond_every_request"]

_OFF_BY = 2
"""An estimate may be so many times too high."""


def beyond_every_request(target: Target, constraints: Constraints) -> Iterator[str]:
    """Say which limits a target with a known price can never keep, with the least prompt and the least answer."""
    embeds = target.supports is not None and "embedding" in target.supports
    body = {"input": "a"} if embeds else {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}
    tokens = Input.of(body).tokens + (0 if embeds else target.system_tokens)
    prompt = f"the shortest prompt has about {tokens} tokens"
    prompt += ", its system_prompt included" if target.system_tokens else ""
    most, total = constraints.max_input_tokens, constraints.max_tokens
    if most is not None and tokens > most * _OFF_BY:
        yield f"{prompt}, and max_input_tokens is {most}"
    if total is not None and tokens >= total * _OFF_BY:
        yield f"{prompt}, which leaves none of max_tokens ({total})"
    call = Call(body, operation=Operation.EMBEDDING if embeds else Operation.CHAT)
    call.input_tokens = call.input_bytes = 1
    if target.price is not None and target.bounded:
        yield from (
            f"with a single token of prompt and answer {reason}" for reason in money.reasons(target, call, constraints)
        )
