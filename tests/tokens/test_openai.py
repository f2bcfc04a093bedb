import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm import tokens
from llamafarm.tokens import openai
from llamafarm.types import Target
from tests.tokens.making import needs_tiktoken

pytestmark = needs_tiktoken

URL = "https://vocabularies.example/tiny.tiktoken"
KEY = hashlib.sha1(URL.encode()).hexdigest()
DATA = b"".join(base64.b64encode(bytes([byte])) + b" %d\n" % byte for byte in range(256)) + b"YWE= 256\n"
DIGEST = hashlib.sha256(DATA).hexdigest()


def load_tiktoken_bpe(*_, **__):
    raise AssertionError("tiktoken's own loader downloads what is missing")


def recipe():
    """An encoding as tiktoken writes them down."""
    ranks = load_tiktoken_bpe(URL, expected_hash=DIGEST)
    return {"name": "cl100k_base", "pat_str": r"\w+|\W", "mergeable_ranks": ranks, "special_tokens": {"<|end|>": 999}}


@pytest.fixture
def _tiny(monkeypatch):
    """Put a vocabulary we can write a file for in place of a real one."""
    from tiktoken_ext import openai_public

    monkeypatch.setattr(openai_public, "cl100k_base", recipe)


def target(model="gpt-4", provider="openai"):
    return Target(name="t", provider=provider, dialect="openai", model=model)


@pytest.fixture
def cache(tmp_path):
    (tmp_path / KEY).write_bytes(DATA)
    return tmp_path


@pytest.mark.usefixtures("_tiny")
def test_a_copy_in_the_cache_is_used(cache):
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        found = tokens.find(target(), {variable: str(cache)})
        assert found.name == "cl100k_base"
        assert found.count("aaab é") == 6
    assert found.count("<|end|>") == 7, "a caller's text is never a special token"
    assert found.count("\ud800") == 3


@pytest.mark.usefixtures("_tiny")
def test_the_default_folder_is_the_temporary_one(cache, monkeypatch):
    (cache / "data-gym-cache").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(cache))
    assert tokens.find(target(), {}) is None
    (cache / KEY).rename(cache / "data-gym-cache" / KEY)
    assert tokens.find(target(), {}).count("aa") == 1


@pytest.mark.usefixtures("_tiny")
def test_what_is_missing_is_not_downloaded(tmp_path):
    for chosen in (str(tmp_path), str(tmp_path / "nowhere"), ""):
        assert tokens.find(target(), {"TIKTOKEN_CACHE_DIR": chosen}) is None


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o", "davinci", "text-davinci-003", "gpt2", "text-davinci-edit-001"])
def test_nor_is_any_real_encoding(tmp_path, model):
    assert tokens.find(target(model), {"TIKTOKEN_CACHE_DIR": str(tmp_path)}) is None


@pytest.mark.usefixtures("_tiny")
def test_a_damaged_copy_is_named_and_stays(cache):
    (cache / KEY).write_bytes(DATA[:-9])
    with pytest.raises(tokens.TokenizerError, match=f"{KEY} is damaged"):
        tokens.find(target(), {"TIKTOKEN_CACHE_DIR": str(cache)})
    assert (cache / KEY).exists(), "tiktoken itself would have deleted and fetched it"
    (cache / KEY).unlink()
    (cache / KEY).mkdir()
    with pytest.raises(tokens.TokenizerError, match="cannot be read"):
        tokens.find(target(), {"TIKTOKEN_CACHE_DIR": str(cache)})


@pytest.mark.usefixtures("_tiny")
def test_a_file_with_the_right_hash_that_is_no_vocabulary_is_named(cache, monkeypatch):
    monkeypatch.setitem(globals(), "DIGEST", hashlib.sha256(b"YQ== one\n").hexdigest())
    (cache / KEY).write_bytes(b"YQ== one\n")
    with pytest.raises(tokens.TokenizerError, match="is no vocabulary"):
        tokens.find(target(), {"TIKTOKEN_CACHE_DIR": str(cache)})


@pytest.mark.parametrize(
    ("model", "provider", "encoding"),
    [
        ("gpt-4o-mini", "openai", "o200k_base"),
        ("gpt-4", "azure", "cl100k_base"),
        ("openai/gpt-4o", "openrouter", "o200k_base"),
        ("openai/gpt-oss-120b", "groq", "o200k_base"),
        ("text-embedding-3-small", "openai", "cl100k_base"),
        ("gpt-4", "custom", None),
        ("my-deployment", "azure", None),
        ("meta-llama/Llama-3", "openrouter", None),
    ],
)
def test_the_table_is_tiktokens_own(model, provider, encoding):
    assert openai.encoding_of(target(model, provider)) == encoding


@pytest.mark.usefixtures("_tiny")
def test_without_the_package_nothing_is_looked_for(cache, monkeypatch):
    monkeypatch.setattr(openai, "installed", lambda: False)
    assert tokens.find(target(), {"TIKTOKEN_CACHE_DIR": str(cache)}) is None


@pytest.fixture(scope="module")
def counter():
    import tiktoken

    made = {**recipe.__globals__, "load_tiktoken_bpe": lambda *_, **__: {bytes([byte]): byte for byte in range(256)}}
    ranks = made["load_tiktoken_bpe"]()
    pattern = r"\p{L}+|\s+(?!\S)|\s+|."
    return openai.TiktokenCounter(
        "t", tiktoken.Encoding("t", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    )


@given(st.text(st.characters()))
@settings(deadline=None)
def test_a_count_is_never_above_the_bound(counter, text):
    assert counter.count(text) <= tokens.upper_bound(text)


def test_spaces_without_end_are_refused_where_the_library_would_panic(counter):
    assert counter.count("a" * 300_000) == 300_000
    assert counter.count(" " * 200_000 + "x") == 200_001
    with pytest.raises(tokens.TokenizerError, match="spaces in a row"):
        counter.count("x" + " " * 2_000_000 + "x")
