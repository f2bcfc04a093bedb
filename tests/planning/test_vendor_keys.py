"""Where a key from a vendor's usual variable goes: to the vendor's own address, and to no other vendor's."""

import pytest

from llamafarm import catalog
from llamafarm.catalog.vendors import Vendor
from tests.making import routing

AZURE = "https://res.openai.azure.com/openai/v1"
KEYS = {"AZURE_OPENAI_API_KEY": "azure-key", "GROQ_API_KEY": "groq-key", "PARLEY_API_KEY": "parley-key"}


@pytest.fixture
def parley(monkeypatch):
    """A provider package without an address of its own."""
    row = Vendor(name="parley", title="", docs="", checked=catalog.CUSTOM.checked, key_variables=("PARLEY_API_KEY",))
    known = catalog.find_vendor
    monkeypatch.setattr(catalog, "find_vendor", lambda name: row if name == "parley" else known(name))


def key_at(config, **environment):
    text = f"""
    name: one
    description: d
    components:
      cloud_api: {{type: openai_compatible, config: {{{config}, default_model: m}}}}
    """
    return routing(text, **environment).named["cloud_api"].api_key


@pytest.mark.usefixtures("parley")
@pytest.mark.parametrize(
    ("provider", "base_url", "key"),
    [
        ("azure", AZURE, "azure-key"),
        ("azure", "http://127.0.0.1:9/v1", "azure-key"),
        ("azure", "https://gateway.example/azure/v1", "azure-key"),
        ("azure", "https://api.groq.com/openai/v1", None),
        ("azure", "https://API.openai.com/v1", None),
        ("parley", "https://parley.example", "parley-key"),
        ("parley", "https://api.groq.com", None),
        ("groq", "https://gateway.example/v1", None),
        ("groq", "http://127.0.0.1:9/v1", None),
        ("custom", "https://gateway.example/v1", None),
    ],
)
def test_the_usual_variable_is_for_the_vendors_own_address(provider, base_url, key):
    given = key_at(f'provider: {provider}, base_url: "{base_url}"', **KEYS)
    assert (given and given.reveal()) == key


def test_a_key_that_is_not_set_is_missed_except_on_this_machine():
    assert not key_at(f'provider: azure, base_url: "{AZURE}"').is_set
    assert key_at('provider: azure, base_url: "http://127.0.0.1:9/v1"') is None
    assert not key_at("provider: groq").is_set


def test_an_address_given_for_one_vendor_is_not_anothers():
    text = """
    name: one
    description: d
    components:
      cloud_api: {type: openai_compatible, config: {provider: custom, base_url: "https://llm.example/v1", default_model: m}}
    fallback_chain:
      - cloud_api
      - {name: moved, type: cloud_api, config: {provider: azure}}
      - {name: own, type: cloud_api, config: {provider: azure, base_url: "https://res.openai.azure.com/openai/v1"}}
    """
    named = routing(text, **KEYS).named
    assert named["moved"].api_key is None
    assert named["own"].api_key.reveal() == "azure-key"
