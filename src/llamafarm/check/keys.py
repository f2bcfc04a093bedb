"""Knows which API keys go to another place than the component's that they are given for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llamafarm import catalog
from llamafarm.errors import Severity
from llamafarm.planning.addresses import is_loopback
from llamafarm.spec import child
from llamafarm.spec.components import CloudConfig
from llamafarm.spec.nodes import is_null

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamafarm.spec import Document
    from llamafarm.spec.assemble import Draft

__all__ = ["foreign_keys"]


def foreign_keys(draft: Draft, document: Document) -> Iterator[tuple[Severity, str, str, str]]:
    """Warn of chain entries that change the provider or the address and inherit the key: code, path and message."""
    for number, entry in draft.entries.items():
        path = child(child(child(draft.path, "fallback_chain"), number), "config")
        own = [name for name in ("provider", "base_url", "api_key") if _gives(document, draft.index, number, name)]
        if entry.component is None or not own or "api_key" in own or not document.is_read(path):
            continue
        base = draft.components[entry.component].config
        known = document.is_read(child(child(child(draft.path, "components"), entry.component), "config"))
        changed = entry.config
        if not (known and isinstance(base, CloudConfig) and isinstance(changed, CloudConfig)) or base.api_key is None:
            continue
        if _leaves(base, changed):
            vendor = catalog.find_vendor(changed.provider) if changed.provider != base.provider else None
            variable = next(iter(vendor.key_variables if vendor is not None else ()), "ITS_API_KEY")
            message = (
                f"{entry.name} sends {_host(changed)} the API key of {entry.component}: give it an api_key of its own,"
                f" like ${{{variable}}}"
            )
            yield Severity.WARNING, "key-of-another-vendor", child(path, own[0]), message


def _gives(document: Document, strategy: int, number: int, name: str) -> bool:
    key = document.places.key("strategies", strategy, "fallback_chain", number, "config", name)
    return key is not None and not is_null(key.value)


def _leaves(base: CloudConfig, changed: CloudConfig) -> bool:
    """Tell whether the changed config's requests go to another owner than before, and not to this machine."""
    before, after = _host(base), _host(changed)
    return bool(before and after) and _owner(before) != _owner(after) and not is_loopback(changed.base_url)


def _host(config: CloudConfig) -> str:
    vendor = catalog.find_vendor(config.provider)
    url = config.base_url or (vendor.base_url if vendor is not None else None) or ""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def _owner(host: str) -> str:
    """Give the part of a host that one owner has, more or less: its last two labels."""
    name = host.partition(":")[0]
    return name if name.replace(".", "").isdigit() else ".".join(name.split(".")[-2:])
