"""The vendor table: complete, well-formed, and the documentation's table is the same one."""

import datetime as dt
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llamafarm import registry
from llamafarm.catalog import CUSTOM, all_vendors, find_vendor, models_of, snapshot, vendor_names
from llamafarm.providers.json_dialect import JsonDialect
from llamafarm.providers.openai.quirks import QUIRKS, TAKES

ROOT = Path(__file__).parents[2]
PROMISED = [
    "openai",
    "anthropic",
    "groq",
    "together",
    "deepseek",
    "mistral",
    "openrouter",
    "gemini",
    "xai",
    "fireworks",
    "cerebras",
    "perplexity",
    "nvidia",
    "azure",
    "custom",
]

OPENAI = frozenset({"stores", "no_top_k", "no_reasoning_back", "few_stops", "takes_custom_tools"})
GPT_5 = frozenset({"max_completion_tokens", "no_penalties", "no_logit_bias", "no_prediction", "no_stop"})
REASONING = (GPT_5 - {"no_stop"}) | {"no_temperature", "no_logprobs"}


def test_the_promised_vendors_are_there():
    assert set(PROMISED) <= set(vendor_names())
    assert vendor_names(local=True) == ("ollama", "llamacpp", "vllm", "tgi", "embedded")
    assert len({vendor.name for vendor in all_vendors()}) == len(all_vendors())


def test_an_unknown_vendor_is_none_and_custom_is_a_row():
    assert find_vendor("opnai") is None
    assert find_vendor("custom") is CUSTOM


@pytest.mark.parametrize("vendor", all_vendors(), ids=lambda vendor: vendor.name)
def test_every_row_makes_sense(vendor):
    assert re.fullmatch(r"[a-z0-9_]+", vendor.name)
    assert vendor.dialect in {"openai", "anthropic", "ollama", "embedded"}
    assert vendor.docs.startswith("https://")
    assert dt.date(2026, 1, 1) <= vendor.checked
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", variable) for variable in vendor.key_variables)
    assert any("{key}" in value for value in vendor.headers.values())
    if vendor.local:
        assert vendor.key_variables == (), "an unset key would rule a local application out"
        assert vendor.base_url is None or urlsplit(vendor.base_url).hostname == "localhost"
    elif vendor.base_url is None:
        assert vendor.example_url is not None
    else:
        assert urlsplit(vendor.base_url).scheme == "https"
        assert not vendor.base_url.endswith("/")
        assert vendor.key_variables


def test_headers_carry_the_key_as_each_vendor_wants_it():
    headers = {name: find_vendor(name).headers for name in ("openai", "azure", "anthropic")}
    assert headers["openai"] == {"Authorization": "Bearer {key}"}
    assert headers["azure"] == {"api-key": "{key}"}
    assert headers["anthropic"] == {"x-api-key": "{key}", "anthropic-version": "2023-06-01"}


def test_the_first_key_variable_is_the_vendors_own():
    assert find_vendor("gemini").key_variables == ("GEMINI_API_KEY", "GOOGLE_API_KEY")


@pytest.mark.parametrize(
    ("vendor", "model", "words"),
    [
        ("openai", "gpt-4o-mini", {*OPENAI, "no_reasoning_effort"}),
        ("openai", "o3-mini", {*OPENAI, *REASONING, "no_parallel_tool_calls", "no_verbosity"}),
        ("openai", "o3", {*OPENAI, *REASONING, "no_parallel_tool_calls", "no_verbosity", "no_stop"}),
        ("openai", "GPT-5", {*OPENAI, *REASONING, "no_stop"}),
        ("openai", "gpt-5-chat-latest", {*OPENAI, "max_completion_tokens", "no_reasoning_effort"}),
        ("openai", "gpt-5.4-pro", {*OPENAI, *REASONING, "no_stop"}),
        ("openai", "gpt-5.2-chat-latest", {*OPENAI, *REASONING, "no_stop"}),
        ("openai", "gpt-5.4-mini", {*OPENAI, *GPT_5, "thinks_when_asked"}),
        ("openai", "gpt-5.5", {*OPENAI, *GPT_5, "thinks_unless_told"}),
        ("openai", "gpt-6-sol", {*OPENAI, *GPT_5, "thinks_unless_told"}),
        ("openai", "gpt-6-astra", {*OPENAI, *REASONING, "no_stop"}),
        ("perplexity", "sonar", {"no_max_completion_tokens", "no_seed", "no_logit_bias"}),
        ("xai", "grok-4.3", {"no_top_k", "no_penalties", "no_stop"}),
        ("xai", "grok-4.20-non-reasoning", {"no_top_k", "no_reasoning_effort"}),
        ("fireworks", "accounts/fireworks/models/kimi-k3", {"no_store", "no_verbosity", "no_safety_identifier"}),
        ("custom", "gpt-5", {"takes_unknown"}),
    ],
)
def test_quirks_depend_on_the_model(vendor, model, words):
    assert find_vendor(vendor).quirks_of(model) == words


def test_every_quirk_is_one_the_provider_knows():
    words = {
        word
        for vendor in all_vendors()
        if vendor.dialect == "openai"
        for quirk in vendor.quirks
        for word in quirk.words
    }
    assert words <= {*QUIRKS, *TAKES}
    assert {"no_stream_options", "random_seed"} <= find_vendor("mistral").quirks_of("mistral-large-latest")


@pytest.mark.parametrize(
    ("vendor", "model", "how"),
    [
        ("openai", "gpt-4o", None),
        ("anthropic", "claude-opus-4-5-20251101", "last_message"),
        ("anthropic", "claude-sonnet-4-20250514", "last_message"),
        ("anthropic", "claude-opus-4-6", None),
        ("anthropic", "claude-haiku-5-5", None),
        ("mistral", "mistral-large-latest", "prefix"),
        ("deepseek", "deepseek-flash", "prefix"),
        ("moonshot", "kimi-k3", "partial"),
        ("groq", "llama-3.1-8b-instant", "last_message"),
        ("vllm", "any", "continue_final_message"),
        ("embedded", "smollm2-135m-instruct", "last_message"),
    ],
)
def test_going_on_from_a_beginning_depends_on_vendor_and_model(vendor, model, how):
    way = find_vendor(vendor).prefill_of(model)
    assert (way and way.how) == how


@pytest.mark.parametrize(
    ("vendor", "model", "how"),
    [
        ("openai", "gpt-3.5-turbo-instruct", "completions"),
        ("openai", "gpt-4o", None),
        ("deepseek", "deepseek-v4-pro", "completions"),
        ("mistral", "codestral-latest", "fim"),
        ("mistral", "codestral-embed-2505", None),
        ("mistral", "mistral-large-latest", None),
        ("llamacpp", "qwen2.5-coder-1.5b-q8_0.gguf", "infill"),
        ("llamacpp", "llama-3.2", None),
        ("ollama", "qwen2.5-coder:1.5b", "completions"),
        ("ollama", "codellama:7b-code", "completions"),
        ("ollama", "starcoder2", "completions"),
        ("ollama", "llama3.2", None),
        ("vllm", "qwen2.5-coder", None),
        ("embedded", "qwen2.5-coder", None),
        ("custom", "any", None),
    ],
)
def test_filling_in_the_middle_depends_on_vendor_and_model(vendor, model, how):
    way = find_vendor(vendor).fim_of(model)
    assert (way and way.how) == how


def test_deepseek_fills_in_at_its_beta_address():
    assert find_vendor("deepseek").fim_of("deepseek-flash").base_url == "https://api.deepseek.com/beta"


def test_deepseek_goes_on_at_its_beta_address():
    assert find_vendor("deepseek").prefill_of("deepseek-flash").base_url == "https://api.deepseek.com/beta"


def table() -> str:
    """Make the table of docs/providers.md: the test below prints it where the page has another."""
    rows = ["| `provider` | vendor | address | key variable | prices |", "|---|---|---|---|---|"]
    for vendor in all_vendors():
        if not vendor.local:
            address = f"`{vendor.base_url}`" if vendor.base_url else f"yours, like `{vendor.example_url}`"
            keys = " or ".join(f"`{variable}`" for variable in vendor.key_variables) or "none"
            count = len(models_of(vendor.name))
            prices = f"{count} models" if count else "give `price`"
            rows.append(f"| `{vendor.name}` | [{vendor.title}]({vendor.docs}) | {address} | {keys} | {prices} |")
    return "\n".join(rows)


def test_the_documented_table_is_this_one():
    page = (ROOT / "docs/providers.md").read_text(encoding="utf-8")
    assert table() in page, f"put this into docs/providers.md:\n{table()}"
    assert f"{snapshot().date}" in page


def test_a_provider_package_says_what_it_can_be_asked_for(monkeypatch):
    class Bare:
        """Says nothing of itself."""

    class Texts(JsonDialect):
        key_variables = ("TEXTS_API_KEY",)
        supports = ()

    classes = {"bare": Bare, "texts": Texts}
    monkeypatch.setattr(registry, "names", lambda _: frozenset(classes))
    monkeypatch.setattr(registry, "load", lambda _, name, __: classes[name])
    bare, texts = find_vendor("bare"), find_vendor("texts")
    assert (bare.operations, bare.supports) == (CUSTOM.operations, None)
    assert (texts.operations, texts.supports) == (("chat",), frozenset())
