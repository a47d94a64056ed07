"""Fuzzed recordings: certify ends with a verdict or with one sentence, and never with a traceback.

`--recordings N` changes how many there are.
"""

import json
import random

import pytest
from recorded import joined, recorded, taken_apart

from ports.__main__ import main

#: What a value in a header may be replaced by.
VALUES = [None, True, -1, 0, 1, 3, 1.5, 2**31, 2**63, 10**40, "", "0", "1", "nan", "1e999"]
VALUES += ["\x00", "\ud800"]
VALUES += [[], {}, [[]], "x" * 5000, "F32", "BF16", "float32", "two_layer", "cuda", [0], [3, 15, 3]]
VALUES += ["lockstep-inputs/1", [0, 2**62], "9" * 12, "compiled", "hidden/dW", float("inf"), "\u0663"]


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """The bytes of right recordings."""
    folder = tmp_path_factory.mktemp("right")
    kinds = [("softmax", "float64", 3), ("softmax", "float32", 2), ("two_layer", "float32", 1)]
    return [
        recorded(folder / str(i), model, dtype, points=2, steps=steps).read_bytes()
        for i, (model, dtype, steps) in enumerate(kinds)
    ]


def with_bytes_changed(content, chance):
    """Flip, drop or insert some bytes anywhere; mostly in the header, where a byte means most."""
    content = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 10])):
        within = chance.choice([8, int.from_bytes(content[:8], "little") + 8, len(content)])
        at = chance.randrange(max(min(within, len(content)), 1))
        what = chance.randrange(4)
        if what == 0:
            content[at : at + 1] = bytes([chance.randrange(256)])
        elif what == 1:
            del content[at : at + chance.choice([1, 1, 8, 1000])]
        elif what == 2:
            content[at:at] = chance.randbytes(chance.choice([1, 8, 100]))
        else:
            del content[at:]
    return bytes(content)


def places(value):
    """Each (object or list, key) in a JSON value."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from places(inner)


def with_header_changed(content, chance):
    """Replace, drop or rename some values of the header; its tensors stay."""
    parts = taken_apart(content)
    header = parts.header()
    for _ in range(chance.choice([1, 1, 2, 5])):
        holder, key = chance.choice(list(places(header)) or [({"": 0}, "")])
        what = chance.randrange(3)
        if what == 0:
            holder[key] = chance.choice(VALUES)
        elif what == 1:
            del holder[key]
        elif isinstance(holder, dict):
            holder[chance.choice([str(v)[:50] for v in VALUES] + list(holder))] = holder.pop(key)
    return joined(json.dumps(header).encode(), parts.data())


def with_content_changed(content, chance):
    """Change texts, numbers and tensors; sizes and checksums are right, so that it is judged further."""
    parts = taken_apart(content)
    for _ in range(chance.choice([1, 1, 3])):
        name, what = chance.choice(list(parts.tensors)), chance.randrange(5)
        if what == 0:
            parts.texts[chance.choice(list(parts.texts))] = str(chance.choice(VALUES))[:100]
        elif what == 1:
            del parts.tensors[name]
        elif what == 2:
            format, shape, data = parts.tensors[name]
            parts.tensors[name] = format, chance.sample(shape, len(shape)), data
        else:
            numbers = parts.numbers(name).view("u1").reshape(-1)
            at = chance.randrange(max(numbers.size - 8, 1))
            numbers[at : at + 8] = list(chance.choice([b"\xff" * 8, bytes(8), chance.randbytes(8)]))[
                : numbers[at : at + 8].size
            ]
        if not parts.tensors:
            break
    return parts.bytes()


FUZZERS = (with_bytes_changed, with_header_changed, with_content_changed)


def pytest_generate_tests(metafunc):
    """One test per hundred files, each from a seed of its own."""
    count = metafunc.config.getoption("recordings")
    if "hundred" in metafunc.fixturenames:
        metafunc.parametrize("hundred", [range(i, min(i + 100, count)) for i in range(0, count, 100)])


def test_fuzzed_recording_is_no_traceback(hundred, right, tmp_path, capsys, monkeypatch):
    """A status, and for a file that is refused nothing but one printable sentence."""
    monkeypatch.setattr("ports.diagnosis.search.BUDGET", 0.0)
    statuses = set()
    for seed in hundred:
        chance = random.Random(seed)
        path = tmp_path / f"fuzzed_{seed}"
        path.write_bytes(chance.choice(FUZZERS)(chance.choice(right), chance))
        status = main(["certify", str(path)])
        out, err = capsys.readouterr()
        statuses.add(status)
        assert status in (0, 1, 2), seed
        assert out if not err else (status == 2 and not out), seed
        assert err.count("\n") <= 1, seed
        assert err[:-1].isprintable(), seed
        path.unlink()
    assert len(hundred) < 100 or statuses == {0, 1, 2}  # each kind of end is among a hundred
