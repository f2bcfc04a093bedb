"""Gateway keys: finding one by its secret, the file that holds them, and what becomes of a gateway as it changes."""

import json
import logging
import multiprocessing
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamafarm.errors import ConfigError, ResourceError
from llamafarm.server.keys import Key, KeyFile, Keys, change_keys, keys_file, load_keys, new_key
from llamafarm.server.keys import file as key_file
from llamafarm.spec.strategy import ServerSettings

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")


def made(tenant="acme", **more):
    key, secret = new_key(tenant, now=NOW, **more)
    return key, secret.reveal()


def add(path, tenant="acme", **more):
    key, secret = made(tenant, **more)
    change_keys(path, lambda keys: keys.with_key(key))
    return key, secret


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "keys.json"


# secrets


def test_a_secret_finds_its_key_and_no_other():
    first, second = made(), made("other")
    keys = Keys.of([first[0], second[0]])
    assert keys.find(first[1]) == first[0]
    assert keys.find(second[1]) == second[0]


def test_a_secret_has_256_bits_its_keys_id_and_is_not_in_the_key():
    key, secret = made()
    prefix, key_id, rest = secret.split("-", 2)
    assert (prefix, key_id) == ("lf", key.id)
    assert len(rest) == 43, "32 bytes in base64"
    assert rest not in repr(key) + str(key) + json.dumps(str(Keys.of([key])))
    assert rest not in repr(new_key("acme", now=NOW))


def test_an_id_is_never_taken_twice(monkeypatch):
    drawn = iter(["aa", "aa", "bb"])
    monkeypatch.setattr("secrets.token_hex", lambda count: next(drawn))
    assert made(taken=["aa"])[0].id == "bb"


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1],
        lambda s: s + "A",
        lambda s: s[:-1] + ("A" if s[-1] != "A" else "B"),
        lambda s: s + " ",
        lambda s: " " + s,
        lambda s: s.upper(),
        lambda s: s + "\0",
        lambda s: s.split("-", 2)[2],
        lambda s: s[: len("lf-12345678")],
        lambda s: s.replace("lf-", "lf–"),  # noqa: RUF001 - another dash
    ],
)
def test_what_is_nearly_a_secret_is_none(change):
    key, secret = made()
    keys = Keys.of([key])
    assert change(secret) != secret
    assert keys.find(change(secret)) is None
    assert keys.find(secret) is key


@pytest.mark.parametrize(
    "candidate",
    ["", " ", "\0", "' OR 1=1--", "'; DROP TABLE keys; --", "%", "*", "null", "x" * 65536, "\0" * 65536, "lf-" + "é" * 40,
     "\udcff", "🔑", "../../keys.json", "${OPENAI_API_KEY}", "{{7*7}}"],
)  # fmt: skip
def test_what_is_no_secret_at_all_is_none(candidate):
    assert Keys.of([made()[0]]).find(candidate) is None


def test_a_long_candidate_is_not_even_hashed(monkeypatch):
    keys = Keys.of([made()[0]])
    monkeypatch.setattr("hashlib.sha256", lambda *_: pytest.fail("hashed"))
    assert keys.find("x" * 65536) is None


def test_a_keys_hash_is_not_its_secret():
    key, _ = made()
    assert Keys.of([key]).find(key.sha256) is None


@given(st.text(max_size=300))
def test_nothing_else_is_ever_found(candidate):
    key, secret = made()
    assert (Keys.of([key]).find(candidate) is key) is (candidate == secret)


def test_keys_with_one_beginning_are_different_people():
    """An identity comes from the whole secret, never from its first characters."""
    pairs = [made(f"tenant {number}") for number in range(50)]
    keys = Keys.of(key for key, _ in pairs)
    assert [keys.find(secret).tenant for _, secret in pairs] == [f"tenant {number}" for number in range(50)]


def test_expiry_is_to_the_second():
    key, _ = made(expires=NOW + timedelta(days=1))
    end = (NOW + timedelta(days=1)).timestamp()
    assert [key.is_expired(now) for now in (end - 1, end, end + 1)] == [False, True, True]
    assert not made()[0].is_expired(1e12)


@pytest.mark.parametrize(
    ("allowed", "wanted", "may"), [((), "any", True), (("a", "b"), "b", True), (("a",), "b", False)]
)
def test_a_key_is_good_for_its_strategies(allowed, wanted, may):
    assert made(strategies=allowed)[0].may_use(wanted) is may


@pytest.mark.parametrize("tenant", ["", " ", "a\nb", "a\x1b[2J", " a", "x" * 65, "\udcff", "a\0"])
def test_a_tenant_has_a_name_that_a_log_can_hold(tenant):
    with pytest.raises(ConfigError, match="tenant"):
        made(tenant)


# the file


@pytest.mark.key("server.keys")
def test_where_the_file_is(monkeypatch, tmp_path):
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path))
    assert keys_file(ServerSettings()) == tmp_path / "keys.json"
    assert keys_file(ServerSettings(keys="/srv/gateway.json")).as_posix() == "/srv/gateway.json"


def test_no_file_is_no_keys_and_none_is_needed(path):
    keys = load_keys(path)
    assert (len(keys.by_digest), keys.required) == (0, False)


def test_what_is_written_is_read_and_holds_no_secret(path):
    first, secret = add(path, strategies=("a", "ü"), admin=True, expires=NOW + timedelta(days=3))
    second, _ = add(path, "other")
    keys = load_keys(path)
    assert list(keys.by_digest.values()) == [first, second]
    assert keys.required
    assert secret.split("-", 2)[2] not in path.read_text()


def test_the_last_key_revoked_leaves_a_gateway_that_lets_nobody_in(path):
    key, _ = add(path)
    change_keys(path, lambda keys: keys.without(key.id))
    keys = load_keys(path)
    assert (len(keys.by_digest), keys.required) == (0, True)


def test_an_unknown_id_changes_nothing(path):
    add(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="no key has that id"):
        change_keys(path, lambda keys: keys.without("nobody"))
    assert path.read_bytes() == before


@POSIX
def test_a_new_file_is_its_owners_alone_whatever_the_umask(path):
    old = os.umask(0)
    try:
        add(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


@POSIX
def test_a_file_that_exists_keeps_its_mode_and_a_link_stays_one(path, tmp_path):
    """The gateway may run as another user, of the file's group: a new mode would leave it with revoked keys."""
    add(path)
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    add(link, "second")
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert len(load_keys(path).by_digest) == 2


@POSIX
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(path, mode):
    add(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="other users may write") as refused:
        load_keys(path)
    assert f"chmod 600 {path}" in str(refused.value)


@POSIX
def test_a_file_that_others_may_read_is_told_of(path, caplog):
    add(path)
    KeyFile(path)
    assert not caplog.records
    path.chmod(0o644)
    assert len(KeyFile(path).keys.by_digest) == 1
    assert f"chmod o-r {path}" in caplog.text


ENTRY = {"id": "aa", "tenant": "t", "sha256": "0" * 64, "created": "2026-05-01T00:00:00Z"}
DAMAGED = {
    "empty": b"",
    "cut": b'{"version": 1, "keys": [{"id": "a',
    "not JSON": b"keys:\n- a\n",
    "a list": b"[]",
    "not UTF-8": b'{"version": 1, "keys": [], "\xff": 1}',
    "deep": b"[" * 200_000,
    "no keys": b'{"version": 1}',
    "a later version": b'{"version": 2, "keys": []}',
    "nothing but NULs": b"\0" * 100,
    **{
        name: json.dumps({"version": 1, "keys": entries}).encode()
        for name, entries in {
            "a field it does not know, which may be a limit": [ENTRY | {"rate_limit": 5}],
            "no hash": [{name: value for name, value in ENTRY.items() if name != "sha256"}],
            "a short hash": [ENTRY | {"sha256": "00"}],
            "a hash in capitals": [ENTRY | {"sha256": "A" * 64}],
            "a time without a zone": [ENTRY | {"created": "2026-05-01T00:00:00"}],
            "an expiry that is none": [ENTRY | {"expires": "never"}],
            "admin as a word": [ENTRY | {"admin": "false"}],
            "one strategy as a text": [ENTRY | {"strategies": "a"}],
            "no tenant": [ENTRY | {"tenant": ""}],
            "a tenant of two lines": [ENTRY | {"tenant": "a\nb"}],
            "an id twice": [ENTRY, ENTRY | {"sha256": "1" * 64}],
            "a secret twice": [ENTRY, ENTRY | {"id": "bb"}],
        }.items()
    },
}


def put(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)


def test_the_entry_that_is_damaged_below_is_sound(path):
    put(path, json.dumps({"version": 1, "keys": [ENTRY]}).encode())
    assert isinstance(next(iter(load_keys(path).by_digest.values())), Key)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_an_error_and_is_not_written_over(path, content):
    put(path, content)
    with pytest.raises(ConfigError) as refused:
        load_keys(path)
    assert str(path) in str(refused.value)
    assert "damaged" in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError):
        add(path)
    assert path.read_bytes() == content


def test_a_folder_is_no_file_of_keys(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_keys(tmp_path)


def test_a_file_beyond_all_sense(path, monkeypatch):
    add(path)
    monkeypatch.setattr(key_file, "_LARGEST", 100)
    with pytest.raises(ConfigError, match="is it a file of gateway keys"):
        load_keys(path)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        add(tmp_path / "file" / "keys.json")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(path, monkeypatch):
    key, _ = add(path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match="No space left"):
        add(path, "second")
    assert list(load_keys(path).by_digest.values()) == [key]
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_who_comes_second_waits_and_one_that_never_lets_go_is_told(path, monkeypatch):
    inside, go = threading.Event(), threading.Event()
    key, _ = made("slow")

    def slowly(keys):
        inside.set()
        assert go.wait(30)
        return keys.with_key(key)

    first = threading.Thread(target=change_keys, args=(path, slowly))
    first.start()
    try:
        assert inside.wait(30)
        monkeypatch.setattr(key_file, "_LOCK_PATIENCE", 0.0)
        with pytest.raises(ResourceError, match="another process"):
            add(path)
    finally:
        go.set()
        first.join()
    monkeypatch.undo()
    add(path, "second")
    assert [key.tenant for key in load_keys(path).by_digest.values()] == ["slow", "second"]


def _add_some(path, tenant):
    for _ in range(5):
        add(path, tenant)


def test_several_processes_lose_no_key(path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_some, args=(path, f"tenant {number}")) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(load_keys(path).by_digest) == 15


# a gateway that runs


def test_a_key_made_and_revoked_counts_at_the_next_look(path):
    _, old = add(path)
    live = KeyFile(path)
    assert not live.reload_if_changed()
    key, secret = add(path, "second")
    assert live.keys.find(secret) is None
    assert live.reload_if_changed()
    assert live.keys.find(secret) == key
    assert not live.reload_if_changed()
    change_keys(path, lambda keys: keys.without(key.id))
    assert live.reload_if_changed()
    assert live.keys.find(secret) is None
    assert live.keys.find(old) is not None


def test_the_first_key_closes_a_gateway_that_needed_none(path):
    live = KeyFile(path)
    assert not live.keys.required
    _, secret = add(path)
    assert live.reload_if_changed()
    assert live.keys.required
    assert live.keys.find(secret)


def test_looking_reads_nothing_where_nothing_changed(path, monkeypatch):
    add(path)
    live = KeyFile(path)
    monkeypatch.setattr(key_file, "load_keys", lambda _: pytest.fail("read"))
    assert not live.reload_if_changed()


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_file_damaged_meanwhile_leaves_the_keys_as_they_were(path, content, caplog):
    _, secret = add(path)
    live = KeyFile(path)
    put(path, content)
    assert not live.reload_if_changed()
    assert live.keys.find(secret)
    assert live.keys.required
    assert not live.reload_if_changed(), "said once, not every second"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert str(path) in record.message


def test_a_file_that_is_mended_counts_again(path):
    add(path)
    live = KeyFile(path)
    sound = path.read_bytes()
    put(path, b"")
    live.reload_if_changed()
    put(path, sound)
    _, secret = add(path, "second")
    assert live.reload_if_changed()
    assert live.keys.find(secret)


def test_a_file_that_is_gone_lets_nobody_in(path, caplog):
    """Whoever deletes it wants its keys gone; anonymous callers it does not invite."""
    _, secret = add(path)
    live = KeyFile(path)
    path.unlink()
    assert live.reload_if_changed()
    assert live.keys.required
    assert live.keys.find(secret) is None
    assert "is gone" in caplog.text
    assert not live.reload_if_changed()
    _, fresh = add(path)
    assert live.reload_if_changed()
    assert live.keys.find(fresh)


def test_a_damaged_file_closes_a_gateway_that_needed_no_key(path):
    live = KeyFile(path)
    put(path, b"{")
    assert live.reload_if_changed()
    assert live.keys.required


@POSIX
def test_a_file_opened_to_others_meanwhile_adds_nobody(path, caplog):
    _, secret = add(path)
    live = KeyFile(path)
    other, intruder = made("intruder")
    change_keys(path, lambda keys: keys.with_key(other))
    path.chmod(0o666)
    assert not live.reload_if_changed()
    assert live.keys.find(intruder) is None
    assert live.keys.find(secret)
    assert "other users may write" in caplog.text


def test_a_damaged_file_stops_the_start(path):
    put(path, b"")
    with pytest.raises(ConfigError, match="damaged"):
        KeyFile(path)
