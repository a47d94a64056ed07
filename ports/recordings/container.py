"""The container of a recording, safetensors: a map of texts, and named tensors of plain numbers.

Eight bytes (u64, little-endian) say how long the header is. The header is a JSON object: `__metadata__`
maps texts to texts, and any other key is a tensor's name, with its number format, its shape and where
its numbers begin and end. The numbers follow, little-endian, in C order, without overlaps or holes
(https://github.com/huggingface/safetensors, "Format").

The `safetensors` package is not used. The core imports NumPy alone, NumPy has no bfloat16, a file may be
larger than the memory, and whatever is wrong with a file is to be said in one sentence. A file is data:
nothing in it is executed.
"""

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ports.messages import brief, either
from ports.recordings.numbers import FORMATS, decoded
from reference.arrays import Plain

METADATA = "__metadata__"
#: A header takes a few kilobytes; what claims more than these bytes is no recording.
LARGEST_HEADER = 1 << 20
#: NumPy's arrays have at most so many axes.
MOST_AXES = 32
#: How many bytes are read at a time where all are read.
CHUNK = 1 << 20
#: A text out of a file is cut to so many characters in messages.
SHOWN = 60


class BadRecording(ValueError):
    """A file is no recording, or a damaged one; the message is one sentence."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name before the sentence of a BadRecording."""
    try:
        yield
    except BadRecording as why:
        raise BadRecording(f"{path}: {why}") from None


class Entry(NamedTuple):
    """A tensor in the file: its number format, its shape, and where its bytes are, after the header."""

    format: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Container:
    """What a file's header says; the tensors are read when they are asked for.

    Attributes:
        metadata: texts by name.
        entries: the tensors by name, in the order of the header.
        data: where the header ends, in bytes.
    """

    path: Path
    metadata: Mapping[str, str]
    entries: Mapping[str, Entry]
    data: int

    def read(self, name: str, row: int | None = None) -> Plain:
        """A tensor, or one row of it (along its first axis). bfloat16 is read into float32."""
        entry = self.entries[name]
        begin, size, shape = entry.begin, entry.end - entry.begin, entry.shape
        if row is not None:
            size, shape = size // shape[0], shape[1:]
            begin += row * size
        with self.path.open("rb") as file:
            file.seek(self.data + begin)
            data = file.read(size)
        if len(data) < size:
            raise BadRecording(f"{self.path}: {name} is cut off: the file has changed meanwhile")
        return decoded(data, entry.format).reshape(shape)

    def checksum(self, name: str) -> str:
        """The CRC-32 of a tensor's bytes as they are in the file, in eight hexadecimal digits."""
        entry, crc = self.entries[name], 0
        with self.path.open("rb") as file:
            file.seek(self.data + entry.begin)
            for begin in range(entry.begin, entry.end, CHUNK):
                crc = zlib.crc32(file.read(min(CHUNK, entry.end - begin)), crc)
        return f"{crc:08x}"


def shown(text: object) -> str:
    """A value out of a file, quoted and cut, with everything escaped that a terminal would obey."""
    quoted = repr(text)
    return quoted if len(quoted) <= SHOWN else f"{quoted[:SHOWN]}..."


def open_container(path: Path) -> Container:
    """Read a file's header. Raises BadRecording, in one sentence, for what is not one."""
    if not path.is_file():
        raise BadRecording(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
    with path.open("rb") as file, naming(path):
        size = os.fstat(file.fileno()).st_size
        text = _header_text(file, size)
        header = _object(text)
        return Container(path, _metadata(header), _entries(header, size - 8 - len(text)), 8 + len(text))


def _header_text(file: IO[bytes], size: int) -> bytes:
    if size < 8:
        raise BadRecording(f"it has {size} bytes: a safetensors file begins with 8 and a header")
    length = int.from_bytes(file.read(8), "little")
    if length > LARGEST_HEADER:
        raise BadRecording(
            f"no safetensors file that is a recording: it claims a header of {length:,} bytes, "
            f"at most {LARGEST_HEADER:,} are read"
        )
    if length > size - 8:
        raise BadRecording(f"cut off: its header should take {length:,} bytes, {size - 8:,} are there")
    return file.read(length)


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except BadRecording:
        raise
    except (ValueError, RecursionError) as why:
        raise BadRecording(f"its header is not JSON: {brief(why)}") from None
    if not isinstance(header, dict):
        raise BadRecording("its header is JSON, but no object of tensors")
    return header


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRecording(f"its header has {shown(twice)} twice")
    return found


def _no_number(name: str) -> None:
    raise BadRecording(f"its header is not JSON: {name} is no number there")


def _metadata(header: Mapping[str, Any]) -> dict[str, str]:
    metadata = header.get(METADATA)
    if not isinstance(metadata, dict):
        raise BadRecording(f"its header has no {METADATA}, which says what was recorded")
    for name, text in metadata.items():
        if not isinstance(text, str):
            raise BadRecording(f"{METADATA} has {shown(name)}: {shown(text)}, expected a text")
    return metadata


def _entries(header: Mapping[str, Any], size: int) -> dict[str, Entry]:
    entries = {n: _entry(n, value, size) for n, value in header.items() if n != METADATA}
    end, before = 0, "the header"
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.begin != end:
            what = "overlaps with" if entry.begin < end else "leaves a hole after"
            raise BadRecording(f"the tensor {shown(name)} {what} {before}")
        end, before = entry.end, shown(name)
    if end != size:
        what = "cut off" if size < end else "too long"
        raise BadRecording(f"{what}: its tensors take {end:,} bytes, {size:,} are there")
    return entries


def _entry(name: str, value: Any, size: int) -> Entry:
    """A tensor's place. `size` is that of all numbers in the file, in bytes."""
    problem = next(_problems(value, size), "")
    if problem:
        raise BadRecording(f"the tensor {shown(name)} {problem}")
    begin, end = value["data_offsets"]
    return Entry(value["dtype"], tuple(value["shape"]), begin, end)


def _problems(value: Any, size: int) -> Iterator[str]:
    """Say what is wrong with a tensor's entry. Each check assumes that those before it found nothing."""
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        yield f"is {shown(value)}, expected an object of dtype, shape and data_offsets"
    format, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(format, str) or format not in FORMATS:
        yield f"has dtype {shown(format)}, expected {either(FORMATS)}"
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        yield f"has shape {shown(shape)}, expected a list of sizes"
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        yield f"has data_offsets {shown(offsets)}, expected where it begins and ends"
    if offsets[1] > size:
        yield f"is cut off: it should end at byte {shown(offsets[1])} of {size:,}"
    if max(shape, default=0) > size or _bytes(format, shape) != offsets[1] - offsets[0]:
        yield f"has {offsets[1] - offsets[0]:,} bytes, which is not shape {shown(shape)} in {format}"


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _bytes(format: str, shape: Sequence[int]) -> int:
    return math.prod(shape) * np.dtype(FORMATS[format]).itemsize
