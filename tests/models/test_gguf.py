import contextlib
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.errors import ModelFileError
from llamafarm.models import read_gguf
from tests.models.file_server import gguf, text


def write(tmp_path, data):
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    return path


FIELDS = {
    "general.architecture": (8, text("llama")),
    "general.name": (8, text("Tiny")),
    "llama.context_length": (4, struct.pack("<I", 2048)),
    "llama.embedding_length": (4, struct.pack("<I", 64)),
    "tokenizer.ggml.model": (8, text("gpt2")),
    "tokenizer.ggml.tokens": (9, struct.pack("<IQ", 8, 2) + text("a") + text("bc")),
    "tokenizer.ggml.scores": (9, struct.pack("<IQ", 6, 2) + struct.pack("<ff", 1, 2)),
    "tokenizer.chat_template": (8, text("{% if tools %}…{% endif %}")),
}


def test_reads_what_the_header_says(tmp_path):
    header = read_gguf(write(tmp_path, gguf(FIELDS)))
    assert (header.architecture, header.name) == ("llama", "Tiny")
    assert (header.context_length, header.embedding_length) == (2048, 64)
    assert (header.parameters, header.quantisation) == (128, "F32")
    assert header.has_tokenizer
    assert header.knows_tools
    assert not header.has_pooling


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"<!doctype html>", "begins with b'<!do'"),
        (b"GGUF", "header ends"),
        (gguf(version=1), "version 1"),
        (gguf(version=0x03000000), "another byte order"),
        (gguf(data=False), "cut short"),
        (gguf()[:-1], "cut short"),
        (gguf({}), "no architecture"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "keys"),
        (gguf({"a": (8, struct.pack("<Q", 1 << 50))}), "bytes in one string"),
        (gguf({"a": (9, struct.pack("<IQ", 4, 1 << 40))}), "elements in one array"),
        (gguf({"a": (9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 4, 0))}), "array of arrays"),
        (gguf({"a": (99, b"")}), "type"),
        (gguf({**FIELDS, "general.alignment": (4, struct.pack("<I", 0))}), "alignment"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path, data, reason):
    with pytest.raises(ModelFileError, match="is not a usable GGUF file") as caught:
        read_gguf(write(tmp_path, data))
    assert reason in str(caught.value)
    assert "m.gguf" in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(ModelFileError, match="cannot be read"):
            read_gguf(path)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=12))
def test_damage_anywhere_is_a_model_file_error_or_harmless(tmp_path_factory, position, noise):
    whole = bytearray(gguf(FIELDS))
    whole[position : position + len(noise)] = noise
    path = tmp_path_factory.getbasetemp() / "noise.gguf"
    path.write_bytes(whole)
    with contextlib.suppress(ModelFileError):
        read_gguf(path)


def test_every_cut_is_noticed(tmp_path):
    whole = gguf(FIELDS)
    path = write(tmp_path, whole)
    for length in range(0, len(whole), 7):
        os.truncate(path, 0)
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            read_gguf(path)


@pytest.mark.real
def test_reads_the_real_model(smollm2):
    header = read_gguf(smollm2)
    assert (header.architecture, header.quantisation) == ("llama", "Q4_1")
    assert (header.context_length, header.embedding_length, header.parameters) == (8192, 576, 134_515_008)
    assert header.chat_template
    assert not header.knows_tools
