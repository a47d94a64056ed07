"""The number formats of a recording: their names, and how bytes become numbers and numbers bytes."""

import numpy as np

from reference.arrays import Plain

#: The number formats by safetensors' names, as NumPy reads them. BF16 is the upper half of a float32.
FORMATS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
}
#: The names that NumPy, torch and JAX have for the formats of real numbers.
FLOATS = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def format_of(dtype: str) -> str:
    """safetensors' name of a dtype. Raises ValueError, in one sentence, if it has none."""
    if dtype not in FLOATS:
        raise ValueError(f"a recording has no format for {dtype}: there are {', '.join(FLOATS)}")
    return FLOATS[dtype]


def encoded(array: Plain, format: str) -> bytes:
    """Numbers that the format holds exactly, as its bytes."""
    if format == "BF16":
        array = np.asarray(array, dtype=np.float32).view(np.uint32) >> 16
    return np.ascontiguousarray(array, dtype=FORMATS[format]).tobytes()


def decoded(data: bytes, format: str) -> Plain:
    """The numbers of those bytes, in this machine's byte order.

    There are many NaNs, and some signal an error when they are used: each becomes the usual one.
    """
    array = np.frombuffer(data, dtype=FORMATS[format])
    if format == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    numbers = array.astype(array.dtype.newbyteorder("="))
    if numbers.dtype.kind == "f":
        np.copyto(numbers, np.nan, where=np.isnan(numbers))
    return numbers
