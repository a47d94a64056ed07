"""The bounds are tight: conforming machines use most of them, and broken promises exceed them.

A bound that nothing reaches would let a bug pass.
"""

import operator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from formats import BFLOAT16, FLOAT16
from simulated import ORDERS, Machine, machine
from simulated_numpy import RULES  # noqa: F401 (it teaches the machines the rest of NumPy)

from reference.agreement.arithmetic import FLOAT32, FLOAT64
from reference.agreement.judge import LOCAL, compare
from reference.agreement.rounded import Rounded, linspace
from reference.agreement.routes import dscores_through_quotient, loss_term_by_term, shifted_softmax
from reference.agreement.rules import SLACK

U = FLOAT32.roundoff
TF32 = 2.0**-11


def share(got, bound):
    """The largest share of the bound used."""
    return compare("", LOCAL, got.value, bound).share


# Operands, as functions of a random source: drawn where rounding is worst


def just_above(number):
    """(4, 50) float32 numbers up to a tenth above `number`; above a power of two an ulp weighs most."""
    return lambda rng: (number * rng.uniform(1, 1.1, (4, 50))).astype(np.float32).astype(float)


def one_then_tiny(rng, roundoff=U):
    """Rows of 1 and fifty numbers of almost half an ulp: each addition to 1 rounds them away."""
    return np.tile(np.concatenate([[1.0], np.full(50, roundoff * (1 - 2.0**-10))]), (4, 1))


def barely_normal(rng):
    """Factors whose product may be flushed to zero."""
    return just_above(0.9 * np.sqrt(FLOAT32.smallest_normal))(rng)


def halfway_in_tf32(rng):
    """Numbers just above 1, halfway between two TF32 numbers: rounding moves them the whole way."""
    return np.full((4, 8), 1 + 3 * TF32)


def row_sum(x):
    """Sum of each row."""
    return np.sum(x, axis=1, keepdims=True)


def masked(x, y):
    """`y` where x > 0, else 0."""
    y = y.copy()
    y[x <= 0] = 0
    return y


def added_at(x, y):
    """x with the first row of y added to its last row twice."""
    x = x.copy()
    np.add.at(x, np.array([3, 3]), y[0])
    return x


ONE = just_above(1)
#: operation: (function, operands, share of its rounding bound that the search reaches).
ROUNDING = {
    "add": (lambda x, y: x + y * 2.0**-20, ONE, 0.95),
    "subtract": (lambda x, y: x - y * 2.0**-20, ONE, 0.95),
    "multiply": (operator.mul, ONE, 0.95),
    "divide": (operator.truediv, ONE, 0.65),
    "divide by 300": (lambda x, y: x / 300, ONE, 0.45),
    "divide by own row sum": (lambda x, y: own_share(x[:, :2]), ONE, 0.65),
    "divide by own long row sum": (lambda x, y: own_share(x), one_then_tiny, 0.85),
    "constant": (lambda x, y: (1 + 0.99 * U) * x, ONE, 0.45),
    "exp": (lambda x, y: np.exp(x), just_above(np.log(2)), 0.9),
    "log": (lambda x, y: np.log(x), just_above(np.e**8), 0.9),
    "sin": (lambda x, y: np.sin(x), just_above(np.arcsin(0.5)), 0.9),
    "cos": (lambda x, y: np.cos(x), ONE, 0.9),
    "sum": (lambda x, y: np.sum(x, axis=1), one_then_tiny, 0.95),
    "dot": (lambda x, y: np.dot(x, np.ones((51, 1))), one_then_tiny, 0.95),
    "dot plus bias": (lambda x, y: np.dot(y[:, 1:], np.ones((50, 1))) + y[:, :1], one_then_tiny, 0.95),
    "underflow": (operator.mul, barely_normal, 0.95),
    "square": (lambda x, y: np.square(x), ONE, 0.9),
    "cube": (lambda x, y: x**3, ONE, 0.9),
    "reciprocal": (lambda x, y: np.reciprocal(x), just_above(0.91), 0.45),
    "fractional power": (lambda x, y: x**0.5, ONE, 0.9),
    "power of a constant": (lambda x, y: 2.0**x, just_above(1), 0.9),
    "sqrt": (lambda x, y: np.sqrt(x), ONE, 0.8),
    "tanh": (lambda x, y: np.tanh(x), just_above(np.arctanh(0.25)), 0.9),
    "expm1": (lambda x, y: np.expm1(x), just_above(np.log(2)), 0.9),
    "log1p": (lambda x, y: np.log1p(x), just_above(np.e - 1), 0.9),
    "log2": (lambda x, y: np.log2(x), just_above(2), 0.9),
    "logaddexp": (np.logaddexp, just_above(0.31), 0.6),
    "mean": (lambda x, y: np.mean(x, axis=1), one_then_tiny, 0.85),
    "variance": (lambda x, y: np.var(x, axis=1), one_then_tiny, 0.2),
    "cumulative sum": (lambda x, y: np.cumsum(x, axis=1), one_then_tiny, 0.95),
    "norm": (lambda x, y: np.linalg.norm(x[:, :2], axis=1), ONE, 0.4),
    "matmul": (lambda x, y: x @ np.ones(51), one_then_tiny, 0.95),
    "einsum": (lambda x, y: np.einsum("ij,j->i", x, np.ones(51)), one_then_tiny, 0.95),
    "outer": (lambda x, y: np.outer(x[0], y[0]), ONE, 0.95),
    "own share of columns": (lambda x, y: x / np.sum(x, axis=0, keepdims=True), ONE, 0.5),
}


def own_share(x):
    """x over its row sum."""
    return x / row_sum(x)


def most_used(f, operands, m, promise=FLOAT32, draws=60):
    """The largest share of the bound that a machine uses over many draws of exact operands."""
    shares = []
    for _ in range(draws):
        x, y = m.round(operands(m.rng)), m.round(operands(m.rng))
        bound = f(Rounded.exact(x, promise), Rounded.exact(y, promise))
        shares.append(share(f(m.array(x), m.array(y)), bound))
    return max(shares)


@pytest.mark.parametrize("operation", ROUNDING)
def test_rounding_reaches_its_bound(operation):
    """From exact operands, some conforming machine uses this much of the bound, and none exceeds it."""
    f, operands, reached = ROUNDING[operation]
    m = machine("anything", FLOAT32, np.random.default_rng(0))
    assert reached <= most_used(f, operands, m) <= 1


def test_product_input_rounding_reaches_its_bound():
    """Inputs rounded to TF32 use most of the bound of a dot product that promises no better."""
    tf32 = FLOAT32.with_product_inputs(TF32)
    m = Machine(tf32, np.random.default_rng(0))
    assert 0.9 <= most_used(lambda x, y: np.dot(x, y.T), halfway_in_tf32, m, tf32, 1) <= 1


# Propagation: operands as far off as they may be, in the worst directions

FIRST_ONLY = np.where(np.arange(50) == 0, 1, -1)
#: operation: (function, directions in which x and y are off), share reached is 0.95 in each.
PROPAGATION = {
    "add": (operator.add, 1, 1),
    "subtract": (operator.sub, 1, -1),
    "multiply": (operator.mul, 1, 1),
    "divide": (operator.truediv, 1, -1),
    "divide by 4": (lambda x, y: x / (4 * y), 1, -1),
    "multiply by what is off": (lambda x, y: 0.5 * y, 1, 1),
    "divide by own row sum": (lambda x, y: own_share(x), FIRST_ONLY, 1),
    "exp": (lambda x, y: np.exp(x), 1, 1),
    "log": (lambda x, y: np.log(x), -1, 1),
    "sin": (lambda x, y: np.sin(x - 1), 1, 1),
    "cos": (lambda x, y: np.cos(x + 0.5), 1, 1),
    "maximum": (np.maximum, 1, 1),
    "relu": (lambda x, y: np.maximum(0, x), 1, 1),
    "undecided mask": (lambda x, y: masked(x - y, y), 1, -1),
    "sum": (lambda x, y: np.sum(x), 1, 1),
    "dot": (lambda x, y: np.dot(x, y.T), 1, 1),
    "assign": (lambda x, y: np.stack([x[0], y[0]]), 1, 1),
    "square": (lambda x, y: np.square(x), 1, 1),
    "power": (lambda x, y: x**3, 1, 1),
    "fractional power": (lambda x, y: x**0.3, -1, 1),
    "power of a constant": (lambda x, y: 1.7**x, 1, 1),
    "reciprocal": (lambda x, y: np.reciprocal(x), -1, 1),
    "sqrt": (lambda x, y: np.sqrt(x), -1, 1),
    "sqrt near 0": (lambda x, y: np.sqrt(x - y), 1, -1),
    "tanh": (lambda x, y: np.tanh(x), -1, 1),
    "expm1": (lambda x, y: np.expm1(x), 1, 1),
    "log1p": (lambda x, y: np.log1p(x), -1, 1),
    "log2": (lambda x, y: np.log2(x), -1, 1),
    "minimum": (np.minimum, -1, -1),
    "absolute": (lambda x, y: np.abs(-x), 1, 1),
    "largest": (lambda x, y: np.max(x, axis=1), 1, 1),
    "smallest": (lambda x, y: np.min(x, axis=1), -1, 1),
    "clip": (lambda x, y: np.clip(x, 0.5, 2), 1, 1),
    "mean": (lambda x, y: np.mean(x, axis=1), 1, 1),
    "cumulative sum": (lambda x, y: np.cumsum(x, axis=1), 1, 1),
    "matmul": (lambda x, y: x @ y.T, 1, 1),
    "einsum": (lambda x, y: np.einsum("ij,kj->ik", x, y), 1, 1),
    "where": (lambda x, y: np.where(x > 0, y, x), 1, 1),
    "where it is open": (lambda x, y: np.where(x > y, x, 3 * y), 1, 1),
    "mask": (lambda x, y: (x > 0) * y, 1, 1),
    "norm": (lambda x, y: np.linalg.norm(x, axis=1), 1, 1),
    "added at": (lambda x, y: added_at(x, y), 1, 1),
}

#: Where y is nearly x: by which factor.
NEARLY = {"undecided mask": 0.9995, "sqrt near 0": 0.998}


def off_by(x, direction):
    """A Rounded whose machine number x lies at the very edge, 1/1000 off in that direction."""
    value = x * (1 - direction * 1e-3)
    return Rounded(value, np.abs(x - value), FLOAT32)


@pytest.mark.parametrize("operation", PROPAGATION)
def test_propagation_reaches_its_bound(operation):
    """Operands that are off by as much as they may be put the result at the edge of its bound."""
    f, *directions = PROPAGATION[operation]
    m = Machine(FLOAT32, np.random.default_rng(0))
    x = m.array(ONE(m.rng))
    y = m.array(x.value * NEARLY[operation] if operation in NEARLY else ONE(m.rng))
    bound = f(*(off_by(z.value, d) for z, d in zip((x, y), directions, strict=True)))
    assert 0.95 <= share(f(x, y), bound) <= 1


# Negative controls: machines that break the promise


def dropped(f):
    """The same function with its last column of terms left out."""
    return lambda x, y: f(x[:, :-1], y[:, :-1])


def dot(x, y):
    """The dot product, row by row."""
    return np.dot(x, y.T)


def caught(f, broken=None, operands=ONE, **features):
    """Whether a machine with these features, running `broken`, leaves the bound of f in float32."""
    m = Machine(FLOAT32, np.random.default_rng(0), **features)
    x, y = operands(m.rng), operands(m.rng)
    bound = f(Rounded.exact(x, FLOAT32), Rounded.exact(y, FLOAT32))
    return share((broken or f)(m.array(x), m.array(y)), bound) > 1


@pytest.mark.parametrize(
    "operation",
    ["add", "subtract", "multiply", "divide", "divide by 300", "sum", "dot"],
)
def test_fourfold_roundoff_is_caught(operation):
    """A machine with two bits fewer than promised leaves the bound of each operation."""
    f, operands, _ = ROUNDING[operation]
    if operands is one_then_tiny:
        operands = partial(one_then_tiny, roundoff=4 * U)
    assert caught(f, operands=operands, roundoff_factor=4.0)


@pytest.mark.parametrize(("operation", "ulps"), [("exp", 4.0), ("log", 6.0), ("sin", 6.0), ("cos", 6.0)])
def test_function_off_by_half_as_much_again_is_caught(operation, ulps):
    """2.52 ulps are promised for a float32 exp, 4 for the other functions: more leaves the bound."""
    f, operands, _ = ROUNDING[operation]
    assert caught(f, operands=operands, ulps=ulps)


@pytest.mark.parametrize(
    ("operation", "promised"), [("divide", 4 * U), ("exp", 2 * U * (2.52 + 1.173 * 10.0))]
)
def test_accelerator_is_held_to_what_its_maker_documents(operation, promised):
    """CUDA: 2 ulps (4u) for a quotient; 2 + 1.173|x| for a float32 exp, where a CPU's 2.52 are more."""
    gpu = FLOAT32.on_accelerator()
    x, y = Rounded.exact(np.array([[10.0]]), gpu), Rounded.exact(np.array([[3.0]]), gpu)
    bound = np.exp(x) if operation == "exp" else x / y
    assert compare("", LOCAL, bound.value * (1 + promised), bound).agrees
    assert not compare("", LOCAL, bound.value * (1 + 1.1 * promised), bound).agrees


def test_accelerators_float64_exp_is_as_good_as_any():
    """CUDA's error by |x| is that of the float32 approximation alone."""
    gpu, cpu = (np.exp(Rounded.exact(np.full(1, 10.0), a)) for a in (FLOAT64.on_accelerator(), FLOAT64))
    assert gpu.error == cpu.error


def test_tf32_without_promise_is_caught():
    """Product inputs rounded to TF32 under a float32 promise leave the bound."""
    m = Machine(FLOAT32.with_product_inputs(TF32), np.random.default_rng(0))
    assert most_used(dot, ONE, m, draws=1) > 1


@pytest.mark.parametrize("f", [dot, lambda x, y: np.sum(x, axis=1)], ids=["dot", "sum"])
def test_dropped_term_is_caught(f):
    """One term left out leaves the bound."""
    assert caught(f, dropped(f), orders=ORDERS)


def test_unshifted_neighbour_is_caught():
    """A number one ulp off an exact result leaves its bound."""
    assert caught(np.maximum, lambda x, y: np.maximum(x, y) * (1 + 2 * U))


def test_wrong_side_of_a_tie_is_caught():
    """x >= 0 for x > 0 lets a gradient through at an exact tie, outside the bound."""
    x, d = Rounded.exact(np.array([0.0, 1.0]), FLOAT32), Rounded.exact(np.array([1.0, 1.0]), FLOAT32)
    m = Machine(FLOAT32, np.random.default_rng(0))
    assert share(m.array([1.0, 1.0]), masked(x, d)) > 1
    assert share(m.array([0.0, 1.0]), masked(x, d)) == 0


def test_looser_promise_widens_the_bound():
    """The share is relative to the promise: with float16's roundoff the same result uses far less."""
    loose = replace(FLOAT32, roundoff=FLOAT16.roundoff)
    m = Machine(FLOAT32, np.random.default_rng(0))
    assert most_used(operator.mul, ONE, m, loose, 5) < 2 * FLOAT32.roundoff / FLOAT16.roundoff


def test_linspace_uses_a_twentieth_of_its_bound():
    """The data's bound is the loosest: it covers every way to compute linspace at once."""
    bound = linspace(FLOAT32)(4.0, 8.0, 100)
    step = np.float32(4) / np.float32(99)
    got = np.float32(4) + np.arange(100, dtype=np.float32) * step
    assert 0.05 <= compare("", LOCAL, got, bound).share <= 1


@pytest.mark.parametrize(("start", "stop"), [(4.0, 8.0), (8.0, 0.0), (-3.0, 3.0)])
def test_linspace_rounds_a_quotient_a_product_and_two_sums(start, stop):
    """Each of these rounds upwards, on numbers as large as start and stop together."""
    bound, u = linspace(BFLOAT16)(start, stop, 7), BFLOAT16.unit
    off = (abs(start) + abs(stop)) * ((1 + BFLOAT16.division) * (1 + u) ** 3 - 1)
    assert 0.98 <= compare("", LOCAL, bound.value + off, bound).share <= 1


def test_share_of_a_row_hardly_feels_an_error_of_the_row():
    """x / sum(x) over one column is 1, however uncertain x: numerator and divisor err together."""
    x = Rounded(np.full((3, 1), 5.0), np.full((3, 1), 1.0), FLOAT32)
    assert np.all(own_share(x).error <= 4 * U)


def test_share_of_a_row_of_zeros_but_one_hardly_feels_an_error():
    """5 +- 1 over 5 +- 1 is 1, and 0 over it is 0."""
    x = Rounded(np.array([[0.0, 5.0]]), np.array([[0.0, 1.0]]), FLOAT32)
    assert np.all(own_share(x).error <= 4 * U)


# Rounding of inexact operands: a bound without this second-order part would be too low


def test_rounding_of_a_share_that_is_far_off():
    """A small summand off by its own size, the row sum rounded down, the quotient up: all counts."""
    x = Rounded(np.array([[1e-3, 1.0, 1.0]]), np.array([[1e-3, 0.0, 0.0]]), BFLOAT16)
    small, total = 2e-3, 2.002 * (1 - BFLOAT16.gamma(2))
    got = (small / total) * (1 + BFLOAT16.division)
    bound = own_share(x)
    assert 0.98 <= compare("", LOCAL, [[got]], bound[:, :1]).share <= 1


def test_rounding_of_a_gradient_whose_probability_is_far_off():
    """The chain rule through the quotient: probabilities off by all they may, then each rounding up.

    At the right class p - 1: p as small as it may be, 1 and the difference rounded away from 0.
    """
    scores = Rounded(np.zeros((2, 3)), np.full((2, 3), 0.1), BFLOAT16)
    q = {"num_examples": 2, "y": np.array([0, 0]), "scores": scores}
    probs = q["computed probs"] = shifted_softmax(q)
    d, off = BFLOAT16.division_roundings, probs.error - BFLOAT16.division * probs.value
    own, common = BFLOAT16.gamma(2 * d + 1), 1 + BFLOAT16.gamma(3 * d + 2)
    got = (probs.value + off) * (1 + own) * common / 2
    right = ((probs.value - off) * (1 - own) - (1 + BFLOAT16.gamma(d))) * common / 2
    bound = dscores_through_quotient(probs, q)
    assert 0.999 <= compare("", LOCAL, got[:, 1:], bound[:, 1:]).share <= 1
    assert 0.95 <= compare("", LOCAL, right[:, :1], bound[:, :1]).share <= 1


def test_rounding_of_a_loss_whose_terms_are_far_off():
    """1 +- 1/2 and 2 +- 1/4, as large as they may be: three terms round twice, and so did a + b."""
    data_loss, reg_loss = (
        Rounded(np.array(value), np.array(error), BFLOAT16) for value, error in ((1.0, 0.5), (2.0, 0.25))
    )
    bound = loss_term_by_term(2)(data_loss + reg_loss, {"data_loss": data_loss, "reg_loss": reg_loss})
    twice = BFLOAT16.gamma(2)
    terms = 2.25 / (1 - twice)
    got = (1.5 + terms) * (1 + twice)
    assert 0.999 <= compare("", LOCAL, np.array(got), bound).share <= 1


def test_rounding_of_a_sum_whose_terms_are_far_off():
    """Three terms off by a tenth, then each addition rounded up."""
    x = Rounded(np.ones((1, 3)), np.full((1, 3), 0.1), BFLOAT16)
    got = 3.3 * (1 + BFLOAT16.gamma(2))
    assert 0.999 <= compare("", LOCAL, [got], np.sum(x, axis=1)).share <= 1


@pytest.mark.parametrize("off", [(0.1, 0.1), (0.1, 0.0), (0.0, 0.1)], ids=str)
def test_rounding_of_a_dot_product_whose_factors_are_far_off(off):
    """Both factors, or one of them, are off by a tenth; then each product and sum rounds up."""
    a, b = (Rounded(np.ones((1, 3)), np.full((1, 3), x) if x else None, BFLOAT16) for x in off)
    got = 3 * (1 + off[0]) * (1 + off[1]) * (1 + BFLOAT16.gamma(3))
    assert 0.999 <= compare("", LOCAL, [[got]], np.dot(a, b.T)).share <= 1


def test_rounding_of_a_dot_product_whose_inputs_were_rounded():
    """Both factors rounded up by 2**-8, then each product and sum."""
    rounding = BFLOAT16.with_product_inputs(2.0**-8)
    x = Rounded.exact(np.ones((1, 3)), rounding)
    got = 3 * (1 + 2.0**-8) ** 2 * (1 + BFLOAT16.gamma(3))
    assert 0.999 <= compare("", LOCAL, [[got]], np.dot(x, x.T)).share <= 1


def test_rounding_of_an_exponential_whose_exponent_is_far_off():
    """exp(1 +- 1) may be exp(2), whose error by |x| counts at 2."""
    gpu = replace(BFLOAT16, exp_ulps_per_unit=1.0)
    got = np.exp(2) * (1 + 2 * BFLOAT16.roundoff * (gpu.exp_ulps + 2))
    bound = np.exp(Rounded(np.ones(1), np.ones(1), gpu))
    assert 0.999 <= compare("", LOCAL, [got], bound).share <= 1


def test_smaller_operand_counts_as_far_as_it_reaches():
    """max(0, -0.5 +- 2) is between 0 and 1.5, and max(0, -3 +- 2) is 0."""
    y = Rounded(np.array([-0.5, -3.0]), np.array([2.0, 2.0]), FLOAT32)
    bound = np.maximum(0, y)
    assert bound.value.tolist() == [0, 0]
    assert bound.error == pytest.approx([1.5, 0], rel=1e-5, abs=0)
    reaching_just_0 = np.maximum(0, Rounded(np.array([-1.0]), np.array([1.0]), FLOAT32))
    assert reaching_just_0.error == pytest.approx(SLACK - 1, rel=1e-9, abs=0)
    both = np.maximum(y, Rounded(np.array([-1.0, -3.5]), np.array([4.0, 0.1]), FLOAT32))
    assert both.error == pytest.approx([3.5, 2.0], rel=1e-5, abs=0)


@pytest.mark.parametrize(
    ("function", "value", "lowest"),
    [(np.log1p, 0.0, -0.5), (np.log2, 1.0, 0.5), (np.sqrt, 1.0, 0.5), (np.tanh, -1.0, -0.5)],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_function_of_a_far_off_argument_is_covered_at_its_steeper_end(function, value, lowest):
    """The argument may be off by a half. The bound reaches there, and tanh's is not twice as far."""
    bound = function(Rounded(np.array([value]), np.array([0.5]), FLOAT32))
    least = 0.7 if function is np.tanh else 0.999
    assert least <= compare("", LOCAL, [function(lowest)], bound).share <= 1
