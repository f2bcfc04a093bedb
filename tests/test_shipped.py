"""The strategies that come with llamafarm: sound, priced, documented in their own files, and alive where they can be."""

from __future__ import annotations

import os

import pytest

from llamafarm import catalog, spec, strategies
from llamafarm.check import check
from llamafarm.farm import Farm
from llamafarm.hardware import Hardware

NAMES = (
    "local_development",
    "cloud_production",
    "code_generation",
    "fine_tuning_pipeline",
    "hybrid_fallback",
    "multi_provider",
    "privacy_first",
)
NO_GPU = Hardware(cpus=2, memory_bytes=8 * 10**9, gpus=(), reason="no GPU here")
KEYS = {name: "k" for vendor in catalog.all_vendors() for name in vendor.key_variables}
RUN_WITHOUT_A_KEY = ("local_development", "hybrid_fallback", "fine_tuning_pipeline", "privacy_first")


def load(name, environment=KEYS):
    return spec.load_text(strategies.text(name), name, env=environment)


def test_there_are_seven_and_the_one_for_a_laptop_comes_first():
    assert strategies.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("environment", [{}, KEYS], ids=["without keys", "with keys"])
def test_no_error_and_no_warning(name, environment):
    document = load(name, environment)
    found = (*document.findings, *check(document, environment, NO_GPU))
    assert [str(finding) for finding in found if finding.severity != "info"] == []


@pytest.mark.parametrize("name", NAMES)
def test_with_all_keys_nothing_is_left_to_say_but_what_is_to_come(name):
    document = load(name)
    codes = {finding.code for finding in (*document.findings, *check(document, KEYS, NO_GPU))}
    assert codes <= {"not-yet-active"}


@pytest.mark.parametrize("name", NAMES)
def test_one_strategy_of_the_files_name_with_version_and_comments(name):
    document = load(name)
    (strategy,) = document.file.strategies
    assert strategy.name == name
    assert strategy.description
    assert document.file.version == "2.0.0"
    assert document.text.startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_it_builds(name):
    farm = Farm.load(strategy=name, environment={"LLAMAFARM_STRATEGIES": ""}, hardware=NO_GPU)
    assert farm.strategy.name == name
    assert farm.routing.order


@pytest.mark.parametrize("name", NAMES)
def test_every_cloud_model_has_a_price_and_is_current(name):
    for target in Farm.load(strategy=name, environment=KEYS).routing.targets:
        if target.local:
            continue
        row = catalog.find_model(target.provider, target.model)
        assert row is not None, target
        assert not row.deprecated, target
        assert target.price is not None, target


@pytest.mark.parametrize("name", NAMES)
def test_no_budget_that_would_keep_it_from_sending(name):
    constraints = load(name).file.strategies[0].constraints
    assert constraints.daily_budget is None
    assert constraints.monthly_budget is None


def test_what_the_names_promise():
    orders = {name: Farm.load(strategy=name, environment=KEYS).routing.order for name in NAMES}
    providers = {name: [target.provider for target in order] for name, order in orders.items()}
    assert providers["local_development"] == ["ollama", "embedded"]
    assert providers["hybrid_fallback"] == ["openai", "ollama", "embedded"]
    assert set(providers["cloud_production"]) == {"openai"}
    assert providers["multi_provider"] == ["openai", "anthropic", "groq"]
    assert providers["code_generation"] == ["deepseek", "openai", "mistral"]
    assert providers["fine_tuning_pipeline"] == providers["privacy_first"] == ["embedded"]
    assert load("multi_provider").file.strategies[0].load_balancing is not None
    assert load("privacy_first").file.strategies[0].constraints.privacy_mode == "local_only"


def test_privacy_first_never_downloads_by_itself():
    (component,) = load("privacy_first").file.strategies[0].components.values()
    assert [model.pull_on_start for model in component.config.models] == [False]


@pytest.mark.real
@pytest.mark.parametrize("name", RUN_WITHOUT_A_KEY)
async def test_it_answers_without_a_key(name, smollm2, models_home):
    environment = {key: value for key, value in os.environ.items() if key not in KEYS}
    environment["LLAMAFARM_HOME"] = str(models_home)
    async with Farm.load(strategy=name, environment=environment, hardware=NO_GPU) as farm:
        answer = await farm.generate("What is the capital of France?", temperature=0)
    assert "Paris" in answer.text
    assert answer.attempts[-1].outcome == "ok"
