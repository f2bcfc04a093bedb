"""Bytes that are no proper request: what each is answered, and that nothing behind it is taken for another request."""

import asyncio

import pytest

from llamafarm.server.http.head import HeadParser, RejectedError
from llamafarm.server.http.limits import Limits
from tests.server.http.echo import Client, Echo, request

BEHIND = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: test\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def _get(*lines, target=b"/", version=b"HTTP/1.1"):
    return b"\r\n".join([b"GET " + target + b" " + version, *(lines or [b"Host: test"]), b"", b""])


CORPUS = {
    # two lengths, or none that is one
    "both lengths": (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "both lengths, other order": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
    "two equal lengths": (400, POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345"),
    "a list of equal lengths": (400, POST + b"Content-Length: 5, 5\r\n\r\n12345"),
    "a signed length": (400, POST + b"Content-Length: +5\r\n\r\n12345"),
    "a negative length": (400, POST + b"Content-Length: -5\r\n\r\n12345"),
    "a hexadecimal length": (400, POST + b"Content-Length: 0x5\r\n\r\n12345"),
    "a length with a fraction": (400, POST + b"Content-Length: 5.0\r\n\r\n12345"),
    "a length with a space in it": (400, POST + b"Content-Length: 1 0\r\n\r\n1234567890"),
    "a length with a vertical tab": (400, POST + b"Content-Length: \x0b5\r\n\r\n12345"),
    "an empty length": (400, POST + b"Content-Length:\r\n\r\n"),
    "a length in other digits": (400, POST + b"Content-Length: \xd9\xa5\r\n\r\n12345"),
    "a length in raised digits": (400, POST + b"Content-Length: \xb2\r\n\r\n12"),
    "a length beyond 64 bits": ((400, 413), POST + b"Content-Length: 18446744073709551621\r\n\r\n12345"),
    "a length of many digits": ((400, 413), POST + b"Content-Length: " + b"9" * 300 + b"\r\n\r\n12345"),
    # transfer encodings
    "chunked twice": (400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked, chunked": (400, POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "chunked not last": (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "gzip, chunked": ((400, 501), POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "gzip": ((400, 501), POST + b"Transfer-Encoding: gzip\r\n\r\n"),
    "identity": (400, POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "an unknown coding": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "an empty coding": (400, POST + b"Transfer-Encoding:\r\n\r\n"),
    "a quoted coding": (400, POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n'),
    "a coding with a parameter": (400, POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    "a coding behind a vertical tab": (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "a coding and a no-break space": (400, POST + b"Transfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n"),
    "a folded coding": (400, POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    "chunked in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    # chunks
    "a signed chunk": (400, CHUNKED + b"+5\r\n12345\r\n0\r\n\r\n"),
    "a negative chunk": (400, CHUNKED + b"-5\r\n12345\r\n0\r\n\r\n"),
    "a chunk with 0x": (400, CHUNKED + b"0x5\r\n12345\r\n0\r\n\r\n"),
    "a chunk with an underscore": (400, CHUNKED + b"0_5\r\n12345\r\n0\r\n\r\n"),
    "a chunk behind a space": (400, CHUNKED + b" 5\r\n12345\r\n0\r\n\r\n"),
    "a chunk before a space": (400, CHUNKED + b"5 \r\n12345\r\n0\r\n\r\n"),
    "a chunk without a size": (400, CHUNKED + b"\r\n12345\r\n0\r\n\r\n"),
    "a chunk that is no number": (400, CHUNKED + b"zz\r\n12345\r\n0\r\n\r\n"),
    "a chunk beyond 64 bits": ((400, 413), CHUNKED + b"10000000000000005\r\n12345\r\n0\r\n\r\n"),
    "a chunk beyond 63 bits": ((400, 413), CHUNKED + b"fffffffffffffff\r\n12345\r\n0\r\n\r\n"),
    "a chunk ended by LF": (400, CHUNKED + b"5\n12345\r\n0\r\n\r\n"),
    "a chunk ended by CR": (400, CHUNKED + b"5\r12345\r\n0\r\n\r\n"),
    "a chunk's data ended by LF": (400, CHUNKED + b"5\r\n12345\n0\r\n\r\n"),
    "a chunk's data not ended": (400, CHUNKED + b"5\r\n123450\r\n\r\n"),
    "a chunk longer than it says": (400, CHUNKED + b"3\r\n12345\r\n0\r\n\r\n"),
    "a chunk's data ended by two characters": (400, CHUNKED + b"5\r\n12345xx0\r\n\r\n"),
    "a last chunk ended by LF": (400, CHUNKED + b"0\n\n"),
    "a last chunk ended by LF, then": (400, CHUNKED + b"0\r\n\n"),
    "an extension with a LF": (400, CHUNKED + b"5;a\nb\r\n12345\r\n0\r\n\r\n"),
    "an extension with a CR": (400, CHUNKED + b"5;a\rb\r\n12345\r\n0\r\n\r\n"),
    "an extension with a NUL": (400, CHUNKED + b"5;a\0b\r\n12345\r\n0\r\n\r\n"),
    "an endless extension": (400, CHUNKED + b"5;" + b"a" * 10_000 + b"\r\n12345\r\n0\r\n\r\n"),
    "a trailer without a colon": (400, CHUNKED + b"0\r\nabc\r\n\r\n"),
    "a folded trailer": (400, CHUNKED + b"0\r\na: b\r\n c\r\n\r\n"),
    "a trailer ended by LF": (400, CHUNKED + b"0\r\na: b\n\r\n"),
    "endless trailers": (431, CHUNKED + b"0\r\n" + b"a: b\r\n" * 5000 + b"\r\n"),
    "an endless trailer": (431, CHUNKED + b"0\r\na: " + b"b" * 50_000 + b"\r\n\r\n"),
    # lines
    "lines ended by LF": (400, b"GET / HTTP/1.1\nHost: test\n\n"),
    "a request line ended by LF": (400, b"GET / HTTP/1.1\nHost: test\r\n\r\n"),
    "a header ended by LF": (400, b"GET / HTTP/1.1\r\nHost: test\nX: y\r\n\r\n"),
    "a header ended by CR": (400, b"GET / HTTP/1.1\r\nHost: test\rX: y\r\n\r\n"),
    "a head ended by LF": (400, b"GET / HTTP/1.1\r\nHost: test\r\n\n"),
    "a head ended by CR CR LF": (400, b"GET / HTTP/1.1\r\nHost: test\r\n\r\r\n"),
    "a folded header": (400, _get(b"Host: test", b"X: y", b" z")),
    "a header folded by a tab": (400, _get(b"Host: test", b"X: y", b"\tz")),
    "a fold before the first header": (400, b"GET / HTTP/1.1\r\n Host: test\r\n\r\n"),
    "empty lines first": (400, b"\r\n\r\n" + _get()),
    "a LF first": (400, b"\n" + b"\r\n\r\n" + _get()),
    # names and values
    "a space before the colon": (400, _get(b"Host : test")),
    "a tab before the colon": (400, _get(b"Host\t: test")),
    "a length with a space before its colon": (400, POST + b"Content-Length : 5\r\n\r\n12345"),
    "a coding with a space before its colon": (400, POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    "a name with a space": (400, _get(b"Host: test", b"X Y: z")),
    "a name in other letters": (400, _get(b"Host: test", b"\xc3\xa4: z")),
    "no name": (400, _get(b"Host: test", b": z")),
    "no colon": (400, _get(b"Host: test", b"abc")),
    # the request line
    "no version": ((400, 505), b"GET /\r\n\r\n"),
    "HTTP/2": ((400, 505), _get(version=b"HTTP/2.0")),
    "HTTP/0.9": ((400, 505), _get(version=b"HTTP/0.9")),
    "HTTP/1.2": ((400, 505), _get(version=b"HTTP/1.2")),
    "HTTP/1.10": (400, _get(version=b"HTTP/1.10")),
    "a version in small letters": (400, _get(version=b"http/1.1")),
    "another protocol": (400, _get(version=b"ICY/1.1")),
    "the preface of HTTP/2": ((400, 501, 505), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a TLS greeting": ((400, 501), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: test\r\n\r\n"),
    "a tab for a space": ((400, 501), b"GET\t/\tHTTP/1.1\r\nHost: test\r\n\r\n"),
    "a space in the URL": (400, _get(target=b"/a b")),
    "a space at the end": (400, _get(version=b"HTTP/1.1 ")),
    "CONNECT": ((400, 405, 501), b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n"),
    "PROPFIND": ((405, 501), b"PROPFIND / HTTP/1.1\r\nHost: test\r\n\r\n"),
    "an unknown method": ((405, 501), b"BREW / HTTP/1.1\r\nHost: test\r\n\r\n"),
    "a method in small letters": ((400, 501), b"get / HTTP/1.1\r\nHost: test\r\n\r\n"),
    "a method with a colon": ((400, 501), b"GE:T / HTTP/1.1\r\nHost: test\r\n\r\n"),
    "no method": ((400, 501), b" / HTTP/1.1\r\nHost: test\r\n\r\n"),
    # the target
    "a fragment": (400, _get(target=b"/a#b")),
    "a relative target": (400, _get(target=b"a")),
    "an asterisk for GET": (400, _get(target=b"*")),
    "an authority": (400, _get(target=b"test:80")),
    "an absolute target for another host": (400, _get(target=b"http://other/")),
    "an absolute target with a user": (400, _get(target=b"http://test@other/")),
    "an absolute target of another scheme": (400, _get(target=b"ftp://test/")),
    "an absolute target without a host": (400, _get(target=b"http:///a")),
    "a target in other letters": (400, _get(target="/ä".encode())),
    "a NUL in the target": (400, _get(target=b"/a\0b")),
    "a DEL in the target": (400, _get(target=b"/a\x7fb")),
    # the host
    "no host": (400, _get(b"X: y")),
    "two hosts": (400, _get(b"Host: test", b"Host: other")),
    "two equal hosts": (400, _get(b"Host: test", b"Host: test")),
    "an empty host": (400, _get(b"Host:")),
    "a host with a path": (400, _get(b"Host: test/a")),
    "a host with a user": (400, _get(b"Host: a@test")),
    "a list of hosts": (400, _get(b"Host: test, other")),
    "a host with a space": (400, _get(b"Host: test other")),
    "a host with an odd port": (400, _get(b"Host: test:8a")),
    "two hosts in HTTP/1.0": (400, _get(b"Host: a", b"Host: b", version=b"HTTP/1.0")),
    # headers that decide something, twice
    **{
        f"two of {name}": (400, _get(b"Host: test", *[f"{name}: {value}".encode()] * 2))
        for name, value in {
            "Authorization": "Bearer a",
            "X-API-Key": "a",
            "x-request-id": "a",
            "Content-Type": "application/json",
            "Content-Encoding": "identity",
            "Expect": "100-continue",
        }.items()
    },
    "a compressed body": (415, POST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n12345"),
    "an odd expectation": (417, POST + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\n12345"),
    "too large a body": (413, POST + b"Content-Length: 10485761\r\n\r\n12345"),
    "a long URL": (414, _get(target=b"/" + b"a" * 9000)),
    "many headers": (431, _get(b"Host: test", *[b"a: b"] * 100)),
    "long headers": (431, _get(b"Host: test", b"a: " + b"b" * 33_000)),
}  # fmt: skip


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "by the byte"])
@pytest.mark.parametrize(("status", "sent"), CORPUS.values(), ids=CORPUS)
async def test_it_is_refused_and_nothing_behind_it_is_heard(serve, status, sent, apart):
    echo = Echo()
    async with Client.to(await serve(echo)) as client:
        if apart and len(sent) < 1000:
            client.writer.get_extra_info("socket").setsockopt(6, 1, 1)
            for at in range(len(sent)):
                client.writer.write(sent[at : at + 1])
                await asyncio.sleep(0)
            await client.send(BEHIND)
        else:
            await client.send(sent + BEHIND)
        got, headers, body = await client.answer()
        assert got in (status if isinstance(status, tuple) else (status,)), body
        assert (headers["connection"], headers["x-refused"]) == ("close", "yes")
        client.end()
        assert await client.rest() == b""
    assert echo.seen == []
    assert [number for number, _ in echo.refused] == [got]


ACCEPTED = {
    "one empty line first": (b"\r\n" + _get(), "/"),
    "an absolute target": (_get(target=b"http://TEST/a?b=c"), "/a"),
    "an absolute target without a path": (_get(target=b"http://test?b"), "/"),
    "an absolute https target": (_get(target=b"https://test/a"), "/a"),
    "no host in HTTP/1.0": (_get(b"X: y", version=b"HTTP/1.0"), "/"),
    "an IPv6 host": (_get(b"Host: [::1]:80"), "/"),
    "a host with an underscore": (_get(b"Host: my_service:8000"), "/"),
    "all for OPTIONS": (b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n", "*"),
    "h2c": (_get(b"Host: test", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"), "/"),
    "websocket": (_get(b"Host: test", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: AA=="), "/"),
    "an upgrade with a body": (POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc", "/"),
    "identity": (_get(b"Host: test", b"Content-Encoding: identity"), "/"),
    "chunked in capitals": (POST + b"Transfer-Encoding: Chunked\r\n\r\n0003;a=b ;c\r\nabc\r\n0;x\r\nX: y\r\n\r\n", "/"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "path"), ACCEPTED.values(), ids=ACCEPTED)
async def test_what_is_allowed_is_answered(serve, sent, path):
    echo = Echo()
    async with Client.to(await serve(echo)) as client:
        await client.send(sent)
        assert (await client.answer())[0] == 200
    assert [seen.head.path for seen in echo.seen] == [path]
    assert all("x" not in seen.head.headers for seen in echo.seen if b"Chunked" in sent)
    assert all(seen.body in {b"", b"abc"} for seen in echo.seen)


PLACES = {
    "value": (b"GET / HTTP/1.1\r\nHost: test\r\nX: a%bz\r\n\r\n", {9, *range(32, 127), *range(128, 256)}),
    "name": (
        b"GET / HTTP/1.1\r\nHost: test\r\nX%bz: a\r\n\r\n",
        {*b"!#$%&'*+-.^_`|~", *b"0123456789", *range(65, 91), *range(97, 123), *b":"},
    ),
    "target": (b"GET /a%bz HTTP/1.1\r\nHost: test\r\n\r\n", {*range(33, 127)} - {*b"#"}),
    "method": (b"GET%b / HTTP/1.1\r\nHost: test\r\n\r\n", set()),
    "version": (b"GET / HTTP/1.1%b\r\nHost: test\r\n\r\n", set()),
}


@pytest.mark.parametrize(("place", "allowed"), PLACES.values(), ids=PLACES)
def test_which_characters_may_stand_where(place, allowed):
    passed = set()
    for number in range(256):
        parser = HeadParser(Limits())
        try:
            if parser.feed(place % bytes([number])) >= 0:
                parser.head("")
                passed.add(number)
        except RejectedError:
            pass
    assert passed == allowed


@pytest.mark.parametrize(
    "sent", [request("/forbidden", method="POST", body=b"x" * 100)[:-50], POST + b"Content-Length: 99999999\r\n\r\n"]
)
async def test_a_refused_body_is_not_taken_for_a_request(serve, sent):
    echo = Echo()
    async with Client.to(await serve(echo)) as client:
        await client.send(sent + BEHIND)
        assert (await client.answer())[0] in {401, 413}
        await client.send(BEHIND * 100)
        client.end()
        assert await client.rest() == b""
    assert echo.seen == []
