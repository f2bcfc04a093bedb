"""`keys`: made once, shown once, listed without secrets, revoked; and which file is meant."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llamafarm.server.keys import load_keys
from tests.cli.program import llamafarm

STRATEGIES = """\
{server}strategies:
  - name: mine
    description: d
    components: {{one: {{type: openai_compatible, config: {{provider: custom, base_url: 'http://localhost:1/v1', default_model: m}}}}}}
"""


@pytest.fixture
def keys(tmp_path):
    def run(*arguments, **environment):
        return llamafarm("keys", *arguments, cwd=tmp_path, **environment)

    return run


@pytest.fixture
def strategy_file(tmp_path):
    def write(server="", name="strategies.yaml"):
        (tmp_path / name).write_text(STRATEGIES.format(server=server))
        return tmp_path / name

    return write


def test_a_key_is_shown_once_and_works(keys, tmp_path):
    run = keys("create", "acme")
    assert run.code == 0, run.err
    secret = run.out.strip()
    assert run.out == f"{secret}\n", "stdout holds nothing else, for KEY=$(llamafarm keys create …)"
    key = load_keys(tmp_path / "home" / "keys.json").find(secret)
    assert (key.tenant, key.admin, key.strategies, key.expires) == ("acme", False, (), None)
    assert secret not in run.err
    assert key.id in run.err
    assert "shown this once" in run.err
    rest = secret.split("-", 2)[2]
    for other in (keys("list"), keys("list", "--output", "json", "--verbose")):
        assert rest not in other.out + other.err
    assert rest not in "".join(file.read_text() for file in (tmp_path / "home").iterdir())


def test_what_a_key_is_for(keys):
    run = keys(
        "create",
        "ops",
        "--admin",
        "--strategy",
        "a",
        "--strategy",
        "b",
        "--strategy",
        "a",
        "--expires",
        30,
        "--output",
        "json",
    )
    made = run.json
    assert (made["tenant"], made["admin"], made["strategies"]) == ("ops", True, ["a", "b"])
    days = datetime.fromisoformat(made["expires"]) - datetime.fromisoformat(made["created"])
    assert days.days == 30
    assert abs((datetime.fromisoformat(made["created"]) - datetime.now(UTC)).total_seconds()) < 300
    secret = made.pop("secret")
    file = made.pop("file")
    listed = keys("list", "--output", "json").json
    assert listed == {"file": file, "required": True, "keys": [made]}
    assert load_keys(Path(file)).find(secret).id == made["id"]


def test_for_people(keys):
    keys("create", "zeta", "--expires", "3")
    keys("create", "acme", "--admin", "--strategy", "hybrid_fallback")
    lines = [line.split() for line in keys("list").out.splitlines()]
    assert lines[0] == ["id", "tenant", "strategies", "access", "created", "expires"]
    assert [line[1:4] for line in lines[1:]] == [["acme", "hybrid_fallback", "admin"], ["zeta", "all", "inference"]]
    assert lines[1][-1] == "never"


def test_a_key_that_is_over_is_marked(keys, tmp_path):
    keys("create", "acme", "--expires", "1")
    path = tmp_path / "home" / "keys.json"
    document = json.loads(path.read_text())
    document["keys"][0]["expires"] = "2020-01-01T00:00:00Z"
    path.write_text(json.dumps(document))
    assert "2020-01-01 (over)" in keys("list").out


def test_revoked_is_gone_and_the_last_one_leaves_a_note(keys):
    first = keys("create", "acme", "--output", "json").json["id"]
    second = keys("create", "acme", "--output", "json").json["id"]
    run = keys("revoke", first)
    assert (run.code, run.out, run.err) == (0, f"revoked {first} of acme\n", "")
    keys("revoke", first).assert_one_clear_line(2)
    run = keys("revoke", second, "--output", "json")
    assert (run.json["revoked"]["id"], run.json["left"]) == (second, 0)
    run = keys("list")
    assert run.code == 0
    assert "lets nobody in" in run.err


def test_a_secret_in_place_of_an_id_is_not_repeated(keys):
    secret = keys("create", "acme").out.strip()
    run = keys("revoke", secret)
    run.assert_one_clear_line(2)
    assert secret.split("-", 2)[2] not in run.out + run.err


def test_without_a_file_there_is_nothing_to_list(keys, tmp_path):
    run = keys("list")
    assert run.code == 0
    assert "asks for no key" in run.err
    assert keys("list", "--output", "json").json["required"] is False
    assert not (tmp_path / "home").exists()


@pytest.mark.key("server.keys")
def test_which_file_is_meant(keys, strategy_file, tmp_path):
    strategy_file("server: {keys: here/gateway.json}\n")
    strategy_file("server: {keys: /nowhere/at/all.json}\n", "other.yaml")
    made = [
        keys("create", "one", "--output", "json"),
        keys("create", "two", "--output", "json", "--file", "own.json"),
        keys("create", "three", "--output", "json", "--strategy-file", strategy_file(name="plain.yaml")),
        keys("create", "four", "--output", "json", "--file", "own.json", "--strategy-file", "other.yaml"),
    ]
    assert [run.json["file"] for run in made] == [
        str(tmp_path / name) for name in ("here/gateway.json", "own.json", "home/keys.json", "own.json")
    ]
    assert [key.tenant for key in load_keys(tmp_path / "own.json").by_digest.values()] == ["two", "four"]


def test_a_strategy_file_that_does_not_tell(keys, strategy_file, tmp_path):
    strategy_file("server: {keys: [a]}\n")
    keys("create", "acme").assert_one_clear_line(2)
    keys("create", "acme", "--strategy-file", "missing.yaml").assert_one_clear_line(2)
    assert (
        keys("create", "acme", "--strategy", "mine", "--strategy-file", "missing.yaml", "--file", "own.json").code == 0
    )


def test_what_is_wrong_elsewhere_in_the_file_is_no_matter(keys, strategy_file, tmp_path):
    strategy_file("server: {keys: own.json, port: nonsense, typo: 1}\n")
    assert keys("create", "acme", "--output", "json").json["file"] == str(tmp_path / "own.json")


def test_a_strategy_nobody_has_is_told(keys, strategy_file):
    strategy_file()
    assert "no strategy" not in keys("create", "a", "--strategy", "mine", "--strategy", "local_development").err
    run = keys("create", "a", "--strategy", "mien")
    assert run.code == 0
    assert "no strategy is called 'mien'" in run.err
    assert keys("create", "a", "--strategy", "mien", "--quiet").err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["create", ""],
        ["create", "a\nb"],
        ["create", "x" * 65],
        ["create", "a", "--expires", "0"],
        ["create", "a", "--expires", "soon"],
        ["create", "a", "--strategy", ""],
        ["create", "a", "--file", ""],
        ["create", "a", "--file", "~nobody-of-that-name/keys.json"],
        ["revoke"],
        ["revoke", "nobody"],
        ["revoke", "x" * 5000],
        ["list", "more"],
        ["rotate"],
    ],
)
def test_wrong_usage_is_one_line_and_makes_no_key(keys, tmp_path, arguments):
    keys(*arguments).assert_one_clear_line(2)
    assert not (tmp_path / "home" / "keys.json").exists()


def test_a_damaged_file_is_said_and_left_alone(keys, tmp_path):
    (tmp_path / "own.json").write_text("{")
    (tmp_path / "own.json").chmod(0o600)
    for arguments in (["create", "a"], ["list"], ["revoke", "x"]):
        run = keys(*arguments, "--file", "own.json")
        run.assert_one_clear_line(2)
        assert "damaged" in run.err
    assert "damaged" in keys("list", "--file", "own.json", "--output", "json").json["error"]["message"]
    assert (tmp_path / "own.json").read_text() == "{"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_place_that_cannot_be_written(keys, tmp_path):
    (tmp_path / "file").write_text("")
    keys("create", "a", "--file", "file/keys.json").assert_one_clear_line(4)


def test_a_page_of_help(keys):
    run = keys()
    assert run.code == 0
    assert [name in run.out for name in ("create", "list", "revoke")] == [True] * 3
