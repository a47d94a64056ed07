"""The array: exact zeros, assignment, what is refused, and which rule an expression meets."""

import operator

import numpy as np
import pytest
from operations import exact

from reference.agreement.arithmetic import FLOAT32, FLOAT64
from reference.agreement.rounded import Rounded


def test_exact_zero_stays_exact():
    """A product with 0 adds nothing, not even underflow: a pre-activation of exactly 0 is decided."""
    X = Rounded.exact(np.array([[0.0, 0.0], [1.0, 2.0]]), FLOAT32)
    W = Rounded(np.full((2, 3), 0.1), np.full((2, 3), 1e-3), FLOAT32)
    pre_activation = np.dot(X, W) + Rounded.exact(np.zeros((1, 3)), FLOAT32)
    hidden_layer = np.maximum(0, pre_activation)
    assert np.all(hidden_layer.errors()[0] == 0)
    assert np.all(hidden_layer.errors()[1] > 0)
    assert (hidden_layer <= 0).undecided is None


def test_undecided_mask_bounds_both_branches():
    """Where rounding leaves x <= 0 open, the result may be kept or assigned; elsewhere it is decided."""
    x = Rounded(np.array([-1.0, -1e-9, 0.0, 1e-9, 1.0]), np.full(5, 1e-8), FLOAT32)
    d = Rounded(np.full(5, 7.0), np.full(5, 0.5), FLOAT32)
    d[x <= 0] = 0
    assert d.value.tolist() == [0, 0, 0, 7, 7]
    assert d.error.tolist() == [0, 7.5, 7.5, 7.5, 0.5]


def test_undecided_mask_bounds_another_constant_than_0():
    """Either 0.1, which is no float32 number, or 7 give or take 1/2; and 0.1 or 0.1."""
    d = Rounded(np.array([7.0, 0.1]), np.array([0.5, 0.0]), FLOAT32)
    d[Rounded(np.zeros(2), np.ones(2), FLOAT32) <= 0] = 0.1
    held = FLOAT32.roundoff * 0.1
    assert d.value.tolist() == [0.1, 0.1]
    assert d.error == pytest.approx([6.9 + 0.5 + held, held], rel=1e-12, abs=0)


def test_assigned_constant_carries_its_own_rounding():
    """0.1 is no float32 number, assigned by index or under a mask."""
    x = Rounded.exact(np.array([-1.0, 1.0]), FLOAT32)
    by_mask, by_index = x.copy(), x.copy()
    by_mask[x <= 0] = 0.1
    by_index[0] = 0.1
    for assigned in (by_mask, by_index):
        assert abs(np.float64(np.float32(0.1)) - 0.1) <= assigned.errors()[0]
        assert assigned.errors()[1] == 0


def test_negated_copy_is_independent():
    """Assigning into -x leaves the error of x alone."""
    x = Rounded(np.ones(2), np.full(2, 0.5), FLOAT32)
    y = -x
    assert (y.value.tolist(), y.error.tolist()) == ([-1, -1], [0.5, 0.5])
    y[0] = 0
    assert x.error.tolist() == [0.5, 0.5]


def test_what_was_given_is_left_as_it_is():
    """Assignment changes the array, and not the numbers that it was made from."""
    value, error = np.ones(2), np.full(2, 0.5)
    for given in (Rounded.exact(value, FLOAT32), Rounded(value, error, FLOAT32)):
        given[0] = 0
        np.add.at(given, [1], 3.0)
        assert given.value.tolist() == [0, 4]
    assert (value.tolist(), error.tolist()) == ([1, 1], [0.5, 0.5])


def test_product_in_part_is_no_product():
    """A compiler contracts what is a product in every element, and nothing else."""
    numbers = exact(2.0, 3.0)
    products = numbers * numbers
    for array, new, expected in (
        (products, products, 1),
        (products, numbers, 0),
        (numbers, products, 0),
    ):
        x = array.copy()
        x[0] = new[0]
        assert x.products == expected


X = exact([1.0, 2.0], [3.0, 4.0])


def test_arrays_are_joined_along_the_first_axis_unless_another_is_given():
    """As NumPy does."""
    assert np.stack([X, -X]).value[1].tolist() == (-X).value.tolist()
    assert np.concatenate([X, -X]).shape == (4, 2)
    assert np.concatenate([X, -X], axis=1).shape == (2, 4)


REFUSED = {
    "unknown function": lambda: np.sort(X),
    "unknown ufunc": lambda: np.arctan(X),
    "ufunc method": lambda: np.add.reduce(X),
    "outer": lambda: np.multiply.outer(X, X),
    "out of a ufunc": lambda: np.exp(X, out=np.zeros((2, 2))),
    "in place on a plain array": lambda: operator.iadd(np.zeros((2, 2)), X),
    "out of a function": lambda: np.sum(X, out=np.zeros(())),
    "where": lambda: np.add(X, X, where=np.ones((2, 2), dtype=bool)),
    "dtype": lambda: np.sum(X, dtype=np.float32),
    "initial": lambda: np.max(X, initial=0),
    "truth of an array": lambda: bool(X),
    "truth of a comparison": lambda: bool(X <= 1),
    "asarray": lambda: np.asarray(X),
    "array": lambda: np.array([X, X]),
    "float": lambda: float(X[0, 0]),
    "assignment into a plain array": lambda: np.zeros((2, 2)).__setitem__(0, X[0]),
    "addition into a plain array": lambda: np.add.at(np.zeros((2, 2)), [0], X[0]),
    "mask as an index": lambda: X[X > 1],
    "array assigned at a mask": lambda: X.copy().__setitem__(X > 1, X[0]),
    "assignment into a view": lambda: X[0].__setitem__(0, 1.0),
    "assignment into a mask": lambda: (X > 1).__setitem__(0, True),
    "an index from the data": lambda: X[np.argmax(X)],
    "another dtype": lambda: X.astype(np.float32),
    "a mask of numbers": lambda: ~X,
    "numbers that are joined as a mask": lambda: (X > 1) & X,
    "a condition of numbers": lambda: np.where(X, 1.0, 2.0),
    "three factors": lambda: np.einsum("ij,jk,kl->il", X, X, X),
    "an ellipsis": lambda: np.einsum("...i->...", X),
    "another norm": lambda: np.linalg.norm(X, ord=1),
    "numbers times a matrix": lambda: 2.0 @ X,
    "another padding": lambda: np.pad(X, 1, mode="edge"),
    "an index that is split by a slice, assigned": lambda: np.stack([X, X]).__setitem__(
        ([0, 1], slice(None), [0, 1]), 0
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_rule_is_refused(case):
    """Anything without a rule raises TypeError; nothing loses its error on the way."""
    with pytest.raises(TypeError):
        REFUSED[case]()


def test_number_assigned_into_a_plain_array_is_refused():
    """NumPy says something of a sequence, because of what is said here."""
    with pytest.raises(ValueError, match="sequence") as refused:
        np.zeros((2, 2))[0, 0] = X[0, 0]
    assert "np.zeros_like(x)" in str(refused.value.__cause__)


@pytest.mark.parametrize("unknown", [np.arctan, np.sort, np.linalg.inv])
def test_refusal_names_the_function(unknown):
    """It names the function that lacks a rule, and those that have one."""
    name = "linalg.inv" if unknown is np.linalg.inv else unknown.__name__
    with pytest.raises(TypeError, match=f"no error bound is known for np.{name}; .* absolute, add"):
        unknown(X)


ADVICE = {
    "use np.zeros_like": (lambda: np.zeros((2, 2)).__setitem__(0, X[0]), r"np.zeros_like\(x\)"),
    "use np.zeros_like to add": (lambda: operator.iadd(np.zeros((2, 2)), X), r"np.zeros_like\(x\)"),
    "control flow": (lambda: bool(X > 1), "data-dependent control flow"),
    "np.where": (lambda: X[X > 1], "np.where"),
    "copy": (lambda: X.T.__setitem__(0, 1.0), r"\.copy\(\)"),
    "the option": (lambda: np.sum(X, dtype=np.float32), "np.sum .*'dtype'; it takes a, axis, keepdims"),
}


@pytest.mark.parametrize("case", ADVICE)
def test_refusal_says_what_to_do(case):
    """A refusal ends with what to write instead."""
    refused, advice = ADVICE[case]
    with pytest.raises(TypeError, match=advice):
        refused()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sum_of_three_axes(axis):
    """The sum goes along any axis, as in NumPy."""
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.all(np.sum(Rounded.exact(x, FLOAT32), axis=axis).value == np.sum(x, axis=axis))


def test_nothing_comes_of_nothing():
    """Operations work on arrays without elements, such as a matrix without rows."""
    none, some = exact(np.zeros(3))[:0], exact(np.ones(3), np.ones(3), np.ones(3))
    for result in (none + 1, none * none, none / 3, np.dot(none, some)):
        assert result.shape == (0, 3)
        assert result.errors().shape == (0, 3)


@pytest.mark.parametrize("axis", [None, 0])
def test_sum_of_a_vector(axis):
    """A vector has one axis; a stack of vectors has one behind the leading axes."""
    vector = np.arange(5.0)
    assert np.sum(Rounded.exact(vector, FLOAT32), axis=axis).value == 10
    stack = Rounded.exact(np.stack([vector, 2 * vector]), FLOAT32, stacked=1)
    assert np.sum(stack, axis=axis).value.tolist() == [10, 20]


@pytest.mark.parametrize("reduce", [np.sum, np.max])
def test_changed_afterwards_it_is_no_sum_and_no_maximum(reduce):
    """Something else was assigned to it: the rules for the own sum, or maximum, no longer apply."""
    x = Rounded(np.array([[1.0, 3.0]]), np.array([[0.1, 0.1]]), FLOAT32)
    reduced = reduce(x, axis=1, keepdims=True)
    reduced[0, 0] = 2.9
    assert np.all((x - reduced).errors() > 0)
    assert (x / reduced).errors()[0, 1] >= 0.1 / 2.9


@pytest.mark.parametrize("index", [(0, 1), "mask"], ids=["index", "mask"])
def test_changed_after_the_sum_it_is_no_share_of_it(index):
    """The sum still has the error of the element that was set to 0; the numerators no longer do."""
    x = Rounded(np.array([[1.0, 1.0]]), np.array([[0.0, 0.1]]), FLOAT64)
    total = np.sum(x, axis=1, keepdims=True)
    x[Rounded.exact([[2.0, 0.0]], FLOAT64) <= 1 if index == "mask" else index] = 0
    share = x / total
    assert share.value[0, 0] == 0.5
    assert share.error[0, 0] >= 1 / 1.9 - 0.5
