"""Hypothesis composes NumPy's functions at random: conforming machines stay within the bounds."""

import numpy as np
import pytest
from exact_numbers import exact_array, exact_share, mpmath
from expressions import INPUTS, STEPS, results
from formats import FLOAT16, STORED_BFLOAT16
from operations import bounded, share, uncertain
from simulated import KINDS, machine

from reference.agreement.arithmetic import FLOAT32, FLOAT64
from reference.agreement.rounded import Rounded
from reference.agreement.rounded.protocols import FUNCTIONS, UFUNCS

hypothesis = pytest.importorskip("hypothesis", reason="Hypothesis draws the expressions")
st = hypothesis.strategies

ARITHMETICS = {
    "float32": FLOAT32,
    "accelerator": FLOAT32.on_accelerator(),
    "float16": FLOAT16,
    "stored": STORED_BFLOAT16,
}
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.sampled_from([(1, 1), (2, 2), (3, 3), (4, 4), (2, 3, 3)])


def largest_share(program, shape, arithmetic, kind, seed):
    """The largest share of any step's bound that a machine uses; also how many steps have one."""
    rng = np.random.default_rng(seed)
    m = machine(kind, arithmetic, rng)
    scale = 2.0 ** rng.uniform(-3, 1)
    drawn = [uncertain(rng, m, rng.standard_normal(shape) * scale) for _ in range(INPUTS)]
    bounds = results(program, [bound for _, bound in drawn])
    shares = []
    with np.errstate(all="ignore"):
        for got in results(program, [got for got, _ in drawn]):
            bound = bounded(next, bounds, None)
            if bound is None or m.overflowed:
                break
            shares.append(share(got, bound))
    return max(shares, default=0), len(shares)


def programs_of(steps, longest):
    """Programs of up to so many of these steps."""
    step = st.tuples(st.sampled_from(sorted(steps)), st.tuples(*[st.integers(0, 8)] * 3))
    return st.lists(step, min_size=1, max_size=longest)


def search(programs, examples, phases=tuple(hypothesis.Phase)):
    """Draw programs; how many bounds were tried. Raises AssertionError if one leaves a bound."""
    tried = 0

    @hypothesis.settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=phases
    )
    @hypothesis.given(
        programs, SHAPES, st.sampled_from(sorted(ARITHMETICS)), st.sampled_from(sorted(KINDS)), SEEDS
    )
    def stays_in_its_bounds(program, shape, arithmetic, kind, seed):
        nonlocal tried
        worst, steps = largest_share(program, shape, ARITHMETICS[arithmetic], kind, seed)
        tried += steps
        assert worst <= 1

    stays_in_its_bounds()
    return tried


def test_expressions_stay_in_their_bounds(request):
    """Whatever NumPy functions are composed, each step's result lies within its bound."""
    examples = request.config.getoption("expressions")
    assert search(programs_of(STEPS, 6), examples) >= examples


@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32], ids=lambda a: a.name)
def test_exact_expressions_lie_in_their_bounds(arithmetic):
    """So do exact results: the float64 values are accurate, and a machine may be."""
    mpmath()
    rng, compared = np.random.default_rng(0), 0
    for _ in range(60):
        program = [(rng.choice(sorted(STEPS)), tuple(rng.integers(0, 9, 3))) for _ in range(4)]
        inputs = [rng.standard_normal((2, 2)).astype(np.float32).astype(float) for _ in range(INPUTS)]
        bounds = results(program, [Rounded.exact(x, arithmetic) for x in inputs])
        for got in results(program, [exact_array(x) for x in inputs]):
            bound = bounded(next, bounds, None)
            if bound is None:
                break
            assert exact_share(got, bound) <= 1, (program, got.value, bound)
            compared += 1
    assert compared >= 200


def without_error(rule):
    """The same rule, which says that its result is exact."""

    def forgetful(*args, **kwargs):
        result = rule(*args, **kwargs)
        return Rounded.of(result.bounded._replace(error=None), result.arithmetic, result.stacked)

    return forgetful


#: A wrong rule, where it stands, and a step that uses it.
PLANTED = {
    "tanh": (np.tanh, UFUNCS, "tanh"),
    "sqrt": (np.sqrt, UFUNCS, "sqrt"),
    "logaddexp": (np.logaddexp, UFUNCS, "logaddexp"),
    "matmul": (np.matmul, UFUNCS, "matmul"),
    "square": (np.square, UFUNCS, "square"),
    "mean": (np.mean, FUNCTIONS, "centred"),
    "cumsum": (np.cumsum, FUNCTIONS, "cumulative"),
    "where": (np.where, FUNCTIONS, "where"),
}


@pytest.mark.parametrize("rule", PLANTED)
def test_rule_that_forgets_its_error_is_found(rule, monkeypatch):
    """The search sees a rule that is wrong."""
    function, table, step = PLANTED[rule]
    monkeypatch.setitem(table, function, without_error(table[function]))
    with pytest.raises(AssertionError):
        search(programs_of([step], 2), 50, phases=[hypothesis.Phase.generate])
