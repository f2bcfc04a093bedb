"""Each key of a target's config, in each place it may stand, makes another target."""

import pytest

from tests.making import routing

CLOUD = """
name: one
description: d
components:
  it: {type: openai_compatible, config: {provider: openai, api_key: k, default_model: m%s}}
"""
APP = """
name: one
description: d
components:
  it: {type: llamacpp, config: {engine: embedded, default_model: m%s}}
"""
PLACES = {
    "cloud": lambda given: CLOUD % f", {given}",
    "cloud model": lambda given: CLOUD % f", models: {{m: {{{given}}}}}",
    "app": lambda given: APP % f", {given}",
    "app model": lambda given: APP % f", models: [{{name: m, {given}}}]",
}
BARE = {"cloud": CLOUD % "", "cloud model": CLOUD % "", "app": APP % "", "app model": APP % ""}


def target(text):
    return routing(text).named["it"]


@pytest.mark.parametrize(
    ("place", "key", "given", "value"),
    [
        pytest.param(
            "cloud",
            "temperature",
            "0.25",
            0.25,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.temperature"),
        ),
        pytest.param(
            "cloud", "top_p", "0.5", 0.5, marks=pytest.mark.key("strategies[].components{}.config<cloud>.top_p")
        ),
        pytest.param("cloud", "top_k", "7", 7, marks=pytest.mark.key("strategies[].components{}.config<cloud>.top_k")),
        pytest.param(
            "cloud", "max_tokens", "33", 33, marks=pytest.mark.key("strategies[].components{}.config<cloud>.max_tokens")
        ),
        pytest.param(
            "cloud", "stop", "[END]", ["END"], marks=pytest.mark.key("strategies[].components{}.config<cloud>.stop")
        ),
        pytest.param("cloud", "seed", "4", 4, marks=pytest.mark.key("strategies[].components{}.config<cloud>.seed")),
        pytest.param(
            "cloud",
            "frequency_penalty",
            "0.5",
            0.5,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.frequency_penalty"),
        ),
        pytest.param(
            "cloud",
            "presence_penalty",
            "-0.5",
            -0.5,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.presence_penalty"),
        ),
        pytest.param(
            "cloud",
            "reasoning_effort",
            "low",
            "low",
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.reasoning_effort"),
        ),
        pytest.param(
            "cloud",
            "system_prompt",
            "Be brief.",
            "Be brief.",
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.system_prompt"),
        ),
        pytest.param(
            "cloud model",
            "temperature",
            "0.25",
            0.25,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.temperature"),
        ),
        pytest.param(
            "cloud model",
            "top_p",
            "0.5",
            0.5,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.top_p"),
        ),
        pytest.param(
            "cloud model",
            "top_k",
            "7",
            7,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.top_k"),
        ),
        pytest.param(
            "cloud model",
            "max_tokens",
            "33",
            33,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.max_tokens"),
        ),
        pytest.param(
            "cloud model",
            "stop",
            "[END]",
            ["END"],
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.stop"),
        ),
        pytest.param(
            "cloud model",
            "seed",
            "4",
            4,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.seed"),
        ),
        pytest.param(
            "cloud model",
            "frequency_penalty",
            "0.5",
            0.5,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.frequency_penalty"),
        ),
        pytest.param(
            "cloud model",
            "presence_penalty",
            "-0.5",
            -0.5,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.presence_penalty"),
        ),
        pytest.param(
            "cloud model",
            "reasoning_effort",
            "low",
            "low",
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.reasoning_effort"),
        ),
        pytest.param(
            "cloud model",
            "system_prompt",
            "Be brief.",
            "Be brief.",
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.system_prompt"),
        ),
        pytest.param(
            "app",
            "temperature",
            "0.25",
            0.25,
            marks=pytest.mark.key("strategies[].components{}.config<app>.temperature"),
        ),
        pytest.param("app", "top_p", "0.5", 0.5, marks=pytest.mark.key("strategies[].components{}.config<app>.top_p")),
        pytest.param("app", "top_k", "7", 7, marks=pytest.mark.key("strategies[].components{}.config<app>.top_k")),
        pytest.param(
            "app", "max_tokens", "33", 33, marks=pytest.mark.key("strategies[].components{}.config<app>.max_tokens")
        ),
        pytest.param(
            "app", "stop", "[END]", ["END"], marks=pytest.mark.key("strategies[].components{}.config<app>.stop")
        ),
        pytest.param("app", "seed", "4", 4, marks=pytest.mark.key("strategies[].components{}.config<app>.seed")),
        pytest.param(
            "app",
            "frequency_penalty",
            "0.5",
            0.5,
            marks=pytest.mark.key("strategies[].components{}.config<app>.frequency_penalty"),
        ),
        pytest.param(
            "app",
            "presence_penalty",
            "-0.5",
            -0.5,
            marks=pytest.mark.key("strategies[].components{}.config<app>.presence_penalty"),
        ),
        pytest.param(
            "app",
            "reasoning_effort",
            "low",
            "low",
            marks=pytest.mark.key("strategies[].components{}.config<app>.reasoning_effort"),
        ),
        pytest.param(
            "app",
            "system_prompt",
            "Be brief.",
            "Be brief.",
            marks=pytest.mark.key("strategies[].components{}.config<app>.system_prompt"),
        ),
        pytest.param(
            "app model",
            "temperature",
            "0.25",
            0.25,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].temperature"),
        ),
        pytest.param(
            "app model",
            "top_p",
            "0.5",
            0.5,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].top_p"),
        ),
        pytest.param(
            "app model", "top_k", "7", 7, marks=pytest.mark.key("strategies[].components{}.config<app>.models[].top_k")
        ),
        pytest.param(
            "app model",
            "max_tokens",
            "33",
            33,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].max_tokens"),
        ),
        pytest.param(
            "app model",
            "stop",
            "[END]",
            ["END"],
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].stop"),
        ),
        pytest.param(
            "app model", "seed", "4", 4, marks=pytest.mark.key("strategies[].components{}.config<app>.models[].seed")
        ),
        pytest.param(
            "app model",
            "frequency_penalty",
            "0.5",
            0.5,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].frequency_penalty"),
        ),
        pytest.param(
            "app model",
            "presence_penalty",
            "-0.5",
            -0.5,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].presence_penalty"),
        ),
        pytest.param(
            "app model",
            "reasoning_effort",
            "low",
            "low",
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].reasoning_effort"),
        ),
        pytest.param(
            "app model",
            "system_prompt",
            "Be brief.",
            "Be brief.",
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].system_prompt"),
        ),
    ],
)
def test_request_defaults(place, key, given, value):
    assert key not in target(BARE[place]).defaults
    assert target(PLACES[place](f"{key}: {given}")).defaults[key] == value


@pytest.mark.parametrize(
    ("place", "field", "nano"),
    [
        pytest.param(
            "cloud", "input", 1000, marks=pytest.mark.key("strategies[].components{}.config<cloud>.price.input")
        ),
        pytest.param(
            "cloud", "output", 3000, marks=pytest.mark.key("strategies[].components{}.config<cloud>.price.output")
        ),
        pytest.param(
            "cloud",
            "cached_input",
            500,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.price.cached_input"),
        ),
        pytest.param(
            "cloud",
            "cache_write",
            2000,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.price.cache_write"),
        ),
        pytest.param(
            "cloud model",
            "input",
            1000,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.price.input"),
        ),
        pytest.param(
            "cloud model",
            "output",
            3000,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.price.output"),
        ),
        pytest.param(
            "cloud model",
            "cached_input",
            500,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.price.cached_input"),
        ),
        pytest.param(
            "cloud model",
            "cache_write",
            2000,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.price.cache_write"),
        ),
        pytest.param("app", "input", 1000, marks=pytest.mark.key("strategies[].components{}.config<app>.price.input")),
        pytest.param(
            "app", "output", 3000, marks=pytest.mark.key("strategies[].components{}.config<app>.price.output")
        ),
        pytest.param(
            "app",
            "cached_input",
            500,
            marks=pytest.mark.key("strategies[].components{}.config<app>.price.cached_input"),
        ),
        pytest.param(
            "app", "cache_write", 2000, marks=pytest.mark.key("strategies[].components{}.config<app>.price.cache_write")
        ),
        pytest.param(
            "app model",
            "input",
            1000,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].price.input"),
        ),
        pytest.param(
            "app model",
            "output",
            3000,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].price.output"),
        ),
        pytest.param(
            "app model",
            "cached_input",
            500,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].price.cached_input"),
        ),
        pytest.param(
            "app model",
            "cache_write",
            2000,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].price.cache_write"),
        ),
    ],
)
def test_prices(place, field, nano):
    given = "price: {input: 0.000001, output: 0.000003, cached_input: 0.0000005, cache_write: 0.000002}"
    found = getattr(target(PLACES[place](given)).price, field)
    assert found == nano
    assert getattr(target(BARE[place]).price, field, None) != nano


@pytest.mark.parametrize(
    ("place", "key", "given", "field", "value"),
    [
        pytest.param(
            "cloud",
            "context_window",
            "77",
            "context_window",
            77,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.context_window"),
        ),
        pytest.param(
            "cloud",
            "supports",
            "[vision]",
            "supports",
            frozenset({"vision"}),
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.supports"),
        ),
        pytest.param(
            "cloud model",
            "context_window",
            "77",
            "context_window",
            77,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.context_window"),
        ),
        pytest.param(
            "cloud model",
            "supports",
            "[vision]",
            "supports",
            frozenset({"vision"}),
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.models{}.supports"),
        ),
        pytest.param(
            "app",
            "context_window",
            "77",
            "context_window",
            77,
            marks=pytest.mark.key("strategies[].components{}.config<app>.context_window"),
        ),
        pytest.param(
            "app",
            "supports",
            "[vision]",
            "supports",
            frozenset({"vision"}),
            marks=pytest.mark.key("strategies[].components{}.config<app>.supports"),
        ),
        pytest.param(
            "app model",
            "context_window",
            "77",
            "context_window",
            77,
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].context_window"),
        ),
        pytest.param(
            "app model",
            "supports",
            "[vision]",
            "supports",
            frozenset({"vision"}),
            marks=pytest.mark.key("strategies[].components{}.config<app>.models[].supports"),
        ),
        pytest.param(
            "cloud",
            "base_url",
            "'https://x.example/v1'",
            "base_url",
            "https://x.example/v1",
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.base_url"),
        ),
        pytest.param(
            "cloud",
            "timeout",
            "7",
            "timeout",
            7,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.timeout"),
        ),
        pytest.param(
            "cloud",
            "max_retries",
            "5",
            "max_retries",
            5,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.max_retries"),
        ),
        pytest.param(
            "cloud",
            "retry_delay",
            "3",
            "retry_delay",
            3,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.retry_delay"),
        ),
        pytest.param(
            "cloud",
            "ttft_timeout",
            "2",
            "ttft_timeout",
            2,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.ttft_timeout"),
        ),
        pytest.param(
            "cloud",
            "stream_idle_timeout",
            "2",
            "stream_idle_timeout",
            2,
            marks=pytest.mark.key("strategies[].components{}.config<cloud>.stream_idle_timeout"),
        ),
        pytest.param(
            "app", "timeout", "7", "timeout", 7, marks=pytest.mark.key("strategies[].components{}.config<app>.timeout")
        ),
        pytest.param(
            "app",
            "max_retries",
            "5",
            "max_retries",
            5,
            marks=pytest.mark.key("strategies[].components{}.config<app>.max_retries"),
        ),
        pytest.param(
            "app",
            "retry_delay",
            "3",
            "retry_delay",
            3,
            marks=pytest.mark.key("strategies[].components{}.config<app>.retry_delay"),
        ),
        pytest.param(
            "app",
            "ttft_timeout",
            "2",
            "ttft_timeout",
            2,
            marks=pytest.mark.key("strategies[].components{}.config<app>.ttft_timeout"),
        ),
        pytest.param(
            "app",
            "stream_idle_timeout",
            "2",
            "stream_idle_timeout",
            2,
            marks=pytest.mark.key("strategies[].components{}.config<app>.stream_idle_timeout"),
        ),
    ],
)
def test_settings(place, key, given, field, value):
    assert getattr(target(BARE[place]), field) != value
    assert getattr(target(PLACES[place](f"{key}: {given}")), field) == value


@pytest.mark.key("strategies[].components{}.config<cloud>.api_key")
@pytest.mark.key("strategies[].components{}.config<app>.api_key")
def test_keys():
    assert target(CLOUD.replace("api_key: k", "api_key: other") % "").api_key.reveal() == "other"
    assert target(APP % "").api_key is None
    assert target(APP % ", api_key: mine").api_key.reveal() == "mine"


@pytest.mark.key("strategies[].components{}.config<app>.base_url")
def test_an_applications_address_gets_its_path():
    vllm = APP.replace("type: llamacpp", "type: vllm").replace("engine: embedded, ", "")
    assert target(vllm % "").base_url == "http://localhost:8000/v1"
    assert target(vllm % ", base_url: 'http://10.0.0.1:8080'").base_url == "http://10.0.0.1:8080/v1"
    assert target(vllm % ", base_url: 'http://10.0.0.1/other/v1'").base_url == "http://10.0.0.1/other/v1"


@pytest.mark.key("strategies[].components{}.config<cloud>.provider")
@pytest.mark.key("strategies[].components{}.config<cloud>.default_model")
def test_the_provider_and_the_model_decide_address_and_price():
    groq = target(CLOUD.replace("provider: openai", "provider: groq") % "")
    assert groq.base_url == "https://api.groq.com/openai/v1"
    assert target(CLOUD % "").base_url == "https://api.openai.com/v1"
    assert target(CLOUD.replace("default_model: m", "default_model: gpt-4o-mini") % "").price.input == 150_000_000


@pytest.mark.key("strategies[].components{}.config<cloud>.models")
@pytest.mark.key("strategies[].components{}.config<app>.models")
@pytest.mark.key("strategies[].components{}.config<app>.models[].name")
@pytest.mark.key("strategies[].components{}.config<app>.default_model")
def test_each_model_is_a_target_by_its_name():
    assert "big" not in routing(CLOUD % "").named
    assert routing(CLOUD % ", models: {big: {}}").named["big"].model == "big"
    assert routing(APP % ", models: [{name: big}]").named["big"].model == "big"
    assert target(APP % "").model == "m"


@pytest.mark.key("strategies[].components{}.config<app>.engine")
def test_the_engine_decides_who_speaks_to_it():
    assert target(APP % "").dialect == "embedded"
    assert target(APP.replace("engine: embedded", "engine: server") % "").dialect == "openai"
    server = target(APP.replace("engine: embedded", "engine: server, base_url: 'http://127.0.0.1:9931'") % "")
    assert (server.dialect, server.base_url) == ("openai", "http://127.0.0.1:9931/v1")


def test_the_embedded_engines_window_is_what_it_loads():
    default = APP.replace(", default_model: m", "") % ""
    assert target(default).context_window == 4096
    assert target(default.replace("embedded", "embedded, context_size: 512")).context_window == 512
    assert target(default.replace("embedded", "embedded, context_window: 300")).context_window == 300
    assert target(APP % "").context_window == 4096
