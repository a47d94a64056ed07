"""The container: what is written is read back, and what is no container is refused in one sentence."""

import json
import os
import tracemalloc

import numpy as np
import pytest
from recorded import joined

from ports.recordings.container import METADATA, BadRecording, open_container
from ports.recordings.numbers import FORMATS, decoded, encoded, format_of
from ports.recordings.writing import Columns

ROWS = np.array([[[0.5, -2.0]], [[3.0, 0.0]], [[1.5, 96.0]]])


def written(path, **tensors):
    """A file of these tensors, as (format, array)."""
    with Columns(path) as columns:
        for name, (format, array) in tensors.items():
            for row in array:
                columns.extend(name, format, row[None])
        columns.write({"what": "test"})
    return open_container(path)


def test_dtype_without_a_format_is_a_sentence():
    """A dtype that was registered from outside may have none."""
    with pytest.raises(ValueError, match="no format for float8: there are float64, float32"):
        format_of("float8")


@pytest.mark.parametrize("format", FORMATS)
def test_numbers_come_back(format, tmp_path):
    """All of them and row by row, in every format, behind a tensor that leaves them unaligned."""
    rows = np.abs(ROWS).astype("u1") if format[0] in "IU" else ROWS
    file = written(tmp_path / "f", odd=("U8", np.ones(3, "u1")), x=(format, rows))
    assert file.metadata["what"] == "test"
    assert np.array_equal(file.read("x"), rows)
    assert all(np.array_equal(file.read("x", i), row) for i, row in enumerate(rows))
    assert file.metadata["crc32/x"] == file.checksum("x")


def test_bfloat16_is_that_of_others():
    """The bits are those of ml_dtypes, for every bfloat16 number but the NaNs' payloads."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bits = np.arange(2**16, dtype="<u2")
    theirs = bits.view(ml_dtypes.bfloat16).astype(np.float32)
    ours = decoded(bits.tobytes(), "BF16")
    assert np.array_equal(ours, theirs, equal_nan=True)
    finite = np.isfinite(ours)
    assert encoded(ours[finite], "BF16") == bits[finite].tobytes()


@pytest.mark.parametrize(
    ("format", "bits"), [("F64", "<u8"), ("F32", "<u4"), ("F16", "<u2"), ("BF16", "<u2")]
)
def test_signalling_nan_is_a_nan(format, bits):
    """Every bit pattern behind the exponent of infinity is read without a warning, also when cast."""
    infinity = np.frombuffer(encoded(np.array([np.inf]), format), bits)[0]
    found = decoded(np.array([infinity, infinity + 1], bits).tobytes(), format).astype(np.float64)
    assert np.array_equal(found, [np.inf, np.nan], equal_nan=True)


def test_safetensors_reads_it(tmp_path):
    """The format is the package's own, where that is installed."""
    numpy_of = pytest.importorskip("safetensors.numpy")
    written(tmp_path / "f", x=("F32", ROWS), y=("I64", np.arange(4)))
    found = numpy_of.load_file(tmp_path / "f")
    assert np.array_equal(found["x"], ROWS)
    assert np.array_equal(found["y"], np.arange(4))


def header(**tensors):
    """A header of these entries."""
    return json.dumps({METADATA: {}} | tensors).encode()


def entry(dtype="F64", shape=(1,), offsets=(0, 8)):
    """A tensor's entry."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


EIGHT = bytes(8)
BAD = {
    "empty": (b"", "it has 0 bytes"),
    "seven_bytes": (bytes(7), "it has 7 bytes"),
    "header_cut_off": (joined(header(), b"")[:-1], "cut off: its header should take"),
    "header_of_4_GB": ((1 << 32).to_bytes(8, "little") + b"{}", "header of 4,294,967,296 bytes"),
    "header_of_2_to_64": (b"\xff" * 8 + b"{}", "claims a header"),
    "pickle": (b"\x80\x04\x95\x0b\x00\x00\x00\x00" + b"\x00" * 9, "claims a header"),
    "not_utf8": (joined(b"\xff\xfe", b""), "its header is not JSON"),
    "not_json": (joined(b"{'a': 1}", b""), "its header is not JSON"),
    "nan": (joined(b'{"a": NaN}', b""), "NaN is no number"),
    "deep": (joined(b"[" * 100_000, b""), "its header is not JSON"),
    "deep_objects": (joined(b'{"a":' * 100_000, b""), "its header is not JSON"),
    "long_number": (joined(b'{"a": ' + b"9" * 5000 + b"}", b""), "its header is not JSON"),
    "no_object": (joined(b"[]", b""), "no object"),
    "twice": (joined(b'{"a": 1, "b": 2, "a": 3}', b""), "has 'a' twice"),
    "twice_inside": (joined(b'{"__metadata__": {"seed": "0", "seed": "1"}}', b""), "has 'seed' twice"),
    "no_metadata": (joined(b"{}", b""), "has no __metadata__"),
    "metadata_of_numbers": (joined(b'{"__metadata__": {"seed": 0}}', b""), "expected a text"),
    "entry_is_a_number": (joined(header(a=1), b""), "the tensor 'a' is 1, expected an object"),
    "entry_lacks_its_shape": (joined(header(a={"dtype": "F64"}), b""), "expected an object"),
    "unknown_dtype": (joined(header(a=entry("F80")), EIGHT), "has dtype 'F80', expected F64"),
    "dtype_is_a_list": (joined(header(a=entry([])), EIGHT), "has dtype []"),
    "shape_is_negative": (joined(header(a=entry(shape=[-1])), EIGHT), "has shape [-1]"),
    "shape_is_true": (joined(header(a=entry(shape=[True])), EIGHT), "has shape [True]"),
    "shape_is_a_float": (joined(header(a=entry(shape=[1.0])), EIGHT), "has shape [1.0]"),
    "shape_is_endless": (joined(header(a=entry(shape=[1] * 99)), EIGHT), "expected a list of sizes"),
    "shape_is_huge": (joined(header(a=entry(shape=[0, 10**30])), EIGHT), "which is not shape"),
    "shape_of_4_GB": (joined(header(a=entry(shape=[1 << 29])), EIGHT), "which is not shape"),
    "other_size": (joined(header(a=entry(shape=[2])), EIGHT), "has 8 bytes, which is not shape [2]"),
    "one_offset": (joined(header(a=entry(offsets=[0])), EIGHT), "has data_offsets [0]"),
    "backwards": (joined(header(a=entry(offsets=[8, 0])), EIGHT), "has data_offsets [8, 0]"),
    "behind_the_end": (joined(header(a=entry(offsets=[8, 16])), EIGHT), "the tensor 'a' is cut off"),
    "cut_off": (joined(header(a=entry()), EIGHT[1:]), "the tensor 'a' is cut off"),
    "too_long": (joined(header(a=entry()), bytes(9)), "too long"),
    "overlap": (joined(header(a=entry(), b=entry()), EIGHT), "the tensor 'b' overlaps with 'a'"),
    "hole": (joined(header(a=entry(offsets=[8, 16])), bytes(16)), "leaves a hole after the header"),
    "unprintable_name": (joined(header(**{"\x1b[31m": 1}), b""), r"'\x1b[31m'"),
}


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD)
def test_what_is_no_container_is_refused(content, said, tmp_path):
    """In one sentence that names the file and what is wrong with it."""
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadRecording) as refused:
        open_container(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: ")
    assert said in sentence
    assert sentence.isprintable()


def test_what_is_no_file_is_refused(tmp_path):
    """A folder, a name without a file, and a pipe, which nobody would ever write to."""
    for path, said in ((tmp_path, "is not a file"), (tmp_path / "no", "does not exist")):
        with pytest.raises(BadRecording, match=said):
            open_container(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(BadRecording, match="is not a file"):
            open_container(tmp_path / "pipe")


@pytest.mark.skipif(os.name != "posix", reason="needs a file system that keeps holes as holes")
def test_large_file_is_not_read_whole(tmp_path):
    """Of a file of 4 GB a row is read, and not more."""
    rows, path = 1 << 20, tmp_path / "large"
    with path.open("wb") as file:
        text = header(x=entry(shape=[rows, 512], offsets=[0, rows * 4096]))
        file.write(joined(text, b""))
        file.truncate(8 + len(text) + rows * 4096)
    tracemalloc.start()
    found = open_container(path).read("x", rows - 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (512,)
    assert peak < 1 << 20


def test_file_appears_whole_or_not_at_all(tmp_path):
    """Where it cannot be written, one sentence says so, an older file stays, and no part is left."""
    folder = tmp_path / "run.safetensors"
    folder.mkdir()
    with Columns(folder) as columns:
        columns.extend("x", "F64", np.ones(1))
        with pytest.raises(OSError, match="give --out a path you can write"):
            columns.write({})
    assert list(tmp_path.iterdir()) == [folder]
