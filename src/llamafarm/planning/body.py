"""What is sent to one target: the caller's request with the target's model, defaults, limits and privacy put in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.planning.money import OTHER_OUTPUT_LIMITS, OUTPUT_LIMITS, output_cap
from llamafarm.providers.privacy import leave_out_kept
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.spec.strategy import Constraints
    from llamafarm.types import Call, Target

__all__ = ["body_for", "with_cap", "with_less_output"]

_NOT_KEPT = {"data_collection": "deny", "zdr": True}
"""What OpenRouter's `provider` says for: only to those who keep nothing."""


def body_for(call: Call, target: Target, constraints: Constraints) -> dict[str, Any]:
    """Make the body for one attempt; the call's own body stays as it is."""
    body = {**call.body, "model": target.model}
    if call.operation in (Operation.CHAT, Operation.COMPLETION):
        _apply_defaults(body, target.defaults, call.operation)
        cap = output_cap(call, target, constraints)
        if cap is not None:
            body = with_cap(body, cap)
    if constraints.privacy_mode != "public":
        leave_out_kept(body)
        if "stores" in target.quirks and call.operation is Operation.CHAT:
            body["store"] = False
        if "resells" in target.quirks:
            given = body.get("provider")
            body["provider"] = {**(given if isinstance(given, dict) else {}), **_NOT_KEPT}
    return body


def with_cap(body: Mapping[str, Any], cap: int) -> dict[str, Any]:
    """Lower the output limit of a body to `cap` tokens, in the field it uses; set it where it has none."""
    capped = {name: value for name, value in body.items() if name not in OTHER_OUTPUT_LIMITS}
    given = [name for name in OUTPUT_LIMITS if body.get(name) is not None]
    for name in given or OUTPUT_LIMITS[1:]:
        capped[name] = min(cap, capped[name]) if name in given else cap
    return capped


def with_less_output(body: dict[str, Any], tokens: int) -> dict[str, Any]:
    """Take from the output limit of a body what an answer has had already; without a limit it stays as it is."""
    given = [name for name in OUTPUT_LIMITS if body.get(name) is not None]
    return {**body, **{name: max(1, body[name] - tokens) for name in given}}


def _apply_defaults(body: dict[str, Any], defaults: Mapping[str, Any], operation: Operation) -> None:
    for name, value in defaults.items():
        if name == "system_prompt":
            if operation is Operation.CHAT:
                body["messages"] = _with_system(body.get("messages"), value)
        elif name == "max_tokens":
            if not any(body.get(limit) is not None for limit in OUTPUT_LIMITS):
                body[name] = value
        elif body.get(name) is None:
            body[name] = value


def _with_system(messages: Any, prompt: str) -> Any:
    if not isinstance(messages, list):
        return messages
    roles = (message.get("role") for message in messages if isinstance(message, dict))
    if any(role in ("system", "developer") for role in roles):
        return messages
    return [{"role": "system", "content": prompt}, *messages]
