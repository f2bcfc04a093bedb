from importlib.metadata import EntryPoint, EntryPoints

import pytest

from llamafarm import providers, registry
from llamafarm.errors import ConfigError, ResourceError
from llamafarm.providers.openai.provider import OpenAI


def entries(monkeypatch, *targets):
    found = EntryPoints(EntryPoint(name, value, providers.GROUP) for name, value in targets)
    monkeypatch.setattr(registry, "_registered", lambda group, _: tuple(found.select(group=group)))


def test_the_built_in_one_is_found_like_any_other():
    assert providers.load("openai") is OpenAI


def test_nothing_speaks_it():
    with pytest.raises(ConfigError, match=r"no installed package speaks the dialect 'klingon' \(known: .*openai"):
        providers.load("klingon")


def test_more_than_one_speaks_it(monkeypatch):
    entries(monkeypatch, ("x", "a.b:C"), ("x", "d.e:F"))
    with pytest.raises(ResourceError, match=r"more than one .* 'x': a\.b:C, d\.e:F"):
        providers.load("x")


@pytest.mark.parametrize("value", ["no_such_module:X", "llamafarm.providers:NoSuchName"])
def test_it_cannot_be_imported(monkeypatch, value):
    entries(monkeypatch, ("x", value))
    with pytest.raises(ResourceError, match=rf"what speaks the dialect 'x' \({value}\) cannot be imported"):
        providers.load("x")
