"""`health-check` against real ports: who could answer, who could not, who is passed over."""

from __future__ import annotations

import json

import pytest

from tests.cli.program import llamafarm, serving, unused_port

MODELS = (200, "application/json", json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode())


@pytest.fixture
def server():
    with serving({"/v1/models": MODELS, "/html/models": (200, "text/html", b"<html>hello</html>")}) as url:
        yield url


def strategy_file(folder, **urls):
    components = "".join(
        f"      {name}: {{type: openai_compatible, config: {{provider: custom, base_url: '{url}', default_model: m}}}}\n"
        for name, url in urls.items()
    )
    (folder / "strategies.yaml").write_text(
        f"strategies:\n  - name: s\n    description: d\n    components:\n{components}    fallback_chain: [{', '.join(urls)}]\n"
    )


def check(folder, *arguments, **environment):
    run = llamafarm("health-check", "--output", "json", *arguments, cwd=folder, **environment)
    return run.code, {target["name"]: target for target in run.json["targets"]}


def test_a_target_that_could_answer(tmp_path, server):
    strategy_file(tmp_path, up=f"{server}/v1")
    code, targets = check(tmp_path)
    assert code == 0
    assert (targets["up"]["eligible"], targets["up"]["ok"]) == (True, True)


def test_one_that_is_down_beside_one_that_is_up(tmp_path, server):
    strategy_file(tmp_path, up=f"{server}/v1", down=f"http://127.0.0.1:{unused_port()}/v1", page=f"{server}/html")
    code, targets = check(tmp_path)
    assert code == 1
    assert {name: target["ok"] for name, target in targets.items()} == {"up": True, "down": False, "page": False}
    assert targets["down"]["detail"]
    assert targets["page"]["detail"]


def test_for_people(tmp_path, server):
    strategy_file(tmp_path, up=f"{server}/v1", down=f"http://127.0.0.1:{unused_port()}/v1")
    run = llamafarm("health-check", cwd=tmp_path)
    assert run.code == 1
    lines = [line.split() for line in run.out.splitlines()]
    assert [line[0] for line in lines] == ["s", "up", "down"]
    assert "ok" in lines[1]
    assert "failed" in lines[2]
    assert "Traceback" not in run.err


def test_targets_without_a_key_are_passed_over_and_none_left_is_exit_3(tmp_path):
    code, targets = check(tmp_path, "--strategy", "cloud_production")
    assert code == 3
    assert {target["eligible"] for target in targets.values()} == {False}
    assert "OPENAI_API_KEY is not set" in targets["primary"]["detail"]


def test_what_the_privacy_mode_forbids_is_not_connected_to(tmp_path):
    strategy_file(tmp_path, elsewhere="http://llm.example.com/v1")
    with (tmp_path / "strategies.yaml").open("a") as file:
        file.write("    constraints: {privacy_mode: local_only}\n")
    code, targets = check(tmp_path)
    assert code == 3
    assert "local_only" in targets["elsewhere"]["detail"]


def test_the_embedded_engine_says_whether_its_model_is_here(tmp_path):
    code, targets = check(tmp_path, "--strategy", "privacy_first")
    (target,) = targets.values()
    assert (code, target["ok"]) == (1, False)
    assert "llamafarm pull" in target["detail"]


def test_a_strategy_that_would_refuse_every_request_is_not_healthy(tmp_path, server):
    strategy_file(tmp_path, up=f"{server}/v1")
    with (tmp_path / "strategies.yaml").open("a") as file:
        file.write("    constraints: {daily_budget: 1}\n")
    run = llamafarm("health-check", "--output", "json", cwd=tmp_path)
    assert run.code == 3
    assert "daily_budget" in run.json["refused"]


def test_an_unknown_strategy(tmp_path):
    llamafarm("health-check", "--strategy", "nobody", cwd=tmp_path).assert_one_clear_line(2)
