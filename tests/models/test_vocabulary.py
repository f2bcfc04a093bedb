"""The tokenizer inside a GGUF file: exact for the kinds it is built for, and not built for any other."""

import json
import os
import struct
import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm import Farm, spec
from llamafarm.errors import ModelFileError
from llamafarm.models import gguf as reader
from llamafarm.models.gguf import read_fields
from llamafarm.models.vocabulary import SPLITS, load_vocabulary
from llamafarm.tokens import TokenizerError, upper_bound
from tests.models.file_server import gguf, text
from tests.tokens.making import MERGES, TOKENS, needs_tokenizers

pytestmark = needs_tokenizers


def texts(items):
    return (9, struct.pack("<IQ", 8, len(items)) + b"".join(map(text, items)))


def fields(pre="smollm", model="gpt2", tokens=(*TOKENS, "<|end|>"), merges=MERGES, types=None):
    types = [1] * (len(tokens) - 1) + [3] if types is None else types
    return {
        "general.architecture": (8, text("llama")),
        "tokenizer.ggml.model": (8, text(model)),
        "tokenizer.ggml.pre": (8, text(pre)),
        "tokenizer.ggml.tokens": texts(tokens),
        "tokenizer.ggml.scores": (9, struct.pack("<IQ", 6, 2) + struct.pack("<ff", 1, 2)),
        "tokenizer.ggml.token_type": (9, struct.pack("<IQ", 5, len(types)) + struct.pack(f"<{len(types)}i", *types)),
        "tokenizer.ggml.merges": texts(merges),
    }


def load(tmp_path, **options):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(fields(**options)))
    return load_vocabulary(path, "tiny")


def test_counts_with_the_files_tokens_and_merges(tmp_path):
    counter = load(tmp_path)
    assert counter.name == "tiny"
    assert counter.count("aaaaa b") == 3, "aaaa, a, the space with the b"
    assert counter.count("a<|end|>a") == 3, "the engine takes a mark in a text for the mark"
    assert counter.count("12") == 2


def test_a_byte_without_a_token_is_dropped_and_keeps_its_neighbours_apart(tmp_path):
    tokens = [token for token in TOKENS if token != "!"]
    assert load(tmp_path, tokens=(*tokens, "<|end|>")).count("a!a") == 2
    assert load(tmp_path, tokens=(*TOKENS, "<|end|>")).count("a!a") == 3


@pytest.mark.parametrize("options", [{"pre": "unheard-of"}, {"model": "llama"}, {"model": "bert", "pre": "smollm"}])
def test_a_kind_nobody_compared_is_not_built(tmp_path, options):
    assert load(tmp_path, **options) is None


def test_without_the_package_it_is_not_built(tmp_path, monkeypatch):
    monkeypatch.setattr("llamafarm.models.vocabulary.find_spec", lambda _: None)
    assert load(tmp_path) is None


@pytest.mark.parametrize(
    "options",
    [
        {"tokens": (*TOKENS, "a")},
        {"merges": ["a nothing"]},
        {"merges": ["ab"]},
        {"types": [1]},
    ],
)
def test_a_vocabulary_that_does_not_fit_together_is_refused(tmp_path, options):
    with pytest.raises(TokenizerError, match=r"m\.gguf: its "):
        load(tmp_path, **options)


def test_one_without_tokens_or_cut_short_is_refused(tmp_path):
    path = tmp_path / "m.gguf"
    kept = {name: value for name, value in fields().items() if name != "tokenizer.ggml.merges"}
    path.write_bytes(gguf(kept))
    with pytest.raises(TokenizerError, match="no merges"):
        load_vocabulary(path, "t")
    path.write_bytes(gguf(fields())[:2000])
    with pytest.raises(ModelFileError, match="header ends"):
        load_vocabulary(path, "t")


def test_arrays_of_a_header_are_read(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(fields()))
    found = read_fields(path, ("tokenizer.ggml.scores", "tokenizer.ggml.merges", "tokenizer.ggml.pre", "gone"))
    assert found == {
        "tokenizer.ggml.scores": [1.0, 2.0],
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.pre": "smollm",
    }


# Against the engine itself


def rewritten(source, target, pre):
    """Copy a GGUF file with another way of splitting texts written into its header."""
    data = source.read_bytes()
    with source.open("rb") as file:
        header, tensors, keys = reader._begin(file, len(data))
        for _ in range(keys):
            header.text()
            header.value(header.integer(reader._SCALARS[4], 12, "as a value's type"))
        for _ in range(tensors):
            reader._tensor(header)
        end = len(reader.MAGIC) + header.position
    at = data.index(text("tokenizer.ggml.pre")) + len(text("tokenizer.ggml.pre")) + 4
    (old,) = struct.unpack_from("<Q", data, at)
    head = data[:at] + text(pre) + data[at + 8 + old : end]
    target.write_bytes(head + b"\0" * (-len(head) % 32) + data[-(-end // 32) * 32 :])


class Engine:
    """llama.cpp with a model, asked for a text's tokens over its own loopback port."""

    def __init__(self, path):
        xllamacpp = pytest.importorskip("xllamacpp")
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.verbosity = 512, 1, 0
        params.warmup = params.fit_params = params.ui = False
        params.offline = params.endpoint_metrics = True
        params.api_keys = ["k"]
        self.server = xllamacpp.Server(params)
        self.server.handle_metrics()

    def tokens(self, prompt):
        body = json.dumps({"content": prompt, "add_special": False, "parse_special": True}).encode()
        headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
        request = urllib.request.Request(self.server.listening_address + "/tokenize", body, headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]


@pytest.fixture(scope="module", params=SPLITS)
def compared(request, smollm2, tmp_path_factory):
    """The built tokenizer and the engine's own, for each kind that is built."""
    path = smollm2
    if request.param != "gpt2/smollm":
        path = tmp_path_factory.mktemp("rewritten") / "m.gguf"
        rewritten(smollm2, path, request.param.removeprefix("gpt2/"))
    yield load_vocabulary(path, "t"), Engine(path)
    if path != smollm2:
        path.unlink()


TRICKY = st.sampled_from(
    [
        *"ab sStTrRvVmMlLdD'\n\r\t 019²½٣éß中あ🙂,.!?-/(){}<>|_",
        " ",
        "\u0301",
        "\xa0",
        "\x85",
        "\u017f",
        "\x16",
        "<|im_end|>",
    ]
)
TEXTS = st.one_of(st.lists(TRICKY, max_size=40).map("".join), st.text(st.characters(exclude_categories=["Cs"])))


@pytest.mark.real
@given(prompt=TEXTS)
@settings(deadline=None, max_examples=int(os.environ.get("LLAMAFARM_TEST_EXAMPLES", "300")))
def test_every_token_is_the_engines_own(compared, prompt):
    counter, engine = compared
    wanted = engine.tokens(prompt)
    assert counter.tokens(prompt) == wanted
    assert counter.count(prompt) == len(wanted) <= upper_bound(prompt)


@pytest.mark.real
def test_every_character_is_the_engines_own(compared):
    """In words, behind spaces and digits, as capitals are: what a character is classed as decides the splits."""
    counter, engine = compared
    characters = [chr(code) for code in (*range(1, 0xD800), *range(0xE000, 0x20000))]
    for at in range(0, len(characters), 2000):
        prompt = "".join(f"a{c}b {c}{c}1{c} " for c in characters[at : at + 2000])
        assert counter.tokens(prompt) == engine.tokens(prompt), hex(at)


@pytest.mark.real
async def test_a_prompts_count_is_the_usage_the_engine_reports(smollm2, models_home, monkeypatch):
    monkeypatch.setenv("LLAMAFARM_HOME", str(models_home))
    counter = load_vocabulary(smollm2, "t")
    given = {"strategies": [{"name": "s", "components": {"m": {"type": "llamacpp", "config": {"engine": "embedded"}}}}]}
    async with Farm(spec.load_text(json.dumps(given)).file.strategies[0]) as farm:
        for prompt in ("The capital of France is", "déjà vu: 1234 ½, " * 20, "if x:\n\t\treturn  [1, 2]\n"):
            answer = await farm.complete(prompt, max_tokens=1)
            assert answer.usage.input_tokens == counter.count(prompt)
        chat = await farm.chat(
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], max_tokens=1
        )
        framed = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        assert chat.usage.input_tokens == counter.count(framed)
