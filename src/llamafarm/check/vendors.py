"""Knows which vendors there are, and what was meant by a name that none has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm import catalog
from llamafarm.spec import child
from llamafarm.spec.compose import compose
from llamafarm.spec.nodes import Mapping, Scalar, Sequence
from llamafarm.spec.problems import Problems
from llamafarm.spec.suggest import Suggestions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llamafarm.errors import Finding
    from llamafarm.spec.nodes import Node

__all__ = ["check_vendors", "meant_vendor"]


def check_vendors(text: str, name: str) -> tuple[Finding, ...]:
    """Look for unknown vendors alone, in a file that has errors and so never became a document.

    With this a file's unknown keys and its unknown vendors come out in one run.
    """
    problems = Problems(name)
    root = compose(text, problems)
    suggestions = Suggestions()
    for path, provider in _providers(root) if isinstance(root, Mapping) else ():
        vendor = catalog.find_vendor(provider.text)
        if "${" not in provider.text and (vendor is None or vendor.local):
            problems.error("unknown-provider", provider.place, path, meant_vendor(provider.text, suggestions))
    return tuple(finding for finding in problems.findings(text) if finding.code == "unknown-provider")


def _providers(root: Mapping) -> Iterator[tuple[str, Scalar]]:
    """Give every `provider` of a cloud component or a chain entry, as the file writes it, with its path."""
    listed = root.keys.get("strategies")
    strategies = listed.value.items if listed is not None and isinstance(listed.value, Sequence) else []
    for index, strategy in enumerate(strategies):
        for key in ("components", "fallback_chain"):
            part = strategy.keys.get(key) if isinstance(strategy, Mapping) else None
            path = child(child("strategies", index), key)
            for name, node in _children(part.value if part is not None else None):
                config = node.keys.get("config") if isinstance(node, Mapping) else None
                provider = config.value.keys.get("provider") if config and isinstance(config.value, Mapping) else None
                if provider is not None and isinstance(provider.value, Scalar):
                    yield child(child(child(path, name), "config"), "provider"), provider.value


def _children(node: Node | None) -> Iterable[tuple[str | int, Node]]:
    match node:
        case Mapping():
            return [(name, key.value) for name, key in node.keys.items()]
        case Sequence():
            return list(enumerate(node.items))
        case _:
            return []


def meant_vendor(name: str, suggestions: Suggestions) -> str:
    """Say what is wrong with a vendor's name, and what to write."""
    if name in catalog.vendor_names(local=True):
        kind = "llamacpp" if name == "embedded" else name
        return f"{name} is an application on your machine, not a vendor: write `type: {kind}`"
    hint = suggestions.hint(name, catalog.vendor_names())
    return f"no vendor is called {name}: {hint} (an endpoint of your own is `provider: custom` with base_url)"
