"""What a strategy file says of Ollama reaches Ollama: how models are loaded, and what planning knows of their window."""

import pytest

from llamafarm import spec
from llamafarm.farm import Farm
from tests.making import routing
from tests.providers.ollama_server import FakeOllama, Model

TEXT = """
name: local
description: d
components:
  model_app: {{type: ollama, config: {{base_url: "{url}", default_model: fake-model{more}}}}}
"""


async def options_sent(more, **asked):
    async with FakeOllama(Model(), Model("small:latest")) as server:
        made = routing(TEXT.format(url=server.base_url, more=more)).strategy
        async with Farm(made, environment={}) as farm:
            await farm.generate("Hi", **asked)
        return server.said[0].body["options"]


def window(more, name="model_app"):
    return routing(TEXT.format(url="http://localhost:11434", more=more)).named[name].context_window


@pytest.mark.key("strategies[].components{}.config<app>.gpu_layers")
async def test_layers_on_the_gpu():
    assert "num_gpu" not in await options_sent("")
    assert "num_gpu" not in await options_sent(", gpu_layers: -1"), "all of them is what Ollama does by itself"
    assert (await options_sent(", gpu_layers: 12"))["num_gpu"] == 12
    assert (await options_sent(", gpu_layers: 0"))["num_gpu"] == 0


@pytest.mark.key("strategies[].components{}.config<app>.cpu_threads")
async def test_threads():
    assert "num_thread" not in await options_sent("")
    assert (await options_sent(", cpu_threads: 3"))["num_thread"] == 3


@pytest.mark.key("strategies[].components{}.config<app>.context_size")
async def test_the_window_that_planning_knows_is_the_one_that_is_asked_for():
    assert (await options_sent(""))["num_ctx"] == window("") == 4096
    for more in (", context_size: 300", ", context_window: 300"):
        assert (await options_sent(more))["num_ctx"] == window(more) == 300
    models = ", context_size: 300, models: [{name: small, context_window: 100}]"
    assert window(models, "small") == 100
    assert (await options_sent(models, model="small"))["num_ctx"] == 100


def test_what_is_not_yet_active_for_it_is_said():
    more = ", gpu_layers: 1, context_size: 9, auto_start: true, models: [{name: small, pull_on_start: true}]"
    text = TEXT.format(url="http://localhost:11434", more=more).strip().replace("\n", "\n    ")
    noted = [finding.path.rpartition(".")[2] for finding in spec.load_text(f"strategies:\n  - {text}\n").findings]
    assert noted == ["auto_start", "pull_on_start"]


def test_it_costs_nothing_and_counts_as_local():
    target = routing(TEXT.format(url="http://localhost:11434", more="")).named["model_app"]
    assert target.local
    assert target.price is not None
    assert (target.price.input, target.price.output) == (0, 0)
    elsewhere = routing(TEXT.format(url="http://192.168.1.7:11434", more="")).named["model_app"]
    assert not elsewhere.local
    assert "image" not in target.operations
