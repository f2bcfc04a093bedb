"""Writes `src/llamafarm/catalog/models.json`: prices from genai-prices, limits and abilities from litellm's table.

Run it in an environment of its own, so that neither package comes near the project's::

    python3 -m venv .venv-catalog
    .venv-catalog/bin/pip install genai-prices && .venv-catalog/bin/pip install --no-deps litellm
    .venv-catalog/bin/python tools/refresh_catalog.py

It prints where the two sources disagree about a price; read those before committing. litellm is never imported, only
its data file is read.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_prices import types as gp
from genai_prices.data import providers

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT = Path(__file__).parent.parent / "src/llamafarm/catalog/models.json"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a vendor's rows come from."""

    prices: str
    """genai-prices' id of the vendor."""
    other: str
    """litellm's name of the vendor."""
    complete: bool = False
    """Whether somebody has read litellm's rows of the vendor and found their abilities and limits complete; else only
    its prices are compared, so that no model is ruled out by a gap in a table."""
    skip: str = r"(?!)"
    """Model ids that are not served at the vendor's chat, completion or embedding endpoint."""
    free: str = r"(?!)"
    """Model ids that the vendor serves for nothing; genai-prices has no price for them."""


SOURCES = {
    "anthropic": Source("anthropic", "anthropic", complete=True),
    "cerebras": Source("cerebras", "cerebras", complete=True),
    "cohere": Source("cohere", "cohere_chat"),
    "deepseek": Source("deepseek", "deepseek", complete=True),
    "fireworks": Source("fireworks", "fireworks_ai"),
    "gemini": Source("google", "gemini", complete=True, skip=r"claude|^(?!.*(gemini|gemma))"),
    "groq": Source("groq", "groq", complete=True),
    "minimax": Source("minimax", "minimax"),
    "mistral": Source("mistral", "mistral", complete=True),
    "moonshot": Source("moonshotai", "moonshot", complete=True),
    "novita": Source("novita", "novita"),
    "openai": Source("openai", "openai", complete=True),
    "openrouter": Source("openrouter", "openrouter", free=r":free$"),
    "ovhcloud": Source("ovhcloud", "ovhcloud"),
    "perplexity": Source("perplexity", "perplexity", skip=r"/|decider"),
    "together": Source("together", "together_ai"),
    "xai": Source("x-ai", "xai", complete=True),
    "zai": Source("zai", "zai"),
}

OWN = {
    "embedded": [
        {
            # From the GGUF's own header; tried with the engine: it has no tool template, and with the system prompt
            # that the model brings, or at a temperature above 0, so small a model talks nonsense.
            "id": "smollm2-135m-instruct",
            "context_window": 8192,
            "supports": ["embedding", "json", "prefill"],
            "defaults": {
                "system_prompt": "You are a helpful assistant. Answer in English, in one short sentence.",
                "temperature": 0,
            },
        }
    ]
}
"""Rows that no source has."""

OTHER_ENDPOINTS = re.compile(
    r"(^|[-/_.:])(tts|whisper|transcribe|transcription|realtime|live|moderation|ocr|rerank|veo|imagen|lyria|sora|voice|"
    r"gpt-image|chatgpt-image|grok-imagine|computer-use|speech|orpheus|translate|robotics-er-2-streaming)"
)
ALWAYS_SEARCHES = re.compile(r"search|deep-research")
"""Models that search on every request, for a fee that nothing in the request bounds."""

COVERED = {
    "input_mtok",
    "output_mtok",
    "cache_read_mtok",
    "cache_write_mtok",
    "requests_kcount",
    "output_reasoning_mtok",
}
EXTRAS = {
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_citation_mtok": "citations",
}
ABILITIES = {
    "supports_vision": "vision",
    "supports_function_calling": "tools",
    "supports_response_schema": "json",
    "supports_audio_input": "audio",
    "supports_reasoning": "reasoning",
    "supports_assistant_prefill": "prefill",
}
LITELLM_RATES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
}
NANO = 10**9


def nano(dollars: Decimal) -> int:
    """Convert dollars to whole nanodollars, up."""
    return -int(-(dollars * NANO) // 1)


def rate(price: gp.ModelPrice, key: str, prompt: int) -> int | None:
    """Give the nanodollars per million for a key, for prompts of more than `prompt` tokens."""
    value = getattr(price, key)
    if isinstance(value, gp.TieredPrices):
        value = next((tier.price for tier in reversed(value.tiers) if prompt >= tier.start), value.base)
    return None if value is None else nano(value)


def rates(price: gp.ModelPrice, prompt: int) -> dict[str, int] | None:
    """Give the four rates for prompts of more than `prompt` tokens; None where the row has no price by the token."""
    given = rate(price, "input_mtok", prompt)
    output = [rate(price, key, prompt) for key in ("output_mtok", "output_reasoning_mtok")]
    if given is None:
        return None
    row = {"input": given, "output": max((value for value in output if value is not None), default=0)}
    for key, name in (("cache_read_mtok", "cached_input"), ("cache_write_mtok", "cache_write")):
        value = rate(price, key, prompt)
        if value is not None and value != given:
            row[name] = value
    return row


def price_row(price: gp.ModelPrice) -> dict[str, Any] | None:
    """Turn a price into a row of `types.Price`."""
    row: dict[str, Any] | None = rates(price, 0)
    if row is None:
        return None
    if (request := price.requests_kcount) is not None:
        row["request"] = nano(request / 1000)
    starts = {
        tier.start
        for key in COVERED
        if isinstance(value := getattr(price, key), gp.TieredPrices)
        for tier in value.tiers
    }
    if starts:
        row["tiers"] = [{"above": start} | (rates(price, start) or {}) for start in sorted(starts)]
    return row


def dearest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Combine prices that depend on the hour into one that none exceeds."""
    if any("tiers" in row for row in rows):
        raise SystemExit("a price depends on the hour and on the prompt's length at once: teach `dearest` about it")
    merged: dict[str, Any] = {"input": 0, "output": 0}
    for name in ("input", "output", "cached_input", "cache_write", "request"):
        values = [row.get(name, row["input"] if name in ("cached_input", "cache_write") else 0) for row in rows]
        if any(name in row for row in rows):
            merged[name] = max(values)
    return merged


def prices(model: gp.ModelInfo, today: date) -> dict[str, Any]:
    """Give `price`, `later` and `ceiling` of a model's row as they are on a day."""
    if isinstance(model.prices, gp.ModelPrice):
        row = price_row(model.prices)
        return {"price": row} if row else {}
    dated = [p for p in model.prices if not isinstance(p.constraint, gp.TimeOfDateConstraint)]
    started = [p for p in dated if p.constraint is None or p.constraint.start_date <= today]
    current = started[-1] if started else model.prices[0]
    hourly = model.prices[model.prices.index(current) + 1 :]
    hourly = [p for p in hourly if isinstance(p.constraint, gp.TimeOfDateConstraint)]
    rows = [row for p in (current, *hourly) if (row := price_row(p.prices))]
    if not rows:
        return {}
    result: dict[str, Any] = {"price": dearest(rows) if hourly else rows[0]}
    if hourly:
        result["ceiling"] = True
    later = [
        {"since": p.constraint.start_date.isoformat(), "price": price_row(p.prices)}
        for p in dated
        if p.constraint is not None and p.constraint.start_date > today
    ]
    return result | ({"later": later} if later else {})


def standard(model: gp.ModelInfo) -> gp.ModelPrice:
    """Give the newest price, whatever the date or hour."""
    return model.prices if isinstance(model.prices, gp.ModelPrice) else model.prices[-1].prices


def extras(model: gp.ModelInfo) -> list[str]:
    """Name what the vendor bills beyond the row's price, where a request asks for it."""
    words = set()
    price = standard(model)
    base = rates(price, 0) or {}
    for key, value in vars(price).items():
        if value is None or key in COVERED:
            continue
        if key in EXTRAS:
            words.add(EXTRAS[key])
        elif match := re.fullmatch(r"(input|output)_(audio|image|video)_mtok", key):
            if (rate(price, key, 0) or 0) > base.get(match[1], 0):
                words.add(f"{match[2]}_{match[1]}")
        elif not key.startswith("cache_"):
            words.add(key)
    for variant in model.price_variants or ():
        dearer = any(
            (rate(variant.prices, key, 0) or 0) > (rate(price, key, 0) or 0) for key in ("input_mtok", "output_mtok")
        )
        if dearer:
            words.update(variant.when)
    return sorted(words)


def names(match: gp.MatchLogic) -> Iterator[tuple[bool, str]]:
    """Turn a match clause into (is a glob, text) pairs; a glob reaches to the next word, never into a number."""
    if isinstance(match, gp.ClauseOr):
        for clause in match.or_:
            yield from names(clause)
    elif isinstance(match, gp.ClauseAnd):
        # Only ever a prefix and "not a speech model", which the lookup itself excludes.
        yield from names(match.and_[0])
    elif isinstance(match, (gp.ClauseEquals, gp.ClauseEndsWith)):
        yield False, match.equals if isinstance(match, gp.ClauseEquals) else match.ends_with
    elif isinstance(match, gp.ClauseRegex):
        pattern = match.regex.removeprefix("^").removesuffix("$").replace("\\.", ".")
        pattern = re.sub(r"\\d\{(\d)\}", lambda m: "[0-9]" * int(m[1]), pattern).replace("\\d", "[0-9]*")
        if re.search(r"[\\(|+]", pattern):
            print(f"left out the pattern {match.regex}", file=sys.stderr)
        else:
            yield True, pattern
    else:
        start = match.starts_with if isinstance(match, gp.ClauseStartsWith) else match.contains
        yield False, start
        if re.search(r"-20\d\d$", start):
            yield True, start + "[0-9]" * 4
        else:
            yield True, start + ("[-@:]*" if start[-1].isalnum() else "*")


def litellm_row(source: Source, found: list[str], table: dict[str, Any]) -> dict[str, Any]:
    """Give litellm's row of the first of these names it has; empty where it has none."""
    rows = (table.get(f"{source.other}/{name}") or table.get(name) for name in found)
    return next((row for row in rows if row and row.get("litellm_provider") == source.other), {})


def limits(row: dict[str, Any], today: date) -> dict[str, Any]:
    """Give `max_output`, `supports` and so on from litellm's row."""
    result: dict[str, Any] = {}
    if row.get("mode") == "embedding":
        result["supports"] = ["embedding"]
    elif row.get("mode") == "chat" and any(key.startswith("supports_") for key in row):
        words = {word for key, word in ABILITIES.items() if row.get(key)}
        words |= {"image"} if "image" in row.get("supported_output_modalities", ()) else set()
        result["supports"] = sorted(words)
    if row.get("mode") == "chat" and row.get("max_output_tokens"):
        result["max_output"] = row["max_output_tokens"]
    if row.get("max_input_tokens"):
        result["context_window"] = row["max_input_tokens"]
    if row.get("deprecation_date", "9999") <= today.isoformat():
        result["deprecated"] = True
    return result


def settle(row: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Where litellm has a dearer price, let that stand and mark it: too low a reserve would overspend."""
    price, changes = row["price"], []
    for name, key in LITELLM_RATES.items():
        ours, theirs = price.get(name), other.get(key)
        if ours is None or theirs is None or ours == (dearer := nano(round(Decimal(str(theirs)) * 10**6, 9))):
            continue
        changes.append(f"{name} {ours / NANO:g} in genai-prices, {dearer / NANO:g} in litellm")
        price[name] = max(ours, dearer)
        row["ceiling"] = True
    return changes


def model_row(source: Source, model: gp.ModelInfo, table: dict[str, Any], today: date) -> dict[str, Any]:
    """Make one row of `models.json`, and print what the sources disagree about."""
    searches = bool(ALWAYS_SEARCHES.search(model.id))
    clauses = [c for c in dict.fromkeys(names(model.match)) if searches or not ALWAYS_SEARCHES.search(c[1])]
    exact = [text for is_glob, text in clauses if not is_glob and text.lower() != model.id.lower()]
    other = litellm_row(source, [model.id, *exact], table)
    found = limits(other, today) if source.complete else {}
    row = {"id": model.id, "names": exact, "patterns": [text for is_glob, text in clauses if is_glob]}
    row |= prices(model, today) | {"extras": extras(model)} | found
    if model.context_window:
        row["context_window"] = model.context_window
    row["deprecated"] = bool(model.deprecated or found.get("deprecated"))
    row = {key: value for key, value in row.items() if value not in ([], False)}
    if searches:
        row["bounded"] = False
    if re.search(source.free, model.id):
        row.setdefault("price", {"input": 0, "output": 0})
    if "price" in row and (changes := settle(row, other)):
        print(f"{source.prices}: {model.id}: {'; '.join(changes)}")
    return row


def build(table: dict[str, Any], today: date) -> dict[str, list[dict[str, Any]]]:
    """Make every vendor's rows."""
    by_id = {provider.id: provider for provider in providers}
    vendors: dict[str, list[dict[str, Any]]] = {**OWN}
    for vendor, source in SOURCES.items():
        unserved = re.compile(f"{source.skip}|{OTHER_ENDPOINTS.pattern}")
        rows = [model_row(source, m, table, today) for m in by_id[source.prices].models if not unserved.search(m.id)]
        rows = [row for row in rows if "price" in row or "supports" in row]
        vendors[vendor] = rows
    return vendors


def litellm_table() -> dict[str, Any]:
    """Read litellm's price table out of its installed distribution."""
    files = metadata.files("litellm") or ()
    found = next(f for f in files if f.name == "model_prices_and_context_window_backup.json")
    return json.loads(Path(str(found.locate())).read_text(encoding="utf-8"))


def main() -> None:
    """Write the file, a row a line so that a change reads well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--date", type=date.fromisoformat, default=datetime.now(UTC).date(), help="prices as of this day"
    )
    today = parser.parse_args().date
    vendors = build(litellm_table(), today)
    sources = [f"{name} {metadata.version(name)}" for name in ("genai-prices", "litellm")]
    head = f'{{"date": "{today}", "sources": {json.dumps(sources)}, "vendors": {{\n'
    blocks = (
        f'"{vendor}": [\n' + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"
        for vendor, rows in vendors.items()
    )
    OUT.write_text(head + ",\n".join(blocks) + "\n}}\n", encoding="utf-8")
    print(f"{OUT}: {sum(map(len, vendors.values()))} models, {OUT.stat().st_size:,} bytes, as of {today}")


if __name__ == "__main__":
    main()
