r"""Compares the catalog's prices, windows and abilities with a second source, and prints a table of the differences.

The source is the data file of a price package, installed anywhere and never imported: litellm's
`model_prices_and_context_window_backup.json`, tokencost's `model_prices.json` (the same format), or model-prices'
`snapshot.json`, which has prices alone. Several may be named::

    .venv/bin/python tools/compare_catalog.py litellm/model_prices_and_context_window_backup.json \\
        model_prices/snapshot.json > docs/catalog-differences.txt

A difference is a reason to look at the vendor's own page, not an error: the catalog takes the dearer price where its
own two sources disagree (``ceiling``), and neither source is always right.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llamafarm import catalog

VENDORS = {
    "anthropic": ("anthropic", "anthropic"),
    "cerebras": ("cerebras", "cerebras"),
    "cohere": ("cohere_chat", "cohere"),
    "deepseek": ("deepseek", "deepseek"),
    "fireworks": ("fireworks_ai", "fireworks-ai"),
    "gemini": ("gemini", "google"),
    "groq": ("groq", "groq"),
    "minimax": ("minimax", "minimax"),
    "mistral": ("mistral", "mistral"),
    "moonshot": ("moonshot", "moonshotai"),
    "openai": ("openai", "openai"),
    "perplexity": ("perplexity", "perplexity"),
    "together": ("together_ai", "togetherai"),
    "xai": ("xai", "xai"),
    "zai": ("zai", "zai"),
}
"""Our name of a vendor: litellm's, and models.dev's."""
ABILITIES = {
    "supports_vision": "vision",
    "supports_function_calling": "tools",
    "supports_response_schema": "json",
    "supports_audio_input": "audio",
    "supports_reasoning": "reasoning",
    "supports_assistant_prefill": "prefill",
}
PRICES = ("input", "output", "cached_input")
SMALL = 0.005
"""A relative difference of prices below it is rounding."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a source says about a model; a missing entry is unknown."""

    prices: dict[str, float] = field(default_factory=dict)
    """Dollars per million tokens."""
    context_window: int | None = None
    max_output: int | None = None
    abilities: dict[str, bool] = field(default_factory=dict)


def of_litellm(data: dict[str, Any]) -> dict[tuple[str, str], Known]:
    """Read litellm's table."""
    ours = {theirs: vendor for vendor, (theirs, _) in VENDORS.items()}
    found = {}
    for name, row in data.items():
        vendor = ours.get(row.get("litellm_provider", ""))
        if vendor is None or row.get("mode", "chat") not in ("chat", "completion", "embedding", "responses"):
            continue
        rates = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
        prices = {
            ours_: float(row[rate]) * 1e6
            for ours_, rate in zip(PRICES, rates, strict=True)
            if row.get(rate) is not None
        }
        found[vendor, name.partition("/")[2] if name.startswith(f"{row['litellm_provider']}/") else name] = Known(
            prices,
            _count(row.get("max_input_tokens")),
            _count(row.get("max_output_tokens")),
            {ability: bool(row[key]) for key, ability in ABILITIES.items() if row.get(key) is not None},
        )
    return found


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float | str) and str(value).replace(".", "", 1).isdigit() else None


def of_model_prices(data: dict[str, Any]) -> dict[tuple[str, str], Known]:
    """Read model-prices' snapshot: the newest standard price of each model."""
    found = {}
    for vendor, (_, theirs) in VENDORS.items():
        for name, tiers in data["prices"].get(theirs, {}).items():
            rows = tiers.get("standard") if isinstance(tiers, dict) else None
            rates = rows[-1].get("rates", {}) if rows else {}
            pairs = zip(PRICES, ("input", "output", "cache_read"), strict=True)
            found[vendor, name] = Known({ours: float(rates[key]) for ours, key in pairs if _is_price(rates.get(key))})
    return found


def _is_price(value: object) -> bool:
    return isinstance(value, int | float)


def differences(row: catalog.ModelRow, known: Known) -> list[tuple[str, str, str]]:
    """Give (what, ours, theirs) for each thing both know and say differently."""
    found = []
    price = row.price
    if price is not None:
        mine = {"input": price.input, "output": price.output, "cached_input": price.cached_input}
        for name, theirs in known.prices.items():
            nano = mine[name]
            ours = None if nano is None else nano / 1e9
            if ours is not None and abs(ours - theirs) > SMALL * max(ours, theirs):
                mark = " (ceiling)" if row.ceiling else ""
                found.append((name, f"${ours:g}{mark}", f"${theirs:g}"))
    for name in ("context_window", "max_output"):
        ours, theirs = getattr(row, name), getattr(known, name)
        if ours is not None and theirs is not None and ours != theirs:
            found.append((name, str(ours), str(theirs)))
    if row.supports is not None:
        found += [
            (ability, "yes" if ability in row.supports else "no", "yes" if can else "no")
            for ability, can in known.abilities.items()
            if can is not (ability in row.supports)
        ]
    return found


def compare(path: Path) -> tuple[list[tuple[str, str, str, str, str]], int]:
    """Give the differences from a data file, and how many models were in both."""
    data = json.loads(path.read_text(encoding="utf-8"))
    source = of_model_prices(data) if "prices" in data and "schema" in data else of_litellm(data)
    rows = [(vendor, row) for vendor in VENDORS for row in catalog.models_of(vendor)]
    both = [(vendor, row, source[vendor, row.id]) for vendor, row in rows if (vendor, row.id) in source]
    found = [(vendor, row.id, *one) for vendor, row, known in both for one in differences(row, known)]
    return found, len(both)


def main() -> None:
    """Print the table of each source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+", type=Path, help="a price package's data file")
    print(f"The catalog of {catalog.snapshot().date}, built from {', '.join(catalog.snapshot().sources)}.")
    for path in parser.parse_args().file:
        found, count = compare(path)
        name = "/".join(path.parts[-2:])
        kinds = ", ".join(f"{number} {what}" for what, number in Counter(one[2] for one in found).most_common())
        print(f"\n{name}: {count} models in both, {len(found)} differences ({kinds or 'none'})\n")
        widths = [max((len(one[column]) for one in found), default=0) for column in range(5)]
        for one in found:
            cells = (f"{cell:<{width}}" for cell, width in zip(one, widths, strict=True))
            print("  ".join(cells).rstrip())


if __name__ == "__main__":
    main()
