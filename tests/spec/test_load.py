"""Loading from a path and from a text: what cannot be read, places, findings of others, references."""

import json
import os
from pathlib import Path

import pytest
import yaml

from llamafarm import spec
from llamafarm.errors import ConfigError, Severity
from llamafarm.spec import compose
from llamafarm.types import Secret
from tests.spec.golden_files import files, load, read

TEXT = """\
strategies:
  - name: demo
    description: A demo.
    components:
      cloud_api:
        type: openai_compatible
        config:
          provider: openai
          api_key: ${KEY}
          models:
            gpt-3.5-turbo: {max_tokens: 5}
    constraints:
      max_tokens: 100
"""


def refuse(path, **env) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        spec.load_file(path, env=env)
    return refused.value


def test_load_file_keeps_the_name_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(TEXT)
    document = spec.load_file("mine.yaml", env={"KEY": "k"})
    assert document.name == "mine.yaml"
    assert document.text == TEXT
    assert document.file.strategies[0].components["cloud_api"].config.api_key == Secret("k", "KEY")


def test_the_process_environment_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", "from-the-process")
    (tmp_path / "f.yaml").write_text(TEXT)
    key = spec.load_file(tmp_path / "f.yaml").file.strategies[0].components["cloud_api"].config.api_key
    assert key.reveal() == "from-the-process"


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "empty-file", "begins with `strategies:`"),
        (b"# nothing yet\n", "empty-file", "begins with `strategies:`"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "unreadable-file", "not UTF-8"),
        ("strategies: é".encode("latin-1"), "unreadable-file", "line 1"),
        (b"{", "yaml-syntax", "not closed"),
        (b"just words", "wrong-type", "a mapping with `strategies`"),
        (b"a: " + b"x" * 10_000_001, "unreadable-file", "more than 10 MB"),
    ],
    ids=["empty", "comments", "binary", "latin-1", "not-yaml", "words", "huge"],
)
def test_content_that_is_no_strategy_file(tmp_path, content, code, says):
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    error = refuse(path)
    assert [finding.code for finding in error.findings] == [code]
    assert says in str(error)
    assert str(path) in str(error)
    assert "\n" not in str(error)


def test_a_path_that_is_missing_a_folder_or_no_path(tmp_path):
    assert "does not exist" in str(refuse(tmp_path / "none.yaml"))
    assert "is a folder" in str(refuse(tmp_path))
    assert "NUL" in str(refuse("a\0b"))
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    assert "cannot be read" in str(refuse(tmp_path / "loop.yaml"))


def test_an_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "f.yaml"
    path.write_text(TEXT)

    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)  # permission bits do not stop root
    assert "cannot be read: Permission denied" in str(refuse(path))


def test_one_error_is_the_message_and_several_are_counted():
    with pytest.raises(ConfigError) as one:
        spec.load_text(TEXT.replace("max_tokens: 100", "max_tokens: 0"), "f.yaml", env={})
    assert str(one.value).startswith("f.yaml:13:19: error[out-of-range]: strategies[0].constraints.max_tokens: ")
    with pytest.raises(ConfigError) as two:
        spec.load_text(TEXT.replace("100", "0").replace("5}", "x}"), "f.yaml", env={})
    assert str(two.value).startswith("f.yaml: 2 errors; the first: f.yaml:11:41: ")


def test_findings_are_in_file_order_with_warnings():
    text = TEXT.replace("${KEY}", "literal").replace("100", "0").replace("openai\n", "openai\n          bad: 1\n")
    with pytest.raises(ConfigError) as refused:
        spec.load_text(text, env={})
    assert [finding.code for finding in refused.value.findings] == ["unknown-key", "literal-api-key", "out-of-range"]


def test_places_of_paths():
    document = spec.load_text(TEXT, env={})
    assert document.place("strategies[0].name") == (2, 11)
    assert document.place("strategies[0].constraints") == (12, 5)
    assert document.place("strategies[0].constraints.max_tokens") == (13, 19)
    assert document.place('strategies[0].components.cloud_api.config.models["gpt-3.5-turbo"]') == (11, 13)


def test_the_place_of_what_is_not_there_is_its_nearest_ancestors():
    document = spec.load_text(TEXT, env={})
    assert document.place("strategies[0].constraints.daily_budget") == (12, 5)
    assert document.place("strategies[0].monitoring.alerts[3].type") == (2, 5)
    assert document.place("server.port") == (1, 1)


def test_others_can_say_things_about_a_place_and_comments_silence_them():
    text = TEXT.replace("max_tokens: 100", "max_tokens: 100  # llamafarm: ignore[unpriced]")
    document = spec.load_text(text, "f.yaml", env={})
    path = "strategies[0].constraints.max_tokens"
    warning = document.finding(path, "unpriced", Severity.WARNING, "no price")
    error = document.finding(path, "unpriced", Severity.ERROR, "no price")
    other = document.finding("strategies[0].name", "else", Severity.INFO, "x")
    assert (warning.file, warning.line, warning.column) == ("f.yaml", 13, 19)
    assert document.unsilenced([warning, error, other]) == (other, error)


def test_a_secret_is_read_from_a_file_relative_to_the_strategy_file(tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "f.yaml").write_text(TEXT.replace("${KEY}", "${file:secret}"))
    key = spec.load_file(tmp_path / "f.yaml", env={}).file.strategies[0].components["cloud_api"].config.api_key
    assert key.reveal() == "s3cret"
    assert key.origin == f"file:{tmp_path / 'secret'}"


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe", b"x" * 1_000_001], ids=["missing", "empty", "binary", "huge"]
)
def test_an_unusable_secret_file_leaves_the_secret_unset(tmp_path, content):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    (tmp_path / "f.yaml").write_text(TEXT.replace("${KEY}", "${file:secret}"))
    key = spec.load_file(tmp_path / "f.yaml", env={}).file.strategies[0].components["cloud_api"].config.api_key
    assert not key.is_set


def test_a_file_reference_outside_a_secret_must_be_readable(tmp_path):
    (tmp_path / "prompt").write_text("Be terse.\n")
    (tmp_path / "f.yaml").write_text(TEXT.replace("A demo.", "${file:prompt}"))
    assert spec.load_file(tmp_path / "f.yaml", env={}).file.strategies[0].description == "Be terse."
    (tmp_path / "prompt").unlink()
    assert "prompt does not exist" in str(refuse(tmp_path / "f.yaml"))


def test_an_unset_secret_knows_its_variable():
    key = spec.load_text(TEXT, env={}).file.strategies[0].components["cloud_api"].config.api_key
    assert not key.is_set
    assert key.origin == "KEY"


def test_no_value_of_the_environment_is_ever_shown():
    env = {"KEY": "CANARY-1", "OTHER": "CANARY-2"}
    wrong = TEXT.replace("100", "${OTHER}").replace("A demo.", "${OTHER}").replace("openai_compatible", "${OTHER}")
    with pytest.raises(ConfigError) as refused:
        spec.load_text(wrong, env=env)
    shown = str(refused.value) + repr(refused.value.findings)
    assert "CANARY" not in shown
    document = spec.load_text(TEXT, env=env)
    theirs = document.finding("strategies[0]", "x", Severity.ERROR, "no vendor is called CANARY-1")
    assert theirs.message == "no vendor is called ${KEY}"
    assert "CANARY" not in repr(document) + json.dumps(spec.normal_form(document))


def test_a_missing_variable_is_named():
    with pytest.raises(ConfigError, match="DAYS is not set"):
        spec.load_text(TEXT.replace("100", "${DAYS}"), env={})


def test_what_stays_of_a_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    text = "strategies: [{name: a, components: {m: {type: llamacpp, config: {default_model: ~/m.gguf}}}}]"
    config = spec.load_text(text, env={}).file.strategies[0].components["m"].config
    assert config.default_model == "/home/somebody/m.gguf"


def test_a_thousand_slips_are_all_reported_in_bounded_work():
    entries = "".join(f"      model_{index}x: {{}}\n" for index in range(1000))
    rules = "".join(f"      - {{condition: tag_{index}, target: modle_{index}x}}\n" for index in range(1000))
    text = TEXT.replace("            gpt", "".join(entries.replace("      ", "            ")) + "            gpt")
    found = spec.examine_text(f"{text}    routing_rules:\n{rules}", env={}).findings
    assert sum(finding.code == "undefined-target" for finding in found) == 1000


@pytest.mark.parametrize("path", files("accepted"))
def test_without_the_compiled_parser_the_same_is_read(path, monkeypatch):
    monkeypatch.setattr(compose, "_LOADER", yaml.SafeLoader)
    assert spec.normal_form(load(read(path))) == json.loads(path.with_suffix(".json").read_text())["normal_form"]


@pytest.mark.parametrize("text", ["a: [1", "a: 'b", "a: b: c", "a:\n\tb: 1", "- a\nb: c", "a: *b", "{", "a: @b"])
def test_without_the_compiled_parser_the_same_is_refused(text, monkeypatch):
    with pytest.raises(ConfigError) as compiled:
        spec.load_text(text, env={})
    monkeypatch.setattr(compose, "_LOADER", yaml.SafeLoader)
    with pytest.raises(ConfigError) as pure:
        spec.load_text(text, env={})
    assert [finding.code for finding in pure.value.findings] == [finding.code for finding in compiled.value.findings]


def test_names_of_the_package_resolve():
    for name in spec.__all__:
        assert getattr(spec, name)
    with pytest.raises(AttributeError, match="nothing"):
        _ = spec.nothing
