"""`list-strategies`, `info` and `init`: what there is, what it does here, and a start that works."""

from __future__ import annotations

import pytest

from llamafarm import strategies
from tests.cli.program import llamafarm

FILE = """version: "1.2.3"
strategies:
  - name: ours
    description: "Fast and local"
    components:
      cloud_api:
        type: openai_compatible
        config: {provider: openai, default_model: gpt-4o-mini}
      model_app: {type: llamacpp, config: {}}
    fallback_chain: [cloud_api, model_app]
    routing_rules: [{condition: private, target: model_app, priority: high}]
    aliases: {small: model_app}
    constraints: {max_output_tokens: 100, daily_budget: 1}
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "strategies.yaml").write_text(FILE)
    return tmp_path


def test_lists_those_of_the_file_and_then_the_shipped(here):
    run = llamafarm("list-strategies", "--output", "json", cwd=here)
    listed = run.json["strategies"]
    assert [entry["name"] for entry in listed] == ["ours", *strategies.names()]
    assert listed[0] == {
        "name": "ours",
        "source": "strategies.yaml",
        "description": "Fast and local",
        "order": ["cloud_api", "model_app"],
    }
    assert {entry["source"] for entry in listed[1:]} == {"shipped"}


def test_lists_the_shipped_where_there_is_no_file(tmp_path):
    run = llamafarm("list-strategies", cwd=tmp_path)
    assert run.code == 0
    assert [line.split()[0] for line in run.out.splitlines()] == ["name", *strategies.names()]


def test_a_wrong_file_is_not_passed_over(here):
    (here / "strategies.yaml").write_text(FILE.replace("components", "componnts"))
    run = llamafarm("list-strategies", cwd=here)
    assert run.code == 2
    assert "componnts" in run.err
    assert run.out == ""


def test_info_says_everything(here):
    found = llamafarm("info", "ours", "--output", "json", cwd=here).json
    assert (found["name"], found["version"], found["source"]) == ("ours", "1.2.3", "strategies.yaml")
    assert [(part["name"], part["kind"]) for part in found["components"]] == [
        ("cloud_api", "cloud_api"),
        ("model_app", "model_app"),
    ]
    cloud, local = found["targets"]
    assert (cloud["eligible"], cloud["reasons"]) == (False, ["OPENAI_API_KEY is not set"])
    assert cloud["price"] == {"input": 0.15, "output": 0.6}
    assert local["eligible"]
    assert local["model_file"] == "fetched at the first request"
    assert found["order"] == ["cloud_api", "model_app"]
    assert found["rules"] == [{"condition": "private", "target": "model_app", "priority": "high"}]
    assert found["aliases"] == {"small": "model_app"}
    assert found["constraints"] == {"max_output_tokens": 100, "daily_budget": 1.0}
    assert found["not_yet_active"] == ["strategies[0].constraints.daily_budget"]
    assert "daily_budget" in found["refused"]


def test_info_for_people_has_the_same(here):
    run = llamafarm("info", cwd=here, OPENAI_API_KEY="k")
    assert run.code == 0
    for word in ("ours", "1.2.3", "gpt-4o-mini", "0.15", "cloud_api > model_app", "private", "daily_budget", "small"):
        assert word in run.out
    assert "not set" not in run.out


def test_info_never_shows_a_key(here):
    run = llamafarm("info", "ours", "--output", "json", cwd=here, OPENAI_API_KEY="sk-canary-42")
    assert "canary" not in run.out + run.err


@pytest.mark.parametrize("name", strategies.names())
def test_info_of_each_shipped_strategy(tmp_path, name):
    run = llamafarm("info", name, cwd=tmp_path)
    assert run.code == 0
    assert run.out.startswith(f"{name} (")


def test_info_of_nobody(here):
    run = llamafarm("info", "nobody", cwd=here)
    run.assert_one_clear_line()
    assert "ours" in run.err


@pytest.mark.parametrize("name", strategies.names())
def test_init_prints_the_very_file_and_it_validates(tmp_path, name):
    run = llamafarm("init", name, cwd=tmp_path)
    assert (run.code, run.out, run.err) == (0, strategies.text(name), "")
    (tmp_path / "strategies.yaml").write_text(run.out)
    assert llamafarm("validate-config", "--strict", cwd=tmp_path).code == 0


def test_init_of_an_unknown_name_suggests(tmp_path):
    run = llamafarm("init", "local_developmnt", cwd=tmp_path)
    run.assert_one_clear_line()
    assert "did you mean local_development?" in run.err
    assert run.out == ""


def test_init_writes_a_file_but_never_over_one(tmp_path):
    target = tmp_path / "mine.yaml"
    assert llamafarm("init", "privacy_first", "--out", "mine.yaml", cwd=tmp_path).code == 0
    assert target.read_text() == strategies.text("privacy_first")
    target.write_text("mine\n")
    run = llamafarm("init", "privacy_first", "--out", "mine.yaml", cwd=tmp_path)
    run.assert_one_clear_line()
    assert "--force" in run.err
    assert target.read_text() == "mine\n"
    assert llamafarm("init", "privacy_first", "--out", "mine.yaml", "--force", cwd=tmp_path).code == 0
    assert target.read_text() == strategies.text("privacy_first")


@pytest.mark.parametrize("out", [".", "no/such/folder/x.yaml"])
def test_init_where_nothing_can_be_written(tmp_path, out):
    llamafarm("init", "privacy_first", "--out", out, "--force", cwd=tmp_path).assert_one_clear_line()


def test_info_says_no_of_a_model_that_cannot_be_loaded(tmp_path):
    (tmp_path / "strategies.yaml").write_text(
        "strategies:\n  - name: s\n    description: d\n    components:\n"
        "      a: {type: llamacpp, config: {default_model: 'qwen3:4b'}}\n"
        "      b: {type: llamacpp, config: {default_model: ./nope.gguf}}\n"
        "    fallback_chain: [a, b]\n"
    )
    shown = llamafarm("info", cwd=tmp_path).out
    assert "no: the embedded engine has no model 'qwen3:4b': there are smollm2-135m-instruct;" in shown
    assert "no: model " in shown
    assert "yes" not in shown
    run = llamafarm("info", "--output", "json", cwd=tmp_path)
    assert [(target["eligible"], target["model_file"]) for target in run.json["targets"]] == [(False, None)] * 2
