"""The price snapshot: found by exact name, then by pattern, never by wishful thinking."""

import datetime as dt
import re
from pathlib import Path

import msgspec
import pytest

from llamafarm import catalog
from llamafarm.catalog import find_model, models_of, price_of, search, snapshot
from llamafarm.catalog.models import _FILE

DAY = dt.date(2026, 11, 22)
ABILITIES = {"vision", "tools", "json", "audio", "reasoning", "prefill", "image", "embedding"}
ROWS = [(vendor.name, row) for vendor in catalog.all_vendors() for row in models_of(vendor.name)]


@pytest.mark.parametrize(
    ("vendor", "model", "given", "output", "cached"),
    [
        # Dollars per million tokens, each read in a second place besides the snapshot's own source.
        ("openai", "gpt-4o-mini", "0.15", "0.60", "0.075"),
        ("openai", "gpt-4o", "2.50", "10", "1.25"),
        ("openai", "gpt-4.1", "2", "8", "0.5"),
        ("anthropic", "claude-haiku-4-5", "1", "5", "0.1"),
        ("anthropic", "claude-sonnet-4-5", "3", "15", "0.3"),
        ("gemini", "gemini-2.5-flash", "0.30", "2.50", "0.03"),
        ("groq", "llama-3.1-8b-instant", "0.05", "0.08", None),
        ("mistral", "mistral-large-2512", "0.5", "1.5", "0.05"),
    ],
)
def test_well_known_prices(vendor, model, given, output, cached):
    price = price_of(vendor, model, DAY)
    assert price is not None
    assert price.input == catalog.dollars_to_nano(given)
    assert price.output == catalog.dollars_to_nano(output)
    assert price.cached_input == (None if cached is None else catalog.dollars_to_nano(cached))


@pytest.mark.parametrize(
    ("vendor", "model", "row"),
    [
        ("openai", "gpt-4o-mini", "gpt-4o-mini"),
        ("openai", "GPT-4o-Mini", "gpt-4o-mini"),
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai", "gpt-6-luna-2031-01-31", "gpt-6-luna"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("gemini", "gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
    ],
)
def test_a_model_is_found_by_name_then_by_pattern(vendor, model, row):
    found = find_model(vendor, model)
    assert found is not None
    assert found.id == row


@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("openai", "gpt-4o-mini-turbo-deluxe"),
        ("openai", "gpt-6-luna-pro"),
        ("anthropic", "claude-opus-4-10"),
        ("anthropic", "claude-haiku-4-55"),
        ("gemini", "gemini-2.5-pro-preview-tts"),
        ("gemini", "claude-opus-5"),
        ("openai", "whisper-1"),
        ("openai", ""),
        ("nobody", "gpt-4o-mini"),
        ("custom", "gpt-4o-mini"),
        ("azure", "gpt-4o-mini"),
    ],
)
def test_another_product_is_unknown_rather_than_priced_as_its_neighbour(vendor, model):
    assert find_model(vendor, model) is None
    assert price_of(vendor, model) is None


def test_an_announced_price_holds_from_its_day():
    before, after = (price_of("gemini", "gemini-4-argon", dt.date(2026, m, d)) for m, d in ((11, 30), (12, 1)))
    assert before is not None
    assert after is not None
    assert after.input == 2 * before.input


def test_long_prompts_have_their_own_tier():
    price = price_of("openai", "gpt-6-luna", DAY)
    assert price is not None
    assert [tier.above for tier in price.tiers] == [272_000]
    assert price.tiers[0].input == 2 * price.input


def test_a_price_by_the_hour_is_the_highest_and_says_so():
    row = find_model("deepseek", "deepseek-v4-pro")
    assert row is not None
    assert row.ceiling
    assert row.price is not None
    assert row.price.input == catalog.dollars_to_nano("1.32")


def test_fees_beyond_tokens_are_in_the_price_or_named():
    sonar = price_of("perplexity", "sonar", DAY)
    assert sonar is not None
    assert sonar.request == catalog.dollars_to_nano("0.012")
    research = find_model("perplexity", "sonar-deep-research")
    assert research is not None
    assert not research.bounded
    mini = find_model("openai", "gpt-4o-mini")
    assert mini is not None
    assert {"web_search", "service_tier"} <= mini.extras
    assert "audio_input" in next(row for row in models_of("openai") if row.id == "gpt-audio").extras


def test_the_embedded_model_brings_the_prompt_it_needs():
    row = find_model("embedded", "smollm2-135m-instruct")
    assert row is not None
    assert row.price is None
    assert "system_prompt" in row.defaults


def test_abilities_are_known_words_and_unknown_stays_unknown():
    for vendor, row in ROWS:
        assert row.supports is None or row.supports <= ABILITIES, (vendor, row.id)
    assert find_model("groq", "llama-3.1-8b-instant").supports is None
    assert {"vision", "tools", "json"} <= find_model("openai", "gpt-4o").supports
    assert "vision" not in find_model("openai", "gpt-3.5-turbo").supports
    assert find_model("openai", "text-embedding-3-small").supports == {"embedding"}
    assert "prefill" in find_model("anthropic", "claude-haiku-4-5").supports
    assert "prefill" not in find_model("anthropic", "claude-opus-5").supports


def check(vendor, row):
    assert find_model(vendor, row.id) == row
    assert row.id == row.id.strip() != ""
    assert row.price is not None or row.supports is not None
    for price in filter(None, [row.price, *(later.price for later in row.later)]):
        assert min(price.input, price.output, price.request) >= 0
        assert max(price.input, price.output) <= 2000 * catalog.NANO, "more than any vendor has ever asked"
        assert [tier.above for tier in price.tiers] == sorted({tier.above for tier in price.tiers})
        assert all(tier.input >= price.input and tier.output >= price.output for tier in price.tiers)
    assert [later.since for later in row.later] == sorted(later.since for later in row.later)
    assert all(later.since > snapshot().date for later in row.later)
    assert row.context_window is None or row.context_window > 0
    assert row.max_output is None or row.max_output > 0


@pytest.mark.parametrize("vendor", [vendor.name for vendor in catalog.all_vendors() if models_of(vendor.name)])
def test_every_row_makes_sense(vendor):
    for row in models_of(vendor):
        check(vendor, row)


def test_search_looks_for_every_word_in_vendor_and_names():
    found = search("openai 4o mini")
    assert ("openai", find_model("openai", "gpt-4o-mini")) in found
    assert all("4o" in " ".join((row.id, *row.names)).lower() for _, row in found)
    assert search("2024-07-18") != ()
    assert search("no such model anywhere") == ()
    assert len(search("")) == len(ROWS)


def test_every_vendor_with_prices_has_a_row_of_its_own():
    document = msgspec.json.decode(_FILE.read_bytes())
    assert set(document["vendors"]) <= {vendor.name for vendor in catalog.all_vendors()}


def test_the_snapshot_says_its_day_and_sources():
    assert snapshot().date >= dt.date(2026, 11, 22)
    assert any(re.match(r"genai-prices \d", source) for source in snapshot().sources)


def test_the_file_stays_small():
    assert Path(_FILE).stat().st_size < 400_000
