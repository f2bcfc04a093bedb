"""What may be read: regular files and handed-over pipes; anything that could hang is refused at once."""

import os
from pathlib import Path

import pytest

from llamafarm import spec
from llamafarm.errors import ConfigError
from llamafarm.spec.files import read_bytes

TEXT = "strategies: [{name: a, description: '${file:%s}', components: {m: {type: llamacpp}}}]"


@pytest.fixture
def fifo(tmp_path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_a_strategy_file_is_a_regular_file(tmp_path, fifo):
    (tmp_path / "link").symlink_to(fifo)
    for name in (fifo, tmp_path / "link", "/dev/zero", "/dev/null"):
        with pytest.raises(ConfigError, match="cannot be read: it is not a regular file"):
            spec.load_file(name)


def test_a_reference_is_to_a_regular_file(fifo):
    for name, trouble in ((fifo, "not a regular file"), ("/dev/zero", "not a regular file"), (fifo.parent, "a folder")):
        with pytest.raises(ConfigError, match=f"cannot be read: it is {trouble}"):
            spec.load_text(TEXT % name, env={})


def test_a_secret_in_no_regular_file_is_unset(fifo):
    text = f"{{type: openai_compatible, config: {{provider: openai, api_key: '${{file:{fifo}}}'}}}}"
    document = spec.load_text(f"strategies: [{{name: a, components: {{c: {text}}}}}]", env={})
    assert not document.file.strategies[0].components["c"].config.api_key.is_set


def test_a_pipe_that_was_handed_over_is_read_to_its_end():
    reader, writer = os.pipe()
    os.write(writer, (TEXT % __file__).encode().replace(b"${file:", b"").replace(b"}'", b"'"))
    os.close(writer)
    try:
        assert spec.load_file(f"/dev/fd/{reader}", env={}).file.strategies[0].name == "a"
        with pytest.raises(OSError, match="not a regular file"):
            read_bytes(Path(f"/dev/fd/{reader}"), 10)
    finally:
        os.close(reader)


def test_no_more_is_read_than_asked_for(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    assert read_bytes(tmp_path / "f", 2_500_000) == b"x" * 2_500_000
    assert len(read_bytes(tmp_path / "f", 9_000_000)) == 3_000_000


def test_a_file_that_is_swapped_for_a_pipe_after_it_was_looked_at_is_refused(tmp_path, fifo, monkeypatch):
    (tmp_path / "f").write_text("x")
    regular = (tmp_path / "f").stat()
    monkeypatch.setattr(Path, "stat", lambda self: regular)
    with pytest.raises(OSError, match="not a regular file"):
        read_bytes(fifo, 10)
