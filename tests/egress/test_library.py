"""`privacy_mode` by the library, in a network namespace: what goes over the wire is counted, not only what Python says."""

import json

import pytest

from tests.egress.addresses import SURROUNDINGS
from tests.egress.asking import ELSEWHERE
from tests.egress.network import two_machines

pytestmark = pytest.mark.egress


def asked(network, folder, mode, *cases, **environment):
    """Give by case: what came of it, what Python did elsewhere, what went over the wire."""
    run = network.run("-m", "tests.egress.asking", mode, json.dumps(network.servers), *cases, cwd=folder, **environment)
    frames = network.frames()
    assert run.code == 0, run.err
    rows = [json.loads(line) for line in run.out.splitlines()]
    assert frames[""] == [] or mode != "local_only", "nothing follows the last answer"
    return {name: (came, strays, frames[name]) for name, came, strays in rows}


@pytest.fixture(scope="module")
def local_only(network, tmp_path_factory):
    return asked(network, tmp_path_factory.mktemp("local"), "local_only", **SURROUNDINGS)


def of(cases, *starts):
    return {name: case for name, case in cases.items() if name.startswith(starts)}


def begun(frames):
    """Give those that begin something: the last ones of an allowed connection may come after the next case's first."""
    return [frame for frame in frames if frame.endswith("open") or not frame.startswith("tcp")]


def test_local_only_sends_nothing(local_only):
    assert len(local_only) > 150
    assert not {name: frames for name, (_, _, frames) in local_only.items() if frames}


def test_local_only_looks_nothing_up_and_connects_to_nothing_else(local_only):
    assert not {name: strays for name, (_, strays, _) in local_only.items() if strays}


def test_what_is_elsewhere_is_refused_by_planning_and_by_the_guard(local_only):
    kinds = {name: came for name, (came, _, _) in of(local_only, "elsewhere/").items()}
    planned = {came for name, came in kinds.items() if not name.endswith(("fooled", "check"))}
    guarded = {came for name, came in kinds.items() if name.endswith("fooled") and "/check/" not in name}
    checked = {came for name, came in kinds.items() if "/check" in name}
    assert (planned, guarded, checked) == ({"failed: no_target"}, {"failed: blocked"}, {"not ok"})


def test_what_could_be_taken_for_this_machine_is_refused_too(local_only):
    came = {came for came, _, _ in of(local_only, "odd/").values()}
    assert came == {"failed: no_target", "failed: blocked", "failed: bad_reply", "not ok"}


def test_this_machine_answers(local_only):
    assert {came for came, _, _ in of(local_only, "here/").values()} == {"Hello world"}


def test_fallback_passes_over_what_is_elsewhere(local_only):
    assert {came for came, _, _ in of(local_only, "fallback/", "rule/", "hedge/").values()} == {"Hello world"}
    assert {came for came, _, _ in of(local_only, "cut/").values()} <= {"failed: stream_cut", "failed: bad_reply"}


def test_pictures_by_their_address_are_refused(local_only):
    assert {came for came, _, _ in of(local_only, "picture/").values()} == {"failed: bad_call"}


def test_models_that_ollama_has_run_elsewhere_are_refused(local_only):
    came = {name.removeprefix("ollama/"): came for name, (came, _, _) in of(local_only, "ollama/").items()}
    assert came == {"own": "Hello world", "lent": "failed: blocked", "big": "failed: no_target"}


REACHED = [name for name in ELSEWHERE if name not in ("decimal", "hex", "octal", "trailing-dot", "scoped")]
"""Those that Python's library reaches without any guard, too; the others it refuses or takes for names that no one has."""


@pytest.fixture(scope="module")
def public(namespaces, tmp_path_factory):
    cases = [*(f"elsewhere/{name}/generate" for name in REACHED), "elsewhere/ipv4/check", "odd/redirect/generate"]
    cases += ["odd/redirect-302/check", "fallback/generate", "rule/generate", "cut/continue"]
    with two_machines(tmp_path_factory.mktemp("public")) as network:
        yield asked(network, tmp_path_factory.mktemp("open"), "public", *cases)


@pytest.mark.parametrize("name", REACHED)
def test_the_same_leaves_the_machine_where_it_may(public, name):
    """So that the tests above can fail: each way to the other machine is one, and is seen."""
    came, strays, frames = public[f"elsewhere/{name}/generate"]
    assert begun(frames)
    assert strays
    assert came == "Hello world" or name.endswith("-tls")


@pytest.mark.parametrize("case", ["elsewhere/ipv4/check", "fallback/generate", "rule/generate", "cut/continue"])
def test_other_ways_leave_the_machine_where_they_may(public, case):
    assert begun(public[case][2])


def test_a_redirect_is_never_followed(public):
    assert [came for came, *_ in of(public, "odd/redirect").values()] == ["failed: bad_reply", "not ok"]
    assert not {name: frames for name, (_, _, frames) in of(public, "odd/redirect").items() if begun(frames)}


@pytest.fixture(scope="module")
def private(namespaces, tmp_path_factory):
    with two_machines(tmp_path_factory.mktemp("private")) as network:
        yield asked(
            network, tmp_path_factory.mktemp("shy"), "private", "elsewhere/*/generate*", "here/*/generate", "odd/*/generate*",
            "fallback/generate*", "rule/*", "cut/*", **SURROUNDINGS,
        )  # fmt: skip


def test_private_sends_nothing_in_clear(private):
    assert not {name: frames for name, (_, _, frames) in private.items() if begun(frames) and "-tls/" not in name}


def test_private_goes_through_the_proxy_within_tls(private):
    assert private["elsewhere/dns-tls/generate"][2]
    assert not [frame for frame in private["elsewhere/dns-tls/generate"][2] if frame.startswith("udp")], (
        "the proxy looks up"
    )
