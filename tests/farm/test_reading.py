"""What is read of a file that a user named."""

import os
import sys
from pathlib import Path

import pytest

from llamafarm.farm.reading import read_file


def test_a_file_is_read_to_its_end_where_it_is_no_longer_than_allowed(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5) == b"12345"
    with pytest.raises(ValueError, match="more than"):
        read_file(tmp_path / "a", 4)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a FIFO")
def test_a_pipe_that_nobody_writes_into_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        read_file(tmp_path / "pipe", 100)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_device_without_end_is_not_read():
    with pytest.raises(ValueError, match="not a regular file"):
        read_file("/dev/zero", 100)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_a_size_that_is_not_true_does_not_matter():
    assert Path("/proc/self/maps").stat().st_size == 0
    with pytest.raises(ValueError, match="more than"):
        read_file("/proc/self/maps", 10)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_has(name):
    with pytest.raises(ValueError, match="no file has such a name"):
        read_file(name, 100)


def test_what_is_not_there_or_a_folder(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_file(tmp_path / "none", 100)
    with pytest.raises(ValueError, match="directory"):
        read_file(tmp_path, 100)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a FIFO")
def test_a_device_that_claims_to_be_a_regular_file_and_is_silent(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "silent")
    writer = os.open(tmp_path / "silent", os.O_RDWR)
    try:
        monkeypatch.setattr("llamafarm.farm.reading.stat.S_ISREG", lambda _mode: True)  # as /proc/kmsg does
        with pytest.raises(ValueError, match="not a regular file"):
            read_file(tmp_path / "silent", 100)
    finally:
        os.close(writer)
