"""Knows which entries of a chain are a target that the order has already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.errors import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llamafarm.planning import Routing
    from llamafarm.types import Target

__all__ = ["same_targets"]


def same_targets(routing: Routing, known: Mapping[str, tuple[Target, str]]) -> Iterator[tuple[Severity, str, str, str]]:
    """Warn of entries that stand in for nobody: code, path and message.

    `known` are targets by name, each with its path, as far as what makes two targets the same could be read.
    """
    order = {target.identity: target.name for target in routing.order}
    for entry in routing.strategy.fallback_chain:
        target, path = known.get(entry.name, (None, ""))
        first = order.get(target.identity) if target is not None and target.model else None
        if first in known and first != entry.name:
            message = f"{entry.name} is the same target as {first} (address, key and model): it stands in for nobody"
            yield Severity.WARNING, "same-target", path, message
