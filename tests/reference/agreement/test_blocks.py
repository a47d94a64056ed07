"""Large matrices are certified a few rows at a time, with the same findings as in one piece."""

import tracemalloc

import numpy as np
import pytest
from formats import FLOAT16
from numpy_operations import CALLS
from operations import OPERATIONS, bounded, normalised, numbers, uncertain
from simulated import machine

from reference.agreement import blocks
from reference.agreement.arithmetic import FLOAT32, FLOAT64
from reference.agreement.blocks import LARGE, TILE
from reference.agreement.judge import LOCAL, certify, compare
from reference.agreement.rounded import Rounded
from reference.models import MODELS
from reference.runs import draw
from reference.trace import record


@pytest.fixture
def in_tiles(monkeypatch):
    """A function: after its call, more than 7 elements are large, and computed about 5 at a time."""

    def small_is_large():
        monkeypatch.setattr(blocks, "LARGE", 7)
        monkeypatch.setattr(blocks, "TILE", 5)

    return small_is_large


def same(tiled, whole):
    """Whether a result is the same as another, but for the order in which it was summed."""
    return (
        tiled.value == pytest.approx(whole.value, rel=1e-12, abs=1e-12)
        and tiled.errors() == pytest.approx(whole.errors(), rel=1e-9, abs=0)
        and (tiled.is_exact, tiled.products, tiled.stacked)
        == (whole.is_exact, whole.products, whole.stacked)
    )


#: Products of a large matrix and a small one, with a small result: sums over tiles.
LONG = {
    "dot_of_a_long_left": lambda x, y: np.dot(x.T, y[:, :1]),
    "dot_of_a_long_right": lambda x, y: np.dot(x[:, :1].T, y),
}
ALL = OPERATIONS | LONG | {f"np.{name}": call for name, call in CALLS.items()}


@pytest.mark.parametrize("stacked", [0, 2])
@pytest.mark.parametrize("operation", ALL)
def test_operation_in_tiles_is_the_same(operation, stacked, in_tiles):
    """Every operation has the same value and bound, or no bound, on matrices alone and stacked."""
    f, rng = ALL[operation], np.random.default_rng(1)
    shape, bounds = ((2, 2, 3, 4) if stacked else (3, 4)), []
    for _ in range(20 if operation in OPERATIONS else 4):
        m = machine("plain", FLOAT16, rng)
        drawn = [uncertain(rng, m, numbers(rng, shape, FLOAT16))[1] for _ in "xy"]
        for x in drawn:
            x.stacked = stacked
        bounds.append((drawn, bounded(f, *drawn)))
    in_tiles()
    for drawn, whole in bounds:
        again = [Rounded(x.value, x.error, FLOAT16, stacked=stacked) for x in drawn]
        tiled = bounded(f, *again)
        assert (tiled is None) == (whole is None)
        assert whole is None or same(tiled, whole)


@pytest.mark.parametrize("wrong", [{}, {"dhidden": 1.0}, {"scores": 1e-6}, {"dW2": np.nan}], ids=str)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_step_in_tiles_is_judged_the_same(model, wrong, in_tiles):
    """All findings are the same: which agree, and for the others the share, worst element and bound.

    The share of what agrees depends on the order of summation, which tiles change.
    """
    problem = draw(np.random.RandomState(0), 5).problem(model)
    trace = record(problem)
    for name, off in wrong.items():
        if name in trace:
            trace[name][-1, -1] += off
    whole = certify(problem, trace, FLOAT64)
    in_tiles()
    for one, other in zip(certify(problem, trace, FLOAT64), whole, strict=True):
        assert one[:2] == other[:2]
        assert one.agrees == other.agrees
        assert one.elements == other.elements
        if not one.agrees:
            assert one.share == pytest.approx(other.share, rel=1e-3, abs=0, nan_ok=True)
            assert one.index == other.index
            assert one.got == pytest.approx(other.got, rel=1e-6, abs=0, nan_ok=True)
            assert one.allowed == pytest.approx(other.allowed, rel=1e-6, abs=0, nan_ok=True)


@pytest.mark.parametrize("row", [0, 1, 2, 5, 6])
@pytest.mark.parametrize("bad", [3.0, np.nan])
def test_worst_element_is_pointed_to_in_any_tile(row, bad, in_tiles):
    """The worst element is found in full tiles and in the last one; NaN is worse than any number."""
    in_tiles()
    got = np.zeros((7, 2))
    got[3, 0], got[row, 1] = 2.0, bad
    finding = compare("scores", LOCAL, got, Rounded(np.zeros((7, 2)), np.ones((7, 2)), FLOAT32))
    assert finding.index == (row, 1)
    assert np.array_equal(finding.got, bad, equal_nan=True)
    assert not finding.agrees


@pytest.mark.parametrize("index", [(0, 2, 1), (3, 0, 2), (8, 1, 0), (8, 2, 2)])
@pytest.mark.parametrize("bad", [3.0, np.nan])
def test_worst_element_of_a_large_stack_is_pointed_to(index, bad, in_tiles):
    """It is found in any matrix of a tensor that has more matrices than each has rows."""
    in_tiles()
    got = np.zeros((9, 3, 3))
    assert compare("scores", LOCAL, got, Rounded(got, np.ones(got.shape), FLOAT32)).agrees
    got[index] = bad
    finding = compare("scores", LOCAL, got, Rounded(np.zeros(got.shape), np.ones(got.shape), FLOAT32))
    assert finding.index == index
    assert not finding.agrees


def test_undecided_in_one_tile_alone(in_tiles):
    """A mask that rounding leaves open in the last rows covers both branches there, and only there."""
    in_tiles()
    x = Rounded(np.array([[1.0, -1.0]] * 4 + [[1e-9, -1.0]]), np.full((5, 2), 1e-8), FLOAT64)
    y = Rounded.exact(np.full((5, 2), 3.0), FLOAT64)
    y[x <= 0] = 0
    assert y.value.tolist() == [[3, 0]] * 5
    assert y.errors().tolist() == [[0, 0]] * 4 + [[3, 0]]


def test_subnormal_in_the_last_tile_is_uncertain(in_tiles):
    """A subnormal may be read as zero, wherever it stands."""
    in_tiles()
    numbers = np.ones((5, 2))
    numbers[-1, -1] = FLOAT32.smallest_normal / 4
    errors = Rounded.exact(numbers, FLOAT32).errors()
    assert errors[-1, -1] == FLOAT32.smallest_normal / 4
    assert np.count_nonzero(errors) == 1
    numbers[:, 0] = FLOAT32.smallest_normal / 4
    assert np.count_nonzero(Rounded.exact(numbers, FLOAT32).errors()) == 5 + 1


def test_large_exact_matrix_is_not_copied(in_tiles):
    """Large data are held once."""
    in_tiles()
    numbers = np.ones((5, 2))
    assert Rounded.exact(numbers, FLOAT32).value is numbers


@pytest.mark.parametrize(
    "operation", [lambda x: x + 1, lambda x: np.dot(x, np.eye(100))], ids=["add", "dot"]
)
def test_tiles_take_no_more_memory_than_their_result(operation):
    """The intermediate results of a rule are as large as a tile, not as the matrix."""
    shape = (40 * LARGE // 100, 100)
    x = Rounded(np.ones(shape), np.full(shape, 1e-9), FLOAT64)
    tracemalloc.start()
    result = operation(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.value.nbytes * 2 <= peak <= result.value.nbytes * 2 + 10 * 8 * TILE


#: Arrays whose numbers differ in each member of a stack, with any number of axes.
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
    "stack": lambda x: np.stack([x, x]),
    "concatenate": lambda x: np.concatenate([x, x], axis=1),
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
        assert member.value == pytest.approx(alone.value, rel=1e-12, abs=0)
        assert member.error == pytest.approx(alone.error, rel=1e-12, abs=0)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("error", [None, 0.5])
def test_mask_of_several_ports_on_what_they_share(error, large, in_tiles):
    """What is stacked by steps alone is, after that, stacked by ports too."""
    if large:
        in_tiles()
    shared = np.arange(1.0, 9.0).reshape(1, 4, 2)
    x = Rounded(
        shared.copy(), None if error is None else np.full_like(shared, error), FLOAT32, stacked=1
    )
    signs = np.array([[[[1.0, -1.0]] * 4], [[[-1.0, 1.0]] * 4]])
    x[Rounded(signs, None, FLOAT32, stacked=2) <= 0] = 0
    assert x.value.tolist() == (shared * (signs > 0)).tolist()
    assert x.errors().tolist() == ((error or 0.0) * (signs > 0)).tolist()
    assert x.is_exact == (error is None)


@pytest.mark.parametrize("large", [False, True])
def test_shared_mask_on_what_several_ports_have(large, in_tiles):
    """A mask that is stacked by steps alone holds for each port."""
    if large:
        in_tiles()
    own = np.arange(1.0, 17.0).reshape(2, 1, 4, 2)
    x, signs = Rounded(own.copy(), None, FLOAT32, stacked=2), np.array([[[1.0, -1.0]] * 4])
    x[Rounded(signs, None, FLOAT32, stacked=1) <= 0] = 0
    assert x.value.tolist() == (own * (signs > 0)).tolist()
