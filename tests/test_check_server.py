"""What `validate-config` says of a gateway that others could reach."""

import pytest

from llamafarm import spec
from llamafarm.check import check
from tests.cli.program import llamafarm

STRATEGY = """
strategies:
  - name: s
    description: d
    components: {one: {type: openai_compatible, config: {provider: custom, base_url: 'http://localhost:1/v1', default_model: m}}}
"""


def codes(server, keys):
    document = spec.load_text(f"server: {server}{STRATEGY}")
    return [(found.code, str(found.severity), found.path) for found in check(document, {}, keys=keys) if about(found)]


def about(finding):
    return finding.code != "no-price"


OPEN = [("open-server", "warning", "server.host")]


@pytest.mark.parametrize("host", ["0.0.0.0", "'::'", "192.168.1.5", "farm.example", "localhost.example"])
def test_a_host_that_others_can_reach_needs_keys(host, tmp_path):
    keys = tmp_path / "keys.json"
    assert codes(f"{{host: {host}}}", keys) == OPEN
    keys.write_text("")
    assert codes(f"{{host: {host}}}", keys) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "'::1'", "localhost", "LOCALHOST"])
def test_this_machine_needs_none(host, tmp_path):
    assert codes(f"{{host: {host}}}", tmp_path / "keys.json") == []


def test_no_machine_is_judged_where_none_is_given():
    assert codes("{host: 0.0.0.0}", None) == []


def test_a_comment_silences_it(tmp_path):
    text = f"server:\n  host: 0.0.0.0  # llamafarm: ignore[open-server]{STRATEGY}"
    assert not list(filter(about, check(spec.load_text(text), {}, keys=tmp_path / "keys.json")))


def test_the_program_looks_for_the_file_that_is_meant(tmp_path):
    (tmp_path / "strategies.yaml").write_text(f"server: {{host: 0.0.0.0, keys: own.json}}{STRATEGY}")
    run = llamafarm("validate-config", cwd=tmp_path)
    assert (run.code, "open-server" in run.out) == (0, True)
    assert "open-server" not in llamafarm("validate-config", "--any-machine", cwd=tmp_path).out
    assert llamafarm("keys", "create", "acme", cwd=tmp_path).code == 0
    assert "open-server" not in llamafarm("validate-config", cwd=tmp_path).out


def test_where_the_keys_are_cannot_be_read_nothing_is_concluded(tmp_path):
    (tmp_path / "strategies.yaml").write_text(f"server: {{host: 0.0.0.0, keys: [1]}}{STRATEGY}")
    run = llamafarm("validate-config", cwd=tmp_path)
    assert (run.code, "open-server" in run.out) == (2, False)
