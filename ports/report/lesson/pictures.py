"""Small pictures as PNG files inside the page: heat maps of tensors, and maps of decisions."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from ports.engine.boundaries import DecisionMap
from reference.arrays import Plain

#: A heat map has at most so many rows and columns; larger tensors are shown in blocks.
MOST_ROWS, MOST_COLUMNS = 20, 75

Colour = tuple[int, int, int]

#: Blue for negative numbers, near white for 0, orange for positive ones.
BLUE, WHITE, ORANGE = (33, 102, 172), (247, 247, 247), (217, 95, 2)
#: From no difference to a large one.
PURPLE = (84, 39, 143)
#: How many float64 numbers lie between two that are drawn as far apart as can be: 2 to this power.
FAR = 16
#: The classes: their lightest and darkest tint, for a probability of 1/K and of 1.
CLASSES = (
    ((252, 238, 220), (240, 178, 100)),
    ((226, 238, 248), (128, 178, 218)),
    ((228, 243, 226), (136, 196, 130)),
)
TINTS = 6  #: tints of each class


def png(indices: Plain, palette: Sequence[Colour]) -> str:
    """A picture of palette colours, (rows, columns) of indices, as a data URI (PNG, section 11)."""
    rows, columns = indices.shape
    scanlines = b"".join(b"\0" + row.tobytes() for row in indices.astype(np.uint8))
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", header),
            (b"PLTE", bytes(part for colour in palette for part in colour)),
            (b"IDAT", zlib.compress(scanlines, 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(file).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def between(start: Colour, end: Colour, count: int) -> list[Colour]:
    """That many colours from one to another, both included."""
    mixed = np.linspace(start, end, count).round().astype(int)
    return [(int(r), int(g), int(b)) for r, g, b in mixed]


def heat_map(values: Plain) -> str:
    """A tensor's values: blue below 0, orange above."""
    picture = in_blocks(laid_out(values))
    largest = np.abs(picture).max() or 1.0
    palette = between(BLUE, WHITE, 32)[:-1] + between(WHITE, ORANGE, 32)
    return png(np.round((picture / largest + 1) / 2 * (len(palette) - 1)), palette)


def difference_map(distances: Plain) -> str:
    """How many float64 numbers each element is from the reference's: white for none, by powers of 2."""
    picture = in_blocks(laid_out(distances))
    far = np.clip(np.log2(1 + np.abs(picture)), 0, FAR)
    return png(np.ceil(far), [WHITE, *between((203, 189, 225), PURPLE, FAR)])


def laid_out(tensor: Plain) -> Plain:
    """A tensor as a picture that is wider than high: examples, or hidden units, side by side."""
    flat = np.atleast_2d(np.asarray(tensor, dtype=np.float64))
    return flat.T if flat.shape[0] > flat.shape[1] else flat


def in_blocks(picture: Plain) -> Plain:
    """A smaller picture: each cell has the element of its block that is farthest from 0."""
    for axis, most in enumerate((MOST_ROWS, MOST_COLUMNS)):
        size = picture.shape[axis]
        if size > most:
            starts = np.arange(most) * size // most
            largest = np.maximum.reduceat(picture, starts, axis=axis)
            smallest = np.minimum.reduceat(picture, starts, axis=axis)
            picture = np.where(largest >= -smallest, largest, smallest)
    return picture


def decisions(map: DecisionMap) -> str:
    """Which class wins where, the darker the surer. The first row is the top: y grows upwards."""
    shifted = np.exp(map.scores - map.scores.max(axis=2, keepdims=True))
    K = shifted.shape[2]
    winner, surest = map.scores.argmax(axis=2), 1 / shifted.sum(axis=2)  # e^0 over the row's sum
    tint = np.clip((surest - 1 / K) / (1 - 1 / K) * TINTS, 0, TINTS - 1).astype(int)
    palette = [colour for start, end in CLASSES for colour in between(start, end, TINTS)]
    return png((winner * TINTS + tint)[::-1], palette)
