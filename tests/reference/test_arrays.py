"""The numbers that a dtype holds, and the arrays that hold them."""

import sys

import numpy as np
import pytest

from reference.arrays import held_as, holder, numpy_dtype


def test_bfloat16_holds_what_others_say():
    """Rounded as ml_dtypes rounds: numbers of all sizes, ties, and each bfloat16 number itself."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    rng = np.random.RandomState(0)
    numbers = rng.standard_normal(100_000) * 10.0 ** rng.uniform(-40, 37, 100_000)
    bits = np.arange(2**16, dtype=np.uint16)
    each = bits[(bits >> 7 & 0xFF) < 0xFF].view(bfloat16).astype(np.float64)
    ties = each * (1 + 2.0**-8)
    for array in (numbers, each, ties, np.array([np.inf, -np.inf, np.nan])):
        theirs = array.astype(bfloat16).astype(np.float64)
        assert np.array_equal(held_as("bfloat16", array), theirs, equal_nan=True)
    assert np.array_equal(held_as("bfloat16", each), each)


def test_bfloat16_needs_a_package_to_compute_in_alone(monkeypatch):
    """Without it, its numbers are held in float32, and rounded all the same; NumPy has no such dtype."""
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert holder("bfloat16") == np.float32
    assert held_as("bfloat16", np.array([1.01])) == 1.0078125
    with pytest.raises(ValueError, match="bfloat16 needs ml_dtypes, not installed here"):
        numpy_dtype("bfloat16")


def test_other_dtypes_are_numpys():
    """They are held in themselves."""
    for dtype in ("float64", "float32", "float16"):
        assert holder(dtype) == np.dtype(dtype)
