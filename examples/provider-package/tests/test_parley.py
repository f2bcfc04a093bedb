"""The conformance check that llamafarm ships, over real sockets, against servers that speak Parley."""

from asyncio import StreamWriter

from llamafarm_parley import Parley

from llamafarm.testing import Bench, FakeServer, Request, Scenario, check_provider
from llamafarm.testing.fake_server import Behaviour, events, raw, reply, silence
from llamafarm.testing.provider_check import CANARY
from llamafarm.transport import HttpTransport
from llamafarm.types import Secret, Target

BEGUN = b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {"says": "Hello"}\n\n'


def says(**last: object) -> Behaviour:
    async def behave(request: Request, writer: StreamWriter) -> None:
        if request.method == "GET":
            await reply(200, {"models": [{"name": "bold"}]})(request, writer)
        elif request.json["live"]:
            said = events({"says": "Hello"}, {"says": " world"}, {"why": "done", **last}, done=False)
            await said(request, writer)
        else:
            await reply(200, {"says": "Hello world", "why": "done", **last})(request, writer)

    return behave


async def never_says_why(request: Request, writer: StreamWriter) -> None:
    said = events({"says": "Hello"}, done=False) if request.json["live"] else reply(200, {"says": "Hello"})
    await said(request, writer)


SCRIPTS = {
    Scenario.ANSWER: says(spent=[9, 2]),
    Scenario.NO_USAGE: says(),
    Scenario.CUT: raw(BEGUN),
    Scenario.UNFINISHED: never_says_why,
    Scenario.ENDLESS: raw(BEGUN, close=False),
    Scenario.SILENT: silence(),
    Scenario.UNAUTHORIZED: reply(401, {"error": f"no such key: {CANARY}"}),
    Scenario.RATE_LIMITED: reply(429, {"error": "slow down"}, {"retry-after": "7"}),
    Scenario.OVERLOADED: reply(503, {"error": "busy"}),
    Scenario.TOO_LONG: reply(413, {"error": "too long"}),
    Scenario.MODEL_MISSING: reply(404, {"error": "no such voice"}),
}


async def test_it_keeps_every_promise() -> None:
    transport = HttpTransport()
    servers = {scenario: FakeServer(script) for scenario, script in SCRIPTS.items()}
    addresses = {Scenario.REFUSED: "http://127.0.0.1:9"}
    for scenario, server in servers.items():
        await server.__aenter__()
        addresses[scenario] = server.base_url
    targets = {
        scenario: Target(scenario, "parley", "parley", "bold", base_url=url, api_key=Secret(CANARY, "PARLEY_API_KEY"))
        for scenario, url in addresses.items()
    }

    async def disconnected() -> None:
        for scenario in (Scenario.ENDLESS, Scenario.SILENT):
            await servers[scenario].until_disconnected()

    try:
        await check_provider(Bench(Parley(transport), targets, disconnected))
    finally:
        await transport.aclose()
        for server in servers.values():
            await server.__aexit__()
