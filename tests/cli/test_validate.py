"""`validate-config` and `schema` as a process: what is found, how it is shown, what it exits with."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from llamafarm import spec
from llamafarm.cli import main
from tests.cli.program import llamafarm

GOOD = """strategies:
  - name: ours
    description: "Why it exists"
    components:
      cloud_api:
        type: openai_compatible
        config: {provider: openai, api_key: "${OPENAI_API_KEY}", default_model: gpt-4o-mini}
"""
WARNED = GOOD.replace('    description: "Why it exists"\n', "")
BAD = GOOD.replace("provider: openai", "provider: opnai").replace("gpt-4o-mini", "gpt-4o-mini, temprature: 0")
UNKNOWN_VENDOR = GOOD.replace("provider: openai", "provider: opnai")
KEY = {"OPENAI_API_KEY": "k"}


@pytest.fixture
def files(tmp_path):
    for name, text in {"good": GOOD, "warned": WARNED, "bad": BAD, "vendor": UNKNOWN_VENDOR}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_a_good_file(files):
    run = llamafarm("validate-config", "good.yaml", cwd=files, **KEY)
    assert (run.code, run.out, run.err) == (0, "good.yaml: no problems\n", "")


def test_an_error_with_its_place_and_a_caret(files):
    run = llamafarm("validate-config", "vendor.yaml", cwd=files, **KEY)
    assert run.code == 2
    lines = run.out.splitlines()
    assert lines[0].startswith(
        "vendor.yaml:7:28: error[unknown-provider]: strategies[0].components.cloud_api.config.provider: "
    )
    assert "did you mean openai?" in lines[0]
    assert lines[1].index("opnai") == lines[2].index("^")
    assert lines[-1] == "1 error"


def test_all_problems_of_all_files_in_one_run(files):
    run = llamafarm(
        "validate-config", "bad.yaml", "vendor.yaml", "warned.yaml", "nosuch.yaml", "--output", "json", cwd=files, **KEY
    )
    found = {(finding["file"], finding["code"]) for finding in run.json["findings"]}
    assert run.code == 2
    assert {
        ("bad.yaml", "unknown-key"),
        ("bad.yaml", "unknown-provider"),
        ("vendor.yaml", "unknown-provider"),
        ("warned.yaml", "no-description"),
        ("nosuch.yaml", "unreadable-file"),
    } <= found


def test_json_has_exactly_the_promised_keys(files):
    run = llamafarm("validate-config", "vendor.yaml", "--format", "json", cwd=files, **KEY)
    assert set(run.json) == {"findings"}
    (finding,) = run.json["findings"]
    assert set(finding) == {"file", "line", "column", "path", "code", "severity", "message"}
    assert (finding["line"], finding["column"], finding["severity"]) == (7, 28, "error")
    assert llamafarm("validate-config", "vendor.yaml", "--output", "json", cwd=files, **KEY).json == run.json
    assert llamafarm("--output", "json", "validate-config", "vendor.yaml", cwd=files, **KEY).json == run.json


def test_json_of_a_good_file_is_an_empty_list(files):
    run = llamafarm("validate-config", "good.yaml", "--format", "json", cwd=files, **KEY)
    assert (run.code, run.json) == (0, {"findings": []})


def test_github_annotations(files):
    run = llamafarm("validate-config", "vendor.yaml", "--format", "github", cwd=files, **KEY)
    assert run.code == 2
    assert run.out.startswith("::error file=vendor.yaml,line=7,col=28,title=unknown-provider::")
    assert llamafarm("validate-config", "good.yaml", "--format", "github", cwd=files, **KEY).out == ""


def test_warnings_pass_unless_strict(files):
    assert llamafarm("validate-config", "warned.yaml", cwd=files, **KEY).code == 0
    run = llamafarm("validate-config", "warned.yaml", "--strict", cwd=files, **KEY)
    assert run.code == 2
    assert "warning[no-description]" in run.out


def test_ignored_codes_are_not_shown_and_do_not_fail(files):
    run = llamafarm("validate-config", "warned.yaml", "--strict", "--ignore", "no-description", cwd=files, **KEY)
    assert (run.code, run.out) == (0, "warned.yaml: no problems\n")


def test_errors_cannot_be_ignored(files):
    run = llamafarm("validate-config", "vendor.yaml", "--ignore", "unknown-provider", cwd=files, **KEY)
    assert run.code == 2
    assert "unknown-provider" in run.out


def test_an_unset_key_is_shown_and_does_not_fail(files):
    run = llamafarm("validate-config", "good.yaml", "--strict", cwd=files)
    assert run.code == 0
    assert "info[key-not-set]" in run.out


def test_without_a_file_the_usual_one_is_checked(files):
    (files / "strategies.yaml").write_text(UNKNOWN_VENDOR)
    assert "strategies.yaml:7:28" in llamafarm("validate-config", cwd=files).out
    assert "good.yaml" in llamafarm("validate-config", cwd=files, LLAMAFARM_STRATEGIES="good.yaml", **KEY).out
    run = llamafarm(
        "validate-config", "--strategy-file", "good.yaml", cwd=files, LLAMAFARM_STRATEGIES="bad.yaml", **KEY
    )
    assert run.out == "good.yaml: no problems\n"


def test_without_any_file_it_says_how_to_get_one(tmp_path):
    run = llamafarm("validate-config", cwd=tmp_path)
    run.assert_one_clear_line()
    assert "llamafarm init" in run.err


def test_a_gpu_is_asked_of_this_machine_only_where_wanted(files):
    (files / "gpu.yaml").write_text(
        GOOD.replace("type: openai_compatible", "type: llamacpp").replace(
            'config: {provider: openai, api_key: "${OPENAI_API_KEY}", default_model: gpt-4o-mini}', "config: {}"
        )
        + "    constraints: {min_gpu_memory: 100000}\n"
    )
    assert llamafarm("validate-config", "gpu.yaml", "--any-machine", cwd=files).code == 0


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.yaml", b"", "empty-file"),
        ("comments.yaml", b"# nothing\n", "empty-file"),
        ("list.yaml", b"- a\n", "wrong-type"),
        ("broken.yaml", b"strategies: [\n", None),
        ("tab.yaml", b"strategies:\n\t- name: x\n", None),
        ("binary.yaml", bytes(range(256)), "unreadable-file"),
        ("python.yaml", b"strategies: !!python/object/apply:os.system ['true']\n", None),
    ],
)
def test_what_is_no_strategy_file(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    run = llamafarm("validate-config", name, "--format", "json", cwd=tmp_path)
    assert (run.code, run.err) == (2, "")
    errors = [finding for finding in run.json["findings"] if finding["severity"] == "error"]
    assert errors
    assert code is None or errors[0]["code"] == code


@pytest.mark.parametrize("name", [".", "no/such/file.yaml"])
def test_what_cannot_be_read(tmp_path, name):
    run = llamafarm("validate-config", name, cwd=tmp_path)
    assert run.code == 2
    assert "error[unreadable-file]" in run.out
    assert "Traceback" not in run.out + run.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(files):
    (files / "good.yaml").chmod(0)
    assert "unreadable-file" in llamafarm("validate-config", "good.yaml", cwd=files).out


def test_a_literal_key_is_never_shown(files):
    (files / "literal.yaml").write_text(GOOD.replace("${OPENAI_API_KEY}", "sk-verysecretvalue1234567890"))
    for form in ("text", "json", "github"):
        run = llamafarm("validate-config", "literal.yaml", "--format", form, cwd=files)
        assert "literal-api-key" in run.out
        assert "verysecret" not in run.out + run.err


def test_no_colours_where_nobody_sees_them(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["validate-config", "vendor.yaml"]) == 2
    assert "\x1b" not in capsys.readouterr().out


def test_colours_on_a_terminal_unless_told_otherwise(files):
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        reader, writer = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "llamafarm.cli", "validate-config", "vendor.yaml"],
            cwd=files,
            env={**os.environ, **KEY, **extra},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
        )
        assert process.wait(60) == 2
        os.close(writer)
        shown = os.read(reader, 65536).decode()
        os.close(reader)
        assert ("\x1b[" in shown) is coloured
        assert "unknown-provider" in shown


def test_a_file_that_can_be_read_only_once(files):
    run = subprocess.run(
        [sys.executable, "-m", "llamafarm.cli", "validate-config", "/dev/stdin"],
        cwd=files,
        input="strategies: []\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout.startswith("/dev/stdin:1:13: error[wrong-type]")


def test_a_named_pipe_that_nobody_writes_to_is_refused(files):
    os.mkfifo(files / "pipe.yaml")
    run = llamafarm("validate-config", "pipe.yaml", cwd=files)
    assert run.code == 2
    assert "not a regular file" in run.out + run.err


def test_an_unknown_option_is_a_usage_error(files):
    run = llamafarm("validate-config", "--frmat", "json", cwd=files)
    assert run.code == 2
    assert "Traceback" not in run.err


def test_schema_is_the_librarys(tmp_path):
    run = llamafarm("schema", cwd=tmp_path)
    assert run.code == 0
    assert json.loads(run.out) == spec.json_schema()


def test_a_model_file_is_looked_for_only_on_the_machine_it_is_for(files):
    (files / "own.yaml").write_text(
        GOOD.replace("openai_compatible", "llamacpp").replace(
            'config: {provider: openai, api_key: "${OPENAI_API_KEY}", default_model: gpt-4o-mini}',
            "config: {default_model: ./nope.gguf}",
        )
    )
    assert "warning[no-model-file]" in llamafarm("validate-config", "own.yaml", cwd=files).out
    assert llamafarm("validate-config", "own.yaml", "--any-machine", cwd=files).out == "own.yaml: no problems\n"
