"""Small recordings, and what they become when something in them is changed."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ports.engine.results import Cell
from ports.recordings.numbers import FORMATS
from ports.recordings.record import record_port, run_of
from ports.recordings.record import write_inputs as write_inputs_of
from ports.registry import PORTS
from reference.models import MODELS


@dataclass
class Parts:
    """A file taken apart: its texts without the checksums, and each tensor's format, shape and bytes."""

    texts: dict
    tensors: dict

    def numbers(self, name):
        """A tensor's numbers, to be changed in place."""
        format, shape, data = self.tensors[name]
        self.tensors[name] = format, shape, bytearray(data)
        return np.frombuffer(self.tensors[name][2], FORMATS[format]).reshape(shape)

    def header(self, checksums=True):
        """The header, with right checksums."""
        texts, header, end = dict(self.texts), {}, 0
        for name, (format, shape, data) in self.tensors.items():
            header[name] = {"dtype": format, "shape": shape, "data_offsets": [end, end + len(data)]}
            end += len(data)
            if checksums:
                texts[f"crc32/{name}"] = f"{zlib.crc32(data):08x}"
        return {"__metadata__": texts} | header

    def bytes(self):
        """The whole file."""
        return joined(json.dumps(self.header()).encode(), self.data())

    def data(self):
        """The numbers of all tensors."""
        return b"".join(bytes(data) for _, _, data in self.tensors.values())


def joined(header, data):
    """A file of that header (bytes) and data."""
    return len(header).to_bytes(8, "little") + header + data


def taken_apart(content):
    """The parts of a file's bytes."""
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    texts = {n: t for n, t in header.pop("__metadata__").items() if not n.startswith("crc32/")}
    tensors = {
        name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
    }
    return Parts(texts, tensors)


def recorded(path, model="softmax", dtype="float64", points=5, steps=3, port=None, seed=0):
    """Record a port, NumPy's by default; returns the path."""
    port = port or PORTS["numpy"]
    cell = Cell(model, port.name, "eager", "cpu", dtype)
    record_port(Path(path), run_of(MODELS[model], dtype, points, seed, steps), cell, port)
    return path


def inputs(path, model="softmax", dtype="float64", points=5, steps=3):
    """Write the inputs of a run; returns the path."""
    write_inputs_of(Path(path), run_of(MODELS[model], dtype, points, 0, steps), dtype, lambda: None)
    return path
