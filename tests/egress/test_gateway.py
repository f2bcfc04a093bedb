"""`privacy_mode` behind the gateway, in a network namespace: on every route, streamed or not, by whatever way."""

import json

import pytest

from tests.egress.addresses import SURROUNDINGS
from tests.egress.network import two_machines
from tests.egress.test_library import begun

pytestmark = pytest.mark.egress


def asked(network, folder, mode):
    """Give by request: status, what was answered, what Python did elsewhere, what went over the wire."""
    run = network.run(
        "-m", "tests.egress.serving", mode, json.dumps(network.servers), str(folder), cwd=folder, **SURROUNDINGS
    )
    frames = network.frames()
    assert run.code == 0, run.err
    rows = [json.loads(line) for line in run.out.splitlines()]
    return {name: (status, content, strays, frames[name]) for name, status, content, strays in rows}


@pytest.fixture(scope="module")
def local_only(network, tmp_path_factory):
    return asked(network, tmp_path_factory.mktemp("served"), "local_only")


def test_no_route_sends_anything(local_only):
    assert len(local_only) > 60
    assert not {name: frames for name, (*_, frames) in local_only.items() if frames}
    assert not {name: strays for name, (_, _, strays, _) in local_only.items() if strays}


def test_what_is_here_answers(local_only):
    for name, (status, content, *_) in local_only.items():
        if name.startswith(("fallback/", "hedge/")) and "away" not in name and "images" not in name:
            assert status == 200, (name, content)


def test_what_is_elsewhere_is_refused(local_only):
    for name, (status, content, *_) in local_only.items():
        if "away" in name and "count" not in name and not name.startswith("m-away"):
            assert status == 503, (name, content)
            assert "local_only" in content


def test_a_picture_by_its_address_is_refused(local_only):
    said = {name: (status, content) for name, (status, content, *_) in local_only.items() if name.startswith("pict")}
    assert {status for status, _ in said.values()} == {400}
    assert all("local_only" in content for _, content in said.values()), said


def test_the_same_leaves_the_machine_where_it_may(namespaces, tmp_path_factory):
    """So that the tests above can fail."""
    with two_machines(tmp_path_factory.mktemp("public")) as network:
        public = asked(network, tmp_path_factory.mktemp("open"), "public")
    assert any(begun(frames) for *_, frames in public.values())
    for route in ("chat", "chat/stream", "completions", "embeddings", "responses", "messages", "messages/stream"):
        assert public[f"fallback/away/{route}"][3], route  # connections are kept, so few begin one
