"""Each other way to compute a quantity stays within its bound, and comes near it."""

import functools
import itertools
import operator
from dataclasses import replace

import numpy as np
import pytest
from formats import BFLOAT16, FLOAT16
from operations import exact, normalised, share
from simulated import KINDS, Machine, machine

from reference.agreement import blocks
from reference.agreement.arithmetic import FLOAT32, FLOAT64, FUNCTION_ULPS
from reference.agreement.rounded import Rounded
from reference.agreement.routes import (
    any_of,
    classifier_routes,
    cover,
    data_loss_of_quotients,
    data_loss_of_two_means,
    decayed_apart,
    divided_late,
    dscores_through_quotient,
    farther,
    from_the_norm,
    hull,
    in_turn,
    keeping,
    log_probs,
    log_shifted_sum,
    loss_term_by_term,
    reg_loss_in_any_order,
    reg_loss_of_norms,
    reg_loss_of_scaled_squares,
    shifted_exp,
    shifted_scores,
    shifted_softmax,
    shifted_sum,
    split_dscores,
    with_two_halves,
)


def test_half_regularization_terms_round_though_the_sum_cancels():
    """(x + h) + h is 0 for x = -2h, but its partial sum is h: both additions may round."""
    weights, cancelled = Rounded.exact([3.0], FLOAT32), Rounded(np.zeros(1), np.zeros(1), FLOAT32)
    bound = with_two_halves("W")(cancelled, {"reg": 2.0, "W": weights})
    assert bound.error == pytest.approx(FLOAT32.unit * 3, rel=1e-6, abs=0)


def test_half_regularization_terms_round_at_the_size_that_the_sum_may_have():
    """(x + h) + h = 5 +- 1 for h = 3: the partial sum is at most 6 + 3 away from 0, and rounds again."""
    weights, uncertain_sum = (
        Rounded.exact([3.0], BFLOAT16),
        Rounded(np.full(1, 5.0), np.ones(1), BFLOAT16),
    )
    bound = with_two_halves("W")(uncertain_sum, {"reg": 2.0, "W": weights})
    unit = BFLOAT16.unit
    assert bound.error == pytest.approx(1 + (1 + unit) * unit * (6 + 3), rel=1e-12, abs=0)


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


@pytest.mark.parametrize("route", [with_two_halves, from_the_norm])
def test_flushed_regularization_counts_twice(route):
    """Weights of 2**-10 in float16 round and may be flushed; weights of 0 add nothing."""
    q = {"reg": 0.5, "W": Rounded.exact(np.array([2.0**-10, 0.0]), FLOAT16)}
    computed = Rounded(np.zeros(2), None, FLOAT16)
    roundings = FLOAT16.unit / 2 if route is with_two_halves else FLOAT16.gamma(4)
    expected = (1 + FLOAT16.unit) * (roundings * 2.0**-11 + 2 * FLOAT16.smallest_normal)
    assert route("W")(computed, q).error == pytest.approx([expected, 0], rel=1e-12, abs=0)


def test_no_regularization_has_no_halves():
    """Weights of 0 add 0: nothing rounds, nothing is flushed."""
    zero = Rounded.exact(np.zeros(1), FLOAT32)
    assert with_two_halves("W")(zero, {"reg": 1.0, "W": zero}).error.tolist() == [0]
    partial_sum = (1 + FLOAT16.unit) * FLOAT16.unit  # of 1 and nothing
    bound = with_two_halves("W")(Rounded.exact(np.ones(1), FLOAT16), {"reg": 1.0, "W": zero})
    assert bound.error == pytest.approx(partial_sum, rel=1e-12, abs=0)


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
    assert shifted_scores({"scores": scores, "y": np.array([0])}).error[0, 1] >= 5 * BFLOAT16.roundoff


def test_split_gradient_takes_one_exactly():
    """p/N - 1/N in float16, where the divisor's reciprocal is near underflow: 1 is just 1."""
    probs = Rounded(np.array([[0.25, 0.75], [0.5, 0.5]]), np.full((2, 2), 0.01), FLOAT16)
    bound = split_dscores(probs, {"num_examples": 2, "y": np.array([0, 0])})
    assert np.all(bound[:, 0].error == (probs[:, 0] / 2 - exact(1.0, 1.0, arithmetic=FLOAT16) / 2).error)


def test_roundings_and_flushes_of_the_chain_rule_are_counted():
    """From probabilities of 1/4 and 3/4, off by their own division alone; the second class is right."""
    p, division, d = np.array([0.25, 0.75]), FLOAT16.division, FLOAT16.division_roundings
    probs = Rounded(p[None], division * p[None], FLOAT16)
    q = {"num_examples": 2, "y": np.array([1]), "computed probs": probs, "shifted softmax": probs}
    farther_down, e = 2.0**-12, np.exp(1 + 0.5)  # of the largest score, as large as it may be
    q["row maximum"] = Rounded(np.ones((1, 1)), None, FLOAT16)
    q["largest score"] = Rounded(np.ones((1, 1)), np.full((1, 1), 0.5), FLOAT16)
    bound = dscores_through_quotient(probs, q | {"flushed farther": np.full((1, 1), farther_down)})
    own = FLOAT16.gamma(2 * d + 1) * p * (1 + division) + FLOAT16.gamma(d) * np.array([0, 1])
    value = (p - [0, 1]) / 2
    magnified = 1 + 2 / (2 * 0.75 * (1 - division))
    flushed = (FLOAT16.smallest_normal * (1 + e) + farther_down) * magnified
    expected = own / 2 + FLOAT16.gamma(3 * d + 2) * (np.abs(value) + own / 2) + flushed
    assert bound.value.tolist() == [value.tolist()]
    assert bound.error[0] == pytest.approx(expected, rel=1e-9, abs=0)


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


def test_partial_sum_that_may_be_small_may_be_flushed():
    """A data loss of 1.5 smallest numbers, give or take one."""
    smallest = FLOAT16.smallest_normal
    q = {
        "data_loss": Rounded(np.array(1.5 * smallest), np.array(smallest), FLOAT16),
        "reg_loss": Rounded.exact(np.array(1.0), FLOAT16),
    }
    bound, gamma = loss_term_by_term(2)(q["data_loss"] + q["reg_loss"], q), FLOAT16.gamma(2)
    expected = gamma * (2.5 * smallest + 2 / (1 - gamma)) + (3 + 1) * smallest
    assert bound.error == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("size", [1.0, FLOAT16.smallest_normal], ids=["large", "smallest"])
@pytest.mark.parametrize(("layers", "flushes"), [(2, 0), (3, 1), (5, 3)])
def test_normal_partial_sums_are_not_flushed(layers, flushes, size):
    """Of a loss of 1 + 1 only the first partial sums of reg_loss may be below the smallest number."""
    q = {name: Rounded.exact(np.array(size), FLOAT16) for name in ("data_loss", "reg_loss")}
    bound, gamma = loss_term_by_term(layers)(q["data_loss"] + q["reg_loss"], q), FLOAT16.gamma(layers)
    expected = gamma * (1 + 2 / (1 - gamma)) * size + flushes * FLOAT16.smallest_normal
    assert bound.error == pytest.approx(expected, rel=1e-12, abs=0)


def test_no_loss_has_no_partial_sums():
    """Of 0 + 0 nothing is flushed."""
    q = {name: Rounded.exact(np.array(0.0), FLOAT32) for name in ("data_loss", "reg_loss")}
    assert loss_term_by_term(3)(q["data_loss"], q).error == 0


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
    assert bound.error == pytest.approx(off + FLOAT16.gamma(2) * (2 + off) + flushed, rel=1e-12, abs=0)
    assert bound.error > computed.error
    layers = {f"gradient {W}": (W, "") for W in ("W", "W2", "W3")}
    covered = cover("reg_loss", classifier_routes(layers)["reg_loss"], computed, q)
    in_scaled_squares = reg_loss_of_scaled_squares("W", "W2", "W3")(bound, q)
    assert covered.error == reg_loss_of_norms(in_scaled_squares, q).error


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


# Shifts other than by the row's maximum


def two_rows(second, arithmetic=FLOAT32):
    """Two examples' scores, 0 and 60 and `second`; the right classes are 1 and 0."""
    scores = Rounded.exact(np.array([[0.0, 60.0], second]), arithmetic)
    return {"scores": scores, "y": np.array([1, 0]), "num_examples": 2}


def test_shift_by_the_largest_of_all_scores_rounds_at_its_distance():
    """Scores 5.3 and 6.1 less 60 lose as many digits as 60 has; less 6.1 they lose next to none."""
    bound = shifted_scores(two_rows([5.3, 6.1]))
    assert bound.error[1] == pytest.approx(FLOAT32.unit * np.array([54.7, 53.9]), rel=1e-6, abs=0)
    assert bound.error[0] == pytest.approx(FLOAT32.unit * np.array([60.0, 0.0]), rel=1e-6, abs=0)


def test_softmax_shifted_by_the_largest_of_all_scores_uses_its_bound():
    """In float32 it is within its bound, near it, and beyond that of a shift by the row's maximum."""
    rng, used, of_row = np.random.default_rng(0), [], []
    for _ in range(100):
        q = two_rows(np.float32(rng.uniform(-8, -4, 2)))
        z = (q["scores"].value - 60).astype(np.float32).astype(np.float64)
        got = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
        used.append(share(got[1:], shifted_softmax(q)[1:]))
        alone = {"scores": q["scores"][1:], "y": q["y"][1:], "num_examples": 1}
        of_row.append(share(got[1:], shifted_softmax(alone)))
    assert 0.4 < max(used) <= 1 < max(of_row)


def test_shift_that_flushes_the_right_class_is_no_route():
    """Less 60, a score of -30 is flushed to zero in float32: only its row's own maximum will do."""
    bound = shifted_scores(two_rows([-30.0, -31.0]))
    assert bound.error[1, 1] == pytest.approx(FLOAT32.unit, rel=1e-6, abs=0)


@pytest.mark.parametrize("least", [-22.4, -20.0, 0.0])
def test_right_class_that_is_not_flushed_keeps_its_probability(least):
    """Near the edge of the range most of a shifted row may be flushed, but not the right class."""
    bound = shifted_softmax(two_rows([least, least]))[1]
    assert 0 < bound.error[0] < bound.value[0] / 2


@pytest.mark.parametrize("classes", [2, 3])
def test_shift_may_lie_as_far_as_no_right_class_is_flushed(classes):
    """By the largest of all scores, up to the distance at which 8 K**2 smallest numbers are left."""
    in_range = -np.log(8 * classes**2 * FLOAT32.smallest_normal)
    for away, taken in ((in_range - 1e-3, True), (in_range + 1e-3, False)):
        scores = np.zeros((4, classes))
        scores[0, 0] = away
        q = {"scores": Rounded.exact(scores, FLOAT32), "y": np.zeros(4, int)}
        assert farther(q).tolist() == [[0.0]] + [[away if taken else 0.0]] * 3


def test_what_a_farther_shift_flushes_is_bounded():
    """exp(-20 - 60) is normal in float32, exp(-28 - 60) is flushed; a shift by -20 would keep it."""
    q = two_rows([-20.0, -28.0])
    bound = shifted_softmax(q)[1:]
    assert share(np.array([[1.0, 0.0]]), bound) <= 1
    alone = {"scores": q["scores"][1:], "y": q["y"][1:], "num_examples": 1}
    assert share(np.array([[1.0, 0.0]]), shifted_softmax(alone)) > 1


def test_accelerators_exponential_errs_more_the_farther_the_shift():
    """An exp off by a|x| is off by as much more as the largest of all scores is farther away."""
    gpu = FLOAT32.on_accelerator()
    near, far = (shifted_exp(two_rows([5.0, 6.0], a)).error[1, 1] for a in (FLOAT32, gpu))
    assert far - near == pytest.approx(gpu.exp_per_unit * 54, rel=1e-3, abs=0)


@pytest.mark.parametrize("off", [0.0, 0.25])
def test_farther_shift_adds_what_it_flushes_and_what_the_accelerator_errs(off):
    """Two flushes farther down, and an error by |x| of whatever the exponential may be."""
    gpu = replace(FLOAT16, exp_ulps_per_unit=1.0, smallest_normal=2.0**-100)
    q = two_rows([5.0, 6.0], gpu)
    q["scores"] = Rounded(q["scores"].value, np.full((2, 2), off), gpu)
    e, farther_off = np.exp(shifted_scores(q)), farther(q)
    assert farther_off.tolist() == [[0.0], [54.0]]
    flushed = 2 * gpu.smallest_normal * np.expm1(farther_off)
    added = flushed + gpu.exp_per_unit * farther_off * (e.value + e.error + flushed)
    assert shifted_exp(q).error - e.error == pytest.approx(added, rel=1e-9, abs=0)


@pytest.mark.parametrize("shift", [0.0, 60.0])
def test_logarithm_of_a_sum_rounds_at_its_own_size(shift):
    """log(exp(20) + exp(20)), or of that over exp(60), off by 4 ulps: near the bound, within it."""
    q = two_rows([20.0, 20.0])
    exact = 20 + np.log(2) - shift
    got = exact * (1 + 2 * FUNCTION_ULPS * FLOAT32.roundoff) + shift
    bound = log_shifted_sum(q)[1]
    assert 0.4 < share(np.array([got - 20]), bound) <= 1


def test_logarithm_of_uncertain_scores_rounds_at_the_size_that_they_may_have():
    """Scores of 60 and 20, each up to a quarter more or less; those of 20 may be shifted by 60."""
    q = two_rows([20.0, 20.0])
    q["scores"] = Rounded(q["scores"].value, np.full((2, 2), 0.25), FLOAT32)
    rounding = log_shifted_sum(q).error - np.log(shifted_sum(q)).error
    expected = FLOAT32.function * np.array([[60.25], [40.25]])
    assert rounding == pytest.approx(expected, rel=1e-4, abs=0)


def test_log_probability_of_a_rounded_logarithm_is_bounded():
    """The same logarithm less the score: log-softmax as x - log(sum(exp(x)))."""
    q = two_rows([20.0, 20.0])
    got = -np.log(2) - (20 + np.log(2)) * 2 * FUNCTION_ULPS * FLOAT32.roundoff
    assert 0.4 < share(np.array([[got]]), log_probs(q)[1:, :1]) <= 1


# Data loss


def means(scores, y, recorded=None, arithmetic=FLOAT16):
    """What the data loss is computed from, with l as recorded or as expected, and the note's loss."""
    q = {"scores": Rounded.exact(scores, arithmetic), "y": y, "num_examples": len(y)}
    z = scores - scores.max(axis=1, keepdims=True)
    exact = np.log(np.exp(z).sum(axis=1)) - z[range(len(y)), y]
    q["expected correct_logprobs"] = Rounded(exact, np.full(len(y), 1e-4), arithmetic)
    q["correct_logprobs"] = Rounded.exact(exact if recorded is None else recorded, arithmetic)
    return q, np.sum(q["correct_logprobs"]) / len(y)


@pytest.mark.parametrize(("least", "shift"), [(20, 0.0), (0, 40.0)], ids=["as they are", "shifted"])
def test_difference_of_two_means_uses_its_bound(least, shift):
    """Numbers of 20 to 40 summed apart in float16: near the bound, and beyond that of sum(l)/N."""
    m, used, as_noted = Machine(FLOAT16, np.random.default_rng(0)), [], []
    for _ in range(200):
        scores, y = m.round(m.rng.uniform(least, least + 20, (6, 3))), m.rng.integers(0, 3, 6)
        scores[0], y[0] = [40, 39, 38], 0
        q, computed = means(scores, y)
        a = m.array(np.log(np.exp(scores - shift).sum(axis=1)))
        b = m.array((scores - shift)[range(6), y])
        # the numbers that are summed are as expected: the bound of l allows for their own rounding
        q["expected correct_logprobs"] = Rounded(a.value - b.value, np.zeros(6), FLOAT16)
        got = np.sum(a) / 6 - np.sum(b) / 6
        used.append(share(got, data_loss_of_two_means(computed, q)))
        as_noted.append(share(got, computed))
    assert 0.1 < max(used) <= 1 < max(as_noted)


def test_difference_of_two_means_may_follow_other_numbers_than_those_recorded():
    """l was recorded elsewhere, each 0.5 lower; the mean of what the scores give is still covered."""
    scores, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    exact = np.log(1 + np.exp(-1))
    q, computed = means(scores, y, recorded=np.full(2, exact - 0.5))
    assert share(np.array(exact), data_loss_of_two_means(computed, q)) <= 1
    assert share(np.array(exact + 0.1), data_loss_of_two_means(computed, q)) > 1


@pytest.mark.parametrize("arithmetic", [FLOAT32, FLOAT16], ids=lambda a: a.name)
@pytest.mark.parametrize("off", [0.0, 0.5])
def test_each_part_of_a_difference_of_means_may_be_off(off, arithmetic):
    """l off by 1e-4 each: so is the mean, beside what scores of 8 and 9 round, and five flushes."""
    scores, y = np.array([[8.0, 0.0], [9.0, 0.0]]), np.array([0, 0])
    q, computed = means(scores, y, arithmetic=arithmetic)
    q["scores"] = Rounded(scores, np.full((2, 2), off), arithmetic)
    logprobs = q["expected correct_logprobs"].value
    gamma = arithmetic.gamma(2 + arithmetic.division_roundings)
    # less 9, the first score is 1 away and the second 0: their own sizes are larger
    expected = 1e-4 + gamma * (2 * (8 + 9 + 2 * off) + np.sum(logprobs + 1e-4)) / 2
    expected += 5 * arithmetic.smallest_normal
    assert data_loss_of_two_means(computed, q).error == pytest.approx(expected, rel=1e-6, abs=0)


def test_flushed_terms_of_a_weighted_sum_are_bounded():
    """Four terms of two smallest normal numbers: a fourth of each is flushed, of their sum it is not."""
    smallest = FLOAT16.smallest_normal
    q = {"correct_logprobs": Rounded(np.full(4, 2 * smallest), None, FLOAT16), "num_examples": 4}
    computed = np.sum(q["correct_logprobs"]) / 4
    bound = data_loss_of_quotients(computed, q)
    assert share(np.array(0.0), bound) <= 1
    assert bound.error == pytest.approx(computed.error + 4 * smallest, rel=1e-12, abs=0)
    q["correct_logprobs"] = Rounded.exact(np.full(4, 2.0**-63), FLOAT32)
    computed = np.sum(q["correct_logprobs"]) / 4
    more = data_loss_of_quotients(computed, q).error - computed.error
    assert more == pytest.approx(4 * FLOAT32.smallest_normal, rel=1e-2, abs=0)
    q["correct_logprobs"] = Rounded.exact(np.ones(4), FLOAT32)
    ordinary = np.sum(q["correct_logprobs"]) / 4
    assert data_loss_of_quotients(ordinary, q) is ordinary


# Regularization through a norm, or term by term


def regularized(W, arithmetic=FLOAT16, reg=1.0):
    """The regularization loss of one layer, and what it is computed from."""
    q = {"reg": reg, "W": Rounded.exact(W, arithmetic)}
    return q, 0.5 * q["reg"] * np.sum(q["W"] * q["W"])


def test_square_of_a_norm_uses_its_bound():
    """The root rounds up by 2u, which its square doubles, and the square rounds up too."""
    computed = Rounded(np.array(2.0), np.array(0.0), BFLOAT16)
    got = 2 * (1 + BFLOAT16.unit) ** 5
    assert 0.98 <= share(np.array(got), reg_loss_of_norms(computed, {})) <= 1 < share(got, computed)


def test_root_and_square_of_a_norm_may_be_flushed():
    """Five roundings of the smallest normal number, and two flushes."""
    smallest = FLOAT16.smallest_normal
    bound = reg_loss_of_norms(Rounded(np.array(smallest), None, FLOAT16), {})
    expected = FLOAT16.gamma(5) * smallest + 2 * smallest
    assert bound.error == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("kind", KINDS)
def test_square_of_a_norm_stays_in_its_bound(kind):
    """It does so on every conforming machine, for weights of any size."""
    m = machine(kind, FLOAT16, np.random.default_rng(0))
    for size in (1.0, 2.0**-4, 2.0**-7, 2.0**-8):
        for _ in range(50):
            W = m.array(size * m.rng.uniform(1, 2, (2, 3)))
            norm = np.sqrt(np.sum(W * W))
            q, computed = regularized(W.value)
            assert share(0.5 * (norm * norm), reg_loss_of_norms(computed, q)) <= 1


def test_accelerators_root_may_round_twice():
    """Each rounding of the root counts twice in its square, which rounds once more."""
    gpu = FLOAT32.on_accelerator()
    q, computed = regularized(np.array([[3.0]]), gpu)
    more = reg_loss_of_norms(computed, q).error - computed.error
    assert more == pytest.approx(5 * gpu.unit * computed.value, rel=1e-5, abs=0)


def test_flushed_terms_of_scaled_squares_are_bounded():
    """W*W is normal and reg*W*W is flushed: all terms vanish, though half their sum does not."""
    q, computed = regularized(np.full((8, 8), 4 * np.sqrt(FLOAT16.smallest_normal)), reg=2.0**-6)
    bound = reg_loss_of_scaled_squares("W")(computed, q)
    assert share(np.array(0.0), bound) <= 1 < share(np.array(0.0), computed)
    expected = computed.error + 64 * 2 * FLOAT16.smallest_normal
    assert bound.error == pytest.approx(expected, rel=1e-12, abs=0)
    q, ordinary = regularized(np.ones((2, 4)), FLOAT32)
    assert reg_loss_of_scaled_squares("W")(ordinary, q).error == ordinary.error


def test_gradient_through_a_norm_uses_its_bound():
    """x + (reg norm) (W / norm) in float16: near the bound, and beyond that of x + reg*W."""
    m, used, as_noted = Machine(FLOAT16, np.random.default_rng(0), reciprocal=True), [], []
    for _ in range(200):
        x, W = (m.array(m.rng.uniform(1, 2, (1, 50)) * scale) for scale in (2.0**-6, 1.0))
        norm = m.array(np.sqrt(np.sum(W.value**2)))
        computed = exactly(x) + exactly(W) * 1.0
        got = x + (0.5 * (2 * norm)) * (W / norm)
        q = {"reg": 1.0, "W": exactly(W)}
        used.append(share(x + (norm * 1.0) * (W / norm), from_the_norm("W")(computed, q)))
        as_noted.append(share(got, computed))
    assert 0.4 < max(used) <= 1 < max(as_noted)


# What is divided by N only at the end


def gradients(m, n):
    """n examples of one input, N * gradient on 500 outputs, and that gradient as recorded: divided."""
    X, late = m.array(m.rng.uniform(1, 2, (n, 1))), m.array(m.rng.uniform(1, 2, (n, 500)))
    return X, late, late / n


@pytest.mark.parametrize("products", [0, 1], ids=["product", "quotient"])
@pytest.mark.parametrize("n", [3, 5])
def test_late_division_uses_its_bound(n, products):
    """X.T (N d) / N from a recorded d: within the bound, and near it."""
    m, used = Machine(FLOAT16, np.random.default_rng(0), reciprocal=True), []
    for _ in range(4):
        X, late, d = gradients(m, n)
        error = FLOAT16.unit * d.value if products else None
        recorded = Rounded(d.value, error, FLOAT16, products=products)
        computed = np.dot(exactly(X).T, recorded)
        q = {"d": recorded, "num_examples": n, "local": True}
        got = np.dot(X.T, late) / n
        used.append(share(got, divided_late("d", lambda q: n)(computed, q)))
    assert 0.25 < max(used) <= 1


def test_roundings_of_a_late_division_are_counted():
    """n = 3 products: 3 roundings and that of d itself, against 3 and two divisions of two each."""
    recorded = Rounded(np.ones((3, 1)), np.full((3, 1), FLOAT64.unit), FLOAT64, products=1)
    computed = np.dot(Rounded.exact(np.ones((1, 3)), FLOAT64), recorded)
    q = {"d": recorded, "num_examples": 3, "local": True}
    bound = divided_late("d", lambda q: 3)(computed, q)
    assert bound.error == pytest.approx(7 * 3 * FLOAT64.unit, rel=1e-9, abs=0)
    exact = Rounded.exact(np.ones((3, 1)), FLOAT64)
    computed = np.dot(Rounded.exact(np.ones((1, 3)), FLOAT64), exact)
    assert divided_late("d", lambda q: 3)(computed, q | {"d": exact}).error == pytest.approx(
        7 * 3 * FLOAT64.unit, rel=1e-9, abs=0
    )


#: 3 examples in the weights' gradients, 2 additions in the biases', 5 classes behind the scores.
TERMS = {"dW2": 3, "db2": 2, "dhidden": 5, "dW": 3, "db": 2}


@pytest.mark.parametrize(("name", "terms"), TERMS.items())
def test_late_division_rounds_as_many_terms_as_each_gradient_has(name, terms):
    """A recorded gradient of 3 examples and 5 classes, which is no quotient."""
    routes = classifier_routes({"dhidden": ("W", "b"), "dscores": ("W2", "b2")})
    zero = Rounded.exact(np.zeros((3, 5)), FLOAT16)
    q = {"dscores": zero, "dhidden": zero, "num_examples": 3, "local": True, "reg": 0.0}
    q |= {"W": Rounded.exact(np.zeros(1), FLOAT16), "W2": Rounded.exact(np.zeros(1), FLOAT16)}
    bound = cover(name, routes[name], Rounded(np.zeros(1), np.ones(1), FLOAT16), q)
    ratio = FLOAT16.gamma(terms + 2 * FLOAT16.division_roundings) / FLOAT16.gamma(terms)
    assert bound.error == pytest.approx(ratio, rel=1e-3, abs=0)  # and what the regularization rounds


@pytest.mark.parametrize("known", [{"local": False}, {"num_examples": 1}], ids=["end to end", "N = 1"])
def test_bound_that_holds_already_is_not_widened(known):
    """End to end the division is counted once anyway, and one example is not divided."""
    computed = Rounded(np.ones(1), np.ones(1), FLOAT16)
    q = {"d": computed, "num_examples": 3, "local": True} | known
    assert divided_late("d", lambda q: q["num_examples"] - 1)(computed, q) is computed


# Weights that decay apart from the step

#: W, g, lr and reg -> the weights after the update.
DECAYS = {
    "two subtractions": lambda W, g, lr, reg, one: W - lr * g - lr * reg * W,
    "decay first": lambda W, g, lr, reg, one: W - lr * reg * W - lr * g,
    "factor": lambda W, g, lr, reg, one: W * (one - lr * reg) - lr * g,
    "in one piece": lambda W, g, lr, reg, one: W - (lr * g + lr * (reg * W)),
}
#: The same with a mistake: the bound of the right ones must not hide it.
WRONG_DECAYS = {
    "twice the decay": lambda W, g, lr, reg, one: W * (one - 2 * lr * reg) - lr * g,
    "the decay of the updated": lambda W, g, lr, reg, one: (W - lr * g) * (one - lr * reg),
    "no decay": lambda W, g, lr, reg, one: W - lr * g,
    "decay without the step size": lambda W, g, lr, reg, one: W * (one - reg) - lr * g,
}


def decayed(decay, lr, reg, kind="plain", sizes=(1.0, 1.0), arithmetic=FLOAT16):
    """The shares of its bound, and of the note's, that such an update uses; dW = g + reg*W is shown."""
    m = machine(kind, arithmetic, np.random.default_rng(0))
    W, g = (m.array(size * m.rng.uniform(1, 2, 2000)) for size in sizes)
    dW = g + reg * W
    exact_W, exact_dW = (Rounded.exact(x.value, arithmetic) for x in (W, dW))
    q = {"step_size": lr, "reg": reg, "W": exact_W, "dW": exact_dW}
    computed = q["W"] - lr * q["dW"]
    got = decay(W, g, m.array(lr), m.array(reg), m.array(1.0))
    return share(got, decayed_apart("W")(computed, q)), share(got, computed)


@pytest.mark.parametrize("decay", DECAYS)
def test_decay_apart_uses_its_bound(decay):
    """In float16 it is within its bound, and near it."""
    assert 0.2 < decayed(DECAYS[decay], lr=0.1, reg=0.1)[0] <= 1


@pytest.mark.parametrize("decay", ["two subtractions", "decay first", "factor"])
def test_decay_apart_leaves_the_bound_of_the_notes_update(decay):
    """W - lr*dW rounds once at the size of W: to count no more would be a false alarm."""
    assert decayed(DECAYS[decay], lr=0.1, reg=0.1)[1] > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sizes", [(1.0, 1.0), (1.0, 2.0**-6), (2.0**-6, 1.0), (2.0**-12, 2.0**-12)], ids=str
)
@pytest.mark.parametrize("decay", DECAYS)
def test_decay_apart_stays_in_its_bound(decay, sizes, kind):
    """It does so on every conforming machine, whichever of weights and gradient is small."""
    for lr, reg in ((1.0, 1e-3), (0.3, 0.1), (2.0, 0.5)):
        assert decayed(DECAYS[decay], lr, reg, kind, sizes)[0] <= 1


@pytest.mark.parametrize("decay", WRONG_DECAYS)
def test_wrong_decay_is_caught(decay):
    """The note's reg in float32, and gradients a hundredth of the weights."""
    assert decayed(WRONG_DECAYS[decay], lr=0.5, reg=1e-3, sizes=(1.0, 0.01), arithmetic=FLOAT32)[0] > 1


@pytest.mark.parametrize("without", ["step_size", "reg"])
def test_without_a_decay_nothing_is_apart(without):
    """With no regularization, or no step, the update has one way."""
    one = Rounded.exact(np.ones(1), FLOAT32)
    q = {"step_size": 1.0, "reg": 1.0, "W": one, "dW": one} | {without: 0.0}
    assert decayed_apart("W")(one, q) is one


def test_roundings_of_a_decay_apart_are_counted():
    """W, lr*dW and lr*reg*W as derived, and zero weights with no gradient stay exact."""
    q = {"step_size": 0.5, "reg": 0.25, "W": Rounded.exact(np.array([4.0, 0.0]), FLOAT64)}
    q["dW"] = Rounded.exact(np.array([-3.0, 0.0]), FLOAT64)
    computed = Rounded(np.array([5.5, 0.0]), np.zeros(2), FLOAT64)
    expected = 2 * 4 + 2 * 0.5 * 3 + 10 * 0.5 * 0.25 * 4
    assert decayed_apart("W")(computed, q).error == pytest.approx(
        [expected * FLOAT64.unit, 0], rel=1e-9, abs=0
    )


def test_flushes_of_a_decay_apart_are_counted():
    """Products and partial sums: 3 + 3 lr, and W times that of lr*reg. Nothing is flushed of zeros."""
    W, dW = np.array([4.0, 4.0, 0.0, 0.0]), np.array([3.0, 0.0, 3.0, 0.0])
    q = {"step_size": 0.5, "reg": 0.25, "W": Rounded.exact(-W, FLOAT16), "dW": exact(*dW)}
    rounding = FLOAT16.gamma(2) * (W + 0.5 * dW) + FLOAT16.gamma(10) * 0.125 * W
    flushed = FLOAT16.smallest_normal * (3 * 0.5 + 3 + W) * [1, 1, 1, 0]
    bound = decayed_apart("W")(Rounded(np.zeros(4), None, FLOAT16), q)
    expected = (1 + FLOAT16.unit) * (rounding + flushed)
    assert bound.error == pytest.approx(expected, rel=1e-12, abs=0)


# Routes together


def test_other_values_are_covered_by_their_distance():
    """1 and 1.5 +- 0.25 are at most 0.75 apart; of the same values, the wider bound holds."""
    x = Rounded(np.ones(1), None, FLOAT32)
    other = Rounded(np.full(1, 1.5), np.full(1, 0.25), FLOAT32)
    assert hull(x, other).error == 0.75
    assert hull(x.with_error(np.full(1, 0.5)), other).error == 0.75
    assert hull(x.with_error(np.full(1, 1.0)), other).error == 1
    assert hull(x, x.with_error(np.full(1, 0.5)), x.with_error(np.full(1, 0.25))).error == 0.5


def test_routes_in_turn_start_from_each_other():
    """A second rounding of 1 on top of a first one of 2."""
    x = Rounded(np.ones(1), np.zeros(1), FLOAT32)

    def wider(by):
        return lambda computed, q: computed.with_error(computed.error + by)

    assert in_turn(wider(2.0), wider(1.0))(x, {}).error == 3
    assert any_of(wider(2.0), wider(1.0))(x, {}).error == 2
    q = {}
    assert keeping("wide", wider(2.0))(x, q).error == 2
    assert q["wide"].error == 2


# Large matrices


def test_large_scores_that_ports_hide_are_shared(monkeypatch):
    """Probabilities of two ports, from the reference's scores, which have no axis of ports."""
    scores = Rounded(np.zeros((1, 20, 3)), np.full((1, 20, 3), 0.1), FLOAT32, stacked=1)
    probs = Rounded(np.full((2, 1, 20, 3), 1 / 3), np.full((2, 1, 20, 3), 1e-3), FLOAT32, stacked=2)
    y, covered = np.zeros(20, int), []
    for large in (blocks.LARGE, 7):
        monkeypatch.setattr(blocks, "LARGE", large)
        monkeypatch.setattr(blocks, "TILE", blocks.TILE if large > 7 else 60)
        q = {"scores": scores, "y": y, "num_examples": 20, "probs": probs}
        q["computed probs"] = normalised(np.exp(scores))
        routes = classifier_routes({"dscores": ("W", "b")})["dscores"]
        covered.append(cover("dscores", routes, split_dscores(probs, q), q))
    whole, in_tiles = covered
    assert in_tiles.error == pytest.approx(whole.error, rel=1e-9, abs=0)


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
            covered.append(cover(name, classifier_routes({"dscores": ("W", "b")})[name], computed, q))
            assert ("shifted exp" in q) == (large > 7)  # kept for later routes, unless it is large
        monkeypatch.undo()
        whole, in_tiles = covered
        assert in_tiles.error == pytest.approx(whole.error, rel=1e-9, abs=0)
