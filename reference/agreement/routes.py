"""Other legitimate ways to compute a quantity, each with its own rounding.

Softmax may be computed as in the note, shifted, or through log-softmax; a gradient may come from the
chain rule, or be divided by N only at the end; weights may decay apart from the gradient. A bound covers
every route. Each route below is code on `Rounded` arrays like the reference's own, or counts the
roundings in which another way differs from the note's: when a port legitimately takes another way, add
that way; never widen a number.

A route takes the quantity as the note computes it, and `q`: the step's inputs and the quantities
before this one, by name. Under the local certificate those are the port's own, and `q["local"]` is true.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.rounded import Rounded
from reference.agreement.rules import ADVICE
from reference.arrays import Plain

Quantities: TypeAlias = dict[str, Any]
Route: TypeAlias = Callable[[Rounded, Quantities], Rounded]
#: An array, with or without its error, that several routes use.
Shared = TypeVar("Shared", Rounded, Plain)


# Softmax and its logarithm


def shared(compute: Callable[[Quantities], Shared]) -> Callable[[Quantities], Shared]:
    """Compute once what several routes use, and keep it among the quantities."""
    name = compute.__name__.replace("_", " ")  # no quantity has a space in its name

    def once(q: Quantities) -> Shared:
        if name not in q:
            q[name] = compute(q)
        return cast(Shared, q[name])

    return once


def largest_of_row(matrix: Plain) -> Plain:
    """np.max over the last axis, which is first moved to the front: NumPy reduces short rows slowly."""
    top: Plain = np.max(np.moveaxis(matrix, -1, 0).copy(), axis=0)
    return top[..., None]


def right_class(q: Quantities) -> tuple[range, Any]:
    """The index of each example's right class."""
    return range(len(q["y"])), q["y"]


@shared
def right_score(q: Quantities) -> Rounded:
    """The score (N,) of each example's right class."""
    return cast(Rounded, q["scores"])[right_class(q)]


@shared
def row_maximum(q: Quantities) -> Rounded:
    """The largest score of each row (N, 1), as an exact number (see `shifted_scores`)."""
    scores = q["scores"]
    return Rounded(largest_of_row(scores.value), None, scores.arithmetic, stacked=scores.stacked)


@shared
def largest_score(q: Quantities) -> Rounded:
    """The largest score of all rows (1, 1), and the largest error of any score."""
    scores, axes = q["scores"], (-2, -1)
    top = np.max(scores.value, axis=axes, keepdims=True)
    error = np.zeros_like(top) if scores.is_exact else np.max(scores.error, axis=axes, keepdims=True)
    return Rounded(top, error, scores.arithmetic, stacked=scores.stacked)


@shared
def farther(q: Quantities) -> Plain:
    """How much farther than the row's maximum the shift may lie (N, 1): as far as the largest score.

    Not where the right class might then be flushed to zero: there only the row's own maximum will do.
    With m for what may be flushed, 8 K^2 m < exp(score - largest score) <= K p_y exp(row maximum
    - largest score). What is flushed of K exponentials, twice of each, is then below p_y / 4.
    """
    scores, largest = q["scores"], largest_score(q).value
    in_range = -np.log(8 * scores.shape[-1] ** 2 * scores.arithmetic.flush)
    is_in_range = largest - right_score(q).value[..., None] < in_range
    return cast(Plain, (largest - row_maximum(q).value) * is_in_range)


@shared
def shifted_scores(q: Quantities) -> Rounded:
    """scores - shift, less row maximum - shift (N, K).

    Softmax does not depend on the shift, which is the row's maximum or the largest score of all rows. So
    it counts as an exact number, and the values are those of the row's maximum. The port's own shift may
    differ from either, but that changes only the rounding of the subtraction.
    """
    scores = q["scores"]
    shifted: Rounded = scores - row_maximum(q)
    rounding = scores.arithmetic.unit * (farther(q) + largest_score(q).error)
    return shifted.with_error(rules.onto(shifted.error, rounding))


@shared
def flushed_farther(q: Quantities) -> Plain:
    """How much more may be flushed to zero (N, 1) in units of exp(row maximum - shift) than of 1."""
    return cast(Plain, q["scores"].arithmetic.flush * np.expm1(farther(q)))


@shared
def shifted_exp(q: Quantities) -> Rounded:
    """exp(scores - shift) (N, K), in units of exp(row maximum - shift).

    It may be flushed farther twice: as it is, and in a partial sum of its row.
    """
    e, per_unit = cast(Rounded, np.exp(shifted_scores(q))), q["scores"].arithmetic.exp_per_unit
    error = rules.onto(e.error, 2 * flushed_farther(q))
    if per_unit:
        error += per_unit * farther(q) * (e.value + e.error)
    return e.with_error(error)


@shared
def shifted_sum(q: Quantities) -> Rounded:
    """The row sums (N, 1) of exp(scores - shift), in the same units."""
    return cast(Rounded, np.sum(shifted_exp(q), axis=1, keepdims=True))


@shared
def log_shifted_sum(q: Quantities) -> Rounded:
    """The logarithms (N, 1) of those row sums.

    The port's own logarithm is of the sum of exp(scores), shifted or not. It rounds at its own size.
    """
    logarithm, largest = cast(Rounded, np.log(shifted_sum(q))), largest_score(q)
    size = np.maximum(farther(q), np.abs(row_maximum(q).value)) + largest.error
    return logarithm.with_error(logarithm.error + logarithm.arithmetic.function * size)


@shared
def shifted_softmax(q: Quantities) -> Rounded:
    """Softmax of the shifted scores (N, K)."""
    return shifted_exp(q) / shifted_sum(q)


@shared
def log_probs(q: Quantities) -> Rounded:
    """log-softmax (N, K): of the shifted scores, or scores - logsumexp, which rounds at their size."""
    log_softmax = shifted_scores(q) - log_shifted_sum(q)
    return hull(log_softmax, q["scores"] - (row_maximum(q) + log_shifted_sum(q)))


@shared
def any_softmax(q: Quantities) -> Rounded:
    """Softmax by any way (N, K): as in the note, shifted, or as exp of its logarithm."""
    return hull(q["computed probs"], shifted_softmax(q), cast(Rounded, np.exp(log_probs(q))))


# Routes to the probabilities and their logarithms


def probs_by_any_way(computed: Rounded, q: Quantities) -> Rounded:
    """Shifted by the row's maximum or by the largest score of all rows, or through the logarithm."""
    return any_softmax(q)


def correct_logprobs_from_scores(computed: Rounded, q: Quantities) -> Rounded:
    """Through log-softmax or as logsumexp less the score, without the probabilities."""
    return -log_probs(q)[right_class(q)]


# Routes to the data loss


def data_loss_of_quotients(computed: Rounded, q: Quantities) -> Rounded:
    """sum(l_i / N), or a sum weighted by 1/N: as many roundings, but each term may be flushed."""
    size = rules.reach(q["correct_logprobs"].bounded) / q["num_examples"]
    flushed = rules.underflow(size, computed.arithmetic)
    if flushed is None:
        return computed
    return computed.with_error(rules.total(computed.error, rules.sum_over(flushed, (-1,), False)))


def data_loss_of_two_means(computed: Rounded, q: Quantities) -> Rounded:
    """mean(log of the row sums) - mean(score of the right class), shifted or not.

    Let l = correct_logprobs = a - b, where b is the score of the right class less the shift c, and a the
    logarithm of the row's sum. How far a - b may be off is what the bound of l says; the port may have
    recorded another l. The two means are rounded apart: N - 1 additions, a division of d roundings and
    the subtraction, together at most gamma_{N + d} (|a| + |b|) of each example, where |a| <= |b| + l.
    (Beside that, a sum may be stored.) With c = 0, |b| is the size of the score, with c the largest of
    all scores its distance from that; a row's own maximum gives less.
    """
    scores, top = right_score(q), largest_score(q)
    expected, recorded = q["expected correct_logprobs"], q["correct_logprobs"]
    N, arithmetic = q["num_examples"], computed.arithmetic
    b = np.maximum(np.abs(scores.value), top.value[..., 0] - scores.value) + top.error[..., 0]
    gamma = arithmetic.gamma(1 + arithmetic.stores, divisions=1, terms=N)
    error = rules.off(expected.bounded) + gamma * (2 * b + rules.reach(expected.bounded))
    error, apart = (rules.sum_over(x, (-1,), False) for x in (error, expected.value - recorded.value))
    return computed.with_error((error + np.abs(apart)) / N + 5 * arithmetic.flush)


# Routes to the gradient on the scores


def split_dscores(probs: Rounded, q: Quantities) -> Rounded:
    """p/N - 1/N at the right class, p/N elsewhere: what the chain rule through log-softmax gives."""
    one = Rounded.exact(1.0, probs.arithmetic)
    dscores: Rounded = probs / q["num_examples"]
    dscores[right_class(q)] = dscores[right_class(q)] - one / q["num_examples"]
    return dscores


def dscores_split(computed: Rounded, q: Quantities) -> Rounded:
    """From the recorded probabilities, or from a softmax that the gradient computes for itself.

    Autograd computes it again from the scores: as in the note, shifted, as exp of log-softmax (as
    PyTorch's backward does), or as exp of scores - logsumexp (the gradient of logsumexp).
    """
    return split_dscores(hull(q["probs"], any_softmax(q)), q)


def dscores_through_quotient(computed: Rounded, q: Quantities) -> Rounded:
    """The chain rule through -log(e_y / s), s = sum(e), shifted or not, as autograd applies it.

    With g = -1/(N p_y): dscores_k = e_k (g/s [k is y] - g e_y/s^2). Let d be the roundings of a
    division. The errors of g, of the subtraction and of the product with e_k are common to both
    terms (3d + 2 roundings of the difference); g/s costs d more, g e_y/s^2 at most 2d + 1 more
    (as (e/s)/s * g, or as (g e) * (1/(s s))). Each of these has one more where exponentials are used
    both before and after they are stored. Where (e/s)/s or g e is flushed to 0, what multiplies it
    magnifies that: g, and e_k, which is large without a shift where scores are. But no more is lost than
    the term itself, which is then 0: e_k/(N s), or 1/N. Two other ways round less: e (1/s - [k is
    y]/e_y) / N, and -(s - e_y)/s / N at the right class.
    """
    probs, arithmetic = hull(shifted_softmax(q), q["computed probs"]), computed.arithmetic
    num_examples, y, stored = q["num_examples"], q["y"], arithmetic.stores
    right_probs = probs[right_class(q)]
    least = right_probs.value - right_probs.error
    if not np.all(least > 0):
        raise Unbounded(f"the probability of a right class may be 0 in {arithmetic.name}: {ADVICE}")
    largest = row_maximum(q).value + largest_score(q).error
    magnified = 1 + 2 / (num_examples * least[..., None])
    terms = probs.value + probs.error
    terms[..., np.arange(len(y)), y] += 1
    flushed = arithmetic.flush * (1 + np.exp(np.maximum(largest, 0))) * magnified
    flushed = np.minimum(flushed, terms / num_examples + arithmetic.flush)
    flushed += flushed_farther(q) * magnified
    value = probs.value.copy()
    value[..., np.arange(len(y)), y] -= 1
    value /= num_examples
    error = probs.error - arithmetic.division * probs.value  # its division is counted in 2d + 1
    error += arithmetic.gamma(1 + stored, divisions=2) * (probs.value + probs.error)
    error[..., np.arange(len(y)), y] += arithmetic.gamma(stored, divisions=1)
    error /= num_examples
    error += arithmetic.gamma(2 + stored, divisions=3) * (np.abs(value) + error) + flushed
    return Rounded(value, error, arithmetic, stacked=probs.stacked)


# Routes to what the regularization adds


def with_two_halves(weights: str) -> Route:
    """The regularization gradient added as two halves, as autograd does for W*W.

    That is (x + h) + h instead of x + r, where h = r/2 rounds as r does. One more partial sum is
    rounded: it is no larger than |x + r| + |h|, and the last addition rounds its error again. Either h
    may be flushed.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        arithmetic = computed.arithmetic
        half = np.abs(0.5 * q["reg"] * q[weights].value)
        partial_sum = rules.reach(computed.bounded) + half
        rounding = arithmetic.unit * partial_sum + 2 * arithmetic.flush * (half > 0)
        return computed.with_error(rules.off(computed.bounded) + (1 + arithmetic.unit) * rounding)

    return route


def from_the_norm(weights: str) -> Route:
    """The regularization gradient as that of reg/2 norm(W)^2: (reg norm(W)) (W / norm(W)).

    The norm's own error cancels, unless it is used both before and after it is stored. One product and
    one division are rounded beside what reg*W rounds.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        arithmetic = computed.arithmetic
        gradient = np.abs(q["reg"] * q[weights].value)
        rounding = arithmetic.gamma(2 + arithmetic.stores, divisions=1) * gradient
        rounding += 2 * arithmetic.flush * (gradient > 0)
        return computed.with_error(rules.off(computed.bounded) + (1 + arithmetic.unit) * rounding)

    return route


def reg_loss_of_norms(computed: Rounded, q: Quantities) -> Rounded:
    """Each layer's term as half of reg times the square of a norm: the root's rounding counts twice.

    The root and the square round beside what the sum of squares does. All terms have one sign.
    """
    arithmetic, size = computed.arithmetic, rules.reach(computed.bounded)
    rounding = arithmetic.gamma(1, roots=2) * size
    flushed = rules.underflow(size, arithmetic, roundings=2)
    return computed.with_error(rules.total(computed.error, rounding, flushed))


def reg_loss_of_scaled_squares(*weights: str) -> Route:
    """The sum of reg/2 * W * W: it rounds as reg/2 times the sum does, but each term may be flushed."""

    def route(computed: Rounded, q: Quantities) -> Rounded:
        sizes = (0.5 * q["reg"] * np.square(q[W].value) for W in weights)
        flushed = (rules.underflow(size, computed.arithmetic, roundings=2) for size in sizes)
        sums = (np.sum(error, axis=(-2, -1)) for error in flushed if error is not None)
        return computed.with_error(rules.total(computed.error, *sums))

    return route


def reg_loss_in_any_order(*weights: str) -> Route:
    """The layers' terms, half of reg times the sum of squares, added up in any order.

    One or two terms have no other order.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        if len(weights) < 3:
            return computed
        terms = [0.5 * q["reg"] * np.sum(q[W] * q[W]) for W in weights]
        return cast(Rounded, np.sum(np.stack(terms)))

    return route


def loss_term_by_term(layers: int) -> Route:
    """Add each layer's regularization a_1, a_2, ... to data_loss d in turn: (d + a_1) + a_2, ...

    L additions in any order: |fl - (d + sum a)| <= gamma_L (|d| + sum a), since all a have one sign. The
    recorded reg_loss R is off from sum a by its own L - 1 additions and by one contracted product: by
    at most gamma_L sum a, which is why sum a <= (|R| + E_R) / (1 - gamma_L). With one layer there is no
    other order.

    A partial sum below the smallest normal number may be flushed. Those of the loss are no smaller than
    d, and the last one of R is R itself. The L - 2 before it may be small, whatever R is.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        if layers < 2:
            return computed
        data_loss, reg_loss, arithmetic = q["data_loss"], q["reg_loss"], computed.arithmetic
        gamma = arithmetic.gamma(layers)
        terms = rules.reach(reg_loss.bounded) / (1 - gamma)
        size = rules.reach(data_loss.bounded) + 2 * terms
        least = np.minimum(*(np.abs(x.value) - rules.off(x.bounded) for x in (data_loss, reg_loss)))
        flushes = np.where(least < arithmetic.smallest_normal, 2 * layers - 1, layers - 2)
        error = gamma * size + (size > 0) * flushes * arithmetic.flush
        return computed.with_error(rules.total(error, data_loss.error, reg_loss.error))

    return route


# Routes to what is divided by N only at the end


def divided_late(gradient: str, terms: Callable[[Quantities], int]) -> Route:
    """A sum of that many products with N * gradient, divided by N; the gradient is recorded as divided.

    The recorded gradient is off by its own division, and the sum is divided once more: 2d roundings of
    each product beside those of the sum. A quotient re-enters with one rounding (see `bounds`), which is
    counted already. A single example is not divided. End to end, the bound holds already: there is one
    division, early or late.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        n, arithmetic = terms(q), computed.arithmetic.of_products
        if not q["local"] or q["num_examples"] == 1:
            return computed
        if arithmetic.stores:
            return stored_late(computed, arithmetic)
        reads_early = q[gradient].products == 1 or arithmetic.fuses
        counted = arithmetic.gamma(n) + reads_early * arithmetic.unit
        roundings = arithmetic.gamma(n, divisions=2)
        error = computed.error  # as large as the examples, and nothing else holds it: changed in place
        error *= roundings / counted
        return computed

    return route


def stored_late(computed: Rounded, arithmetic: Arithmetic) -> Rounded:
    """The same where results are stored.

    The bound has one rounding u of each product, which may be used before it is stored, and one of their
    sum. Late, a division and a rounding come to each, at most d together: a factor 1 + d/u, and 1 + d
    for what is of second order. A port that is known to store each result before anything uses it is
    known to divide early, too: what it recorded is what it went on with.
    """
    error = computed.error
    if arithmetic.fuses:
        d = arithmetic.gamma(1, divisions=1)
        error *= (1 + d) * (1 + d / arithmetic.unit)
    return computed


# Routes to the weights after the update


def decayed_apart(weights: str) -> Route:
    """The weights decayed apart from the step along the data's gradient g; dW = g + reg*W is shown.

    That is W - lr*g - lr*reg*W in any order, W*(1 - lr*reg) - lr*g, or W - (lr*g + lr*reg*W). Let a be
    |W|, s be lr*|dW| and c be lr*reg*|W|. Beside what W - lr*dW rounds, 2 roundings of a arise (the
    factor and its product) and 2 of s: one where dW was made, which now counts twice, and one of a
    partial sum. c is in both parts: at most 5 roundings in each. Where results are stored, g may be used
    before it is. Each product and partial sum may be
    flushed, lr*reg too. Without a decay there is nothing apart.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        arithmetic, lr, decay = computed.arithmetic, abs(q["step_size"]), abs(q["step_size"] * q["reg"])
        if not decay:
            return computed
        W, dW = (rules.reach(q[name].bounded) for name in (weights, f"d{weights}"))
        stored = arithmetic.stores
        rounding = (arithmetic.gamma(2) + arithmetic.gamma(10 + stored) * decay) * W
        rounding = rounding + arithmetic.gamma(2 + stored) * lr * dW
        flushed = arithmetic.flush * (3 * lr + 3 + W) * (rounding > 0)
        more = (1 + arithmetic.unit) * (rounding + flushed)
        return computed.with_error(rules.off(computed.bounded) + more)

    return route


# Covering them all


def cover(name: str, routes: Sequence[Route], computed: Rounded, q: Quantities) -> Rounded:
    """Widen the bound of a computed quantity so that it holds for every route to it.

    The quantity as computed stays in `q`, for the routes of later quantities.
    """
    if routes:
        q[f"computed {name}"] = computed
    return hull(computed, *(route(computed, q) for route in routes))


def hull(computed: Rounded, *others: Rounded) -> Rounded:
    """The same values, with a bound that covers the other ways to compute them."""
    error = computed.error
    for other in others:
        if other.value is not computed.value:
            reach = rules.onto(np.abs(other.value - computed.value), other.error)
            error = reach if error is None else np.maximum(error, reach)
        elif error is computed.error:  # a bound of the same values only grows
            error = other.error
        else:
            error = np.maximum(error, other.error)
    return computed.with_error(error)


def any_of(*routes: Route) -> Route:
    """Join routes of which a port takes one."""
    return lambda computed, q: hull(computed, *(one(computed, q) for one in routes))


def in_turn(*routes: Route) -> Route:
    """Join routes that a port may take together: each starts from the bound that covers those before."""

    def route(computed: Rounded, q: Quantities) -> Rounded:
        for one in routes:
            computed = hull(computed, one(computed, q))
        return computed

    return route


def keeping(name: str, route: Route) -> Route:
    """Keep what a route leads to among the quantities, for later routes."""

    def kept(computed: Rounded, q: Quantities) -> Rounded:
        q[name] = covered = route(computed, q)
        return covered

    return kept


def by_example(*routes: Route) -> Route:
    """Join routes that treat each example by itself; they take large matrices tile by tile.

    What the routes share in a tile is not kept for later quantities: it would be most of the memory of
    a step with many classes.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        scores = q["scores"]
        if not blocks.is_large(scores.shape):
            return any_of(*routes)(computed, q)
        largest_score(q)
        error = np.empty(computed.value.shape)
        for tile in blocks.tiles_of(scores.value.shape, arrays=4):
            part, some = computed[tile], examples(q, tile)
            covered = any_of(*routes)(part, some)
            error[blocks.behind(tile, computed.stacked)] = covered.error
        return computed.with_error(error)

    return route


def examples(q: Quantities, tile: slice) -> Quantities:
    """The quantities that the routes of some examples use."""
    by_row = {name: q[name][tile] for name in ("y", "scores", "probs", "computed probs") if name in q}
    return by_row | {name: q[name] for name in ("num_examples", "largest score")}


def softmax_routes(loss: str = "data_loss") -> dict[str, tuple[Route, ...]]:
    """The routes of a softmax and of the cross-entropy after it, by quantity.

    They read `scores` (N, K) and the labels `y`, and go for `probs`, `correct_logprobs`, their mean,
    which is called `loss`, and `dscores`, the mean's gradient on the scores.
    """
    to_logprobs = by_example(correct_logprobs_from_scores)
    return {
        "probs": (by_example(probs_by_any_way),),
        "correct_logprobs": (keeping("expected correct_logprobs", to_logprobs),),
        loss: (data_loss_of_quotients, data_loss_of_two_means),
        "dscores": (by_example(dscores_split, dscores_through_quotient),),
    }


def classifier_routes(layers: Mapping[str, tuple[str, str]]) -> dict[str, tuple[Route, ...]]:
    """The routes of a softmax classifier by quantity.

    `layers` maps the gradient on each layer's output to the names of its weights and its bias, from the
    first layer to that of the scores.
    """
    routes = softmax_routes()
    for gradient, (W, b) in layers.items():
        routes[f"d{W}"] = (divided_late(gradient, lambda q: q["num_examples"]),)
        routes[f"d{b}"] = (divided_late(gradient, lambda q: q["num_examples"] - 1),)
    for gradient, after in itertools.pairwise(layers):
        routes[gradient] = (divided_late(after, width_of(after)),)
    weights = [W for W, _ in layers.values()]
    routes |= regularized_loss(weights)
    for W in weights:
        routes |= regularized_gradient(W, routes[f"d{W}"])
    return routes


def regularized_loss(parameters: Sequence[str]) -> dict[str, tuple[Route, ...]]:
    """The routes to a loss in which these parameters are regularized."""
    in_any_order = reg_loss_in_any_order(*parameters)
    of_squares = reg_loss_of_scaled_squares(*parameters)
    return {
        "reg_loss": (in_turn(in_any_order, of_squares, reg_loss_of_norms),),
        "loss": (loss_term_by_term(len(parameters)),),
    }


def regularized_gradient(parameter: str, others: Sequence[Route]) -> dict[str, tuple[Route, ...]]:
    """The routes to a regularized parameter's gradient and update, beside `others` to the gradient."""
    added = any_of(with_two_halves(parameter), from_the_norm(parameter))
    return {
        f"d{parameter}": (in_turn(added, *others),),
        f"{parameter}_next": (decayed_apart(parameter),),
    }


def width_of(name: str) -> Callable[[Quantities], int]:
    """The number of columns of a quantity."""
    return lambda q: q[name].shape[-1]
