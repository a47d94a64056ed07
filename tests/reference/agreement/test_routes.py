"""Each other way to compute a quantity stays within its bound, and comes near it."""

import functools
import itertools
import operator

import numpy as np
import pytest
from operations import exact, normalised, share
from simulated import KINDS, Machine, machine

from reference.agreement import blocks
from reference.agreement.arithmetic import BFLOAT16, FLOAT16, FLOAT32
from reference.agreement.rounded import Rounded
from reference.agreement.routes import (
    classifier_routes,
    cover,
    loss_term_by_term,
    reg_loss_in_any_order,
    shifted_scores,
    split_dscores,
    with_two_halves,
)


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
    """With one layer, the bound of the loss is that of one addition."""
    one = Rounded.exact(np.array(1.0), FLOAT32)
    assert (
        loss_term_by_term(1)(one + one, {"data_loss": one, "reg_loss": one}).error == (one + one).error
    )


def test_shift_rounds_at_the_size_that_the_ports_own_maximum_gives_it():
    """Scores 0 +- 4 and -1: the port's maximum may be 4, and -1 - 4 rounds by up to 5u."""
    scores = Rounded(np.array([[0.0, -1.0]]), np.array([[4.0, 0.0]]), BFLOAT16)
    assert shifted_scores({"scores": scores}).error[0, 1] >= 5 * BFLOAT16.roundoff


def test_split_gradient_takes_one_exactly():
    """p/N - 1/N in float16, where the divisor's reciprocal is near underflow: 1 is just 1."""
    probs = Rounded(np.array([[0.25, 0.75], [0.5, 0.5]]), np.full((2, 2), 0.01), FLOAT16)
    bound = split_dscores(probs, {"num_examples": 2, "y": np.array([0, 0])})
    assert np.all(bound[:, 0].error == (probs[:, 0] / 2 - exact(1.0, 1.0, arithmetic=FLOAT16) / 2).error)


# Three layers and more


def of_three_layers():
    """Float16 numbers d, a, b, c, and the recorded reg_loss (a + b) + c."""
    m = Machine(FLOAT16, np.random.default_rng(0))
    d, a, b, c = (m.array(m.rng.uniform(0, 1, 200_000)) for _ in "dabc")
    return (d, a, b, c), {"data_loss": exactly(d), "reg_loss": exactly(a + b + c)}


def exactly(x):
    """A machine's numbers as exact inputs."""
    return Rounded.exact(x.value, FLOAT16)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 2, 1), (1, 0, 3, 2), (3, 2, 1, 0)], ids=str)
def test_loss_of_three_layers_uses_its_bound(order):
    """((d + a) + b) + c in float16, in this and other orders: within the bound, and near it."""
    terms, q = of_three_layers()
    bound = loss_term_by_term(3)(q["data_loss"] + q["reg_loss"], q)
    got = functools.reduce(operator.add, [terms[i] for i in order])
    assert 0.4 < share(got, bound) <= 1


def test_loss_of_three_layers_leaves_the_bound_of_two():
    """Each layer adds a rounding: counting one too few is a false alarm."""
    (d, a, b, c), q = of_three_layers()
    computed = q["data_loss"] + q["reg_loss"]
    assert share(d + a + b + c, loss_term_by_term(2)(computed, q)) > 1


@pytest.mark.parametrize("layers", [2, 3, 5])
def test_roundings_of_the_loss_are_those_of_its_layers(layers):
    """All terms as large as they may be; each addition rounds up, and reg_loss was rounded down."""
    data_loss, reg_loss = (
        Rounded(np.array(value), np.array(error), BFLOAT16) for value, error in ((1.0, 0.5), (2.0, 0.25))
    )
    q, gamma = {"data_loss": data_loss, "reg_loss": reg_loss}, BFLOAT16.gamma(layers)
    bound = loss_term_by_term(layers)(data_loss + reg_loss, q)
    terms = 2.25 / (1 - gamma)
    got = (1.5 + terms) * (1 + gamma)
    assert 0.999 <= share(np.array(got), bound) <= 1


@pytest.mark.parametrize(
    ("data_loss", "reg_loss", "got"),
    [(0.0, 1.2, 0.0), (1.5, 0.0, 2.7)],
    ids=["partial sums of the loss", "reg_loss"],
)
def test_flushed_partial_sum_of_the_loss_is_bounded(data_loss, reg_loss, got):
    """Terms of 0.6 smallest normal numbers each: either sum of them may be flushed, the other not."""
    smallest = FLOAT32.smallest_normal
    q = {
        "data_loss": Rounded(np.array(data_loss * smallest), None, FLOAT32),
        "reg_loss": Rounded(np.array(reg_loss * smallest), None, FLOAT32),
    }
    computed = Rounded(np.array((data_loss + reg_loss) * smallest), None, FLOAT32)
    assert share(np.array(got * smallest), loss_term_by_term(2)(computed, q)) <= 1


@pytest.mark.parametrize(("layers", "flushes"), [(2, 0), (3, 1), (5, 3)])
def test_large_partial_sums_are_not_flushed(layers, flushes):
    """Of a loss of 1 + 1 only the first partial sums of reg_loss may be below the smallest number."""
    q = {name: Rounded.exact(np.array(1.0), FLOAT16) for name in ("data_loss", "reg_loss")}
    bound, gamma = loss_term_by_term(layers)(q["data_loss"] + q["reg_loss"], q), FLOAT16.gamma(layers)
    expected = gamma * (1 + 2 / (1 - gamma)) + flushes * FLOAT16.smallest_normal
    assert bound.error == pytest.approx(expected, rel=1e-12)


def three_weights(*values, stacked=0):
    """What the regularization loss of three layers of one weight each is computed from."""
    weights = {W: np.array([[value]]) for W, value in zip(("W", "W2", "W3"), values, strict=True)}
    if stacked:
        weights = {W: np.stack([value, 2 * value]) for W, value in weights.items()}
    return {"reg": 2.0} | {W: Rounded.exact(x, FLOAT16, stacked) for W, x in weights.items()}


def in_the_notes_order(q):
    """The terms of the regularization loss, and their sum from the left."""
    terms = [0.5 * q["reg"] * np.sum(q[W] * q[W]) for W in ("W", "W2", "W3")]
    return terms, functools.reduce(operator.add, terms)


def test_reg_loss_of_three_layers_in_any_order_rounds_twice_at_its_size():
    """Of 0 + 1 + 1 from the left one sum rounds at 1 and one at 2; from the right both round at 2."""
    q = three_weights(0.0, 1.0, 1.0)
    terms, computed = in_the_notes_order(q)
    off = sum(term.errors() for term in terms)
    flushed = 2 * FLOAT16.smallest_normal
    bound = reg_loss_in_any_order("W", "W2", "W3")(computed, q)
    assert bound.error == pytest.approx(off + FLOAT16.gamma(2) * (2 + off) + flushed, rel=1e-12)
    assert bound.error > computed.error
    covered = cover("reg_loss", classifier_routes(["W", "W2", "W3"])["reg_loss"], computed, q)
    assert covered.error == bound.error


@pytest.mark.parametrize("kind", KINDS)
def test_reg_loss_of_three_layers_stays_in_its_bound_in_every_order(kind):
    """It does so on every conforming machine."""
    m = machine(kind, FLOAT16, np.random.default_rng(0))
    for _ in range(50):
        weights = [m.array(m.rng.uniform(-1, 1, (1, 1))) for _ in range(3)]
        q = three_weights(*(W.value.item() for W in weights))
        _, computed = in_the_notes_order(q)
        bound = reg_loss_in_any_order("W", "W2", "W3")(computed, q)
        terms = [1.0 * np.sum(W * W) for W in weights]
        for a, b, c in itertools.permutations(terms):
            for got in (a + b + c, a + (b + c)):
                assert share(got, bound) <= 1


def test_reg_loss_of_stacked_steps_is_that_of_each():
    """Two steps are stacked; the second's weights are twice the first's."""
    route = reg_loss_in_any_order("W", "W2", "W3")
    both = route(None, three_weights(0.5, 0.25, 1.0, stacked=1))
    for i, factor in enumerate((1, 2)):
        alone = route(None, three_weights(0.5 * factor, 0.25 * factor, factor))
        assert both.at((i,)).value == alone.value
        assert both.at((i,)).error == alone.error


def test_two_terms_have_one_order():
    """reg_loss of one or two layers is as the note has it."""
    one = Rounded.exact(np.array(1.0), FLOAT32)
    assert reg_loss_in_any_order("W", "W2")(one, {}) is one


# Large matrices


@pytest.mark.parametrize("name", ["probs", "correct_logprobs", "dscores"])
def test_examples_in_tiles_are_covered_alike(name, monkeypatch):
    """Routes that take a few examples at a time come to the bounds of all at once, stacked or not."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 20)
    for stacked in (0, 1):
        shape = (2, 20, 3) if stacked else (20, 3)
        value, error = rng.uniform(-2, 2, shape), rng.uniform(0, 0.1, shape)
        covered = []
        for large in (blocks.LARGE, 7):
            monkeypatch.setattr(blocks, "LARGE", large)
            monkeypatch.setattr(blocks, "TILE", blocks.TILE if large > 7 else 60)
            scores = Rounded(value, error, FLOAT32, stacked=stacked)
            q = {"scores": scores, "y": y, "num_examples": 20}
            q["probs"] = q["computed probs"] = normalised(np.exp(scores))
            rows = range(20), y
            computed = {
                "probs": q["probs"],
                "correct_logprobs": -np.log(q["probs"][rows]),
                "dscores": split_dscores(q["probs"], q),
            }[name]
            covered.append(cover(name, classifier_routes(["W"])[name], computed, q))
            assert ("shifted exp" in q) == (large > 7)  # kept for later routes, unless it is large
        monkeypatch.undo()
        whole, in_tiles = covered
        assert in_tiles.error == pytest.approx(whole.error, rel=1e-9)
