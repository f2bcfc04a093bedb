"""Attacks that other gateways fell to, each against this one; the numbers are those of the advisories.

What floods it is in tests/load, what is smuggled past a proxy in tests/proxies.
"""

import hashlib
import json
import logging
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from llamafarm.errors import ConfigError
from llamafarm.server.keys import Access, Key, change_keys, new_key
from llamafarm.server.routes import routes
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, events, reply
from tests.server.conftest import one, until
from tests.server.http.echo import Client
from tests.server.test_gateway import ASKING, CHAT, chat, event, post

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TWO = """
  - name: t
    description: d
    components:
      b: {{type: openai_compatible, config: {{provider: custom, base_url: '{b}', default_model: n}}}}
"""


def made(path, tenant, **more):
    """Add a key to a file of keys; give its secret."""
    key, secret = new_key(tenant, now=NOW, **more)
    change_keys(path, lambda keys: keys.with_key(key))
    return secret.reveal()


@pytest.fixture
async def keyed(gateway, upstream, tmp_path):
    """A gateway with two keys: `user` for inference, `admin` for everything."""
    user, admin = made(tmp_path / "keys.json", "acme"), made(tmp_path / "keys.json", "ops", admin=True)
    async with gateway(one(upstream)) as process:
        process.user, process.admin = user, admin
        yield process


async def raw(process, *lines, body=None):
    """Send these lines as they are; give the answer's status and body."""
    content = b"" if body is None else json.dumps(body).encode()
    more = [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    async with Client.to(process.listener) as client:
        await client.send("\r\n".join([*lines, *more, "", ""]).encode("latin-1") + content)
        status, _, said = await client.answer(method=lines[0].split(" ")[0])
        return status, said


BAD_KEYS = {
    "SQL": "' OR 1=1--",
    "SQL with a comment": "' UNION SELECT * FROM keys WHERE '1'='1' /*",
    "a NUL": "lf-\0",
    "64 kB": "x" * 65_536,
    "a path": "../../keys.json",
    "a number": "0",
    "a template": "{{7*7}}",
    "a list": '["a"]',
    "letters": "schl\xfcssel",
}


@pytest.mark.parametrize("header", ["Authorization: Bearer ", "X-API-Key: "], ids=["bearer", "x-api-key"])
@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_1_no_odd_key_gets_in(gateway, upstream, tmp_path, key, header):
    """CVE-2026-42208. What cannot stand in a header at all is refused before it is looked at as a key."""
    made(tmp_path / "keys.json", "acme")
    async with gateway(one(upstream, server="header_limit: 128 KiB")) as process:
        status, _ = await raw(process, "GET /v1/models HTTP/1.1", "Host: localhost", header + key)
        assert status == (400 if "\0" in key else 401)
    assert not upstream.requests


async def test_1_a_key_longer_than_the_headers_may_be_does_not_get_in(keyed):
    status, _ = await raw(keyed, "GET /v1/models HTTP/1.1", "Host: localhost", "X-API-Key: " + "x" * 65_536)
    assert status == 431


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("streamed", [False, True])
async def test_2_no_redirect_takes_a_key_elsewhere(gateway, upstream, status, streamed):
    """CVE-2025-66405."""
    async with FakeServer() as other:
        upstream.script = [reply(status, b"", {"location": f"{other.base_url}/chat/completions"})]
        async with gateway(one(upstream, target="api_key: sk-canary, max_retries: 0")) as process:
            got, headers, body = await chat(process, stream=streamed)
        assert got == 502
        assert b"canary" not in body
        assert "location" not in headers
        assert upstream.requests[0].headers["authorization"] == "Bearer sk-canary"
        assert not other.requests


async def test_2_what_a_caller_sends_as_its_key_stays_here(keyed, upstream):
    await post(keyed, "/v1/chat/completions", CHAT, authorization=f"Bearer {keyed.user}", cookie="c=canary")
    seen = str(upstream.requests[0].headers) + str(upstream.requests[0].body)
    assert keyed.user not in seen
    assert "canary" not in seen


TEMPLATES = ["{{7*7}}", "${HOME}", "{% for x in y %}", "$(id)", "`id`", "#{7*7}", "<%= 7*7 %>", "{0.__class__}", "%s%n"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"])
async def test_4_prompts_stay_as_they_are(served, upstream, path):
    """CVE-2026-42203, CVE-2026-37004."""
    prompt = " ".join(TEMPLATES)
    body = json.loads(json.dumps(ASKING[path]).replace('"Hi"', json.dumps(prompt)).replace('"a"', json.dumps(prompt)))
    status, _, said = await post(served, path, {**body, "model": "s"})
    assert status == 200, said
    assert prompt.encode() in upstream.requests[0].body


SPIED = []
_spying = False


def _spy(name, arguments):
    if _spying and name in {
        "open", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "subprocess.Popen", "import",
        "socket.connect", "socket.getaddrinfo", "exec", "os.listdir", "ctypes.dlopen",
    }:  # fmt: skip
        SPIED.append((name, str(arguments)))


@asynccontextmanager
async def spying():
    """See what the process opens, starts and connects to meanwhile. A hook cannot be taken back, so it stays."""
    global _spying  # noqa: PLW0603
    if "spy" not in globals():
        globals()["spy"] = True
        sys.addaudithook(_spy)
    SPIED.clear()
    _spying = True
    try:
        yield SPIED
    finally:
        _spying = False


OLLAMA = """
      c: {{type: ollama, config: {{base_url: '{b}', default_model: o, max_retries: 0}}}}
      d: {{type: openai_compatible, config: {{provider: anthropic, base_url: '{b}', api_key: k, default_model: p, max_retries: 0}}}}
"""


async def test_6_no_request_opens_a_path_starts_a_process_or_loads_a_plugin(gateway, upstream, tmp_path):
    """CVE-2026-42271, CVE-2026-90898, CVE-2026-86242."""
    canary = tmp_path / "canary.txt"
    canary.write_text("the canary sings")
    places = [
        f"file://{canary}",
        str(canary),
        f"../{canary.name}",
        "http://canary.invalid/a.png",
        "file:///canary.gguf",
    ]
    names = [
        *places,
        "canary:system",
        "canary.plugin",
        "llamafarm.apps:canary",
        "a/../canary",
        "/proc/self/environ/canary",
    ]
    more = OLLAMA.format(b=upstream.base_url.removesuffix("/v1"))
    async with gateway(one(upstream, more=more)) as process:
        for target in "acd":  # so that what can be loaded by a first request is loaded
            await chat(process, model=target)
        async with spying() as spied:
            statuses = [(await chat(process, model=name))[0] for name in names]
            assert statuses == [404] * len(names)
            for place in places:
                for target in "acd":
                    for part in (
                        {"type": "image_url", "image_url": {"url": place}},
                        {"type": "image_url", "image_url": place},
                        {"type": "input_image", "image_url": place},
                        {"type": "image", "source": {"type": "url", "url": place}},
                        {"type": "file", "file": {"file_data": place, "filename": place}},
                    ):
                        body = {"messages": [{"role": "user", "content": [part]}], "max_tokens": 9, "model": target}
                        await post(process, "/v1/chat/completions", body)
                        await post(process, "/v1/messages", body)
                        await post(process, "/v1/responses", {"input": body["messages"], "model": target})
                started = {"command": f"cat {canary}", "args": ["canary"], "transport": "stdio"}
                extras = {"mcp_servers": [started], "plugins": ["canary"], "model_path": place, "lora": place}
                await chat(process, **extras)
                await post(process, "/v1/images/generations", {"prompt": "a", "image": place, "model": "a"})
            for path in ("/v1/models/..%2f..%2fcanary.txt", "/../canary.txt", "/v1/models/../../canary.txt"):
                await raw(process, f"GET {path} HTTP/1.1", "Host: localhost")
            for path in ("/admin/reload?file=canary", "/mcp/test?command=canary", "/v1/files/canary.txt"):
                await raw(
                    process, f"POST {path} HTTP/1.1", "Host: localhost", body={"path": str(canary), "file": "canary"}
                )
        assert any(name == "open" for name, _ in spied), "the reload opens its own file"
        assert [each for each in spied if "canary" in each[1]] == []
        assert [name for name, _ in spied if name.startswith(("os.", "subprocess"))] == []
        port = upstream.base_url.rsplit(":", 1)[1].split("/")[0]
        places = [told for name, told in spied if name == "socket.connect"]
        assert all(port in told or str(process.listener.port) in told for told in places)


def _spelled(path):
    """Give a path in ways that some servers take for it. Where True: it is it, here too."""
    last = path.rpartition("/")[2]
    yield path, True
    yield f"http://localhost{path}", True
    yield f"{path}?a=b&key=c", True
    for odd in (
        "/" + path, path + "/", path + "//", f"/.{path}", f"/x/..{path}", f"/%2e{path}", f"/x/%2e%2e{path}",
        f"/livez/..{path}", f"/livez/%2e%2e{path}", f"/livez%2f..{path}", f"/livez;{path}", f"/livez/..;{path}",
        path.replace(last, last.upper()), path + "%00", path + "%20", path + ";a=b", path + "%2f", path + "%23", path + "\\",
        path.replace("/", "%2f"), "/" + path[1:].replace("/", "//"), "/" + path[1:].replace("/", "\\"),
        path.replace(last, f"%{ord(last[0]):02x}{last[1:]}"), f"http://other{path}", f"http://localhost@other{path}",
        f"//localhost{path}", f"http:{path}", f"*{path}", path + "#/livez", path + "%3f/livez",
    ):  # fmt: skip
        if odd != path:
            yield odd, False


HOSTS = [
    ["Host: localhost", "Host: localhost"],
    ["Host: localhost", "Host: other"],
    ["Host: localhost/livez?"],
    ["Host: localhost#"],
    ["Host: localhost, other"],
    ["Host:"],
    [],
]
REWRITES = ["X-Original-URL: /livez", "X-Rewrite-URL: /livez", "X-HTTP-Method-Override: GET", "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Host: localhost", "X-Forwarded-Path: /livez", "Forwarded: for=127.0.0.1"]  # fmt: skip


def _guarded(process):
    return [
        (route.method, route.path.replace("*", "a"), route.access)
        for route in routes(process.gateway)
        if route.access is not Access.OPEN
    ]


async def test_7_no_spelling_of_a_path_gets_round_the_key(keyed, upstream):
    """CVE-2026-48710: for every route there is, whoever asks."""
    guarded = _guarded(keyed)
    assert len(guarded) > 9
    for method, path, access in guarded:
        body = None if method == "GET" else ASKING.get(path, {})
        for spelled, same in _spelled(path):
            line = f"{method} {spelled} HTTP/1.1"
            status, _ = await raw(keyed, line, "Host: localhost", body=body)
            assert status == 401 if same else status in {400, 401, 404, 405}, (spelled, status)
            if access is Access.ADMIN:
                status, _ = await raw(keyed, line, "Host: localhost", f"X-API-Key: {keyed.user}", body=body)
                assert status == 403 if same else status in {400, 401, 403, 404, 405}, (spelled, status)
        for hosts in HOSTS:
            assert (await raw(keyed, f"{method} {path} HTTP/1.1", *hosts, body=body))[0] == 400, hosts
        line = f"{method} {path} HTTP/1.1"
        assert (await raw(keyed, line, "Host: localhost", *REWRITES, body=body))[0] == 401
    assert not upstream.requests
    assert keyed.gateway.reloader.generation == 1


async def test_8_an_inference_key_reaches_no_admin_route(keyed):
    """CVE-2026-35029. Asked in every method, too."""
    for _, path, access in _guarded(keyed):
        for method in ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
            status, _ = await raw(
                keyed, f"{method} {path} HTTP/1.1", "Host: localhost", f"X-API-Key: {keyed.user}", body={}
            )
            if access is Access.ADMIN:
                assert status in {403, 405}
    assert keyed.gateway.reloader.generation == 1
    assert (await raw(keyed, "GET /admin/status HTTP/1.1", "Host: localhost", f"X-API-Key: {keyed.admin}"))[0] == 200


DAMAGES = {
    "damaged": lambda path: path.write_text("{"),
    "empty": lambda path: path.write_text(""),
    "of another version": lambda path: path.write_text('{"version":2,"keys":[]}'),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "writable by all": lambda path: path.chmod(0o666),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_8_a_key_file_that_fails_lets_nobody_in_who_was_not(keyed, tmp_path, damage, caplog):
    """CVE-2026-59822: while the gateway runs."""
    damage(tmp_path / "keys.json")
    await until(lambda: "keys.json" in caplog.text)
    for headers in ([], ["X-API-Key: x"], ["X-API-Key:"], ["Authorization: Bearer"]):
        status, _ = await raw(keyed, "GET /v1/models HTTP/1.1", "Host: localhost", *headers)
        assert status == 401


async def test_8_a_damaged_key_file_stops_the_start_and_one_put_there_later_closes(gateway, upstream, tmp_path):
    async with gateway(one(upstream)) as process:
        assert (await raw(process, "GET /v1/models HTTP/1.1", "Host: localhost"))[0] == 200
        (tmp_path / "keys.json").write_text("{")
        await until(lambda: process.gateway.gate.keys.required)
        assert (await raw(process, "GET /v1/models HTTP/1.1", "Host: localhost"))[0] == 401
    with pytest.raises(ConfigError, match="damaged"):
        async with gateway(one(upstream)):
            pass


async def test_9_keys_that_begin_alike_are_different_people(gateway, upstream, tmp_path, caplog):
    """CVE-2026-35030."""
    caplog.set_level(logging.INFO, "llamafarm.access")
    stem = "lf-00-" + "a" * 40
    owners = {stem: "s", stem + "b": "t", stem + "bc": "s", "x" + stem: "t"}
    for number, (secret, strategy) in enumerate(owners.items()):
        digest = hashlib.sha256(secret.encode()).hexdigest()
        tenant = f"tenant-{number}"
        key = Key(id=f"k{number}", tenant=tenant, sha256=digest, created=NOW, strategies=(strategy,))
        change_keys(tmp_path / "keys.json", lambda keys, key=key: keys.with_key(key))
    async with gateway(one(upstream, more=TWO.format(b=upstream.base_url))) as process:
        for number, (secret, strategy) in enumerate(owners.items()):
            status, headers, _ = await post(process, "/v1/chat/completions", CHAT, **{"x-api-key": secret})
            assert (status, headers["x-llamafarm-strategy"]) == (200, strategy)
            assert caplog.records[-1].event["tenant"] == f"tenant-{number}"
            other = "t" if strategy == "s" else "s"
            status, *_ = await post(process, "/v1/chat/completions", {**CHAT, "model": other}, **{"x-api-key": secret})
            assert status == 404
        for near in (stem[:-1], stem + "c", stem.upper(), stem + "b" + "d", "xx" + stem):
            assert (await post(process, "/v1/chat/completions", CHAT, **{"x-api-key": near}))[0] == 401


def _said(caplog):
    """Give everything that was logged, with its fields and tracebacks."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)} {getattr(record, 'event', '')}" for record in caplog.records)


@pytest.mark.parametrize("how", ["401", "error in the stream", "junk", "500 with a page"])
async def test_10_no_secret_comes_out_anywhere(  # noqa: PLR0917 - fixtures
    gateway, upstream, tmp_path, monkeypatch, caplog, how
):
    """CVE-2024-9606, CVE-2025-11203: of the environment, the file, headers, the query, and what a vendor quotes."""
    caplog.set_level(logging.DEBUG, "llamafarm")
    secrets = {"env": "sk-canary-env-0123456789abcdef", "yaml": "sk-canary-yaml-0123456789abcdef"}
    monkeypatch.setenv("CANARY_KEY", secrets["env"])
    key = made(tmp_path / "keys.json", "ops", admin=True)

    async def quote(request, writer):
        quoted = f"Incorrect API key provided: {request.headers['authorization'].removeprefix('Bearer ')}."
        behave = {
            "401": reply(401, {"error": {"message": quoted}}),
            "error in the stream": events(event("One"), {"error": {"message": quoted}}),
            "junk": reply(200, quoted),
            "500 with a page": reply(500, f"<html>{quoted}</html>", {"content-type": "text/html"}),
        }[how]
        await behave(request, writer)

    upstream.script = [quote]
    more = f"""
      b: {{type: openai_compatible, config: {{provider: custom, base_url: '{upstream.base_url}', default_model: n, api_key: {secrets["yaml"]}, max_retries: 0}}}}
    fallback_chain: [a, b]
"""
    async with gateway(one(upstream, target="api_key: '${CANARY_KEY}', max_retries: 0", more=more)) as process:
        await process.gateway.reloader.reload()  # with the environment, which the fixture leaves out
        heard = []
        for streamed in (False, True):
            sent = {"x-api-key": key, "x-canary": "header-canary-1", "cookie": "canary-cookie"}
            path = "/v1/chat/completions?api_key=query-canary-2&token=query-canary-3"
            heard.append(await post(process, path, {**CHAT, "stream": streamed}, **sent))
        heard.append(await post(process, "/v1/chat/completions", CHAT, **{"x-api-key": "lf-canary-wrong"}))
        heard.append(await post(process, "/v1/chat/completions", CHAT, authorization="Basic canary-basic"))
        for path in ("/admin/status", "/v1/models", "/openapi.json", "/readyz"):
            async with process.client.get(path, headers={"x-api-key": key}) as response:
                heard.append((response.status, response.headers, await response.read()))
        used = [request.headers["authorization"] for request in upstream.requests]
        shown = repr(
            [process.gateway.serving.served, process.gateway.serving.farms, process.gateway.gate, process.gateway]
        )
        shown += repr([farm.routing for farm in process.gateway.serving.farms.values()])
    assert {f"Bearer {secret}" for secret in secrets.values()} == set(used), "both keys were in use"
    for text in (str(heard), _said(caplog), shown):
        assert "canary" not in text, text[max(0, text.find("canary") - 300) :][:600]
        assert key not in text
    assert _said(caplog)


async def test_10_a_bug_tells_the_client_nothing_and_the_log_where(served, upstream, monkeypatch, caplog):
    """CVE-2026-108857."""
    caplog.set_level(logging.INFO, "llamafarm")

    async def fail(*_):
        raise RuntimeError("the canary sings")

    farm = next(iter(served.gateway.serving.farms.values()))
    monkeypatch.setattr(type(farm), "send", fail)
    for streamed in (False, True):
        status, _, body = await chat(served, stream=streamed)
        assert status == 500
        assert b"canary" not in body
        assert b"Traceback" not in body
    assert "RuntimeError" in _said(caplog)
    assert "canary" not in _said(caplog)


async def test_10_what_a_vendor_answers_with_is_not_in_the_log(gateway, upstream, caplog):
    caplog.set_level(logging.INFO, "llamafarm")
    upstream.script = [answer("the canary sings"), reply(400, {"error": {"message": "the canary sings"}})]
    async with gateway(one(upstream)) as process:
        await chat(process)
        await chat(process)
    assert "canary" not in _said(caplog)
