"""Knows what was meant by a vendor's name that none has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm import catalog

if TYPE_CHECKING:
    from llamafarm.spec.suggest import Suggestions

__all__ = ["meant_vendor"]


def meant_vendor(name: str, suggestions: Suggestions) -> str:
    """Say what is wrong with a vendor's name, and what to write."""
    if name in catalog.vendor_names(local=True):
        kind = "llamacpp" if name == "embedded" else name
        return f"{name} is an application on your machine, not a vendor: write `type: {kind}`"
    hint = suggestions.hint(name, (*sorted(catalog.installed_providers()), *catalog.vendor_names()))
    return f"no vendor is called {name}: {hint} (an endpoint of your own is `provider: custom` with base_url)"
