"""Which tokenizer a farm counts with: what is on disk, and an estimate where nothing is, or it is damaged."""

import json
import logging

import pytest

from llamafarm import Farm, errors
from llamafarm.farm import make_call
from llamafarm.farm.counters import Counters
from llamafarm.types import Target
from tests.making import strategy
from tests.models.file_server import gguf
from tests.models.test_vocabulary import fields
from tests.tokens.making import needs_tokenizers, write_tokenizer

pytestmark = needs_tokenizers

TEXT = """
name: s
description: d
components:
  served: {type: vllm, config: {default_model: acme/tiny}}
  engine:
    type: llamacpp
    config: {engine: embedded, models: [{name: own, source: %s}], default_model: own}
fallback_chain: [served, engine]
constraints: {max_input_tokens: 100}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def explained(home, prompt):
    return Farm(strategy(TEXT % (home / "m.gguf"))).explain(
        make_call({"messages": [{"role": "user", "content": prompt}]}, {})
    )


def tokenizer(home):
    return write_tokenizer(home / "hub" / "models--acme--tiny" / "snapshots" / "1" / "tokenizer.json")


def test_each_target_counts_with_what_is_on_disk(home):
    prompt = "aaaa" * 100
    assert explained(home, prompt).size.by == "estimate"
    assert isinstance(explained(home, prompt).refusal, errors.TokenLimitError)
    tokenizer(home)
    (home / "m.gguf").write_bytes(gguf(fields()))
    shown = explained(home, prompt)
    assert shown.refusal is None
    assert [(size.tokens, size.by) for size in shown.sizes] == [(54, "acme/tiny"), (54, "own")]


def test_a_damaged_one_is_said_once_and_estimated(home, caplog):
    tokenizer(home).write_text("{")
    (home / "m.gguf").write_bytes(gguf(fields(merges=["a nothing"])))
    farm = Farm(strategy(TEXT % (home / "m.gguf")))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            shown = farm.explain(make_call({"messages": [{"role": "user", "content": "a" * 80}]}, {}))
            assert [size.by for size in shown.sizes] == ["estimate", "estimate"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "served (acme/tiny): its tokens are estimated" in said[0]
    assert "m.gguf" in said[1]


def test_what_was_not_there_is_looked_for_again_later(home, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    counters = Counters({"HF_HUB_CACHE": str(home / "hub")})
    target = Target(name="t", provider="vllm", dialect="openai", model="acme/tiny", local=True)
    assert counters(target) is None
    tokenizer(home)
    assert counters(target) is None
    now[0] += 31
    found = counters(target)
    assert found.name == "acme/tiny"
    assert counters(target) is found


@pytest.mark.real
def test_the_built_in_model_is_counted_by_its_own_file(smollm2, models_home, monkeypatch):
    monkeypatch.setenv("LLAMAFARM_HOME", str(models_home))
    farm = Farm(strategy("name: s\ndescription: d\ncomponents: {m: {type: llamacpp, config: {engine: embedded}}}"))
    shown = farm.explain(make_call({"messages": [{"role": "user", "content": "The capital of France is"}]}, {}))
    assert (shown.size.tokens, shown.size.by) == (9, "smollm2-135m-instruct")
    assert json.dumps(shown.size) == '[9, "smollm2-135m-instruct"]'
