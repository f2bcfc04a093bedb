"""A module that somebody installed and that cannot be used is one target's trouble, and nobody else's."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from llamafarm import errors, providers, registry, spec
from llamafarm.check import check
from llamafarm.farm import Farm, make_call
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer
from llamafarm.types import Operation

TEXT = """
strategies:
  - name: chained
    description: d
    components:
      a: {type: openai_compatible, config: {provider: nomod, base_url: 'http://127.0.0.1:1/v1', default_model: m, api_key: k}}
      b: {type: openai_compatible, config: {provider: custom, base_url: '%s', default_model: m}}
    fallback_chain: [a, b]
"""
WHY = "cannot be imported"


@pytest.fixture(params=["no_such_module:X", "llamafarm_broken_module:X"])
def installed(request, monkeypatch, tmp_path):
    (tmp_path / "llamafarm_broken_module.py").write_text("raise RuntimeError('half installed')\n")
    monkeypatch.syspath_prepend(tmp_path)
    real = registry._registered

    def registered(group, path):
        more = [EntryPoint("nomod", request.param, providers.GROUP)] if group == providers.GROUP else []
        return tuple(EntryPoints([*real(group, path), *more]))

    monkeypatch.setattr(registry, "_registered", registered)


def document(url="http://127.0.0.1:2/v1"):
    return spec.load_text(TEXT % url, env={})


def opened(url):
    return Farm(document(url).file.strategies[0], environment={})


@pytest.mark.usefixtures("installed")
async def test_the_next_target_answers():
    async with FakeServer(answer("from b")) as server, opened(server.base_url) as farm:
        assert (await farm.generate("Hi")).text == "from b"


@pytest.mark.usefixtures("installed")
async def test_it_is_said_before_anything_is_sent():
    call = make_call({"messages": [{"role": "user", "content": "Hi"}]}, {}, operation=Operation.CHAT)
    async with Farm(document().file.strategies[0], environment={}) as farm:
        explanation = farm.explain(call)
    assert [target.name for target in explanation.order] == ["b"]
    (reason,) = next(verdict.reasons for verdict in explanation.verdicts if verdict.target.name == "a")
    assert WHY in reason
    assert "'nomod'" in reason
    (found,) = [finding for finding in check(document(), {}) if finding.code == "unusable-provider"]
    assert found.severity is errors.Severity.WARNING
    assert found.path == "strategies[0].components.a.config.provider"
    assert WHY in found.message


@pytest.mark.usefixtures("installed")
async def test_where_it_is_found_out_only_in_the_request_it_is_no_different(monkeypatch):
    monkeypatch.setattr(providers, "trouble", lambda _: None)
    async with FakeServer(answer("from b")) as server, opened(server.base_url) as farm:
        given = await farm.generate("Hi")
    assert (given.text, [attempt.outcome for attempt in given.attempts]) == ("from b", ["resource", "ok"])
