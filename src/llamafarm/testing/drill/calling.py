"""Decides how a target is called to see whether it answers at all, or why it is not called."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.farm.options import make_call
from llamafarm.testing.drill.judging import lacks_key
from llamafarm.types import Operation, Secret

if TYPE_CHECKING:
    from llamafarm.types import Call, Target

__all__ = ["FEW_TOKENS", "TOKENS_TO_REASON", "Uncalled", "call_for", "uncalled", "with_fake_key"]

FEW_TOKENS = 16
"""The output limit of a request whose answer nobody reads."""
TOKENS_TO_REASON = 512
"""The same for models that think first: with fewer some give no answer but an error."""


@dataclass(frozen=True, slots=True)
class Uncalled:
    """Why a target is not called."""

    outcome: str
    """As in `report.TargetRow`."""
    detail: str


def call_for(target: Target, name: str) -> Call:
    """Make a tiny request, of the kind that the target answers; `name` is how it is called for alone."""
    if _embeds(target):
        return make_call({"input": ["OK"]}, {"model": name}, operation=Operation.EMBEDDING)
    reasons = target.supports is not None and "reasoning" in target.supports
    options = {"model": name, "max_tokens": TOKENS_TO_REASON if reasons else FEW_TOKENS}
    return make_call({"messages": [{"role": "user", "content": "Say OK."}]}, options, stream=True)


def _embeds(target: Target) -> bool:
    """Tell whether a target gives vectors and nothing else."""
    if target.supports is not None and "embedding" in target.supports:
        return len(target.supports) == 1
    return "embed" in target.model.lower()


def uncalled(target: Target) -> Uncalled | None:
    """Say why a target cannot be called, or is not; None where it is."""
    if lacks_key(target):
        return Uncalled("no key", "; ".join(target.barred))
    if target.barred:
        return Uncalled("barred", "; ".join(target.barred))
    only_pictures = target.supports is not None and target.supports == {"image"}
    if only_pictures or not target.operations & {Operation.CHAT, Operation.EMBEDDING}:
        return Uncalled("not called", "it makes pictures, which cost more than a test should")
    return None


def with_fake_key(target: Target) -> Target:
    """Give the target with a key where it needs one that is not set here."""
    key = target.api_key
    if key is None or key.is_set:
        return target
    missing = key.why_unset
    barred = tuple(reason for reason in target.barred if reason != missing)
    return dataclasses.replace(target, api_key=Secret(f"fake {key.origin}", key.origin), barred=barred)
