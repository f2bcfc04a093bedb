"""Prompts and pictures as messages."""

import base64

import pytest

from llamafarm.errors import BadCallError
from llamafarm.farm.messages import image_part, messages_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def test_a_prompt_is_one_users_message_behind_the_system():
    assert messages_of("Hi") == [{"role": "user", "content": "Hi"}]
    assert messages_of("Hi", system="Be brief.")[0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0abc", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    ],
)
def test_a_file_goes_along_by_what_it_is_not_what_it_is_called(tmp_path, data, media_type):
    path = tmp_path / "picture.bin"
    path.write_bytes(data)
    url = image_part(path)["image_url"]["url"]
    head, _, encoded = url.partition(",")
    assert head == f"data:{media_type};base64"
    assert base64.b64decode(encoded) == data


def test_a_url_is_passed_on():
    (message,) = messages_of("What?", images=["https://x.example/a.png"])
    assert message["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
    ]


def test_a_picture_alone_is_enough(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    (message,) = messages_of("", images=[str(path)])
    assert [part["type"] for part in message["content"]] == ["image_url"]


def test_unusable_pictures_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.truncate(30 * 1024 * 1024)
    for name, reason in (
        ("a.txt", "not a PNG, JPEG, GIF or WebP"),
        ("none.png", "No such file"),
        (".", "Is a directory"),
        ("huge.png", "more than the 20 MB"),
    ):
        with pytest.raises(BadCallError, match=reason):
            image_part(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "data:image/png;base64,\udcff", "https://x.example/\udcff"])
def test_a_picture_whose_name_is_no_text_is_refused(name):
    with pytest.raises(BadCallError, match=r"no file has such a name|not UTF-8"):
        image_part(name)
