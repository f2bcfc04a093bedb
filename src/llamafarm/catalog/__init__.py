"""Vendors, models and prices as data, each with the day it was checked, and the arithmetic of money."""

from __future__ import annotations

from llamafarm.catalog.models import (
    LaterPrice,
    ModelRow,
    Snapshot,
    find_model,
    models_of,
    price_of,
    search,
    snapshot,
)
from llamafarm.catalog.money import NANO, affordable_output, cost, dollars_to_nano, worst_case
from llamafarm.catalog.vendors import (
    CUSTOM,
    Fim,
    Prefill,
    Quirk,
    Vendor,
    all_vendors,
    find_vendor,
    installed_providers,
    vendor_names,
)

__all__ = [
    "CUSTOM",
    "NANO",
    "Fim",
    "LaterPrice",
    "ModelRow",
    "Prefill",
    "Quirk",
    "Snapshot",
    "Vendor",
    "affordable_output",
    "all_vendors",
    "cost",
    "dollars_to_nano",
    "find_model",
    "find_vendor",
    "installed_providers",
    "models_of",
    "price_of",
    "search",
    "snapshot",
    "vendor_names",
    "worst_case",
]
