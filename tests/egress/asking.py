"""Asks by the library, within the namespaces, in every way and with every address there is, and says what came of it.

Called with the privacy mode, the servers as JSON, and patterns of cases (none: all); prints for each way: the answer or the error's kind, what Python
looked up or connected to elsewhere. After each it sends a mark over the wire, so that frames can be told apart.

``fooled``: planning takes every address for one of this machine, so that only the guard at connect time is left.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import contextmanager
from fnmatch import fnmatchcase

from llamafarm import spec
from llamafarm.errors import AllFailedError, LlamaFarmError
from llamafarm.farm import Farm
from llamafarm.planning import eligibility
from tests.egress.addresses import MARK_PORT, OUTSIDE, PORT, THEIRS4, THEIRS6
from tests.egress.audit import strays, watched

NUMBER = int.from_bytes(socket.inet_aton(THEIRS4), "big")
ELSEWHERE = {
    "ipv4": f"http://{THEIRS4}:{PORT}/v1",
    "ipv4-tls": f"https://{THEIRS4}/v1",
    "ipv6": f"http://[{THEIRS6}]:{PORT}/v1",
    "ipv4-in-ipv6": f"http://[::ffff:{THEIRS4}]:{PORT}/v1",
    "hosts-file": f"http://here.example:{PORT}/v1",
    "dns": f"http://dns.example:{PORT}/v1",
    "dns-tls": "https://api.example/v1",
    "dns-of-localhost": f"http://localhost.example:{PORT}/v1",
    "decimal": f"http://{NUMBER}:{PORT}/v1",
    "hex": f"http://{NUMBER:#x}:{PORT}/v1",
    "octal": f"http://0{NUMBER:o}:{PORT}/v1",
    "trailing-dot": f"http://{THEIRS4}.:{PORT}/v1",
    "scoped": f"http://[{THEIRS6}%25in0]:{PORT}/v1",
}
"""Addresses of the other machine."""
ODD = {
    "any-ipv4": "http://0.0.0.0:{port}/v1",
    "any-ipv6": "http://[::]:{port}/v1",
    "short": "http://127.1:{port}/v1",
    "decimal-loopback": "http://2130706433:{port}/v1",
    "loopback-by-hosts-file": "http://friend.example:{port}/v1",
    "redirect": "{moved}",
    "redirect-302": "{found}",
}
"""What could be taken for this machine, or leads away from it: refused all the same."""
HERE = {
    "ipv4": "http://127.0.0.1:{port}/v1",
    "ipv4-other": "http://127.7.7.7:{port}/v1",
    "ipv6": "http://[::1]:{port}/v1",
    "ipv4-in-ipv6": "http://[::ffff:127.0.0.1]:{port}/v1",
    "localhost": "http://localhost:{port}/v1",
    "localhost-dot": "http://LOCALHOST.:{port}/v1",
    "localhost-that-the-hosts-file-has-elsewhere": "http://sneaky.localhost:{port}/v1",
    "unix": "{unix}",
}
MESSAGES = [{"role": "user", "content": "Hello"}]


async def _stream(farm, **options):
    stream = farm.stream("Hello", **options)
    return "".join([chunk.text async for chunk in stream])


async def _check(farm):
    status = await farm.check(next(target for target in farm.routing.targets if target.name == "asked"))
    return "Hello world" if status.ok else "not ok"


WAYS = {
    "generate": lambda farm: farm.generate("Hello"),
    "stream": _stream,
    "chat": lambda farm: farm.chat(MESSAGES),
    "complete": lambda farm: farm.complete("Hello"),
    "embed": lambda farm: farm.embed(["Hello"]),
    "named": lambda farm: farm.generate("Hello", model="asked"),
    "check": _check,
}
QUICK = {how: WAYS[how] for how in ("generate", "embed", "check")}
"""The ways that are tried with every address."""


def strategy(mode, *urls, more="", provider="custom"):
    """Give a strategy whose chain has these addresses; the first target is called ``asked``."""
    names = ["asked", *(f"next{number}" for number in range(1, len(urls)))]
    parts = "".join(
        f"      {name}: {{type: openai_compatible, config: {{provider: {provider}, base_url: '{url}', default_model: m, "
        "max_retries: 0, supports: [prefill]}}\n"
        for name, url in zip(names, urls, strict=True)
    )
    text = f"strategies:\n  - name: s\n    description: d\n    components:\n{parts}    fallback_chain: [{', '.join(names)}]\n"
    return spec.load_text(f"{text}    constraints: {{privacy_mode: {mode}}}\n{more}", env={}).file.strategies[0]


@contextmanager
def fooled(yes):
    honest = eligibility.is_loopback
    if yes:
        eligibility.is_loopback = lambda _: True
    try:
        yield
    finally:
        eligibility.is_loopback = honest


async def outcome(given, way):
    try:
        async with Farm(given, environment={}) as farm:
            answer = await way(farm)
    except AllFailedError as error:
        return f"failed: {error.attempts[0].outcome}"
    except LlamaFarmError as error:
        return f"failed: {error.kind}"
    return getattr(answer, "text", None) or (answer if isinstance(answer, str) else "Hello world")


def cases(mode, servers):
    """Give name, strategy, way and whether planning is fooled, for each case."""
    addresses = {f"elsewhere/{name}": url for name, url in ELSEWHERE.items()}
    addresses |= {f"odd/{name}": url.format(**servers) for name, url in ODD.items()}
    addresses |= {f"here/{name}": url.format(**servers) for name, url in HERE.items()}
    for name, url in addresses.items():
        every = name.rpartition("/")[2] in ("ipv4", "dns", "redirect", "unix")
        for how, way in WAYS.items() if every else QUICK.items():
            yield f"{name}/{how}", strategy(mode, url), way, False
            if not name.startswith("here"):
                yield f"{name}/{how}/fooled", strategy(mode, url), way, True
    chain = (servers["broken"], ELSEWHERE["ipv4"], ELSEWHERE["dns"], servers["moved"], HERE["ipv4"].format(**servers))
    for trick in (False, True):
        suffix = "/fooled" if trick else ""
        for how in ("generate", "stream", "chat", "complete", "embed"):
            yield f"fallback/{how}{suffix}", strategy(mode, *chain), WAYS[how], trick
        after = "    optimization: {hedge_after: 0.001}\n"
        slow = (HERE["ipv4"].format(**servers), ELSEWHERE["ipv4"])
        yield f"hedge/generate{suffix}", strategy(mode, *slow, more=after), WAYS["generate"], trick
        cut = (servers["cut"], ELSEWHERE["ipv4"])
        for how in ("continue", "buffer"):
            more = f"    optimization: {{stream_recovery: {how}}}\n"
            yield f"cut/{how}{suffix}", strategy(mode, *cut, more=more), WAYS["stream"], trick
        rule = "    routing_rules: [{condition: 'input.length > 0', target: next1, fallback: true}]\n"
        pair = (HERE["ipv4"].format(**servers), ELSEWHERE["ipv4"])
        yield f"rule/generate{suffix}", strategy(mode, *pair, more=rule), WAYS["generate"], trick
    yield from _pictures(mode, HERE["ipv4"].format(**servers))
    yield from _ollama(mode, servers["ollama"].removesuffix("/v1"))


def _pictures(mode, url):
    for kind in ("image_url", "video_url", "audio_url", "file_url"):
        part = {"type": kind, kind: {"url": f"{OUTSIDE}/picture.png"}}
        body = [{"role": "user", "content": [{"type": "text", "text": "Look"}, part]}]
        yield f"picture/{kind}", strategy(mode, url), lambda farm, body=body: farm.chat(body), False


def _ollama(mode, url):
    for name in ("own:1b", "lent:1b", "big:1b-cloud"):
        text = f"strategies:\n  - name: s\n    description: d\n    components:\n      asked: {{type: ollama, config: {{base_url: '{url}', default_model: '{name}'}}}}\n"
        given = spec.load_text(f"{text}    constraints: {{privacy_mode: {mode}}}\n", env={}).file.strategies[0]
        yield f"ollama/{name.partition(':')[0]}", given, WAYS["generate"], False


async def main(mode, servers, chosen):
    marker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for name, given, way, trick in cases(mode, servers):
        if chosen and not any(fnmatchcase(name, pattern) for pattern in chosen):
            continue
        with fooled(trick), watched() as seen:
            came = await asyncio.wait_for(outcome(given, way), 30)
        marker.sendto(f"mark:{name}".encode(), (THEIRS4, MARK_PORT))
        print(json.dumps([name, came, strays(seen)]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]))
