"""Which file and which strategy are meant."""

import pytest

from llamafarm import Farm
from llamafarm.errors import ConfigError
from llamafarm.farm import find_file, find_strategy

TWO = """
strategies:
  - {name: first, description: d, components: {here: {type: llamacpp, config: {engine: embedded}}}}
  - {name: second, description: d, components: {here: {type: llamacpp, config: {engine: embedded}}}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_order_in_which_a_file_is_looked_for(folder):
    assert find_file(None, {}) is None
    (folder / "strategies.yaml").write_text(TWO)
    assert str(find_file(None, {})) == "strategies.yaml"
    (folder / "other.yaml").write_text(TWO)
    assert str(find_file(None, {"LLAMAFARM_STRATEGIES": "other.yaml"})) == "other.yaml"
    with pytest.raises(ConfigError, match=r"LLAMAFARM_STRATEGIES names gone\.yaml, which does not exist"):
        find_file(None, {"LLAMAFARM_STRATEGIES": "gone.yaml"})
    assert str(find_file("given.yaml", {"LLAMAFARM_STRATEGIES": "other.yaml"})) == "given.yaml"


@pytest.mark.key("strategies[].name")
def test_a_strategy_is_found_by_its_name_else_the_first(folder):
    path = folder / "s.yaml"
    path.write_text(TWO)
    assert find_strategy(path, None, {})[1].name == "first"
    assert find_strategy(path, "second", {})[1].name == "second"


def test_a_name_not_in_the_file_may_be_a_shipped_one(folder):
    path = folder / "s.yaml"
    path.write_text(TWO)
    assert find_strategy(path, "privacy_first", {})[1].name == "privacy_first"
    with pytest.raises(
        ConfigError, match=r"no strategy called 'nobody'; it has: first, second; shipped: local_development"
    ):
        find_strategy(path, "nobody", {})


def test_without_a_file_the_shipped_ones_are_meant(folder):
    assert find_strategy(None, None, {})[1].name == "local_development"
    with pytest.raises(ConfigError, match="no strategy is called 'nobody'; shipped with llamafarm"):
        find_strategy(None, "nobody", {})


def test_a_file_that_is_named_and_missing_is_an_error_not_the_shipped_ones(folder):
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        Farm.load("gone.yaml")


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere")], ids=["folder", "link"]
)
def test_what_is_called_strategies_yaml_and_cannot_be_read_is_not_passed_over(folder, make):
    make(folder / "strategies.yaml")
    with pytest.raises(ConfigError, match=r"strategies\.yaml"):
        Farm.load()
