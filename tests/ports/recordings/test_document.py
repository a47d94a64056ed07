"""Another machine's draws are accepted as far as they may be apart by rounding, and no farther."""

import numpy as np
import pytest

from ports.recordings.document import DrawnElsewhere, difference, drawn_elsewhere
from reference.agreement.arithmetic import ARITHMETICS, DTYPES
from reference.arrays import held_as
from reference.models import MODELS
from reference.runs import draw

POINTS, SEED = 50, 3


def polar(seed, count, r_of, log):
    """The draws of RandomState from its uniform ones, with another machine's sum and logarithm."""
    uniform, made = np.random.RandomState(seed).random_sample, []
    while len(made) < count:
        x, z = (2 * uniform() - 1 for _ in range(2))
        r = r_of(x, z)
        if 0 < r < 1:
            factor = np.sqrt(-2 * log(r) / r)
            made += [factor * z, factor * x]
    return np.array(made[:count])


def contracted(x, z):
    """The sum of squares as a fused multiply-add gives it."""
    return float(np.longdouble(x) * x + np.longdouble(z * z))


MACHINES = {
    "this": (lambda x, z: x * x + z * z, np.log),
    "fused": (contracted, np.log),
    "log_up": (contracted, lambda r: np.nextafter(np.log(r), 1)),
    "log_down": (lambda x, z: x * x + z * z, lambda r: np.nextafter(np.log(r), -9)),
    "exact": (lambda x, z: np.longdouble(x) * x + np.longdouble(z) * z, np.log),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_draws_of_other_machines_are_within_the_error(machine):
    """10,000 draws, of which some are near 0 and some have r near 1."""
    assert within_the_error(*MACHINES[machine]).all()


def test_draws_of_a_wrong_machine_are_not():
    """Negative control: a logarithm that is off by some hundred last places."""
    assert not within_the_error(lambda x, z: x * x + z * z, lambda r: np.log(r) * (1 + 1e-13)).all()


def within_the_error(r_of, log):
    """Which of 10,000 draws of a machine are as near to this one's as they should be."""
    drawn = DrawnElsewhere(SEED).standard_normal(10_000)
    return np.abs(polar(SEED, 10_000, r_of, log).astype(float) - drawn.value) <= drawn.errors()


def test_draws_are_those_of_the_document():
    """The values are the reference's own; the error is far below what a wrong input is off by."""
    here, elsewhere = draw(np.random.RandomState(SEED), POINTS), drawn_elsewhere(SEED, POINTS)
    assert np.array_equal(elsewhere.X.value, here.X)
    assert np.array_equal(elsewhere.y, here.y)
    assert np.array_equal(elsewhere.params["two_layer"]["W2"].value, here.params["two_layer"]["W2"])
    assert elsewhere.X.errors().max() < 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model", MODELS)
def test_inputs_are_accepted_in_every_dtype(model, dtype):
    """As a dtype holds them, and one last bit of float64 apart before that."""
    here = draw(np.random.RandomState(SEED), POINTS).problem(MODELS[model])
    expected = drawn_elsewhere(SEED, POINTS).problem(MODELS[model])
    for name, value in {"X": here.X, **here.params}.items():
        of_document = expected.X if name == "X" else expected.params[name]
        moved = np.where(value, np.nextafter(value, np.inf), 0)
        for array in (value, moved):
            assert not difference(name, held_as(dtype, array), of_document, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_inputs_are_found(dtype):
    """Negative control: one number is a little off, rows have been swapped, the seed is another."""
    here, expected = draw(np.random.RandomState(SEED), POINTS), drawn_elsewhere(SEED, POINTS)
    little = here.X.copy()
    little[7, 1] += max(1e-5, 4 * ARITHMETICS[dtype].roundoff)
    other = draw(np.random.RandomState(SEED + 1), POINTS).X
    for X in (little, here.X[::-1], other, -here.X, here.X * np.nan):
        assert difference("X", held_as(dtype, X), expected.X, dtype)
    assert difference("X", held_as(dtype, little), expected.X, dtype).startswith("X[7, 1] is ")
