"""`image`: a picture in a file, or a word on why there is none, and nothing paid for in vain."""

import base64

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import reply
from tests.cli.asking import ask, chain, refused

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of the picture"


def made(*pictures):
    return reply(200, {"created": 1, "data": list(pictures)})


def in_base64(content=PNG):
    return {"b64_json": base64.b64encode(content).decode(), "revised_prompt": "a cat, sitting"}


async def test_writes_the_picture_and_prints_where_it_is(tmp_path):
    async with FakeServer(made(in_base64())) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("image", "A cat", "--out", "cat.png", "--size", "64x64", cwd=tmp_path)
    assert (run.code, run.out, run.err) == (0, "cat.png\n", "")
    assert (tmp_path / "cat.png").read_bytes() == PNG
    sent = server.requests[0]
    assert (sent.path, sent.json["prompt"], sent.json["size"]) == ("/v1/images/generations", "A cat", "64x64")


async def test_several_pictures_are_numbered(tmp_path):
    async with FakeServer(made(in_base64(), in_base64(PNG + b"2"))) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("image", "Cats", "--out", "cat.png", "-n", "2", "--output", "json", cwd=tmp_path)
    assert run.json["files"] == ["cat-1.png", "cat-2.png"]
    assert run.json["target"] == "first"
    assert (tmp_path / "cat-2.png").read_bytes() == PNG + b"2"
    assert server.requests[0].json["n"] == 2


async def test_a_picture_that_is_only_an_address_is_fetched(tmp_path):
    async with FakeServer() as server:
        picture = {"url": server.base_url.replace("/v1", "/files/cat.png?signature=x")}
        server.script = [
            made(picture),
            reply(200, PNG.decode("latin-1").encode("latin-1"), {"content-type": "image/png"}),
        ]
        chain(tmp_path, first=server.base_url)
        run = await ask("image", "A cat", "--out", "cat.png", cwd=tmp_path)
    assert (run.code, run.err) == (0, "")
    assert (tmp_path / "cat.png").read_bytes() == PNG
    assert server.requests[1].path == "/files/cat.png?signature=x"
    assert "authorization" not in server.requests[1].headers


async def test_nothing_is_asked_where_the_file_cannot_be_written(tmp_path):
    (tmp_path / "there.png").write_bytes(b"mine")
    async with FakeServer(made(in_base64())) as server:
        chain(tmp_path, first=server.base_url)
        for out, words in (
            ("there.png", "is there already"),
            (".", "is a folder"),
            ("no/cat.png", "there is no folder no"),
        ):
            run = await ask("image", "A cat", "--out", out, cwd=tmp_path)
            assert run.code == 2
            assert words in run.err
        assert server.requests == []
        assert (tmp_path / "there.png").read_bytes() == b"mine"
        run = await ask("image", "A cat", "--out", "there.png", "--force", cwd=tmp_path)
    assert run.code == 0
    assert (tmp_path / "there.png").read_bytes() == PNG


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (made(), "it has no pictures"),
        (made({}), "a picture in it is neither there"),
        (made({"b64_json": "!"}), "is not base64"),
        (reply(200, {"created": 1}), "it has no pictures"),
    ],
)
async def test_an_answer_without_a_picture_is_an_error(tmp_path, answer, words):
    async with FakeServer(answer) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("image", "A cat", "--out", "cat.png", cwd=tmp_path)
    assert run.code == 1
    assert words in run.err
    assert not (tmp_path / "cat.png").exists()


async def test_another_target_makes_it_where_the_first_fails(tmp_path):
    async with FakeServer(made(in_base64())) as server:
        chain(tmp_path, dead=refused(), good=server.base_url)
        run = await ask("image", "A cat", "--out", "cat.jpg", cwd=tmp_path)
    assert run.code == 0
    assert "answered by good, not dead" in run.err
    assert "cat.jpg holds a picture of the kind .png" in run.err
