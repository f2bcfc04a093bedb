"""`pull`: what is fetched, what is there already, and what one line says when it can't be had."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.program import llamafarm, serving, unused_port

FILE = b"GGUF" + bytes(range(256)) * 40
SHA256 = hashlib.sha256(FILE).hexdigest()


def strategy_file(folder, *models, component="llamacpp"):
    listed = json.dumps(list(models))
    (folder / "strategies.yaml").write_text(f"""strategies:
  - name: s
    description: d
    components:
      model_app: {{type: {component}, config: {{default_model: {models[0]["name"] if models else "m"}, models: {listed}}}}}
""")


MINE = {"name": "mine", "source": "hf:some/where/m.gguf@main", "sha256": SHA256}
GONE = {"name": "gone", "source": "hf:some/where/gone.gguf@main", "sha256": "1" * 64}
HUB = {"/some/where/resolve/main/m.gguf": (200, "application/octet-stream", FILE)}


@pytest.fixture
def hub():
    """A hub that has one file."""
    with serving(HUB) as url:
        yield url


def test_a_model_is_fetched_once(tmp_path, hub):
    strategy_file(tmp_path, MINE)
    run = llamafarm("pull", "--output", "json", cwd=tmp_path, HF_ENDPOINT=hub)
    (model,) = run.json["models"]
    assert run.code == 0
    assert (model["name"], model["bytes"], model["fetched"], model["error"]) == ("mine", len(FILE), True, None)
    assert tmp_path / "home" in Path(model["path"]).parents
    again = llamafarm("pull", "mine", cwd=tmp_path, HF_ENDPOINT=hub)
    assert again.code == 0
    assert again.out.startswith("mine: already there: ")
    assert again.err == ""


def test_what_is_there_needs_no_network(tmp_path):
    strategy_file(tmp_path, MINE)
    with serving(HUB) as url:
        assert llamafarm("pull", cwd=tmp_path, HF_ENDPOINT=url).code == 0
    run = llamafarm("pull", "--output", "json", cwd=tmp_path, HF_ENDPOINT=url)
    assert run.json["models"][0]["fetched"] is False


def test_progress_is_on_stderr_and_quiet_says_nothing(tmp_path, hub):
    strategy_file(tmp_path, MINE)
    run = llamafarm("pull", cwd=tmp_path, HF_ENDPOINT=hub)
    assert "fetching mine" in run.err
    assert run.out.startswith("mine: fetched, ")
    quiet = llamafarm("pull", "--quiet", cwd=tmp_path, home=tmp_path / "other", HF_ENDPOINT=hub)
    assert (quiet.code, quiet.err) == (0, "")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({**MINE, "sha256": "0" * 64}, "0000000"),
        (GONE, "404"),
        ({"name": "gone", "source": "/no/such/file.gguf"}, "/no/such/file.gguf"),
    ],
    ids=["another hash", "not found", "no such file"],
)
def test_what_cannot_be_had(tmp_path, hub, model, said):
    strategy_file(tmp_path, model)
    run = llamafarm("pull", "--quiet", cwd=tmp_path, HF_ENDPOINT=hub)
    run.assert_one_clear_line(4)
    assert said in run.err


def test_no_network(tmp_path):
    strategy_file(tmp_path, MINE)
    run = llamafarm("pull", "--quiet", cwd=tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{unused_port()}")
    run.assert_one_clear_line(4)
    assert "127.0.0.1" in run.err


def test_one_that_fails_does_not_keep_the_others_from_coming(tmp_path, hub):
    strategy_file(tmp_path, GONE, MINE)
    run = llamafarm("pull", "--output", "json", cwd=tmp_path, HF_ENDPOINT=hub)
    assert run.code == 4
    assert {model["name"]: model["error"] is None for model in run.json["models"]} == {"gone": False, "mine": True}


def test_a_name_nobody_knows(tmp_path):
    run = llamafarm("pull", "smolm2", cwd=tmp_path)
    run.assert_one_clear_line(4)
    assert "smollm2-135m-instruct" in run.err


def test_models_of_other_applications_are_not_ours_to_fetch(tmp_path):
    strategy_file(tmp_path, {"name": "llama3"}, component="ollama")
    for arguments in ((), ("llama3",)):
        run = llamafarm("pull", *arguments, cwd=tmp_path)
        run.assert_one_clear_line(4)
        assert "ollama pull llama3" in run.err


def test_a_strategy_without_local_models(tmp_path):
    llamafarm("pull", "--strategy", "cloud_production", cwd=tmp_path).assert_one_clear_line(4)


def test_an_unknown_strategy(tmp_path):
    llamafarm("pull", "--strategy", "nobody", cwd=tmp_path).assert_one_clear_line(2)
