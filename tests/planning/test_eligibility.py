"""Why a target may not be asked."""

import pytest

from llamafarm import errors, planning
from llamafarm.hardware import Gpu, Hardware
from llamafarm.types import Call, Operation
from tests.making import NO_GPU, call, order, routing, snapshot, strategy

BASE = """
name: one
description: d
components:
  cloud: {type: openai_compatible, config: {provider: openai, api_key: k, default_model: gpt-4o-mini%s}}
  here: {type: llamacpp, config: {engine: embedded}}
fallback_chain: [cloud, here]
"""
PLAIN = BASE % ""


def reasons(text, asked=None, hardware=None, **environment):
    shown = planning.explain(routing(text, hardware or NO_GPU, **environment), asked or call(), snapshot())
    return {verdict.target.name: "; ".join(verdict.reasons) for verdict in shown.verdicts}


@pytest.mark.key("strategies[].constraints.allowed_models")
def test_allowed_models():
    assert order(PLAIN + "constraints: {allowed_models: ['smol*']}") == ["here"]
    assert "does not have gpt-4o-mini" in reasons(PLAIN + "constraints: {allowed_models: ['smol*']}")["cloud"]


@pytest.mark.key("strategies[].constraints.blocked_models")
def test_blocked_models_win_over_allowed_ones():
    assert order(PLAIN + "constraints: {blocked_models: ['gpt-4*'], allowed_models: ['*']}") == ["here"]


ONE_GPU = Hardware(cpus=8, memory_bytes=64 * 10**9, gpus=(Gpu("A", 12 * 10**9, "cuda"),), reason="")


@pytest.mark.key("strategies[].constraints.requires_gpu")
def test_requires_gpu_concerns_local_targets():
    text = PLAIN + "constraints: {requires_gpu: true}"
    assert order(text) == ["cloud"]
    assert reasons(text)["here"] == "requires_gpu: no GPU here"
    assert order(text, hardware=ONE_GPU) == ["cloud", "here"]


@pytest.mark.key("strategies[].constraints.min_gpu_memory")
def test_min_gpu_memory_concerns_a_gpu_in_use():
    text = PLAIN + "constraints: {min_gpu_memory: %s}"
    assert order(text % 16) == ["cloud", "here"], "no GPU in use"
    assert order(text % 16, hardware=ONE_GPU) == ["cloud"]
    assert reasons(text % 16, hardware=ONE_GPU)["here"].endswith("16 GB and the largest GPU here has 12.0 GB")
    assert order(text % 12, hardware=ONE_GPU) == ["cloud", "here"]


@pytest.mark.key("strategies[].constraints.privacy_mode")
@pytest.mark.parametrize(
    ("url", "local_only", "private"),
    [
        ("https://api.example.com/v1", False, True),
        ("http://api.example.com/v1", False, False),
        ("http://10.0.0.7:8000/v1", False, False),
        ("http://127.0.0.1:8000/v1", True, True),
        ("http://127.9.9.9:8000/v1", True, True),
        ("http://localhost:8000/v1", True, True),
        ("http://[::1]:8000/v1", True, True),
        ("http://localhost.example.com/v1", False, False),
        ("http://127.0.0.1.nip.io/v1", False, False),
        ("http://2130706433/v1", False, False),
        ("http://0.0.0.0:8000/v1", False, False),
    ],
)
def test_privacy_goes_by_the_address(url, local_only, private):
    text = BASE % f", base_url: '{url}'"
    assert ("cloud" in order(text + "constraints: {privacy_mode: local_only}")) is local_only
    assert ("cloud" in order(text + "constraints: {privacy_mode: private}")) is private
    assert "cloud" in order(text + "constraints: {privacy_mode: public}")


@pytest.mark.key("strategies[].components{}.config<cloud>.supports")
def test_abilities_rule_targets_out_only_where_they_are_known():
    picture = call()
    picture.body["messages"][0]["content"] = [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    assert order(PLAIN, picture) == ["cloud"]
    with pytest.raises(errors.NoTargetError, match="does not support vision"):
        order(BASE % ", supports: [tools]", picture)
    unknown = BASE % ", base_url: 'https://x.example/v1'"
    assert order(unknown.replace("provider: openai", "provider: custom"), picture) == ["cloud"]


def test_tools_and_json():
    tools = call(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    assert order(PLAIN, tools) == ["cloud"]
    schema = call(response_format={"type": "json_object"})
    assert order(BASE % ", supports: [tools]", schema) == ["here"]


@pytest.mark.key("strategies[].components{}.config<cloud>.context_window")
def test_a_prompt_longer_than_the_window_needs_another_target():
    text = BASE % ", context_window: 20"
    assert order(text, call("short")) == ["cloud", "here"]
    assert order(text, call("word " * 100)) == ["here"]


@pytest.mark.key("strategies[].constraints.max_input_tokens")
def test_max_input_tokens_refuses():
    text = PLAIN + "constraints: {max_input_tokens: 50}"
    assert order(text, call("short"))
    with pytest.raises(errors.TokenLimitError, match=r"estimated.*max_input_tokens is 50"):
        order(text, call("word " * 100))


@pytest.mark.key("strategies[].constraints.daily_budget")
@pytest.mark.parametrize("budget", ["daily_budget", "monthly_budget"])
def test_a_strategy_with_a_budget_refuses_to_send(budget):
    with pytest.raises(errors.CostLimitError, match=f"{budget}, and this version does not keep budgets yet"):
        order(PLAIN + f"constraints: {{{budget}: 5}}")


def test_dialects_nobody_speaks_yet_are_ineligible():
    text = PLAIN.replace("provider: openai", "provider: anthropic")
    assert "does not speak to anthropic yet" in reasons(text)["cloud"]


def test_a_vendors_usual_key_goes_only_to_the_vendors_own_address():
    text = PLAIN.replace("api_key: k, ", "")
    known = routing(text, OPENAI_API_KEY="sk-secret").named["cloud"]
    assert known.api_key.reveal() == "sk-secret"
    assert "sk-secret" not in repr(known)
    elsewhere = routing(
        (BASE % ", base_url: 'https://x.example/v1'").replace("api_key: k, ", ""), OPENAI_API_KEY="sk-secret"
    )
    assert elsewhere.named["cloud"].api_key is None


def test_local_only_sends_no_address_of_a_picture_and_asks_no_cloud_model():
    text = (BASE % ", base_url: 'http://127.0.0.1:1/v1'") + "constraints: {privacy_mode: local_only}"
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}
    with pytest.raises(errors.BadCallError, match="give the picture itself"):
        order(text, call(messages=[picture]))
    picture["content"][0]["image_url"]["url"] = "data:image/png;base64,AAAA"
    assert order(text, call(messages=[picture])) == ["cloud"]
    for model in ("gpt-oss:120b-cloud", "qwen3:cloud"):
        assert "Ollama serves from its cloud" in reasons(text.replace("gpt-4o-mini", f"'{model}'"))["cloud"]


@pytest.mark.parametrize(
    "model",
    ["gpt-oss:120b-cloud", "GPT-OSS:120B-CLOUD", "gpt-oss:120b-Cloud", "x:Cloud", "'gpt-oss:cloud '", "x:cloud@sha256"],
)
def test_a_name_of_ollamas_cloud_is_one_however_it_is_written(model):
    text = PLAIN + f"  box: {{type: ollama, config: {{default_model: {model}}}}}\n"
    text = text.replace("fallback_chain: [cloud, here]\n", "").replace(
        "description: d\n", "description: d\nfallback_chain: [cloud, here, box]\n"
    )
    assert "from its cloud" in reasons(text + "constraints: {privacy_mode: local_only}")["box"]


def test_models_that_a_router_may_fall_back_to_are_looked_at_too():
    asked = call(models=["gpt-4o", "bad/model"])
    assert order(PLAIN, asked) == ["cloud", "here"]
    text = PLAIN + "constraints: {blocked_models: ['bad/*']}"
    assert order(text) == ["cloud", "here"]
    with pytest.raises(errors.NoTargetError, match="the request's models has bad/model, and blocked_models has bad"):
        order(text, asked)
    allowed = PLAIN + "constraints: {allowed_models: ['gpt-4o*', 'smol*']}"
    with pytest.raises(errors.NoTargetError, match="allowed_models does not have bad/model"):
        order(allowed, asked)


def test_what_a_target_cannot_be_asked_for():
    text = PLAIN.replace("provider: openai", "provider: anthropic").replace("gpt-4o-mini", "claude-haiku-4-5")
    shown = planning.explain(
        planning.resolve(strategy(text), {}, ("anthropic", "embedded"), NO_GPU),
        Call({"input": ["a"]}, Operation.EMBEDDING),
        snapshot(),
    )
    assert shown.verdicts[0].reasons == ("anthropic cannot be asked for embeddings",)
