"""Who is let in: with which key, to what, and from which pages of a browser without one. Tables of a pure function."""

from datetime import UTC, datetime, timedelta

import pytest

from llamafarm.server.http.messages import Head
from llamafarm.server.keys import Access, Caller, Denied, Gate, Keys, new_key, verdict

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AT = NOW.timestamp()


def made(tenant, **more):
    key, secret = new_key(tenant, now=NOW, **more)
    return key, secret.reveal()


USER, USER_SECRET = made("acme", strategies=("a",))
ADMIN, ADMIN_SECRET = made("ops", admin=True)
OLD, OLD_SECRET = made("former", expires=NOW - timedelta(days=1))
KEYS = Keys.of([USER, ADMIN, OLD])
NONE_LEFT = Keys.of([])
NO_FILE = Keys.of([], required=False)
KEYED = Gate.of(KEYS, loopback=False)
FREE = Gate.of(NO_FILE, loopback=True, hosts=["Farm.Example", "192.168.1.5", "fd00::5"])


def head(path="/v1/models", **headers):
    return Head("POST", path, "", {name.replace("_", "-"): value for name, value in headers.items()}, "127.0.0.1")


def bearer(secret):
    return {"authorization": f"Bearer {secret}"}


def decide(gate, access=Access.INFERENCE, **headers):
    return verdict(gate, access, head(**headers), AT)


def status(gate, access=Access.INFERENCE, **headers):
    found = decide(gate, access, **headers)
    return found.status if isinstance(found, Denied) else 200


# with keys


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        (bearer(USER_SECRET), USER),
        ({"x_api_key": USER_SECRET}, USER),
        ({"authorization": f"bearer {USER_SECRET}"}, USER),
        ({"authorization": f"BEARER   {USER_SECRET} "}, USER),
        ({**bearer(USER_SECRET), "x_api_key": USER_SECRET}, USER),
        (bearer(ADMIN_SECRET), ADMIN),
    ],
)
def test_a_key_lets_its_tenant_in(headers, key):
    found = decide(KEYED, **headers)
    assert found == Caller(key)
    assert found.tenant == key.tenant


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": USER_SECRET},
        {"authorization": f"Basic {USER_SECRET}"},
        {"authorization": f"Bearer\t{USER_SECRET}"},
        {"authorization": f"Bearer {USER_SECRET}, Bearer {USER_SECRET}"},
        {"x_api_key": ""},
        {"x_api_key": f"{USER_SECRET}, {USER_SECRET}"},
        {**bearer(USER_SECRET), "x_api_key": ADMIN_SECRET},
        {**bearer(USER_SECRET), "x_api_key": ""},
        {"authorization": f"Basic {USER_SECRET}", "x_api_key": USER_SECRET},
        {"api_key": USER_SECRET},
        {"cookie": f"key={USER_SECRET}"},
        {"x_forwarded_for": "127.0.0.1", "host": "localhost"},
        *[
            headers
            for junk in ("' OR 1=1--", "\0", f"{USER_SECRET}\0", "x" * 65536, "é", USER.sha256, USER.id, OLD_SECRET)
            for headers in (bearer(junk), {"x_api_key": junk})
        ],
    ],
)
@pytest.mark.parametrize("access", [Access.INFERENCE, Access.ADMIN])
@pytest.mark.parametrize("loopback", [True, False])
def test_everything_else_is_401(headers, access, loopback):
    found = decide(Gate.of(KEYS, loopback=loopback), access, **headers)
    assert isinstance(found, Denied)
    assert found.status == 401
    assert dict(found.headers) == {"www-authenticate": "Bearer"}


@pytest.mark.parametrize("secret", [USER_SECRET, OLD_SECRET, "canary-0123456789"])
def test_a_denial_does_not_repeat_what_was_given(secret):
    for headers in (bearer(secret), {"authorization": secret}, {**bearer(secret), "x_api_key": f"{secret}x"}):
        found = decide(KEYED, Access.ADMIN, **headers)
        assert secret.split("-")[-1] not in repr(found)


def test_an_expired_key_says_so_to_who_has_it():
    assert "expired" in decide(KEYED, **bearer(OLD_SECRET)).message


@pytest.mark.parametrize(
    ("access", "secret", "expected"),
    [
        (Access.INFERENCE, USER_SECRET, 200),
        (Access.INFERENCE, ADMIN_SECRET, 200),
        (Access.ADMIN, USER_SECRET, 403),
        (Access.ADMIN, ADMIN_SECRET, 200),
        (Access.ADMIN, "nobody's", 401),
    ],
)
def test_an_inference_key_does_not_reach_what_is_the_operators(access, secret, expected):
    assert status(KEYED, access, **bearer(secret)) == expected


@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"host": "evil.example", "origin": "https://evil.example"}])
@pytest.mark.parametrize("gate", [KEYED, FREE, Gate.of(NONE_LEFT, loopback=True)])
def test_a_probe_is_answered_to_everybody(gate, headers):
    assert decide(gate, Access.OPEN, **headers) == Caller(None)


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("headers", [{}, bearer(USER_SECRET), {"host": "localhost"}])
def test_without_a_key_left_nobody_is_let_in(loopback, headers):
    assert status(Gate.of(NONE_LEFT, loopback=loopback), **headers) == 401


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "//v1/models", "/v1/%6dodels", "/livez", "/livez/../v1/models", "http://localhost/livez", "*"],
)
@pytest.mark.parametrize("host", ["localhost", "evil.example", "", "a b", "localhost, evil.example", "[::1", "\0"])
def test_neither_the_path_nor_the_host_changes_a_verdict_on_keys(path, host):
    for headers, expected in (({}, 401), (bearer("wrong"), 401), (bearer(USER_SECRET), 200)):
        found = verdict(KEYED, Access.INFERENCE, head(path, host=host, **headers), AT)
        assert (found.status if isinstance(found, Denied) else 200) == expected


def test_a_caller_may_use_the_strategies_of_its_key():
    assert [decide(KEYED, **bearer(USER_SECRET)).may_use(name) for name in ("a", "b")] == [True, False]
    assert decide(FREE, host="localhost").may_use("anything")


# without keys


@pytest.mark.parametrize("headers", [{}, {"host": "localhost"}, bearer("anything")])
@pytest.mark.parametrize("access", [Access.INFERENCE, Access.ADMIN])
def test_without_keys_other_machines_are_never_served(access, headers):
    assert status(Gate.of(NO_FILE, loopback=False, hosts=["localhost"]), access, **headers) == 401


OURS = ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "[::1]"]
NAMED = ["farm.example", "FARM.example", "192.168.1.5", "[fd00::5]"]
FOREIGN = [
    "evil.example",
    "localhost.evil.example",
    "evil-localhost",
    "farm.example.evil.example",
    "xfarm.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "0.0.0.0",
    "192.168.1.6",
    "2130706433",
    "0x7f.1",
    "127.1",
    "[::]",
    "[::ffff:7f00:1]",
    "[fd00::6]",
]


@pytest.mark.key("server.hosts")
@pytest.mark.parametrize("port", ["", ":8000"])
@pytest.mark.parametrize("name", [*OURS, *NAMED])
def test_this_machines_names_and_those_of_the_file_are_served(name, port):
    assert decide(FREE, host=name + port) == Caller(None)
    assert decide(FREE, host=name + port, origin=f"http://{name}{port}") == Caller(None)
    without = Gate.of(NO_FILE, loopback=True)
    assert status(without, host=name + port) == (200 if name in OURS else 403)
    assert status(without, host="localhost", origin=f"https://{name}{port}") == (200 if name in OURS else 403)


@pytest.mark.parametrize("access", [Access.INFERENCE, Access.ADMIN])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_page_of_another_site_is_refused(name, access):
    assert status(FREE, access, host=name) == 403
    assert status(FREE, access, host=f"{name}:8000") == 403
    assert status(FREE, access, host="localhost:8000", origin=f"http://{name}") == 403
    assert status(FREE, access, host="localhost:8000", origin=f"https://{name}:8000") == 403


@pytest.mark.parametrize(
    "host",
    ["", " ", "localhost:", "localhost:x", "localhost:80:80", "::1", "localhost, evil.example", "evil.example, localhost",
     "user@localhost", "localhost@evil.example", "localhost/", "localhost\0", "localhost ", "[localhost]", "[::1", "*"],
)  # fmt: skip
def test_an_odd_host_is_none_of_ours(host):
    assert status(FREE, host=host) == 403


def test_no_host_at_all_is_refused():
    assert status(FREE) == 403


@pytest.mark.parametrize(
    "origin",
    ["", "null", "localhost", "file://", "http://", "http://localhost/", "http://localhost@evil.example", "ftp://localhost",
     "http://localhost http://evil.example", "chrome-extension://abcdef", "javascript:alert(1)"],
)  # fmt: skip
def test_an_odd_origin_is_none_of_ours(origin):
    assert status(FREE, host="localhost", origin=origin) == 403


@pytest.mark.parametrize("headers", [bearer("sk-anything"), {"x_api_key": "x"}, {"authorization": "Basic abc"}])
def test_without_keys_whatever_key_a_client_sends_is_no_matter(headers):
    assert decide(FREE, host="localhost:8000", **headers) == Caller(None)


def test_a_refusal_says_what_to_do_on_one_short_line():
    found = decide(FREE, host="evil\r\n.example" * 1000)
    assert "server.hosts" in found.message
    assert "\n" not in found.message
    assert len(found.message) < 400
    assert found.headers == ()
