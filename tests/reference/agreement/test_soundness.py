"""The bounds are sound: whatever a conforming machine computes lies within them. No false alarm, ever.

`simulated.py` plays the machines. A violation found here is a bug in `reference.agreement`.
"""

import functools
import itertools
import operator
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from operations import (
    OPERATIONS,
    bounded,
    masked,
    numbers,
    share,
    uncertain,
)
from simulated import KINDS, Machine, machine, rounded_to

from reference.agreement import rules
from reference.agreement.arithmetic import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, Unbounded
from reference.agreement.bounds import Recorded, as_recorded, end_to_end, local
from reference.agreement.judge import LOCAL, compare
from reference.agreement.rounded import Rounded, linspace
from reference.agreement.routes import (
    dscores_through_quotient,
    loss_term_by_term,
    shifted_scores,
    split_dscores,
    with_two_halves,
)
from reference.agreement.rules import SLACK
from reference.models import MODELS, SOFTMAX, TWO_LAYER, Problem
from reference.spiral import spiral

TF32 = 2.0**-11
ARITHMETICS = {
    "float16": FLOAT16,
    "bfloat16": BFLOAT16,
    "float32": FLOAT32,
    "float64": FLOAT64,
    "tf32": FLOAT32.with_product_inputs(TF32),
    "accelerator": FLOAT32.on_accelerator(),
}
SHAPE = (3, 4)


@pytest.fixture(params=ARITHMETICS)
def arithmetic(request):
    """Each arithmetic in turn."""
    return ARITHMETICS[request.param]


@pytest.fixture(params=KINDS)
def kind(request):
    """Each kind of conforming machine in turn."""
    return request.param


#: Most of what these are given has no bound.
OFTEN_UNBOUNDED = {"divide_by_tiny", "divide_by_signed_row_sum", "log_of_anything"}
DRAWS = 12


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_stays_in_its_bound(operation, arithmetic):
    """Every conforming machine, from operands off by as much as they may be, ends within the bound."""
    f = OPERATIONS[operation]
    rng = np.random.default_rng(sum(map(ord, operation)))
    done = 0
    for kind in list(KINDS) * DRAWS:
        m = machine(kind, arithmetic, rng)
        (x, bound_x), (y, bound_y) = (uncertain(rng, m, numbers(rng, SHAPE, arithmetic)) for _ in "xy")
        bound = bounded(f, bound_x, bound_y)
        if bound is None:
            continue
        with np.errstate(all="ignore"):
            got = f(x, y)
        assert share(got, bound) <= 1, (kind, x.value, y.value, got.value, bound)
        done += 1
    assert done >= (0 if operation in OFTEN_UNBOUNDED else 2 * DRAWS)


# Whole steps, by every route


def shifted(q):
    """scores - row maximum."""
    return q["scores"] - np.max(q["scores"], axis=1, keepdims=True)


def row_sum(x):
    """Sum over the classes."""
    return np.sum(x, axis=1, keepdims=True)


def log_softmax(q):
    """Log-probabilities of the shifted scores."""
    return shifted(q) - np.log(row_sum(np.exp(shifted(q))))


def shifted_probs(q):
    """The usual softmax."""
    e = np.exp(shifted(q))
    return e / row_sum(e)


def right(q):
    """The index of each example's right class."""
    return range(q["X"].shape[0]), q["y"]


def less_one_at_right_class(dscores, q):
    """dscores - 1/N at the right class."""
    dscores[right(q)] = dscores[right(q)] - q["X"].machine.array(1) / q["X"].shape[0]
    return dscores


def logsumexp_less_score(q):
    """logsumexp - score, as optax does."""
    return logsumexp(q)[:, 0] - q["scores"][right(q)]


def logsumexp(q):
    """log of the summed exponentials + row maximum."""
    top = np.max(q["scores"], axis=1, keepdims=True)
    return np.log(row_sum(np.exp(q["scores"] - top))) + top


def exp_less_logsumexp(q):
    """exp(scores - logsumexp), which is logsumexp's gradient in PyTorch."""
    return np.exp(q["scores"] - logsumexp(q))


def chain_rule_through_shifted(q):
    """e * ((1/N) / s) - 1/N: jax.grad of log-softmax or logsumexp."""
    e = np.exp(shifted(q))
    return less_one_at_right_class(e * (q["X"].machine.array(1) / q["X"].shape[0] / row_sum(e)), q)


def chain_rule_through_quotient(q, scores=shifted):
    """Backwards through -log(e_y / s), s = sum(e), one operation after another."""
    N, one = q["X"].shape[0], q["X"].machine.array(1)
    e = np.exp(scores(q))
    s = row_sum(e)
    g = -(one / N) / (e[right(q)] / s[:, 0])
    at_right_class = e[right(q)] / s[:, 0] / s[:, 0]
    de = q["X"].machine.array(np.zeros(e.shape)) - (g * at_right_class)[:, None]
    de[right(q)] = de[right(q)] + g / s[:, 0]
    return de * e


def chain_rule_through_unshifted(q):
    """The same, of the document's own softmax."""
    return chain_rule_through_quotient(q, lambda q: q["scores"])


def layers_regularization(q):
    """Each layer's term of the regularization loss, computed once."""
    if "terms" not in q:
        q["terms"] = [0.5 * q["reg"] * np.sum(q[W] * q[W]) for W in ("W", "W2") if W in q]
    return q["terms"]


def two_halves(weights, inputs, errors):
    """(X.T d + h) + h, with h half the regularization gradient: autograd of reg/2 W*W."""

    def route(q):
        half = q[weights] * (0.5 * q["reg"])
        return np.dot(q[inputs].T, q[errors]) + half + half

    return route


ROUTES = {
    "document": {},
    "shifted": {"probs": shifted_probs},
    "manual split": {"dscores": lambda q: less_one_at_right_class(q["probs"] / q["X"].shape[0], q)},
    "log-softmax": {
        "probs": lambda q: np.exp(log_softmax(q)),
        "correct_logprobs": lambda q: -log_softmax(q)[right(q)],
        "dscores": lambda q: less_one_at_right_class(np.exp(log_softmax(q)) / q["X"].shape[0], q),
    },
    "library": {
        "probs": shifted_probs,
        "correct_logprobs": lambda q: -log_softmax(q)[right(q)],
        "dscores": lambda q: less_one_at_right_class(np.exp(log_softmax(q)) / q["X"].shape[0], q),
    },
    "logsumexp": {
        "probs": shifted_probs,
        "correct_logprobs": logsumexp_less_score,
        "dscores": chain_rule_through_shifted,
    },
    "gradient of logsumexp": {
        "probs": exp_less_logsumexp,
        "correct_logprobs": logsumexp_less_score,
        "dscores": lambda q: less_one_at_right_class(exp_less_logsumexp(q) / q["X"].shape[0], q),
    },
    "autograd": {"probs": shifted_probs, "dscores": chain_rule_through_quotient},
    "autograd of the document's softmax": {"dscores": chain_rule_through_unshifted},
    "loss term by term": {
        "reg_loss": lambda q: functools.reduce(operator.add, layers_regularization(q)),
        "loss": lambda q: functools.reduce(operator.add, layers_regularization(q), q["data_loss"]),
    },
}
#: Autograd adds the regularization gradient in halves; which arrays it adds them to.
HALVES = {
    "softmax": {"dW": two_halves("W", "X", "dscores")},
    "two_layer": {
        "dW": two_halves("W", "X", "dhidden"),
        "dW2": two_halves("W2", "hidden_layer", "dscores"),
    },
}


def simulated_step(problem, m, routes):
    """The reference step on a machine, some of its quantities by another route."""
    params = {name: m.array(value) for name, value in problem.params.items()}
    held = replace(problem, X=m.array(problem.X), params=params)
    q = params | {"X": held.X, "y": held.y, "reg": held.reg}
    trace = {}

    def tap(name, computed):
        trace[name] = q[name] = routes[name](q) if name in routes else computed
        return q[name]

    held.step(tap)
    return {name: value.value for name, value in trace.items()}


def drawn_problem(model, m):
    """A small problem of any scale: ties at 0, equal rows, zero biases, one example, one hidden unit."""
    rng, a = m.rng, m.arithmetic
    N, D, H, K = (
        rng.choice([1, rng.integers(2, 9)]),
        rng.integers(1, 4),
        rng.integers(1, 6),
        rng.integers(2, 5),
    )
    sizes = {"D": D, "H": H, "K": K, "1": 1}
    shapes = {n: tuple(sizes[c] for c in p.shape) for n, p in model.parameters.items()}
    spread = rng.choice([0, 1, 3])
    scale = 2.0 ** rng.integers(-6, 2)
    params = {n: m.round(scale * numbers(rng, s, a, spread)) for n, s in shapes.items()}
    X = m.round(numbers(rng, (N, D), a, spread))
    if rng.random() < 0.5:
        params["b"][:] = 0
        X[0] = 0
    if rng.random() < 0.1:
        X *= a.smallest_normal
    elif rng.random() < 0.3:  # scores far apart, probabilities near 1
        params[model.biases[-1]][:] = m.round(15 * rng.standard_normal((1, K)))
    return Problem(model, X, rng.integers(0, K, N), params, rng.choice([1e-3, 0.3]), step_size=0.7)


def worst_shares(model, m, routes, certificate):
    """The largest share of its bound that each quantity of one drawn step uses; None if unbounded."""
    problem = drawn_problem(model, m)
    with np.errstate(all="ignore"):
        got = simulated_step(problem, m, routes)
    try:
        if certificate == "local":
            expected = local(problem, got, m.arithmetic)
        else:
            expected = end_to_end(problem, m.arithmetic)
    except Unbounded:
        return None
    return {name: share(got[name], expected[name]) for name in expected}


@pytest.mark.parametrize("certificate", ["local", "end_to_end"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_step_stays_in_its_bounds(model, route, certificate, arithmetic):
    """A whole step of any conforming machine, by any legitimate route, agrees with the reference."""
    rng = np.random.default_rng(0)
    routes = ROUTES[route] | (
        HALVES[model.name] if route in ("library", "logsumexp", "autograd") else {}
    )
    done = 0
    for kind in list(KINDS) * 2:
        shares = worst_shares(model, machine(kind, arithmetic, rng), routes, certificate)
        if shares is not None:
            assert max(shares.values()) <= 1, (kind, shares)
            done += 1
    assert done >= 4


# Random compositions, on machines and in exact arithmetic

SQUARE = (3, 3)
CHAINABLE = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "maximum": np.maximum,
    "dot": np.dot,
    "relu": lambda x, y: np.maximum(0, x - y),
    "mask": masked,
    "negate": lambda x, y: -x,
    "transpose": lambda x, y: x.T,
    "scale": lambda x, y: 0.3 * x,
    "exp": lambda x, y: np.exp(x),
    "log": lambda x, y: np.log(x),
    "sin": lambda x, y: np.sin(x),
    "cos": lambda x, y: np.cos(x),
    "normalise": lambda x, y: normalised(x),
    "sum_and_add": lambda x, y: np.sum(x, axis=0, keepdims=True) + y,
    "total_and_add": lambda x, y: np.sum(x) + y,
}


def random_program(rng, length=8):
    """Instructions (operation, operand, operand) on a growing list of arrays."""
    names = list(CHAINABLE)
    return [(rng.choice(names), *rng.integers(0, 3 + i, 2)) for i in range(length)]


def outcomes(program, arrays, apply=lambda f, x, y: f(x, y)):
    """Run a program, yielding each instruction's result."""
    arrays = list(arrays)
    for name, i, j in program:
        arrays.append(apply(CHAINABLE[name], arrays[i], arrays[j]))
        yield arrays[-1]


def bounded_outcomes(program, bounds):
    """The program's bounds, up to the first instruction that has none."""
    steps, results = outcomes(program, bounds), []
    while (result := bounded(next, steps, None)) is not None:
        results.append(result)
    return results


def test_compositions_stay_in_their_bounds(kind, arithmetic):
    """Random programs of eight operations, each result feeding later ones, end within their bounds."""
    rng = np.random.default_rng(1)
    compared = 0
    for _ in range(60):
        m, program = machine(kind, arithmetic, rng), random_program(rng)
        operands = [uncertain(rng, m, numbers(rng, SQUARE, arithmetic, 1)) for _ in range(3)]
        bounds = bounded_outcomes(program, [bound for _, bound in operands])
        with np.errstate(all="ignore"):
            for bound, got in zip(bounds, outcomes(program, [got for got, _ in operands]), strict=False):
                assert share(got, bound) <= 1, (program, got.value, bound)
                compared += 1
    assert compared >= 180


class Exact(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of mpmath numbers with 60 digits: a machine without rounding."""

    def __init__(self, value):
        self.value = value

    shape = property(lambda self: self.value.shape)
    T = property(lambda self: Exact(self.value.T))

    def copy(self):
        """A copy, as of any array."""
        return Exact(self.value.copy())

    def __getitem__(self, index):
        return Exact(np.asarray(self.value[index]))

    def __setitem__(self, index, new):
        self.value[index] = new.value if isinstance(new, Exact) else new

    def __array_ufunc__(self, ufunc, method, *inputs, out=None):
        values = [x.value if isinstance(x, Exact) else x for x in inputs]
        if ufunc is np.less_equal:
            return np.asarray(ufunc(*values), dtype=bool)
        if ufunc in (np.exp, np.log, np.sin, np.cos):
            return Exact(elementwise(getattr(mpmath(), ufunc.__name__), *values))
        return Exact(np.asarray(ufunc(*values), dtype=object))

    def __array_function__(self, func, types, args, kwargs):
        plain = [[x.value for x in a] if isinstance(a, list) else getattr(a, "value", a) for a in args]
        return Exact(np.asarray(func(*plain, **kwargs), dtype=object))


def mpmath():
    """The exact arithmetic, at 60 digits."""
    mp = pytest.importorskip("mpmath", reason="mpmath is the exact arithmetic to compare with").mp
    mp.dps = 60
    return mp


def elementwise(f, x):
    """f on every element, keeping objects."""
    return np.frompyfunc(f, 1, 1)(x)


def exact_array(x):
    """float64 numbers as mpmath's."""
    return Exact(np.asarray(elementwise(mpmath().mpf, np.asarray(x, dtype=object))))


def exact_share(got, bound):
    """The largest share of the bound that the exact result uses."""
    off = np.abs(np.asarray(got.value - exact_array(bound.value).value, dtype=object))
    allowed = np.broadcast_to(bound.error, off.shape)
    assert np.all(off[allowed == 0] == 0) or np.max(off[allowed == 0]) < 1e-300
    return max((o / a for o, a in zip(off.flat, allowed.flat, strict=True) if a), default=0)


def exact_operand(rng, arithmetic, spread):
    """The same numbers as exact ones and as `Rounded`."""
    x = Machine(arithmetic, rng).array(numbers(rng, SQUARE, arithmetic, spread)).value
    return exact_array(x), Rounded.exact(x, arithmetic)


@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32], ids=lambda a: a.name)
def test_exact_results_lie_in_their_bounds(arithmetic):
    """Random programs in exact arithmetic end within their bounds: the float64 values are that good."""
    mpmath()
    rng = np.random.default_rng(2)
    compared = 0
    for _ in range(100):
        program = random_program(rng)
        operands = [exact_operand(rng, arithmetic, 1) for _ in range(3)]
        bounds = bounded_outcomes(program, [bound for _, bound in operands])
        exact = outcomes(program, [x for x, _ in operands])
        for bound, got in zip(bounds, exact, strict=False):
            assert exact_share(got, bound) <= 1, (program, got.value, bound)
            compared += 1
    assert compared >= 300


# Exact zeros, undecided masks


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
    """0.1, which no float32 number is, or 7 give or take 1/2; 0.1 or 0.1."""
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
    y[0] = 0
    assert x.error.tolist() == [0.5, 0.5]


# No bound, no silence


def exact(*values, arithmetic=FLOAT32):
    """Exact inputs."""
    return Rounded.exact(np.array(values), arithmetic)


def near_zero():
    """1 give or take 2."""
    return Rounded(np.array([1.0]), np.array([2.0]), FLOAT32)


UNBOUNDED = {
    "divide by an interval with 0": lambda: exact(1.0) / near_zero(),
    "divide by 0": lambda: 1 / exact(0.0, 1.0),
    "divide by what may be flushed to 0": lambda: 1 / exact(1e-39),
    "log of an interval with 0": lambda: np.log(near_zero()),
    "log of 0": lambda: np.log(exact(0.0)),
    "exp overflows": lambda: np.exp(exact(89.0)),
    "exp may overflow": lambda: np.exp(Rounded(np.array([88.0]), np.array([1.0]), FLOAT32)),
    "sum overflows": lambda: np.sum(exact(3e38, 3e38)),
    "partial sum overflows": lambda: np.sum(exact(3e38, 3e38, -3e38, -3e38)),
    "addition overflows": lambda: exact(3e38) + exact(3e38),
    "product overflows": lambda: exact(3e38) * 2,
    "quotient overflows": lambda: exact(3e38) / 0.1,
    "dot product overflows": lambda: np.dot(
        exact([300.0], arithmetic=FLOAT16), exact([300.0], arithmetic=FLOAT16)
    ),
    "partial dot product overflows": lambda: np.dot(
        exact([300.0, 300.0], arithmetic=FLOAT16), exact([300.0], [-300.0], arithmetic=FLOAT16)
    ),
    "constant overflows": lambda: exact(1.0) + 1e39,
    "too many roundings": lambda: np.sum(exact(*np.ones(2000), arithmetic=FLOAT16)),
    "too long a dot product": lambda: np.dot(
        exact(np.ones(2000), arithmetic=FLOAT16), exact(*np.ones((2000, 1)), arithmetic=FLOAT16)
    ),
    "exponentials of a row underflow": lambda: normalised_exp(exact([-100.0, -100.0])),
    "half of a row sum may be flushed": lambda: normalised(
        exact([1.6 * FLOAT32.smallest_normal, 1.6 * FLOAT32.smallest_normal])
    ),
    "gradient of a probability that may be 0": lambda: dscores_through_quotient(
        exact([0.25, 0.75]), probability_down_to_zero()
    ),
}


def normalised(x):
    """Each row over its sum."""
    return x / np.sum(x, axis=1, keepdims=True)


def normalised_exp(x):
    """The document's softmax."""
    return normalised(np.exp(x))


def probability_down_to_zero():
    """What a gradient starts from: a right class with a probability of 1/4 give or take 1/4."""
    probs = Rounded(np.array([[0.25, 0.75]]), np.full((1, 2), 0.25), FLOAT32)
    return {"num_examples": 1, "y": np.array([0]), "computed probs": probs, "shifted softmax": probs}


@pytest.mark.parametrize("case", UNBOUNDED)
def test_unbounded_is_said(case):
    """Where no finite bound exists, Unbounded is raised; no infinite or NaN bound comes out."""
    with pytest.raises(Unbounded):
        UNBOUNDED[case]()


X = exact([1.0, 2.0], [3.0, 4.0])
REFUSED = {
    "unknown function": lambda: np.mean(X),
    "unknown ufunc": lambda: np.sqrt(X),
    "power": lambda: X**2,
    "matmul": lambda: X @ X,
    "ufunc method": lambda: np.add.reduce(X),
    "outer": lambda: np.multiply.outer(X, X),
    "out of a ufunc": lambda: np.exp(X, out=np.zeros((2, 2))),
    "in place on a plain array": lambda: operator.iadd(np.zeros((2, 2)), X),
    "out of a function": lambda: np.sum(X, out=np.zeros(())),
    "where": lambda: np.add(X, X, where=np.ones((2, 2), dtype=bool)),
    "dtype": lambda: np.sum(X, dtype=np.float32),
    "equality": lambda: X == 1,
    "inequality": lambda: X != 1,
    "less": lambda: X < 1,
    "greater": lambda: X > 1,
    "truth of an array": lambda: bool(X),
    "truth of a comparison": lambda: bool(X <= 1),
    "asarray": lambda: np.asarray(X),
    "array": lambda: np.array([X, X]),
    "float": lambda: float(X[0, 0]),
    "assignment into a plain array": lambda: np.zeros((2, 2)).__setitem__(0, X[0]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_rule_is_refused(case):
    """Anything without a rule raises TypeError; nothing loses its error on the way."""
    with pytest.raises(TypeError):
        REFUSED[case]()


@pytest.mark.parametrize("unknown", [np.sqrt, np.sort])
def test_refusal_names_the_function(unknown):
    """What to add a rule for: a ufunc, and a function that is none."""
    with pytest.raises(TypeError, match=f"no error bound is known for np.{unknown.__name__}"):
        unknown(X)


# The machines themselves


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_simulated_rounding_is_numpys(dtype):
    """The machines round as NumPy does, subnormals and overflow included."""
    a = ARITHMETICS[dtype]
    x = np.random.default_rng(3).standard_normal(20_000) * 2.0 ** np.linspace(-160, 140, 20_000)
    with np.errstate(over="ignore"):
        expected = x.astype(dtype).astype(np.float64)
    assert np.array_equal(rounded_to(x, a.roundoff, a.smallest_normal, a.largest), expected)


def simulated_linspace(m):
    """linspace in the machine's own operations."""
    return lambda start, stop, num: (
        start + m.array(np.arange(num)) * (m.array(stop - start) / max(num - 1, 1))
    )


def test_spiral_stays_in_its_bound(kind, arithmetic):
    """The data that any conforming machine generates lie within the bound."""
    m = machine(kind, arithmetic, np.random.default_rng(4))
    noise = m.array(m.rng.standard_normal((3, 20)))
    got, _ = spiral(noise, simulated_linspace(m))
    expected, _ = spiral(Rounded.exact(noise.value, arithmetic), linspace(arithmetic))
    assert share(got, expected) <= 1


@pytest.mark.parametrize("kind", ["plain", "sloppy_functions"])
@pytest.mark.parametrize("route", ROUTES)
def test_large_close_scores_stay_in_their_bounds(route, kind):
    """Scores of 20 to 40, two apart: where a route rounds at the size of the scores, it shows."""
    m = machine(kind, FLOAT32, np.random.default_rng(0))
    X, y = m.round(m.rng.uniform(1, 2, (300, 1))), m.rng.integers(0, 2, 300)
    params = {"W": np.array([[20.0, 18.0]]), "b": np.zeros((1, 2))}
    problem = Problem(SOFTMAX, X, y, params, step_size=0.7)
    got = simulated_step(problem, m, ROUTES[route])
    for expected in (local(problem, got, FLOAT32), end_to_end(problem, FLOAT32)):
        assert max(share(got[name], bound) for name, bound in expected.items()) <= 1


@pytest.mark.parametrize("top", [2.0, 5.0, 8.0, 12.0])
def test_gradient_through_the_documents_softmax_on_an_accelerator(top):
    """An exp whose error grows with |x| errs more without a shift, and every rounding may be the worst.

    Scores are exact (a bias alone); e_0 and e_1 are off by what is promised, in opposite directions.
    """
    gpu = FLOAT32.on_accelerator()
    u, d = gpu.roundoff, gpu.division_roundings * gpu.roundoff
    scores = np.array([top, top - 1])
    params = {"W": np.zeros((1, 2)), "b": scores[None]}
    problem = Problem(SOFTMAX, np.zeros((2, 1)), np.array([0, 1]), params, reg=0.0)
    expected = end_to_end(problem, gpu)["dscores"]
    off = 2 * u * (gpu.exp_ulps + gpu.exp_ulps_per_unit * scores)
    shares = []
    for first, right, division in itertools.product((1, -1), (0, 1), (1, -1)):
        e = np.exp(scores) * (1 + first * np.array([1, -1]) * off)
        s = e.sum() * (1 + u)
        g = -0.5 * (1 + division * d) / (e[right] / s * (1 - division * d))
        through_sum = (
            g * (e[right] / s * (1 - division * d)) / s * (1 - division * d) * (1 - division * u)
        )
        at_right = np.arange(2) == right
        got = e * (at_right * g / s * (1 + division * d) - through_sum) * (1 + u) ** 2
        shares.append(np.abs(got - expected.value[right]) / expected.error[right])
    assert 0.5 < np.max(shares) <= 1


@pytest.mark.parametrize("route", ["document", "loss term by term"])
def test_loss_beside_a_large_regularization(route):
    """Of a small data loss and two large terms, the partial sum rounds as much as the whole."""
    m, shares = Machine(FLOAT32, np.random.default_rng(0)), []
    for _ in range(300):
        params = {n: m.round(m.rng.uniform(0.5, 1, s)) for n, s in (("W", (1, 2)), ("W2", (2, 2)))}
        params |= {"b": np.zeros((1, 2)), "b2": np.array([[9.0, 0.0]])}
        problem = Problem(TWO_LAYER, np.ones((1, 1)), np.array([0]), params, reg=1.0, step_size=0.7)
        got = simulated_step(problem, m, ROUTES[route])
        shares.append(share(got["loss"], local(problem, got, FLOAT32)["loss"]))
    assert 0.2 < max(shares) <= 1


def test_product_recorded_rounded_may_be_used_unrounded():
    """The loss of a compiler that contracts data_loss = sum * fl(1/N) into the addition of reg_loss."""
    m = Machine(FLOAT16, np.random.default_rng(0), fused=True, reciprocal=True, always=True)
    for _ in range(60):
        params = {"W": m.round(m.rng.standard_normal((1, 2))), "b": np.zeros((1, 2))}
        X, y = m.round(m.rng.uniform(-1, 1, (7, 1))), m.rng.integers(0, 2, 7)
        problem = Problem(SOFTMAX, X, y, params, step_size=0.7)
        got = simulated_step(problem, m, {})
        assert share(got["loss"], local(problem, got, FLOAT16)["loss"]) <= 1


def test_flush_magnified_by_the_chain_rule_is_bounded():
    """1/p magnifies what is flushed to zero behind it: a probability four times the smallest normal."""
    m = Machine(FLOAT16, np.random.default_rng(0), flushing=True, always=True)
    W = m.round(np.array([[6.94] * 4 + [0.0]]))
    params = {"W": W, "b": np.zeros((1, 5))}
    problem = Problem(SOFTMAX, np.ones((2, 1)), np.array([4, 4]), params, step_size=0.7)
    got = simulated_step(problem, m, ROUTES["autograd"])
    dscores = local(problem, got, FLOAT16)["dscores"]
    assert np.max(np.abs(got["dscores"] - dscores.value)) > 0.1
    assert 0.3 <= share(got["dscores"], dscores) <= 1


def test_recorded_subnormal_may_be_read_as_zero():
    """A hidden value below the smallest normal number is recorded; the mask may read it as 0."""
    params = {"W": [[1.0]], "b": [[0.0]], "W2": [[1.0, -1.0]], "b2": [[0.0, 0.0]]}
    params = {name: np.array(value) for name, value in params.items()}
    problem = Problem(TWO_LAYER, np.array([[1e-39]]), np.array([0]), params, step_size=0.7)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    assert got["hidden_layer"] > 0
    assert got["dhidden"] != 0
    for dhidden in (got["dhidden"], np.zeros((1, 1))):
        expected = local(problem, got | {"dhidden": dhidden}, FLOAT32)
        assert share(dhidden, expected["dhidden"]) <= 1


@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32, FLOAT16], ids=lambda a: a.name)
def test_format_is_numpys(arithmetic):
    """The limits of a format are those of the numbers themselves."""
    numpys = np.finfo(arithmetic.name)
    assert arithmetic.largest == float(numpys.max)
    assert arithmetic.smallest_normal == float(numpys.smallest_normal)
    assert 2 * arithmetic.roundoff == float(numpys.eps)


def test_comparison_with_an_uncertain_right_side_is_undecided():
    """An exact number against one that may lie on either side of it."""
    uncertain_one = Rounded(np.ones(2), np.array([0.5, 0.0]), FLOAT64)
    assert (Rounded.exact([0.8, 0.8], FLOAT64) <= uncertain_one).undecided.tolist() == [True, False]


def test_product_recorded_as_zero_may_be_used_unflushed():
    """What was flushed when recorded may still be there where it is contracted into an addition."""
    flushed = Recorded([0], [0], np.zeros((1, 1, 2)))
    computed = Rounded(np.zeros(2), np.array([FLOAT32.smallest_normal, 0.0]), FLOAT32, products=1)
    seen = as_recorded(flushed, [0], computed, computed)
    assert seen.error.ravel().tolist() == [FLOAT32.smallest_normal, 0.0]


def test_half_regularization_terms_round_though_the_sum_cancels():
    """(x + h) + h is 0 for x = -2h, but its partial sum is h: both additions may round."""
    weights, cancelled = Rounded.exact([3.0], FLOAT32), Rounded(np.zeros(1), np.zeros(1), FLOAT32)
    bound = with_two_halves("W")(cancelled, {"reg": 2.0, "W": weights})
    assert bound.error == pytest.approx(FLOAT32.unit * 3, rel=1e-6)


def test_half_regularization_terms_round_at_the_size_that_the_sum_may_have():
    """(x + h) + h = 5 +- 1 for h = 3: the partial sum is at most 6 + 3 away from 0, and rounds again."""
    weights, uncertain_sum = (
        Rounded.exact([3.0], BFLOAT16),
        Rounded(np.full(1, 5.0), np.ones(1), BFLOAT16),
    )
    bound = with_two_halves("W")(uncertain_sum, {"reg": 2.0, "W": weights})
    unit = BFLOAT16.unit
    assert bound.error == pytest.approx(1 + (1 + unit) * unit * (6 + 3), rel=1e-12)


@pytest.mark.parametrize("kind", ["plain", "flushing"])
@pytest.mark.parametrize("scale", [1.0, 2.0**-13])
def test_half_regularization_terms_use_their_bound(kind, scale):
    """(x + h) + h on float16 numbers, ordinary or almost subnormal: within the bound, and near it."""
    rng = np.random.default_rng(0)
    m = machine(kind, FLOAT16, rng)
    x, W = (m.array(scale * rng.uniform(-1, 1, 20000)) for _ in "xW")
    half = W * 0.5
    computed = Rounded.exact(x.value, FLOAT16) + Rounded.exact(W.value, FLOAT16) * 1.0
    bound = with_two_halves("W")(computed, {"reg": 1.0, "W": Rounded.exact(W.value, FLOAT16)})
    assert (0.4 if scale == 1 else 0) < share(x + half + half, bound) <= 1


def test_no_regularization_has_no_halves():
    """Weights of 0 add 0: nothing rounds, nothing is flushed."""
    zero = Rounded.exact(np.zeros(1), FLOAT32)
    assert with_two_halves("W")(zero, {"reg": 1.0, "W": zero}).error.tolist() == [0]


def test_third_term_of_the_loss_uses_its_bound():
    """(d + a) + b on float16 numbers, a + b recorded: near the bound, and beyond that of d + r."""
    rng = np.random.default_rng(0)
    m = Machine(FLOAT16, rng)
    d, a, b = (m.array(rng.uniform(0, 1, 20000)) for _ in "dab")
    data_loss, reg_loss = (Rounded.exact(x.value, FLOAT16) for x in (d, a + b))
    computed = data_loss + reg_loss
    bound = loss_term_by_term(2)(computed, {"data_loss": data_loss, "reg_loss": reg_loss})
    assert 0.4 < share(d + a + b, bound) <= 1 < share(d + a + b, computed)


def test_the_loss_of_one_layer_has_no_third_term():
    """Its bound is that of one addition."""
    one = Rounded.exact(np.array(1.0), FLOAT32)
    assert (
        loss_term_by_term(1)(one + one, {"data_loss": one, "reg_loss": one}).error == (one + one).error
    )


def test_subnormals_are_uncertain_whatever_else_there_is():
    """As many ones as subnormals, as many zeros as subnormals."""
    for other in (0.0, 1.0):
        assert Rounded.exact([other, 1e-39], FLOAT32).errors().tolist() == [0, 1e-39]


def test_smallest_normal_constant_is_held_exactly():
    """The numbers below it may be read as zero, it may not."""
    smallest = FLOAT32.smallest_normal
    assert FLOAT32.constant(smallest) == 0
    assert FLOAT32.constant(smallest / 2) == smallest / 2
    assert Rounded.exact([smallest, smallest / 2], FLOAT32).errors().tolist() == [0, smallest / 2]


def test_dot_product_of_uncertain_factors_may_overflow():
    """300 * 200 is in float16's range, 350 * 200 is not."""
    exact = Rounded.exact(np.full((1, 1), 200.0), FLOAT16)
    for error, whole in ((25.0, True), (50.0, False)):
        uncertain = Rounded(np.full((1, 1), 300.0), np.full((1, 1), error), FLOAT16)
        for factors in ((uncertain, exact), (exact, uncertain)):
            with nullcontext() if whole else pytest.raises(Unbounded, match="a dot product overflows"):
                np.dot(*factors)


def test_flushed_terms_of_a_large_sum_count():
    """Beside 2**-92 in float32 a flushed product is a thousandth of the rounding: not left out."""
    x = Rounded.exact(np.array([[2.0**-46, 2.0**-70]]), FLOAT32)
    size = 2.0**-92 + 2.0**-140
    flushed = 2 * 2 * FLOAT32.smallest_normal
    assert np.dot(x, x.T).error == pytest.approx(FLOAT32.gamma(2) * size + flushed, rel=1e-9, abs=0)
    terms = np.array([2.0**-92, 2.0**-125])
    assert np.sum(Rounded.exact(terms, FLOAT32)).error == pytest.approx(
        FLOAT32.gamma(1) * terms.sum() + FLOAT32.smallest_normal, rel=1e-9, abs=0
    )


#: What has numbers of its own in each member of a stack, of whatever number of axes.
OF_A_STACK = {
    "add": lambda stack, plain: stack + plain,
    "add to": lambda stack, plain: plain + stack,
    "multiply": lambda stack, plain: stack * plain,
    "divide": lambda stack, plain: plain / stack,
}


@pytest.mark.parametrize("operation", OF_A_STACK)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3)], ids=str)
def test_stack_meets_an_array_as_each_of_its_members_does(operation, shape):
    """Stacks of vectors, of matrices, of arrays of three axes, beside a plain matrix."""
    f, rng = OF_A_STACK[operation], np.random.default_rng(0)
    value, error = rng.uniform(1, 2, (5, *shape)), rng.uniform(0, 0.1, (5, *shape))
    plain = Rounded.exact(rng.uniform(1, 2, (2, 3)), FLOAT32)
    for errors in (error, None):
        result = f(Rounded(value, errors, FLOAT32, stacked=1), plain)
        for i in range(5):
            alone = f(Rounded(value[i], error[i] if errors is error else None, FLOAT32), plain)
            member = result.at((i,))
            assert member.shape == alone.shape
            assert np.all(member.value == alone.value)
            assert np.all(member.errors() == alone.errors())


OF_MEMBERS = {
    "share": normalised,
    "maximum": lambda x: np.maximum(x, 1.5),
    "sum of rows": lambda x: np.sum(x, axis=0),
    "sum of columns": lambda x: np.sum(x, axis=1),
    "sum of columns kept": lambda x: np.sum(x, axis=1, keepdims=True),
}


@pytest.mark.parametrize("operation", OF_MEMBERS)
@pytest.mark.parametrize("shape", [(2, 3), (4, 2, 3)], ids=str)
def test_stack_is_treated_as_each_of_its_members_is(operation, shape):
    """Along its own axes, and just as tightly."""
    f, rng = OF_MEMBERS[operation], np.random.default_rng(0)
    value, error = rng.uniform(1, 2, (5, *shape)), rng.uniform(0, 0.1, (5, *shape))
    result = f(Rounded(value, error, FLOAT32, stacked=1))
    for i in range(5):
        alone, member = f(Rounded(value[i], error[i], FLOAT32)), result.at((i,))
        assert member.value == pytest.approx(alone.value, rel=1e-12)
        assert member.error == pytest.approx(alone.error, rel=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sum_of_three_axes(axis):
    """Along any of them, as NumPy has it."""
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.all(np.sum(Rounded.exact(x, FLOAT32), axis=axis).value == np.sum(x, axis=axis))


def test_nothing_comes_of_nothing():
    """Operations on arrays without elements, such as no rows of a matrix."""
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


def test_contracted_products_loosen_an_addition_by_their_own_rounding_alone():
    """loss = data_loss + reg_loss, a quotient and a product that may be added unrounded."""
    params = {"W": np.array([[3.0, -2.0]]), "b": np.zeros((1, 2))}
    X, y = np.array([[1.0], [0.5]]), np.array([0, 1])
    problem = Problem(SOFTMAX, X, y, params, reg=0.5, step_size=0.7)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    bound = local(problem, got, FLOAT32)["loss"]
    summands = got["data_loss"] + got["reg_loss"]
    assert bound.error == pytest.approx(FLOAT32.unit * (got["loss"] + summands), rel=1e-6, abs=0)


def test_recorded_sum_is_added_as_it_was_recorded():
    """b_next = b - 0.5 db: db is a sum, which no compiler contracts; only its half is a product."""
    params = {"W": np.array([[3.0, -2.0]]), "b": np.array([[0.5, -0.25]])}
    X, y = np.array([[1.0], [0.5]]), np.array([0, 1])
    problem = Problem(SOFTMAX, X, y, params, reg=0.5, step_size=0.5)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    bound = local(problem, got, FLOAT32)["b_next"]
    rounded = np.abs(bound.value) + 0.5 * np.abs(got["db"])
    assert bound.error == pytest.approx(FLOAT32.unit * rounded, rel=1e-6, abs=0)


def test_recorded_hidden_layer_is_multiplied_as_it_was_recorded():
    """scores = h w: only the product rounds, and the sum with a bias of 0."""
    params = {"W": [[1.5]], "b": [[0.5]], "W2": [[3.0, -2.0]], "b2": [[0.0, 0.0]]}
    params = {name: np.array(value) for name, value in params.items()}
    problem = Problem(TWO_LAYER, np.array([[1.0]]), np.array([0]), params, step_size=0.7)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    bound = local(problem, got, FLOAT32)["scores"]
    assert bound.error == pytest.approx(2 * FLOAT32.unit * np.abs(got["scores"]), rel=1e-6, abs=0)


def test_flushed_terms_beside_as_many_ones_count():
    """Of the products 1 and 2**-127 the second may be flushed to zero in float32."""
    x = Rounded.exact(np.array([1.0, 2.0**-100]), FLOAT32)
    y = Rounded.exact(np.array([1.0, 2.0**-27]), FLOAT32)
    assert (x * y).error[1] >= FLOAT32.smallest_normal


def test_exact_zero_beside_a_flushed_product_stays_exact():
    """Of the products 0, 1 and 2**-127 the last alone may be flushed."""
    x = Rounded.exact(np.array([0.0, 1.0, 2.0**-100]), FLOAT32)
    error = (x * Rounded.exact(np.array([1.0, 1.0, 2.0**-27]), FLOAT32)).error
    assert error[0] == 0
    assert error[2] >= FLOAT32.smallest_normal


def test_row_sum_of_the_smallest_numbers_may_lose_its_terms():
    """8 s / (8 s + 8 s) with s the smallest normal number: each term's flushing weighs on the share."""
    x = Rounded.exact(np.full((1, 2), 8 * FLOAT32.smallest_normal), FLOAT32)
    assert np.all(normalised(x).error >= 8 / 14 - 8 / 16)


@pytest.mark.parametrize("index", [(0, 1), "mask"], ids=["index", "mask"])
def test_changed_after_the_sum_it_is_no_share_of_it(index):
    """The error of the element set to 0 is in the sum still, and no longer in the numerators."""
    x = Rounded(np.array([[1.0, 1.0]]), np.array([[0.0, 0.1]]), FLOAT64)
    total = np.sum(x, axis=1, keepdims=True)
    x[Rounded.exact([[2.0, 0.0]], FLOAT64) <= 1 if index == "mask" else index] = 0
    share = x / total
    assert share.value[0, 0] == 0.5
    assert share.error[0, 0] >= 1 / 1.9 - 0.5


def test_share_of_a_sum_whose_terms_may_be_negative():
    """The tighter rule is derived for terms of one sign: where that is open the general one holds."""
    x = Rounded(np.array([[1.0, 0.01]]), np.array([[0.0, 0.02]]), FLOAT64)
    total = np.sum(x, axis=1, keepdims=True)
    assert (x / total).error.tolist() == rules.divide(x.bounded, total.bounded, FLOAT64).error.tolist()
    x = Rounded(x.value, x.error / 2, FLOAT64)
    total = np.sum(x, axis=1, keepdims=True)
    assert (x / total).error.tolist() == rules.share(x.bounded, total.bounded, FLOAT64).error.tolist()


def test_share_of_a_column_is_not_taken_for_one_of_a_row():
    """(1 +- 0.1) / 3 in a column: the other shares move too."""
    x = Rounded(np.ones((3, 1)), np.array([[0.1], [0.0], [0.0]]), FLOAT32)
    shares = x / np.sum(x, axis=0, keepdims=True)
    assert np.all(shares.error[:, 0] >= [1.1 / 3.1 - 1 / 3, 1 / 3 - 1 / 3.1, 1 / 3 - 1 / 3.1])


def test_float64_function_is_off_on_both_sides():
    """4 ulps in the port and 4 in the reference: 16 roundoffs together."""
    x = Rounded.exact(np.ones(1), FLOAT64)
    for function in (np.exp, np.cos):
        bound = function(x)
        assert compare("", LOCAL, bound.value * (1 + 14 * 2.0**-53), bound).agrees
        assert not compare("", LOCAL, bound.value * (1 + 18 * 2.0**-53), bound).agrees


def test_dot_plus_bias_rounds_the_bias_in_all_partial_sums_but_one():
    """|v| u + gamma_3 |x||w| + gamma_2 |b|: three additions, of which the last rounds the result."""
    x, b = Rounded.exact(np.full((1, 3), 2.0), FLOAT32), Rounded.exact(np.full((1, 1), 100.0), FLOAT32)
    propagated = FLOAT32.gamma(3) * 12 + FLOAT32.gamma(2) * 100
    for result in (np.dot(x, x.T) + b, b + np.dot(x, x.T)):
        expected = propagated + FLOAT32.unit * (112 + propagated)
        assert result.error == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32, BFLOAT16, FLOAT16], ids=lambda a: a.name)
def test_largest_number_is_in_range(arithmetic):
    """It may be a constant and a result, and nothing above it."""
    assert arithmetic.constant(arithmetic.largest) == 0
    largest = Rounded.exact(np.full((1, 1), arithmetic.largest), arithmetic)
    assert np.sum(largest).value == arithmetic.largest
    with np.errstate(over="ignore"), pytest.raises(Unbounded, match="overflows"):
        np.sum(Rounded(largest.value, largest.value * 2.0**-10, arithmetic))


def test_bfloat16_is_the_upper_half_of_float32():
    """Its largest number, its smallest normal one and its 1 + eps, by their bits."""
    largest, smallest, above_one = (
        float(np.array(bits << 16, np.uint32).view(np.float32)) for bits in (0x7F7F, 0x0080, 0x3F81)
    )
    assert BFLOAT16.largest == largest
    assert BFLOAT16.smallest_normal == smallest
    assert 1 + 2 * BFLOAT16.roundoff == above_one


def test_uncertain_dividend_may_be_larger_than_it_is():
    """0 give or take 1024 over 2**15 in float16, where 1 / 2**15 is subnormal: as far off as 1/32."""
    x = Rounded(np.zeros(1), np.full(1, 1024.0), FLOAT16)
    assert (x / 2.0**15).error >= 1 / 32


def test_shift_rounds_at_the_size_that_the_ports_own_maximum_gives_it():
    """Scores 0 +- 4 and -1: the port's maximum may be 4, and -1 - 4 rounds by up to 5u."""
    scores = Rounded(np.array([[0.0, -1.0]]), np.array([[4.0, 0.0]]), BFLOAT16)
    assert shifted_scores({"scores": scores}).error[0, 1] >= 5 * BFLOAT16.roundoff


def test_split_gradient_takes_one_exactly():
    """p/N - 1/N in float16, where the divisor's reciprocal is near underflow: 1 is just 1."""
    probs = Rounded(np.array([[0.25, 0.75], [0.5, 0.5]]), np.full((2, 2), 0.01), FLOAT16)
    bound = split_dscores(probs, {"num_examples": 2, "y": np.array([0, 0])})
    assert np.all(bound[:, 0].error == (probs[:, 0] / 2 - exact(1.0, 1.0, arithmetic=FLOAT16) / 2).error)


@pytest.mark.parametrize("n", [1, 2, 10, 100])
def test_gamma_bounds_n_roundings(n):
    """(1 + u)**n and 1 / (1 - u)**n, in exact arithmetic (Higham, Lemma 3.1), and little more."""
    u = Fraction(BFLOAT16.unit)
    gamma = Fraction(BFLOAT16.gamma(n)) * Fraction(SLACK)
    assert (1 + u) ** n - 1 <= gamma
    assert 1 / (1 - u) ** n - 1 <= gamma
    assert gamma <= (1 / (1 - u) ** n - 1) * (1 + n * u)
