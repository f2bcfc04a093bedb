import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm import tokens
from llamafarm.tokens import hugging_face
from llamafarm.types import Target
from tests.tokens.making import NORMALISED, needs_tokenizers, write_tokenizer

pytestmark = needs_tokenizers


def target(model="acme/tiny", provider="together", **options):
    return Target(name="t", provider=provider, dialect="openai", model=model, **options)


def cached(folder, revision="abc", model="acme--tiny"):
    return write_tokenizer(folder / f"models--{model}" / "snapshots" / revision / "tokenizer.json")


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
        ("HOME", ".cache/huggingface/hub"),
    ],
)
def test_the_hubs_cache_is_found_by_each_of_its_variables(tmp_path, variable, below):
    cached(tmp_path / below)
    found = tokens.find(target(), {variable: str(tmp_path)})
    assert found.name == "acme/tiny"
    assert found.count("aaa bb") == 4, "aa, a, the space with a b, b"
    assert tokens.find(target("acme/other"), {variable: str(tmp_path)}) is None
    assert tokens.find(target(), {}) is None


def test_the_revision_that_main_was_last_wins_else_the_newest(tmp_path):
    environment = {"HF_HUB_CACHE": str(tmp_path)}
    old, new = cached(tmp_path, "old"), cached(tmp_path, "new")
    os.utime(old, (1, 1))
    assert hugging_face.tokenizer_file(target(), environment) == new
    refs = tmp_path / "models--acme--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text("old")
    assert hugging_face.tokenizer_file(target(), environment) == old
    for bad in ("gone", "../../..", "", "\x00"):
        (refs / "main").write_text(bad)
        assert hugging_face.tokenizer_file(target(), environment) == new


def test_beside_a_local_models_path(tmp_path):
    path = write_tokenizer(tmp_path / "model" / "tokenizer.json")
    for model in (str(path.parent), str(path.parent / "weights.gguf")):
        assert hugging_face.tokenizer_file(target(model, "vllm", local=True), {}) == path
        assert hugging_face.tokenizer_file(target(model, "vllm"), {}) is None, "another machine's path"


def test_names_that_only_look_like_the_hubs_are_left_alone(tmp_path):
    cached(tmp_path)
    environment = {"HF_HUB_CACHE": str(tmp_path)}
    assert tokens.find(target(provider="ollama"), environment) is None
    for model in ("../acme/tiny", "acme/tiny/x", "acme\\tiny", "tiny", "acme/..", ""):
        assert tokens.find(target(model), environment) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"model": 1}', b"\xff\xfe\x00", b"[" * 100_000])
def test_a_damaged_file_is_named(tmp_path, content):
    path = cached(tmp_path)
    path.write_bytes(content)
    with pytest.raises(tokens.TokenizerError, match=r"tokenizer\.json is no tokenizer"):
        tokens.find(target(), {"HF_HUB_CACHE": str(tmp_path)})


def test_without_the_package_nothing_is_looked_for(tmp_path, monkeypatch):
    cached(tmp_path)
    monkeypatch.setattr(hugging_face, "installed", lambda: False)
    assert tokens.find(target(), {"HF_HUB_CACHE": str(tmp_path)}) is None


def test_neither_cut_nor_filled_nor_framed(tmp_path):
    """What a file says about lengths and marks is for training; a prompt is counted as it is."""
    path = cached(tmp_path)
    content = json.loads(path.read_text())
    content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "a",
    }  # fmt: skip
    path.write_text(json.dumps(content))
    assert tokens.find(target(), {"HF_HUB_CACHE": str(tmp_path)}).count("b" * 40) == 40


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    return hugging_face.load_file(write_tokenizer(tmp_path_factory.mktemp("t") / "tokenizer.json"), "tiny")


@given(st.text(st.characters()))
@settings(deadline=None)
def test_a_byte_level_count_is_never_above_the_bound(counter, text):
    assert counter.count(text) <= tokens.upper_bound(text)


def test_text_that_cannot_be_sent_is_counted_as_its_replacement(counter):
    assert counter.count("a\ud800b") == counter.count("a?b")


def test_a_normaliser_may_make_more_of_a_text_than_its_bytes(tmp_path):
    """Which is why `planning.counting` never counts more than the bound."""
    counter = hugging_face.load_file(write_tokenizer(tmp_path / "tokenizer.json", NORMALISED), "t")
    assert counter.count("\ufdfa") > tokens.upper_bound("\ufdfa")
