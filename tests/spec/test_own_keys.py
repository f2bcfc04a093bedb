"""The keys whose whole behaviour is the loader's own, and what is said of those without behaviour yet."""

import pytest

from llamafarm import spec
from llamafarm.errors import ConfigError, Severity
from llamafarm.spec.active import is_active
from llamafarm.spec.components import AppConfig, CloudConfig
from llamafarm.spec.tuning import RepositoryConfig, TunerConfig

COMPONENTS = """
    components:
      cloud_api: {type: openai_compatible, config: {provider: openai, timeout: 5, api_key: "${KEY}"}}
      model_app: {type: llamacpp}
"""


def load(text: str) -> spec.Document:
    return spec.load_text(text, env={})


def strategy(more: str = "", name: str = "demo") -> str:
    return f"  - name: {name}\n    description: x{COMPONENTS}{more}"


def chain(entry: str):
    document = load(f"strategies:\n{strategy(f'    fallback_chain: [{entry}]')}")
    return document.file.strategies[0].fallback_chain[0]


@pytest.mark.key("version")
def test_version():
    assert load(f"strategies:\n{strategy()}").file.version is None
    assert load(f"version: 1.2.3\nstrategies:\n{strategy()}").file.version == "1.2.3"


@pytest.mark.key("strategies", "strategies[].name")
def test_strategies_keep_their_order_and_names():
    text = f"strategies:\n{strategy(name='b')}\n{strategy(name='a')}"
    assert [one.name for one in load(text).file.strategies] == ["b", "a"]


@pytest.mark.key("strategies[].description")
def test_description_is_kept_and_missed():
    text = f"strategies:\n{strategy()}"
    assert load(text).file.strategies[0].description == "x"
    assert "no-description" in [finding.code for finding in load(text.replace("description: x", "")).findings]


@pytest.mark.key("strategies[].components{}.type")
@pytest.mark.parametrize(
    ("name", "kind", "config", "serves"),
    [
        ("openai_compatible", "cloud_api", CloudConfig, True),
        ("ollama", "model_app", AppConfig, True),
        ("llamacpp", "model_app", AppConfig, True),
        ("vllm", "model_app", AppConfig, True),
        ("tgi", "model_app", AppConfig, True),
        ("pytorch", "fine_tuner", TunerConfig, False),
        ("llamafactory", "fine_tuner", TunerConfig, False),
        ("custom", "fine_tuner", TunerConfig, False),
        ("huggingface", "repository", RepositoryConfig, False),
        ("local", "repository", RepositoryConfig, False),
    ],
)
def test_the_kind_of_a_component_follows_from_its_type(name, kind, config, serves):
    needed = {"cloud_api": "provider: openai", "fine_tuner": "base_model: {huggingface_id: m}"}.get(kind, "")
    text = f"strategies: [{{name: a, components: {{x: {{type: {name}, config: {{{needed}}}}}}}}}]"
    component = load(text).file.strategies[0].components["x"]
    assert (component.kind, type(component.config), component.serves) == (kind, config, serves)


@pytest.mark.key("strategies[].fallback_chain[].name")
def test_a_chain_entry_has_a_name_of_its_own():
    assert chain("cloud_api").name == "cloud_api"
    assert chain("{name: first try, type: cloud_api}").name == "first try"


@pytest.mark.key("strategies[].fallback_chain[].type")
def test_a_chain_entry_is_of_its_components_type_or_one_of_its_own():
    inherited = chain("{name: x, type: cloud_api}")
    assert (inherited.component, inherited.type, inherited.config.timeout) == ("cloud_api", "openai_compatible", 5)
    own = chain("{name: x, type: openai_compatible, config: {provider: groq}}")
    assert (own.component, own.type, own.config.timeout) == (None, "openai_compatible", 60)


@pytest.mark.key("strategies[].fallback_chain[].config")
def test_a_chain_entrys_config_goes_over_its_components():
    entry = chain("{name: x, type: cloud_api, config: {timeout: 9, default_model: gpt-x}}")
    assert (entry.config.timeout, entry.config.default_model, entry.config.provider) == (9, "gpt-x", "openai")
    assert entry.config.api_key.origin == "KEY"


def test_priorities_have_one_order():
    rules = "    routing_rules:\n" + "".join(
        f"      - {{condition: t{index}, target: model_app, priority: {word}}}\n"
        for index, word in enumerate(["low", "3", "critical", "normal", "high"])
    )
    ranked = sorted(
        load(f"strategies:\n{strategy(rules)}").file.strategies[0].routing_rules, key=lambda rule: -rule.rank
    )
    assert [rule.priority for rule in ranked] == ["critical", "high", 3, "normal", "low"]


def test_a_key_without_behaviour_is_an_info_where_it_is_given():
    text = f"strategies:\n{strategy('    optimization: {cache_enabled: false}')}"
    (finding,) = load(text).findings
    assert (finding.code, finding.severity) == ("not-yet-active", Severity.INFO)
    assert finding.path == "strategies[0].optimization.cache_enabled"


def test_a_key_that_is_null_is_not_given():
    assert load(f"strategies:\n{strategy('    optimization: {cache_enabled: }')}").findings == ()


def test_a_budget_says_what_it_does_meanwhile():
    (finding,) = load(f"strategies:\n{strategy('    constraints: {daily_budget: 5}')}").findings
    assert "refuses to send" in finding.message


@pytest.mark.parametrize(
    ("config", "inactive"),
    [
        ("gpu_layers: 1", False),
        ("engine: embedded, context_size: 5", False),
        ("base_url: 'http://localhost:1', gpu_layers: 1", True),
        ("engine: server", True),
        ("ttl: 5", True),
    ],
)
def test_settings_of_an_application_act_for_the_embedded_engine_alone(config, inactive):
    text = f"strategies: [{{name: a, description: x, components: {{m: {{type: llamacpp, config: {{{config}}}}}}}}}]"
    assert [finding.code for finding in load(text).findings] == ["not-yet-active"] * inactive


def test_activity_is_told_by_key():
    assert is_active("strategies[].constraints.max_tokens")
    assert is_active("strategies[].components{}.config<app>.gpu_layers")
    assert is_active("server.port")
    assert not is_active("store")
    assert not is_active("strategies[].monitoring.alerts[].window")
    assert not is_active("strategies[].components{}.config<tuner>.method.r")
    assert not is_active("strategies[].monitoring.alerts[].type")


def test_silencing_does_not_reach_errors():
    with pytest.raises(ConfigError, match="out-of-range"):
        load(f"strategies:\n{strategy('    constraints: {max_tokens: 0}  # llamafarm: ignore[out-of-range]')}")
