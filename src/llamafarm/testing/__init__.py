"""Fakes to test a strategy file with, and the check every provider has to pass. Needs no test framework.

`FakeProvider` answers in this process; `FakeServer` is a real OpenAI-format server on a loopback port, for tests that
should go over a socket, and what it can be told to do stands in `llamafarm.testing.fake_server`; `ChaosProxy` stands
before a server and breaks its connections; `check_provider` is for authors of providers. `llamafarm.testing.drill`
finds out whether a whole strategy holds.
"""

from llamafarm.testing.chaos import ChaosProxy, Fault
from llamafarm.testing.fake_provider import FakeAnswer, FakeProvider
from llamafarm.testing.fake_server import FakeServer, Request
from llamafarm.testing.provider_check import Bench, Scenario, check_provider

__all__ = [
    "Bench",
    "ChaosProxy",
    "FakeAnswer",
    "FakeProvider",
    "FakeServer",
    "Fault",
    "Request",
    "Scenario",
    "check_provider",
]
