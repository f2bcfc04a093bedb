"""Whatever stands in `base_url`: under the guard nothing but this machine is connected to, and no name is looked up."""

import asyncio
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.errors import AttemptError, BlockedError
from llamafarm.planning.addresses import is_loopback
from llamafarm.transport import EncryptedElsewhere, Endpoint, HttpTransport, LoopbackOnly
from tests.egress.audit import strays, watched

OUTSIDE = ("192.0.2.1", "8.8.8.8", "10.0.0.1", "169.254.169.254", "0.0.0.0", "255.255.255.255", "100.64.0.1")
HERE = ("127.0.0.1", "127.9.8.7", "127.255.255.255")


@st.composite
def spelt(draw):
    """An IPv4 address as people and attackers write them: decimal, octal, hex, short, inside of IPv6, with odd digits."""
    number = int(draw(st.sampled_from([*OUTSIDE, *HERE]).map(IPv4Address) | st.ip_addresses(v=4)))
    parts = list(number.to_bytes(4, "big"))
    ways = st.sampled_from([str, hex, lambda part: f"0{part:o}", lambda part: f"00{part}", lambda part: f"0X{part:X}"])
    ways |= st.just(lambda part: str(part).translate({48 + digit: 0xFF10 + digit for digit in range(10)}))
    dot = draw(st.sampled_from([".", ".", ".", "\u3002", "%2e"]))
    short = draw(st.integers(1, 4))
    *first, last = parts[: short - 1], int.from_bytes(bytes(parts[short - 1 :]), "big")
    dotted = dot.join(draw(ways)(part) for part in [*first[0], last])
    mapped = [
        f"::ffff:{IPv4Address(number)}",
        f"::{IPv4Address(number)}",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
        f"::ffff:0:{IPv4Address(number)}",
    ]
    return draw(st.sampled_from([dotted, dotted, *(f"[{address}]" for address in mapped)]))


NAMES = st.sampled_from(
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "localhost.example",
        "localho\u017ft",
        "\uff4cocalhost",
        "example.com",
        "example.com\\.localhost",
        "example.com%2f.localhost",
        "example.com%00.localhost",
        "example.com\u3002localhost",
        "xn--localhost-x1a",
        "ip6-localhost",
        "localhost4",
        "host.docker.internal",
        "127.0.0.1.example",
        "127.0.0.1:80@example.com",
        "example.com#@localhost",
        "localhost@example.com",
        "[::]",
        "[::1]",
        "[::1%25eth0]",
        "[fe80::1%25lo]",
        "[v1.localhost]",
        "",
        "..",
        ".localhost",
        "-",
    ]
)
SIXES = st.ip_addresses(v=6).map(lambda address: f"[{IPv6Address(address)}]")
HOSTS = NAMES | spelt() | SIXES | st.text(max_size=12) | st.builds("{}{}".format, NAMES, st.text(max_size=3))
PORTS = st.sampled_from(["", ":1", ":80", ":0", ":65535", ":65536", ":\u0661", ":1@192.0.2.1", "::1"])
TAILS = st.sampled_from(
    ["", "/v1", "/v1/", "?x=http://192.0.2.1/", "/..//192.0.2.1/", "//192.0.2.1", "\\@192.0.2.1/", "#@192.0.2.1"]
)
SCHEMES = st.sampled_from(
    ["http://", "https://", "HTTP://", "http:", "http:///", "unix:", "ws://", "http://u:p@", "http://@"]
)
URLS = st.builds("{}{}{}{}".format, SCHEMES, HOSTS, PORTS, TAILS) | st.text(max_size=30)


def reached(guard, base_url):
    """Say what a request would have reached; nothing is let through. None: the text was refused before any request."""

    async def ask():
        transport = HttpTransport(guard)
        try:
            await transport.post(Endpoint.parse(base_url).join("models"), {}, b"{}")
        except AttemptError as error:
            return error
        finally:
            await transport.aclose()
        raise AssertionError("a connection was let through")

    with watched(closed=True) as seen:
        try:
            return asyncio.run(ask()), seen
        except ValueError:
            return None, seen


@settings(max_examples=200, deadline=None)
@given(URLS)
def test_nothing_but_this_machine_is_reached(base_url):
    error, seen = reached(LoopbackOnly(), base_url)
    assert not strays(seen), base_url
    if seen:
        assert is_loopback(base_url), "what is connected to must have been eligible"
    elif error is not None:
        assert isinstance(error, BlockedError) or is_loopback(base_url)


@settings(max_examples=150, deadline=None)
@given(URLS)
def test_nothing_in_clear_reaches_another_machine(base_url):
    _, seen = reached(EncryptedElsewhere(), base_url)
    assert not strays(seen) or base_url.lower().startswith("https:")


@pytest.mark.parametrize(
    ("base_url", "stray"),
    [
        ("http://192.0.2.1", ("socket.connect", "192.0.2.1")),
        ("http://example.com", ("socket.getaddrinfo", "example.com")),
        ("http://[::ffff:192.0.2.1]", ("socket.connect", "::ffff:c000:201")),
    ],
)
def test_without_the_guard_they_would_be(base_url, stray):
    assert stray in strays(reached(None, base_url)[1])
