import asyncio
import hashlib
import json
import os
import resource
import signal
import sys
import textwrap

import pytest

from llamafarm.errors import DownloadError, ModelFileError
from llamafarm.models import ModelStore, parse_source
from llamafarm.models.model_file import ModelFile
from tests.models.file_server import CONTENT, DIGEST, FileServer


def model(server, *more, sha256=DIGEST, size=None, name="m"):
    urls = [f"{server.url}/m.gguf", *more]
    return ModelFile(name, tuple(parse_source(url) for url in urls), sha256, size, pull=True)


def note(server, validator):
    url = hashlib.sha256(f"{server.url}/m.gguf".encode()).hexdigest()
    return json.dumps({"url": url, "validator": validator})


async def test_fetched_once_and_found_again(server, store):
    path = await store.ensure(model(server))
    assert path.read_bytes() == CONTENT
    assert await store.ensure(model(server)) == path
    assert len(server.requests) == 1
    assert [row.name for row in store.list()] == ["m"]
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["model.gguf", "model.json"]


async def test_resumes_after_every_break_and_progress_never_falls(server, store):
    server.cuts = [100_000, 700_000, 10, 300_000]
    seen = []
    path = await store.ensure(model(server), seen.append)
    assert path.read_bytes() == CONTENT
    ranges = [request.get("Range") for request in server.requests]
    assert ranges[0] is None
    assert all(ranges[1:])
    assert all(request["If-Range"] == '"v1"' for request in server.requests[1:])
    done = [progress.done for progress in seen if progress.phase == "downloading"]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)


async def test_a_server_without_ranges_starts_over_and_progress_still_never_falls(server, store):
    server.ranges = False
    server.cuts = [1_500_000]
    seen = []
    path = await store.ensure(model(server), seen.append)
    assert path.read_bytes() == CONTENT
    done = [progress.done for progress in seen if progress.phase == "downloading"]
    assert done == sorted(done)


@pytest.mark.parametrize("minds_if_range", [True, False])
async def test_another_version_of_the_file_is_never_mixed_in(server, store, minds_if_range):
    server.minds_if_range = minds_if_range
    server.cuts = [500_000]
    store_once = ModelStore(store.folder.parent, patience=store._patience.__class__(tries=1, pause=0.01))
    with pytest.raises(DownloadError, match="broke"):
        await store_once.ensure(model(server, sha256=None))
    server.content, server.etag = b"GGUF" + b"new" * 500_000, '"v2"'
    path = await store.ensure(model(server, sha256=None))
    assert path.read_bytes() == server.content


async def test_a_part_of_another_version_without_validators_is_dropped_by_its_hash(server, store):
    server.etag = None
    folder = store.folder / DIGEST
    folder.mkdir(parents=True)
    (folder / "model.part").write_bytes(b"GGUF" + b"x" * 100_000)
    (folder / "model.part.json").write_text(note(server, ""))
    path = await store.ensure(model(server))
    assert path.read_bytes() == CONTENT
    assert server.requests[0]["Range"]
    assert "Range" not in server.requests[1]


async def test_a_finished_part_needs_no_byte_more(server, store):
    folder = store.folder / DIGEST
    folder.mkdir(parents=True)
    (folder / "model.part").write_bytes(CONTENT)
    (folder / "model.part.json").write_text(note(server, '"v1"'))
    await store.ensure(model(server))
    assert server.sent == 0


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "no such file"),
        (401, "HF_TOKEN"),
        (403, "HF_TOKEN"),
        (503, "gave up after 3 tries"),
        (418, "answered 418"),
    ],
)
async def test_a_refusal_says_what_to_do(server, store, status, words):
    server.status = status
    with pytest.raises(DownloadError, match="'m' could not be fetched") as caught:
        await store.ensure(model(server))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_the_next_source_is_tried_and_all_reasons_are_told(server, store):
    gone = await FileServer(status=404).start()
    try:
        assert (await store.ensure(model(gone, f"{server.url}/m.gguf"))).read_bytes() == CONTENT
        with pytest.raises(DownloadError) as caught:
            await store.ensure(model(gone, "http://127.0.0.1:9/m.gguf", "/no/such.gguf", name="n", sha256="0" * 64))
    finally:
        await gone.stop()
    for words in ("404", "127.0.0.1 cannot be reached", "there is no such file"):
        assert words in str(caught.value)


async def test_a_wrong_hash_is_told_and_the_file_removed(server, store):
    wrong = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(DownloadError) as caught:
        await store.ensure(model(server, sha256=wrong))
    assert DIGEST in str(caught.value)
    assert wrong in str(caught.value)
    assert [path.name for path in (store.folder / wrong).iterdir() if path.name == "model.part"] == []
    assert store.list() == ()


async def test_what_is_no_model_file_is_refused(server, store):
    server.content = b"<!doctype html><title>Log in</title>"
    with pytest.raises(DownloadError, match="neither a GGUF nor a safetensors"):
        await store.ensure(model(server, sha256=None))


async def test_a_known_size_is_checked_before_the_body(server, store):
    with pytest.raises(DownloadError, match="expected are 5"):
        await store.ensure(model(server, size=5))
    assert not list(store.folder.rglob("model.part"))


async def test_silence_counts_as_a_break(server, store):
    server.stall_after = 1 << 20
    assert (await store.ensure(model(server))).read_bytes() == CONTENT
    assert server.requests[1]["Range"] == f"bytes={1 << 20}-"
    server.stall_after = 0
    with pytest.raises(DownloadError, match="went silent"):
        await store.ensure(model(server, sha256=None))


async def test_a_body_of_unknown_length_is_taken(server, store):
    server.length = False
    assert (await store.ensure(model(server))).read_bytes() == CONTENT


async def test_room_is_checked_first(server, store, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(DownloadError, match=r"not enough disk space in .* 2.1 MB needed, 0.0 MB free"):
        await store.ensure(model(server))
    assert len(server.requests) == 1


CHILD = """
    import asyncio, os, resource, sys
    from pathlib import Path
    from llamafarm.models import ModelStore, parse_source
    from llamafarm.models.model_file import ModelFile
    if len(sys.argv) > 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
    store = ModelStore(Path(sys.argv[1]))
    model = ModelFile("m", (parse_source(sys.argv[2]),), sys.argv[3])
    try:
        print(asyncio.run(store.ensure(model)))
    except Exception as error:
        print(type(error).__name__, error)
"""


async def child(tmp_path, url, *more):
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    home = str(tmp_path / "home")
    return await asyncio.create_subprocess_exec(
        sys.executable, str(script), home, url, DIGEST, *more, stdout=asyncio.subprocess.PIPE
    )


async def test_goes_on_after_kill_9(server, store, tmp_path):
    server.pace = 0.02
    process = await child(tmp_path, f"{server.url}/m.gguf")
    part = store.folder / DIGEST / "model.part"
    await asyncio.wait_for(server.when_sent(1_600_000).wait(), 20)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    kept = part.stat().st_size
    assert kept > 0
    server.pace = 0
    assert (await store.ensure(model(server))).read_bytes() == CONTENT
    assert server.requests[-1]["Range"] == f"bytes={kept}-"


async def test_two_processes_fetch_once(server, store, tmp_path):
    server.pace = 0.005
    children = [await child(tmp_path, f"{server.url}/m.gguf") for _ in range(2)]
    outputs = [await process.communicate() for process in children]
    path = store.folder / DIGEST / "model.gguf"
    assert [output[0].decode().strip() for output in outputs] == [str(path)] * 2
    assert len(server.requests) == 1


async def test_two_tasks_fetch_once_and_the_second_sees_that_it_waits(server, store):
    server.pace = 0.005
    seen = [[], []]
    paths = await asyncio.gather(*(store.ensure(model(server), progress.append) for progress in seen))
    assert paths[0] == paths[1]
    assert len(server.requests) == 1
    phases = [{progress.phase for progress in progresses} for progresses in seen]
    assert {"waiting"} in phases
    assert {"downloading", "checking"} in phases


async def test_a_full_disk_is_one_clear_line_and_the_part_stays(server, store, tmp_path):
    process = await child(tmp_path, f"{server.url}/m.gguf", str(1_200_000))
    output, _ = await process.communicate()
    assert "DownloadError no disk space left while writing" in output.decode()
    assert 0 < (store.folder / DIGEST / "model.part").stat().st_size <= 1_200_000
    assert (await store.ensure(model(server))).read_bytes() == CONTENT
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1_200_000


async def test_cancelling_leaves_a_part_that_is_gone_on_with(server, store):
    server.pace = 0.02
    task = asyncio.create_task(store.ensure(model(server)))
    await asyncio.wait_for(server.when_sent(400_000).wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.pace = 0
    assert (await store.ensure(model(server))).read_bytes() == CONTENT
    assert server.requests[-1]["Range"]


async def test_a_damaged_file_is_fetched_again_where_allowed(server, store):
    path = await store.ensure(model(server))
    path.write_bytes(CONTENT[:-1] + b"!")
    os.utime(path, (1, 1))
    with pytest.raises(ModelFileError, match="damaged or another file"):
        store.find(model(server))
    with pytest.raises(ModelFileError, match="llamafarm pull m"):
        await store.ensure(model(server), download=False)
    assert (await store.ensure(model(server))).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "record",
    [
        '{"name": 5, "size": "x", "path": "/m", "sha256": "", "source": ""}',
        '{"name": "m", "size": true, "path": "/m", "sha256": "DIGEST", "source": ""}',
        '{"name": "m", "size": 1, "path": 7, "sha256": "DIGEST", "source": ""}',
        '{"name": "m", "size": 1, "path": "/m", "sha256": "5", "source": ""}',
        '{"name": "m"}',
        "[" * 100_000,
        "[]",
        "",
        "\udcff",
    ],
)
async def test_a_damaged_record_counts_as_none(server, store, record):
    path = await store.ensure(model(server))
    place = path.with_name("model.json")
    place.write_text(record.replace("DIGEST", DIGEST), encoding="utf-8", errors="surrogateescape")
    assert store.list() == ()
    assert store.find(model(server)) is None
    assert (await store.ensure(model(server))).read_bytes() == CONTENT
    assert [row.name for row in store.list()] == ["m"]


async def test_damaged_notes_are_done_without(server, store):
    path = await store.ensure(model(server))
    for checked in (store.folder / ".checked").iterdir():
        checked.write_text("[" * 100_000)
    assert store.find(model(server)) == path
    store.remove("m")
    path.parent.mkdir()
    (path.parent / "model.part").write_bytes(CONTENT[:4096])
    (path.parent / "model.part.json").write_text("[" * 100_000)
    assert (await store.ensure(model(server))).read_bytes() == CONTENT


async def test_a_file_that_was_only_touched_is_hashed_and_kept(server, store):
    path = await store.ensure(model(server))
    os.utime(path, (1, 1))
    assert await store.ensure(model(server), download=False) == path
    assert len(server.requests) == 1


async def test_without_download_it_says_what_to_run(server, store):
    with pytest.raises(ModelFileError, match="run `llamafarm pull m`"):
        await store.ensure(model(server), download=False)
    assert server.requests == []


async def test_remove(server, store):
    await store.ensure(model(server))
    assert [row.name for row in store.remove("m")] == ["m"]
    assert store.list() == ()
    assert store.find(model(server)) is None
    with pytest.raises(ModelFileError, match="fetched are: none"):
        store.remove("m")


async def test_a_local_file_is_used_in_place_and_checked(store, tmp_path):
    path = tmp_path / "own.gguf"
    path.write_bytes(CONTENT)
    for digest in (None, DIGEST):
        assert await store.ensure(ModelFile("own", (parse_source(str(path)),), digest)) == path
    with pytest.raises(ModelFileError, match="damaged or another file"):
        await store.ensure(ModelFile("own", (parse_source(str(path)),), "0" * 64))
    with pytest.raises(ModelFileError, match="there is no file"):
        await store.ensure(ModelFile("own", (parse_source(str(tmp_path / "none.gguf")),)))
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelFileError, match="neither"):
        await store.ensure(ModelFile("own", (parse_source(str(path)),)))


async def test_a_hubs_token_goes_to_the_hub_alone(server, store, monkeypatch):
    hub = await FileServer(redirect=f"{server.url}/cdn/m.gguf").start()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    try:
        source = parse_source("hf:o/r/m.gguf@rev")
        await store.ensure(ModelFile("m", (source,), DIGEST))
        await store.ensure(ModelFile("n", model(server).sources))
    finally:
        await hub.stop()
    assert hub.requests[0]["path"] == "/o/r/resolve/rev/m.gguf"
    assert hub.requests[0]["Authorization"] == "Bearer hf_canary"
    assert all("Authorization" not in request for request in server.requests)


async def test_a_token_and_a_netrc_entry_for_one_host_get_along(server, store, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login me password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    await store.ensure(ModelFile("m", (parse_source("hf:o/r/m.gguf@rev"),), DIGEST))
    assert server.requests[0]["Authorization"] == "Bearer hf_canary"


async def test_a_proxy_that_does_not_speak_http_is_named_not_bypassed(store, monkeypatch):
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(DownloadError, match="only http and https are"):
        await store.ensure(ModelFile("m", (parse_source("http://models.invalid/m.gguf"),), DIGEST))


async def test_a_proxy_of_the_environment_is_used(server, store, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    await store.ensure(ModelFile("m", (parse_source("http://models.invalid/m.gguf"),), DIGEST))
    assert server.requests[0]["Host"] == "models.invalid"
