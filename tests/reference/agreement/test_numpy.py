"""Every function of NumPy that has a rule: its bound is sound, on arrays alone, stacked and in tiles."""

import re
from pathlib import Path

import numpy as np
import pytest
from formats import STORED_BFLOAT16
from numpy_operations import CALLS, USES
from operations import bounded, numbers, share, uncertain
from simulated import KINDS, machine

from reference.agreement.arithmetic import FLOAT32, FLOAT64
from reference.agreement.rounded import Rounded, known

#: An arithmetic that computes, one on a GPU, and one that stores in 16 bits.
ARITHMETICS = [FLOAT32, FLOAT32.on_accelerator(), STORED_BFLOAT16]
SHAPE = (3, 4)
#: Of the draws, at least a fourth must have a bound: else little is tested.
LEAST_BOUNDED = 1 / 4


def test_every_known_function_is_used_here():
    """A function without a use below has no test."""
    assert sorted(USES) == known()


def drawn(rng, m, arithmetic):
    """Two operands, both as the machine has them and as bounds; half of the time of moderate size."""
    spread = 1 if rng.random() < 0.5 else None
    return [uncertain(rng, m, numbers(rng, SHAPE, arithmetic, spread)) for _ in "xy"]


@pytest.mark.parametrize("call", CALLS)
def test_machines_stay_in_the_bound(call):
    """Every conforming machine, from operands off by as much as they may be, ends within the bound."""
    f, rng = CALLS[call], np.random.default_rng(sum(map(ord, call)))
    done = 0
    for arithmetic in ARITHMETICS:
        for kind in KINDS:
            m = machine(kind, arithmetic, rng)
            (x, bound_x), (y, bound_y) = drawn(rng, m, arithmetic)
            bound = bounded(f, bound_x, bound_y)
            if bound is None:
                continue
            with np.errstate(all="ignore"):
                got = f(x, y)
            assert share(getattr(got, "value", got), bound) <= 1, (kind, x.value, y.value, got, bound)
            done += 1
    assert done >= LEAST_BOUNDED * len(ARITHMETICS) * len(KINDS)


@pytest.mark.parametrize("call", CALLS)
def test_values_are_numpys(call):
    """On plain arrays the same code gives the same values, and shapes, as on bounds."""
    f, rng = CALLS[call], np.random.default_rng(0)
    x, y = (rng.uniform(-1, 1, SHAPE) for _ in "xy")
    plain, result = f(x, y), f(*(Rounded.exact(z, FLOAT64) for z in (x, y)))
    assert result.shape == np.shape(plain)
    assert result.errors().shape == np.shape(plain)
    assert result.value == pytest.approx(plain, rel=1e-13, abs=1e-14)


def stack(x, error, stacked):
    """A stack of (2, 3) ports and steps, of 3 steps, or one array for all, off by an error or exact."""
    place = (0, 0)[: 2 - stacked]
    return Rounded(x[place], error[place] if error is not None else None, FLOAT32, stacked=stacked)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("stacks", [(2, 2), (1, 2), (0, 1)], ids=str)
def test_stack_is_treated_as_each_of_its_members_is(call, stacks):
    """One call on stacks, of different depths too, gives what the calls on their members give."""
    f, rng = CALLS[call], np.random.default_rng(0)
    values = rng.uniform(-1, 1, (2, 2, 3, *SHAPE))
    errors = [rng.uniform(0, 1e-3, values.shape[1:]), None]
    x, y = (stack(*z) for z in zip(values, errors, stacks, strict=True))
    members = {
        (port, step): f(*(z.at((port, step)[2 - z.stacked :] if z.stacked else ()) for z in (x, y)))
        for port in range(2)
        for step in range(3)
    }
    result = f(x, y)
    for place, alone in members.items():
        member = result.at(place)
        assert member.shape == alone.shape
        assert member.value == pytest.approx(alone.value, rel=1e-12, abs=1e-14)
        assert member.errors() == pytest.approx(alone.errors(), rel=1e-9, abs=1e-18)


def test_page_lists_the_functions_that_have_a_rule():
    """docs/rules.md has each function in the first column of a table, and no other."""
    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text(encoding="utf-8")
    tables, _ = page.split("## Where the promises come from")
    rows = re.findall(r"^\| (`.*?`) \| ", tables, flags=re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]
    assert sorted(listed) == known()


X = Rounded(np.arange(6.0).reshape(2, 3), np.full((2, 3), 0.1), FLOAT32)
METHODS = {
    "sum": (lambda x: x.sum(axis=1), lambda x: np.sum(x, axis=1)),
    "mean": (lambda x: x.mean(0, keepdims=True), lambda x: np.mean(x, 0, keepdims=True)),
    "var": (lambda x: x.var(ddof=1), lambda x: np.var(x, ddof=1)),
    "std": (lambda x: x.std(-1), lambda x: np.std(x, -1)),
    "max": (lambda x: x.max(axis=1), lambda x: np.max(x, axis=1)),
    "min": (lambda x: x.min(), np.min),
    "argmax": (lambda x: x.argmax(axis=1), lambda x: np.argmax(x, axis=1)),
    "cumsum": (lambda x: x.cumsum(axis=0), lambda x: np.cumsum(x, axis=0)),
    "clip": (lambda x: x.clip(1, 3), lambda x: np.clip(x, 1, 3)),
    "dot": (lambda x: x.dot(x.T), lambda x: np.dot(x, x.T)),
    "trace": (lambda x: x.trace(), np.trace),
    "ravel": (lambda x: x.ravel(), np.ravel),
    "flatten": (lambda x: x.flatten(), np.ravel),
    "reshape by numbers": (lambda x: x.reshape(3, -1), lambda x: np.reshape(x, (3, 2))),
    "reshape by a tuple": (lambda x: x.reshape((3, 2)), lambda x: np.reshape(x, (3, 2))),
    "transpose": (lambda x: x.transpose(), np.transpose),
    "transpose by numbers": (lambda x: x.transpose(1, 0), lambda x: x.T),
    "swapaxes": (lambda x: x.swapaxes(0, 1), lambda x: x.T),
    "squeeze": (lambda x: x[:1].squeeze(), lambda x: x[0]),
    "repeat": (lambda x: x.repeat(2, axis=1), lambda x: np.repeat(x, 2, axis=1)),
    "take": (lambda x: x.take([2, 0], axis=1), lambda x: x[:, [2, 0]]),
    "diagonal": (lambda x: x.diagonal(), np.diagonal),
    "astype": (lambda x: x.astype(float), np.copy),
    "absolute": (lambda x: abs(x), np.abs),
    "rows": (lambda x: np.stack(list(x)), np.copy),
    "an index that is split by a slice": (
        lambda x: np.stack([x, -x])[[0, 1], :, [2, 0]],
        lambda x: np.stack([x[:, 2], -x[:, 0]]),
    ),
}


@pytest.mark.parametrize("stacked", [0, 1])
@pytest.mark.parametrize("method", METHODS)
def test_method_is_the_function(method, stacked):
    """A method gives the same as the function, on an array and on a stack of two."""
    pair = [np.stack([z, 2 * z]) if stacked else z for z in (X.value, X.error)]
    x = Rounded(*pair, FLOAT32, stacked=stacked)
    one, other = (f(x) for f in METHODS[method])
    assert (one.shape, one.stacked) == (other.shape, other.stacked)
    assert np.array_equal(one.value, other.value)
    assert np.array_equal(one.errors(), other.errors())


def test_sizes_are_those_of_a_member():
    """Shape, length and so on are those that the code sees."""
    stack = Rounded(np.zeros((5, 2, 3)), None, FLOAT32, stacked=1)
    assert (stack.shape, stack.ndim, stack.size, len(stack)) == ((2, 3), 2, 6, 2)
    assert (stack.dtype, (stack > 0).dtype) == (np.float64, np.bool_)


def test_zeros_of_another_shape_collect_results():
    """They are stacked as what they are like, and take on the stack of what is assigned."""
    alone, stack = X, Rounded(np.stack([X.value] * 4), None, FLOAT32, stacked=1)
    for like in (alone, stack):
        total = np.zeros_like(like, shape=(3, 2))
        total[1] = total[1] + stack[0, :2]
        assert total.shape == (3, 2)
        assert total.value.tolist() == [[[0, 0], [0, 1], [0, 0]]] * 4


def test_largest_index_is_off_by_the_farthest_that_may_be():
    """Of equal exact numbers it is the first; else all within reach count."""
    rows = np.array([[3.0, 1.0, 3.0], [3.0, 1.0, 2.95], [3.0, 1.0, 2.0]])
    exact_rows, off = Rounded.exact(rows, FLOAT32), Rounded(rows, np.full((3, 3), 0.1), FLOAT32)
    assert np.argmax(exact_rows, axis=1).error is None
    assert np.argmax(off, axis=1).errors().tolist() == [2, 2, 0]
    assert (np.argmax(off, axis=1) == [0, 2, 0]).undecided.tolist() == [True, True, False]


def test_difference_from_the_own_maximum_is_0_where_that_is_decided():
    """Not where another number may be the largest, nor where x may be used before it is stored."""
    rows, error = np.array([[3.0, 1.0], [3.0, 2.95]]), np.full((2, 2), 0.1)
    for arithmetic, decided in ((FLOAT32, True), (STORED_BFLOAT16, False)):
        x = Rounded(rows, error, arithmetic)
        shifted = x - np.max(x, axis=1, keepdims=True)
        assert (shifted.errors()[0, 0] == 0) == decided
        assert np.all(shifted.errors()[1] > 0.19)
        at_largest = x == np.max(x, axis=1, keepdims=True)
        assert (not at_largest.undecided[0].any()) == decided
        assert at_largest.undecided[1].all()


def test_difference_of_a_product_from_its_maximum_may_be_contracted():
    """fma(x, y, -max) is not 0: it sees the product unrounded."""
    x = Rounded.exact([[1.1, 0.3]], FLOAT32) * Rounded.exact([[1.3, 0.3]], FLOAT32)
    assert (x - np.max(x, axis=1, keepdims=True)).errors()[0, 0] > 0


def test_plain_array_is_rounded_to_the_ports_dtype():
    """Numbers that the dtype does not hold are off by a rounding; others are exact."""
    product = Rounded.exact([1.0, 1.0], FLOAT32) + np.array([0.1, 0.5])
    least = FLOAT32.unit * product.value
    assert product.errors()[0] == pytest.approx(least[0] * 1 + 0.1 * FLOAT32.roundoff, rel=1e-6)
    assert product.errors()[1] == least[1]


def test_open_choice_is_as_far_off_as_either():
    """Where both are the same number, as far as the one that is off more."""
    some, none = (Rounded(np.ones(2), np.full(2, error), FLOAT32) for error in (0.5, 0.0))
    is_open = Rounded(np.array([0.0, 1.0]), np.ones(2) * 2, FLOAT32) > 0
    assert np.where(is_open, some, none).errors().tolist() == [0.5, 0.5]
    assert np.where(is_open, none, some).errors().tolist() == [0.5, 0.5]


OPEN = Rounded(np.array([1.0, -1.0, 0.0]), np.full(3, 0.5), FLOAT32) > 0
SURE = Rounded.exact([1.0, 1.0, -1.0], FLOAT32) > 0


@pytest.mark.parametrize(
    ("mask", "true", "undecided"),
    [
        (OPEN, [True, False, False], [False, False, True]),
        (~OPEN, [False, True, True], [False, False, True]),
        (OPEN & SURE, [True, False, False], None),
        (OPEN | SURE, [True, True, False], [False, False, True]),
        (OPEN & np.array([False, True, True]), [False, False, False], [False, False, True]),
        (OPEN | np.array([False, False, True]), [True, False, True], None),
    ],
    ids=["open", "not", "and", "or", "and plain", "or plain"],
)
def test_masks_combine(mask, true, undecided):
    """Open is what could be either; what the other mask decides is not open."""
    assert mask.true.tolist() == true
    assert (mask.undecided is None) == (undecided is None)
    assert undecided is None or mask.undecided.tolist() == undecided


def test_mask_counts_as_1_and_0():
    """In sums and means; an open one may be either."""
    assert (np.sum(OPEN).value, np.sum(SURE).value, OPEN.mean().value) == (1, 2, pytest.approx(1 / 3))
    assert np.sum(OPEN).error >= 1
    assert (1 - SURE).value.tolist() == [0, 0, 1]
    assert OPEN.astype(float).value.tolist() == [1, 0, 0]
    assert OPEN.astype(float).error.tolist() == [0, 0, 1]
    assert OPEN.astype(bool).undecided.tolist() == [False, False, True]


def test_product_with_a_mask_rounds_nothing():
    """It holds the number or 0; where the mask is open, either."""
    x = Rounded(np.full(3, 0.3), np.full(3, 0.01), FLOAT32)
    assert (SURE * x).errors().tolist() == [0.01, 0.01, 0]
    assert (x * OPEN).errors() == pytest.approx([0.01, 0, 0.31], rel=1e-12)
    numbers = OPEN.astype(float)
    assert np.array_equal((numbers * x).errors(), (x * OPEN).errors())
    numbers[0] = 0.3
    assert (numbers * x).errors()[0] > 0.3 * 0.01
