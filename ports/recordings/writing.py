"""Write a container (see `container.py`) row by row: a run may be larger than the memory."""

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from ports.recordings.container import METADATA
from ports.recordings.numbers import encoded
from reference.arrays import Plain

#: A tensor of more bytes than this waits on disk.
IN_MEMORY = 1 << 20


class Column:
    """A tensor whose rows (along its first axis) come one after the other.

    Attributes:
        format: its number format, by safetensors' name.
        shape: the shape of one row.
        rows, size: how many rows there are, and their bytes.
        crc: the CRC-32 of these bytes.
    """

    def __init__(self, file: IO[bytes], format: str, shape: tuple[int, ...]) -> None:
        self.file, self.format, self.shape = file, format, shape
        self.rows, self.size, self.crc = 0, 0, 0

    def extend(self, rows: Plain) -> None:
        """Add some rows."""
        data = encoded(rows, self.format)
        self.file.write(data)
        self.rows, self.size = self.rows + len(rows), self.size + len(data)
        self.crc = zlib.crc32(data, self.crc)


class Columns:
    """The tensors of a file that is being written, by name, beside it on disk until all rows are there.

    Leave the context to free them.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.files, self.by_name = path, ExitStack(), dict[str, Column]()

    def __enter__(self) -> "Columns":
        return self

    def __exit__(self, *_: object) -> None:
        self.files.close()

    def extend(self, name: str, format: str, rows: Plain) -> None:
        """Add rows to a tensor, which is new at first."""
        if name not in self.by_name:
            waiting = tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(self.path.parent))  # noqa: SIM115
            file = self.files.enter_context(waiting)
            self.by_name[name] = Column(file, format, rows.shape[1:])
        self.by_name[name].extend(rows)

    def write(self, metadata: Mapping[str, str]) -> int:
        """Write the file; returns its size in bytes.

        It appears whole or not at all. Raises OSError, in one sentence, if it cannot be written.
        """
        path = self.path
        partial = path.with_name(f"{path.name}.part")
        try:
            with partial.open("wb") as file:
                file.write(_header(metadata, self.by_name))
                for column in self.by_name.values():
                    column.file.seek(0)
                    shutil.copyfileobj(column.file, file)
            os.replace(partial, path)
        except OSError as why:
            partial.unlink(missing_ok=True)
            raise OSError(
                f"cannot write {path}: {why.strerror}; give --out a path you can write"
            ) from None
        return path.stat().st_size


def _header(metadata: Mapping[str, str], columns: Mapping[str, Column]) -> bytes:
    """The first bytes of the file, with the checksum of each tensor in its metadata."""
    checksums = {f"crc32/{name}": f"{column.crc:08x}" for name, column in columns.items()}
    header: dict[str, Any] = {METADATA: {**metadata, **checksums}}
    end = 0
    for name, column in columns.items():
        begin, end = end, end + column.size
        shape = [column.rows, *column.shape]
        header[name] = {"dtype": column.format, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text
