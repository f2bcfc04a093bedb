"""`privacy_mode: local_only` by the real program, command by command, in a network namespace."""

import json
from pathlib import Path

import pytest

from tests.egress.addresses import OUTSIDE, PORT, SURROUNDINGS
from tests.egress.audit import strays
from tests.egress.network import two_machines

pytestmark = pytest.mark.egress

STRATEGIES = """\
strategies:
  - name: mixed
    description: A target elsewhere, one that fails, one that redirects, and one that answers.
    components:
      broken: {{type: openai_compatible, config: {{provider: custom, base_url: '{broken}', default_model: m, max_retries: 0}}}}
      moved: {{type: openai_compatible, config: {{provider: custom, base_url: '{moved}', default_model: m}}}}
      vendor: {{type: openai_compatible, config: {{provider: openai, api_key: k, default_model: gpt-6-luna}}}}
      elsewhere: {{type: openai_compatible, config: {{provider: custom, base_url: 'http://dns.example:{outside}/v1', default_model: m}}}}
      good: {{type: openai_compatible, config: {{provider: custom, base_url: '{unix}', default_model: m}}}}
    fallback_chain: [broken, moved, vendor, elsewhere, good]
    routing_rules:
      - {{condition: 'input.contains("vendor")', target: elsewhere}}
    constraints: {{privacy_mode: {mode}}}
  - name: unpulled
    description: A model that has not been fetched.
    components:
      model_app: {{type: llamacpp, config: {{engine: embedded}}}}
    constraints: {{privacy_mode: {mode}}}
"""
BATCH = [
    {"prompt": "one"},
    {"prompt": "two", "model": "elsewhere"},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"{OUTSIDE}/a.png"}}]}]},
]
COMMANDS = {
    "generate": (0, "Hello world", ["generate", "Say hello"]),
    "generate-whole": (0, "Hello world", ["generate", "--output", "json", "Say hello"]),
    "generate-by-rule": (0, "Hello world", ["generate", "vendor"]),
    "generate-named": (0, "Hello world", ["generate", "--model", "elsewhere", "hello"]),
    "generate-only-elsewhere": (3, "", ["generate", "--model", "mixed/elsewhere", "hello"]),
    "generate-picture": (3, "", ["generate", "--image", f"{OUTSIDE}/a.png", "Look"]),
    "generate-unpulled": (4, "", ["generate", "--strategy", "unpulled", "hello"]),
    "complete": (0, "Hello world", ["complete", "Once"]),
    "embed": (0, "0.6", ["embed", "Once"]),
    "chat": (0, "Hello world", ["chat"]),
    "compare": (0, "Hello world", ["compare", "hello"]),
    "compare-named": (0, "Hello world", ["compare", "--target", "elsewhere", "--target", "good", "hello"]),
    "batch": (1, "Hello world", ["batch", "lines.jsonl"]),
    "health-check": (1, "elsewhere", ["health-check"]),
    "explain": (0, "elsewhere", ["explain", "vendor"]),
    "validate-config": (None, "", ["validate-config"]),
    "info": (0, "", ["info"]),
    "catalog": (0, "", ["catalog"]),
    "keys": (0, "lf-", ["keys", "create", "acme"]),
}


@pytest.fixture
def ask(network, tmp_path):
    def run(mode, arguments, stdin=None, **environment):
        (tmp_path / "strategies.yaml").write_text(STRATEGIES.format(mode=mode, outside=PORT, **network.servers))
        (tmp_path / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in BATCH))
        network.frames()
        run = network.run(
            "-m", "tests.egress.program", *arguments, cwd=tmp_path, stdin=stdin,
            EGRESS_SEEN=str(tmp_path / "seen"), **environment,
        )  # fmt: skip
        seen = json.loads((tmp_path / "seen").read_text())
        return run, strays(seen), network.frames()[""]

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_sends_anything(ask, name):
    code, said, arguments = COMMANDS[name]
    run, elsewhere, frames = ask("local_only", arguments, stdin="hello\n" if name == "chat" else None, **SURROUNDINGS)
    assert frames == []
    assert elsewhere == []
    assert code in (None, run.code), run.err
    assert said in run.out
    assert "Traceback" not in run.err


def test_a_model_is_not_fetched_by_a_request_but_by_pull(ask):
    run, _, frames = ask("local_only", ["generate", "--strategy", "unpulled", "hello"], **SURROUNDINGS)
    assert (frames, run.code) == ([], 4)
    assert "llamafarm pull" in run.err
    run, _, frames = ask("local_only", ["pull", "--strategy", "unpulled"], PIP_INDEX_URL=f"{OUTSIDE}/simple")
    assert frames, "it is the user who says so"


@pytest.mark.parametrize("name", ["generate-by-rule", "generate-named", "compare-named", "health-check"])
def test_the_same_commands_reach_out_where_they_may(ask, name):
    """So that the tests above can fail."""
    _, elsewhere, frames = ask("public", COMMANDS[name][2])
    assert frames
    assert elsewhere


def test_with_the_loopback_interface_down_nothing_takes_the_default_route(ask, network, tmp_path):
    """127.0.0.1 then leads off the machine, as far as the kernel is concerned."""
    network.loopback("down")
    try:
        run, elsewhere, frames = ask("local_only", ["generate", "--model", "mixed/broken", "hello"])
        unbound = "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('127.0.0.1', 80))"
        network.run("-c", unbound, cwd=tmp_path)
        others = network.frames()[""]
    finally:
        network.loopback("up")
    assert (elsewhere, frames) == ([], [])
    assert "the loopback interface does not have 127.0.0.1" in run.err
    assert others == ["tcp 127.0.0.1 80 open"], "what another program would have sent"


@pytest.mark.real
def test_the_real_model_answers_without_a_byte_leaving(ask, smollm2, models_home, tmp_path):
    (tmp_path / "home").symlink_to(models_home, target_is_directory=True)
    run, elsewhere, frames = ask("local_only", ["generate", "--strategy", "privacy_first", "Hello"], **SURROUNDINGS)
    assert run.code == 0, run.err
    assert run.out.strip()
    assert (elsewhere, frames) == ([], [])


def test_both_machines_end_however_the_test_does(namespaces, tmp_path):
    held = []

    def fail():
        with two_machines(tmp_path) as network:
            held.extend(Path(f"/proc/{process.pid}/ns/net") for process in network.processes)
            assert len({path.readlink() for path in held} | {Path("/proc/self/ns/net").readlink()}) == 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not [path for path in held if path.exists()], "a namespace without a name ends with its last process"
