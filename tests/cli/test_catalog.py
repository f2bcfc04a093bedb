"""`catalog`: vendors with their keys, models with their prices, and the files of this machine."""

from __future__ import annotations

import pytest

from llamafarm import catalog
from llamafarm.cli.amounts import per_million, size, tokens
from llamafarm.cli.columns import columns
from tests.cli.program import llamafarm


def test_list_names_every_vendor_and_whether_its_key_is_set(tmp_path):
    run = llamafarm("catalog", "list", "--output", "json", cwd=tmp_path, GROQ_API_KEY="sk-canary")
    vendors = {entry["name"]: entry for entry in run.json["vendors"]}
    assert set(vendors) == set(catalog.vendor_names())
    assert vendors["groq"]["key_set"] is True
    assert vendors["openai"]["key_set"] is False
    assert vendors["openai"]["key_variable"] == "OPENAI_API_KEY"
    assert run.json["date"] == catalog.snapshot().date.isoformat()
    assert "canary" not in run.out


def test_list_shows_the_second_variable_where_that_is_the_one_set(tmp_path):
    run = llamafarm("catalog", "list", "--output", "json", cwd=tmp_path, GOOGLE_API_KEY="k")
    (gemini,) = [entry for entry in run.json["vendors"] if entry["name"] == "gemini"]
    assert (gemini["key_variable"], gemini["key_set"]) == ("GOOGLE_API_KEY", True)


def test_list_has_the_local_models(tmp_path):
    run = llamafarm("catalog", "list", "--output", "json", cwd=tmp_path)
    (model,) = run.json["local_models"]
    assert (model["name"], model["present"], model["licence"]) == ("smollm2-135m-instruct", False, "Apache-2.0")


def test_list_for_people(tmp_path):
    run = llamafarm("catalog", "list", cwd=tmp_path)
    assert run.code == 0
    assert "OPENAI_API_KEY" in run.out
    assert "smollm2-135m-instruct" in run.out
    assert catalog.snapshot().date.isoformat() in run.out


def test_list_of_a_vendor(tmp_path):
    run = llamafarm("catalog", "list", "--vendor", "mistral", "--output", "json", cwd=tmp_path)
    assert {model["id"] for model in run.json["models"]} == {row.id for row in catalog.models_of("mistral")}
    assert {model["vendor"] for model in run.json["models"]} == {"mistral"}


def test_list_of_nobody(tmp_path):
    run = llamafarm("catalog", "list", "--vendor", "mistrl", cwd=tmp_path)
    run.assert_one_clear_line()
    assert "did you mean mistral?" in run.err


def test_search_finds_all_words(tmp_path):
    run = llamafarm("catalog", "search", "openai", "4o-mini", "--output", "json", cwd=tmp_path)
    ids = [(model["vendor"], model["id"]) for model in run.json["models"]]
    assert ("openai", "gpt-4o-mini") in ids
    assert all("4o-mini" in f"{model['id']} {model['names']}" for model in run.json["models"])


def test_search_for_people_has_prices(tmp_path):
    run = llamafarm("catalog", "search", "codestral-latest", cwd=tmp_path)
    assert run.code == 0
    assert "0.3" in run.out
    assert "256k" in run.out


def test_search_without_a_find(tmp_path):
    run = llamafarm("catalog", "search", "no-such-model-anywhere", cwd=tmp_path)
    assert (run.code, run.out) == (0, "")
    assert "no-such-model-anywhere" in run.err
    assert (
        llamafarm("catalog", "search", "no-such-model-anywhere", "--output", "json", cwd=tmp_path).json["models"] == []
    )


@pytest.mark.parametrize("name", ["gpt-4o-mini", "openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18"])
def test_info_of_a_model_by_any_of_its_names(tmp_path, name):
    run = llamafarm("catalog", "info", name, "--output", "json", cwd=tmp_path)
    model = next(model for model in run.json["models"] if model["vendor"] == "openai")
    assert model["price"]["input"] == 0.15
    assert model["price"]["cached_input"] == 0.075
    assert model["context_window"] == 128_000


def test_info_of_a_vendor_and_of_a_local_model(tmp_path):
    assert llamafarm("catalog", "info", "groq", "--output", "json", cwd=tmp_path).json["vendors"][0]["title"] == "Groq"
    run = llamafarm("catalog", "info", "smollm2-135m-instruct", cwd=tmp_path)
    assert run.code == 0
    assert "Apache-2.0" in run.out


def test_info_of_nothing(tmp_path):
    run = llamafarm("catalog", "info", "gpt-4o-mni", cwd=tmp_path)
    run.assert_one_clear_line()
    assert "did you mean" in run.err


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (tokens(None), "-"),
        (tokens(8192), "8192"),
        (tokens(128_000), "128k"),
        (tokens(1_050_000), "1.05M"),
        (size(98_362_432), "98.4 MB"),
        (size(4_000_000_000), "4.0 GB"),
        (per_million(None), ("-", "-")),
        (per_million({"input": 0.15, "output": 30.0}), ("0.15", "30")),
    ],
)
def test_amounts(shown, wanted):
    assert shown == wanted


def test_columns_line_up():
    assert columns(("a", "n"), [("long", "1"), ("b", "22")], right=(1,)) == "a      n\nlong   1\nb     22\n"
    assert columns(("a", "b"), [("x", "")]) == "a  b\nx\n"


def test_a_price_that_is_the_highest_of_several_says_so(tmp_path):
    row = next(row for row in catalog.models_of("deepseek") if row.ceiling)
    found = llamafarm("catalog", "info", f"deepseek/{row.id}", "--output", "json", cwd=tmp_path).json
    assert found["models"][0]["price_is_ceiling"] is True
    assert "≤" in llamafarm("catalog", "search", "deepseek", row.id, cwd=tmp_path, PYTHONUTF8="1").out
    assert per_million({"input": 1.0, "output": 2.0}, ceiling=True) == ("≤1", "≤2")
