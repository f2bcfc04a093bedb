"""`status` and `reload`: what a running gateway says of itself, and how it is told to look at its file again."""

import json

import pytest

from llamafarm.server.run import Order, opened
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import reply
from tests.cli.asking import ask, chain, refused


@pytest.fixture
async def running(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path / "home"))
    async with FakeServer() as upstream:
        file = chain(tmp_path, first=upstream.base_url)
        order = Order(str(file), None, None, 0)
        async with opened(order, order.load({})) as process:
            process.file = file
            yield process


async def test_status_in_words_and_as_json(running, tmp_path):
    run = await ask("status", "--url", running.urls[0], cwd=tmp_path)
    assert (run.code, run.err) == (0, "")
    assert str(running.file) in run.out
    assert "0 requests in flight" in run.out
    assert run.out.splitlines()[-1].split()[:4] == ["test", "first", "first-model", "well"]
    shown = (await ask("status", "--url", running.urls[0], "--output", "json", cwd=tmp_path)).json
    assert shown["ready"] is True
    assert shown["strategies"][0]["targets"][0]["name"] == "first"


async def test_reload_takes_a_new_file_and_refuses_a_wrong_one(running, tmp_path):
    text = running.file.read_text()
    running.file.write_text(text.replace("name: test", "name: other"))
    run = await ask("reload", "--url", running.urls[0], cwd=tmp_path)
    assert (run.code, run.out) == (0, "loaded (changed): other\n")
    running.file.write_text(text.replace("description", "descripton"))
    run = await ask("reload", "--url", running.urls[0], cwd=tmp_path)
    assert run.code == 2
    assert "descripton" in run.err
    assert "strategies.yaml:3:5" in run.err
    run = await ask("status", "--url", running.urls[0], cwd=tmp_path)
    assert "the last reload was refused" in run.err


async def test_a_key_for_operators_is_needed_where_there_are_keys(running, tmp_path):
    made = await ask("keys", "create", "ops", "--admin", cwd=tmp_path)
    plain = await ask("keys", "create", "team", cwd=tmp_path)
    assert (made.code, plain.code) == (0, 0), made.err
    running.gateway.gate = running.gateway.gate.of(_keys(tmp_path), loopback=True)
    for key, code in ((made.out.strip(), 0), (plain.out.strip(), 2), ("lf-none", 2), ("", 2)):
        run = await ask("status", "--url", running.urls[0], cwd=tmp_path, LLAMAFARM_KEY=key)
        assert run.code == code, run.err
        assert not key or key not in run.err + run.out


def _keys(folder):
    from llamafarm.server.keys import load_keys

    return load_keys(folder / "home" / "keys.json")


async def test_where_no_gateway_is(tmp_path):
    (tmp_path / "strategies.yaml").write_text("strategies: []")
    run = await ask("status", "--url", refused().removesuffix("/v1"), cwd=tmp_path)
    assert run.code == 1
    assert run.err.startswith("llamafarm: ")
    async with FakeServer(reply(200, "<html>", {"content-type": "text/html"})) as other:
        run = await ask("status", "--url", other.base_url, cwd=tmp_path)
    assert run.code == 1
    assert "is no gateway of llamafarm" in run.err
    run = await ask("status", "--url", "gateway", cwd=tmp_path)
    assert run.code == 2
    assert "is not a URL" in run.err
    assert "Traceback" not in json.dumps(run.err)
