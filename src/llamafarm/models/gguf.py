"""What a GGUF file says about itself in its header, and whether the rest of the file is really there.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A file is untrusted: every length in it is
checked before anything is read or allocated by it.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from llamafarm.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

__all__ = ["MAGIC", "Gguf", "read_fields", "read_gguf"]

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_HEADER = 512 << 20  # the largest vocabularies in use make headers of some 20 MB
_MAX_STRING = 16 << 20
_MAX_COUNT = 1 << 20  # of tensors, and of keys: the largest models have some thousand
_MAX_ARRAY = 1 << 26
_MAX_DIMENSIONS = 4
_STEP = 4 << 20
T = TypeVar("T")
_Value = str | int | float | bool | None

_STRING, _ARRAY = 8, 9
_SCALARS = {
    number: struct.Struct("<" + code)
    for number, code in {
        0: "B",
        1: "b",
        2: "H",
        3: "h",
        4: "I",
        5: "i",
        6: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
_LENGTH = struct.Struct("<Q")

# Tensor types by number: name, elements in a block, bytes of a block (ggml's type table).
_TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}


@dataclass(frozen=True, slots=True)
class Gguf:
    """What a GGUF header says. Numbers are 0 and texts empty where it does not say."""

    architecture: str
    """llama.cpp's word for the kind of network: ``llama``, ``qwen3``, ``bert`` …"""
    name: str
    licence: str
    context_length: int
    """Tokens the model was trained for."""
    embedding_length: int
    """Numbers in a vector."""
    block_count: int
    parameters: int
    quantisation: str
    """The tensor type that most of the weights have, like ``Q4_K``."""
    size: int
    """Bytes of the file."""
    chat_template: str
    has_tokenizer: bool
    has_pooling: bool
    """Whether the model says how token vectors become one: true for embedding models."""

    @property
    def knows_tools(self) -> bool:
        """Whether its chat template has a place for tools."""
        return "tools" in self.chat_template


class _Tensor(NamedTuple):
    kind: int
    elements: int
    offset: int


class _Header:
    """The start of the file, read as far as needed and never further than it allows."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._limit = min(size, _MAX_HEADER)
        self._data = bytearray()
        self.position = 0

    def skip(self, count: int) -> int:
        """Move on by `count` bytes, all of them read; give where they start."""
        start, end = self.position, self.position + count
        if end > self._limit:
            raise ModelFileError("its header ends before it is complete")
        while end > len(self._data):
            more = self._file.read(min(_STEP, self._limit - len(self._data)))
            if not more:
                raise ModelFileError("its header ends before it is complete")
            self._data += more
        self.position = end
        return start

    def scalar(self, layout: struct.Struct) -> int | float | bool:
        """Read one number."""
        start = self.skip(layout.size)
        value: int | float | bool = layout.unpack_from(self._data, start)[0]
        return value

    def integer(self, layout: struct.Struct, most: int, what: str) -> int:
        """Read a count and refuse one that no honest file has."""
        value = int(self.scalar(layout))
        if value > most:
            raise ModelFileError(f"its header claims {value} {what}")
        return value

    def text(self) -> str:
        """Read a string."""
        length = self.integer(_LENGTH, _MAX_STRING, "bytes in one string")
        start = self.skip(length)
        return self._data[start : start + length].decode("utf-8", "replace")

    def value(self, kind: int) -> _Value:
        """Read a value; an array is passed over and gives None."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.scalar(_layout(kind))
        element, count = self._array()
        if element == _STRING:
            self._texts(count)
        else:
            self.skip(_layout(element).size * count)
        return None

    def array(self) -> list[_Value]:
        """Read an array of texts or numbers."""
        element, count = self._array()
        if element == _STRING:
            return [self._data[start:end].decode("utf-8", "replace") for start, end in self._texts(count)]
        layout = _layout(element)
        start = self.skip(layout.size * count)
        return [value for (value,) in layout.iter_unpack(memoryview(self._data)[start : self.position])]

    def _array(self) -> tuple[int, int]:
        """Read the type of an array's elements, and their number."""
        element = self.integer(_SCALARS[4], 12, "as an array's type")
        count = self.integer(_LENGTH, _MAX_ARRAY, "elements in one array")
        if element == _ARRAY:
            raise ModelFileError("its header has an array of arrays")
        return element, count

    def _texts(self, count: int) -> list[tuple[int, int]]:
        """Give where each of so many strings starts and ends; a vocabulary has a hundred thousand and more."""
        found: list[tuple[int, int]] = []
        data, length_of, at = self._data, _LENGTH.unpack_from, self.position
        for _ in range(count):
            start = at + _LENGTH.size
            if start > len(data):
                self.position = at
                self.skip(_LENGTH.size)
            (length,) = length_of(data, at)
            if length > _MAX_STRING:
                raise ModelFileError(f"its header claims {length} bytes in one string")
            at = start + length
            if at > len(data):
                self.position = start
                self.skip(length)
            found.append((start, at))
        self.position = at
        return found


def _layout(kind: int) -> struct.Struct:
    layout = _SCALARS.get(kind)
    if layout is None:
        raise ModelFileError(f"its header has a value of unknown type {kind}")
    return layout


def read_gguf(path: Path) -> Gguf:
    """Read the header of a GGUF file and check that all of its tensors are there.

    Raises `ModelFileError` naming the file and what is wrong with it.
    """
    return _opened(path, _read)


def read_fields(path: Path, names: Collection[str]) -> dict[str, _Value | list[_Value]]:
    """Read the values of these names from the header of a GGUF file, arrays too, and nothing behind the last of them.

    A name that it does not have is left out. Raises `ModelFileError` where the file cannot be read so far.
    """
    return _opened(path, lambda file, size: _read_fields(file, size, names))


def _opened(path: Path, read: Callable[[BinaryIO, int], T]) -> T:
    try:
        with path.open("rb") as file:
            return read(file, path.stat().st_size)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except ModelFileError as error:
        raise ModelFileError(f"{path} is not a usable GGUF file: {error}") from error


def _begin(file: BinaryIO, size: int) -> tuple[_Header, int, int]:
    """Read up to the first key; give how many tensors and keys there are."""
    header = _Header(file, size)
    start = file.read(len(MAGIC))
    if start != MAGIC:
        raise ModelFileError(f"it begins with {start!r}, not with {MAGIC!r}" if start else "it is empty")
    version = header.integer(_SCALARS[4], (1 << 32) - 1, "as its version")
    if version not in _VERSIONS:
        known = " and ".join(map(str, _VERSIONS))
        raise ModelFileError(f"it has version {version} (or another byte order); versions {known} are known")
    tensor_count = header.integer(_LENGTH, _MAX_COUNT, "tensors")
    return header, tensor_count, header.integer(_LENGTH, _MAX_COUNT, "keys")


def _read_fields(file: BinaryIO, size: int, names: Collection[str]) -> dict[str, _Value | list[_Value]]:
    header, _, key_count = _begin(file, size)
    found: dict[str, _Value | list[_Value]] = {}
    for _ in range(key_count):
        key = header.text()
        kind = header.integer(_SCALARS[4], 12, "as a value's type")
        wanted = key in names
        value = header.array() if wanted and kind == _ARRAY else header.value(kind)
        if wanted:
            found[key] = value
            if len(found) == len(names):
                break
    return found


def _read(file: BinaryIO, size: int) -> Gguf:
    header, tensor_count, key_count = _begin(file, size)
    fields: dict[str, _Value] = {}
    for _ in range(key_count):
        key = header.text()
        fields[key] = header.value(header.integer(_SCALARS[4], 12, "as a value's type"))
    tensors = [_tensor(header) for _ in range(tensor_count)]
    _check_extent(tensors, fields, len(MAGIC) + header.position, size)
    return _describe(fields, tensors, size)


def _tensor(header: _Header) -> _Tensor:
    header.text()
    dimensions = header.integer(_SCALARS[4], _MAX_DIMENSIONS, "dimensions in one tensor")
    elements = prod(header.integer(_LENGTH, 1 << 40, "elements in one tensor") for _ in range(dimensions))
    kind = header.integer(_SCALARS[4], (1 << 32) - 1, "as a tensor's type")
    return _Tensor(kind, elements, int(header.scalar(_LENGTH)))


def _bytes(tensor: _Tensor) -> int:
    """Tell a tensor's length; 0 for types newer than our table: then only its start is checked."""
    _, block, width = _TENSOR_TYPES.get(tensor.kind, ("", 1, 0))
    return -(-tensor.elements // block) * width


def _check_extent(tensors: list[_Tensor], fields: dict[str, _Value], header_end: int, size: int) -> None:
    alignment = fields.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise ModelFileError(f"its header claims an alignment of {alignment}")
    data_start = -(-header_end // alignment) * alignment
    needed = data_start + max((tensor.offset + _bytes(tensor) for tensor in tensors), default=0)
    if needed > size:
        raise ModelFileError(f"it is cut short: its tensors need {needed} bytes and it has {size}; fetch it again")


def _describe(fields: dict[str, _Value], tensors: list[_Tensor], size: int) -> Gguf:
    def text(key: str) -> str:
        value = fields.get(key)
        return value if isinstance(value, str) else ""

    def number(key: str) -> int:
        value = fields.get(f"{architecture}.{key}")
        return value if isinstance(value, int) else 0

    architecture = text("general.architecture")
    if not architecture:
        raise ModelFileError("it names no architecture")
    weights: Counter[str] = Counter()
    for tensor in tensors:
        weights[_name(tensor.kind)] += tensor.elements
    return Gguf(
        architecture=architecture,
        name=text("general.name"),
        licence=text("general.license"),
        context_length=number("context_length"),
        embedding_length=number("embedding_length"),
        block_count=number("block_count"),
        parameters=weights.total(),
        quantisation=weights.most_common(1)[0][0] if weights else "",
        size=size,
        chat_template=text("tokenizer.chat_template"),
        has_tokenizer="tokenizer.ggml.model" in fields,
        has_pooling=f"{architecture}.pooling_type" in fields,
    )


def _name(kind: int) -> str:
    return _TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))[0]
