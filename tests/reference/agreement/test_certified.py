"""`certified`: values and bounds of any NumPy expression."""

import traceback
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

import reference
from reference import Certified, Unbounded, certified
from reference.agreement.arithmetic import BFLOAT16, FLOAT32, FLOAT64
from reference.agreement.certified import called, promised
from reference.agreement.rounded import Rounded

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3)).astype(np.float32)
W = RNG.standard_normal((3, 5)).astype(np.float32)


class Pair(NamedTuple):
    """What a function may return, or be given."""

    first: object
    second: object


def layer(params, x):
    """A layer of a network, whose parameters are a dict."""
    return np.maximum(np.dot(x, params["W"]) + params["b"], 0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_result_is_that_of_rounded_inputs(dtype):
    """The values and bounds are those of `Rounded`; the shape is the value's."""
    x, w = X.astype(np.float16), W.astype(np.float16)
    x, w = ((a * 16).round() / 16 for a in (x, w))  # also numbers of bfloat16
    got = certified(np.dot, x, w, dtype=dtype)
    arithmetic = promised(dtype, "cpu", "highest")
    expected = np.dot(Rounded.exact(x, arithmetic), Rounded.exact(w, arithmetic))
    np.testing.assert_array_equal(got.value, expected.value)
    np.testing.assert_array_equal(got.error, expected.errors())
    assert got.value.dtype == got.error.dtype == np.float64


def test_results_are_arrays_of_any_shape():
    """Also of none."""
    got = certified(np.sum, X)
    assert type(got.value) is type(got.error) is np.ndarray
    assert got.value.shape == got.error.shape == ()


def test_index_is_as_far_off_as_the_farthest_candidate():
    """Two equal products: either may be the larger one."""
    got = certified(lambda x: np.argmax(x * 0.1), np.float32([3, 1, 3, 2]))
    assert (got.value, got.error) == (0, 2)


def test_exact_result_has_an_error_of_zeros():
    """Nothing rounds in a transposition."""
    got = certified(lambda x: x.T, X)
    np.testing.assert_array_equal(got.value, X.T)
    np.testing.assert_array_equal(got.error, np.zeros((3, 4)))


def test_inputs_and_results_may_be_nested():
    """Dicts, tuples, lists and named tuples, as the function takes and returns them."""
    params = {"W": W, "b": np.zeros((1, 5), dtype=np.float32)}
    one = certified(layer, params, X)
    nested = certified(lambda pair: {"all": [Pair(layer(*pair), pair.second)]}, Pair(params, X))
    ((first, second),) = nested["all"]
    assert type(nested["all"][0]) is Pair
    np.testing.assert_array_equal(first.error, one.error)
    np.testing.assert_array_equal(second.value, X)


@pytest.mark.parametrize("kind", [tuple, list])
def test_kind_of_sequence_is_kept(kind):
    """A function tells a tuple from a list, and so does who reads its result."""

    def swapped(pair):
        assert type(pair) is kind
        return kind([pair[1], pair[0]])

    got = certified(swapped, kind([X, W]))
    assert type(got) is kind
    assert [type(one) for one in got] == [Certified, Certified]
    np.testing.assert_array_equal(got[0].value, W)


def test_what_is_no_float_tensor_stays_plain():
    """Labels index, Python's numbers are constants, and other arguments are nobody's business."""
    y = np.array([2, 0, 1, 1])

    def chosen(x, labels, factor, name):
        assert isinstance(labels, np.ndarray)
        assert (factor, name) == (0.1, "probs")
        return x[range(4), labels] * factor

    got = certified(chosen, X, y, 0.1, "probs")
    np.testing.assert_array_equal(got.value, X[range(4), y].astype(np.float64) * 0.1)
    # 0.1 is no float32 number, so the constant and the product round
    assert (got.error >= np.abs(got.value) * 2.0**-24).all()


def test_inputs_are_not_written_to():
    """A function that assigns writes into copies."""
    x, y = X.astype(np.float64), np.arange(3)

    def assigning(x, y):
        x[0], y[0] = 7, 7
        return x

    got = certified(assigning, x, y, dtype="float64")
    assert (got.value[0] == 7).all()
    assert not (x == 7).any()
    assert y[0] == 0


def test_comparison_is_certified_where_it_is_decided():
    """1 and 0, exactly; where rounding leaves it open, anything goes."""
    x = np.array([0.25, 0.5, 2], dtype=np.float32)
    got = certified(lambda x: x * 3 * 0.1 <= 0.15, x)
    np.testing.assert_array_equal(got.value[[0, 2]], [1, 0])
    np.testing.assert_array_equal(got.error, [0, np.inf, 0])


@pytest.mark.parametrize(
    ("how", "arithmetic"),
    [
        ({}, FLOAT32),
        ({"dtype": np.float64}, FLOAT64),
        ({"dtype": "bfloat16"}, BFLOAT16),
        ({"device": "cuda"}, FLOAT32.on_accelerator()),
        ({"precision": "high"}, FLOAT32.in_precision("high", "cpu")),
        (
            {"device": "cuda", "precision": "medium"},
            FLOAT32.on_accelerator().in_precision("medium", "cuda"),
        ),
    ],
    ids=lambda how: "-".join(map(str, how.values())) if isinstance(how, dict) else "",
)
def test_arithmetic_is_that_of_dtype_device_and_precision(how, arithmetic):
    """Each choice reaches the function."""
    seen = []
    certified(lambda x: seen.append(x.arithmetic) or x, np.ones(2), **how)
    assert seen == [arithmetic]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"dtype": "float8"}, "no bound is known in float8: expected one of float64, float32"),
        ({"precision": "exact"}, "no bound is known in exact: expected one of highest, high, medium"),
    ],
    ids=["dtype", "precision"],
)
def test_unknown_choice_is_refused(how, told):
    """With what is known."""
    with pytest.raises(ValueError, match=f"^{told}"):
        certified(np.exp, X, **how)


@pytest.mark.parametrize(
    ("array", "error", "told"),
    [
        (np.array([1, 0.1]), ValueError, r"numbers that are not float32, as at \[1\]: pass what"),
        (np.array([1, 2.0**200]), ValueError, r"numbers that are not float32, as at \[1\]"),
        (np.array([[1, np.nan]]), ValueError, r"not finite at \[0, 1\]"),
        (np.float32([np.inf]), ValueError, r"not finite at \[0\]"),
        (np.array([1j]), TypeError, "complex"),
        (np.array(["a"]), TypeError, "is a ndarray of <U1, expected"),
    ],
    ids=["precise", "large", "nan", "inf", "complex", "text"],
)
def test_input_that_the_program_cannot_have_had_is_refused(array, error, told):
    """The sentence names the argument and the element."""
    with pytest.raises(error, match=rf"^arrays\[1\]\['x'\].*{told}"):
        certified(lambda a, b: a, X, {"x": array})


def test_numbers_of_the_dtype_may_lie_in_a_wider_one():
    """What counts are the numbers; a narrower format's are numbers of a wider one."""
    wide = certified(np.exp, X.astype(np.float64))
    np.testing.assert_array_equal(wide.error, certified(np.exp, X).error)
    assert certified(np.exp, np.float16([0.1])).value.shape == (1,)


@pytest.mark.parametrize(
    ("returned", "told"),
    [(None, r"a NoneType \(is there a return\?\)"), (0.5, "a float,"), (np.ones(2), "a ndarray,")],
    ids=["nothing", "number", "plain"],
)
def test_result_that_has_no_bound_is_refused(returned, told):
    """A plain float array would count as exact."""
    with pytest.raises(
        TypeError, match=rf"^<lambda> \(test_certified.py:\d+\)\['a'\]\[0\] returned {told}"
    ):
        certified(lambda x: {"a": [returned]}, X)


@pytest.mark.parametrize(
    ("line", "error", "told"),
    [
        ("np.i0(x)", TypeError, "np.i0"),
        ("np.exp(1000 * (1 + x * x))", Unbounded, "overflows float32"),
        ("x[99]", IndexError, "out of bounds"),
        ("x.nothing", AttributeError, "nothing"),
    ],
    ids=["unknown", "unbounded", "index", "attribute"],
)
def test_error_in_the_function_ends_in_its_line(line, error, told):
    """The message passes through; the traceback shows the user's line last."""
    code = compile(f"def fn(x):\n    return {line}", "their_file.py", "exec")
    names = {"np": np, "__name__": "theirs"}
    exec(code, names)
    with pytest.raises(error, match=told) as caught:
        certified(names["fn"], X)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno) == ("their_file.py", 2)


def test_error_in_a_numpy_function_ends_in_the_call():
    """Here no line is the user's own, but for the call."""
    with pytest.raises(TypeError, match=r"np\.i0") as caught:
        certified(np.i0, X)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert last.name == "evaluated"


def test_vacuous_is_the_share_of_values_below_their_bound():
    """2 of 4; a bound that is the value's size is none, nor is an exact 0's."""
    values, errors = np.array([0.0, -1, 1e-9, 2]), np.array([0.0, 1, 1e-8, 2.5])
    assert Certified(values, errors).vacuous == 0.5
    assert Certified(np.ones(3), np.zeros(3)).vacuous == 0
    assert Certified(np.zeros(1), np.ones(1)).vacuous == 1
    assert Certified(np.ones(0), np.ones(0)).vacuous == 0


def test_functions_are_called_by_name_and_line():
    """Also a partial function, a NumPy function and a callable object."""
    line = layer.__code__.co_firstlineno
    assert called(layer) == called(partial(layer, {})) == f"layer (test_certified.py:{line})"
    assert called(np.exp) == "exp"
    assert called(Pair) == "Pair"


def test_package_names_what_it_exports():
    """Each name loads on first use; another is refused as usual."""
    assert set(reference.__all__) <= set(dir(reference))
    assert all(getattr(reference, name) for name in reference.__all__)
    with pytest.raises(AttributeError, match="no attribute 'certifed'"):
        _ = reference.certifed
