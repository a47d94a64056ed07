"""Other legitimate ways to compute a quantity, each with its own rounding.

Softmax may be computed as in the note, shifted by the row maximum, or through
log-softmax; a gradient may come from the chain rule. A bound covers every route. Each
route below is code on `Rounded` arrays like the reference's own: when a port legitimately
takes another way, add that way; never widen a number.

A route takes the quantity as the note computes it, and `q`: the step's inputs and the quantities
before this one, by name.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.arithmetic import Unbounded
from reference.agreement.rounded import Rounded
from reference.agreement.rules import ADVICE
from reference.arrays import Plain

Quantities: TypeAlias = dict[str, Any]
Route: TypeAlias = Callable[[Rounded, Quantities], Rounded]


# Softmax and its logarithm


def shared(compute: Callable[[Quantities], Rounded]) -> Callable[[Quantities], Rounded]:
    """Compute once what several routes use, and keep it among the quantities."""
    name = compute.__name__.replace("_", " ")  # no quantity has a space in its name

    def once(q: Quantities) -> Rounded:
        if name not in q:
            q[name] = compute(q)
        found: Rounded = q[name]
        return found

    return once


def largest_of_row(matrix: Plain) -> Plain:
    """np.max over the last axis, which is first moved to the front: NumPy reduces short rows slowly."""
    top: Plain = np.max(np.moveaxis(matrix, -1, 0).copy(), axis=0)
    return top[..., None]


@shared
def row_maximum(q: Quantities) -> Rounded:
    """The largest score of each row (N, 1), as an exact number (see `shifted_scores`)."""
    scores = q["scores"]
    return Rounded(largest_of_row(scores.value), None, scores.arithmetic, stacked=scores.stacked)


@shared
def shifted_scores(q: Quantities) -> Rounded:
    """scores - row maximum (N, K).

    Softmax does not depend on the shift, so the maximum counts as an exact number. The port's own
    maximum may differ from it, but that changes only the rounding of the subtraction.
    """
    scores = q["scores"]
    shifted: Rounded = scores - row_maximum(q)
    if scores.is_exact:
        return shifted
    return shifted.with_error(shifted.error + scores.arithmetic.unit * largest_of_row(scores.error))


@shared
def shifted_exp(q: Quantities) -> Rounded:
    """exp(scores - row maximum) (N, K)."""
    return cast(Rounded, np.exp(shifted_scores(q)))


@shared
def shifted_sum(q: Quantities) -> Rounded:
    """The row sums (N, 1) of exp(scores - row maximum)."""
    return cast(Rounded, np.sum(shifted_exp(q), axis=1, keepdims=True))


@shared
def log_shifted_sum(q: Quantities) -> Rounded:
    """The logarithms (N, 1) of those row sums."""
    return cast(Rounded, np.log(shifted_sum(q)))


@shared
def shifted_softmax(q: Quantities) -> Rounded:
    """Softmax shifted by the row maximum (N, K)."""
    return shifted_exp(q) / shifted_sum(q)


@shared
def log_softmax(q: Quantities) -> Rounded:
    """log-softmax shifted by the row maximum (N, K)."""
    return shifted_scores(q) - log_shifted_sum(q)


@shared
def exp_log_softmax(q: Quantities) -> Rounded:
    """Softmax as exp of log-softmax (N, K)."""
    return cast(Rounded, np.exp(log_softmax(q)))


@shared
def logsumexp(q: Quantities) -> Rounded:
    """log of the row sums (N, 1) of exp(scores), rounded at the size of the scores."""
    return row_maximum(q) + log_shifted_sum(q)


@shared
def exp_less_logsumexp(q: Quantities) -> Rounded:
    """Softmax as exp(scores - logsumexp), rounded at the scores' size: the gradient of logsumexp."""
    return cast(Rounded, np.exp(q["scores"] - logsumexp(q)))


def right_class(q: Quantities) -> tuple[range, Any]:
    """The index of each example's right class."""
    return range(len(q["y"])), q["y"]


# Routes to the probabilities and their logarithms


def probs_shifted(computed: Rounded, q: Quantities) -> Rounded:
    """Shifted by the row maximum."""
    return shifted_softmax(q)


def probs_from_log_softmax(computed: Rounded, q: Quantities) -> Rounded:
    """Through log-softmax."""
    return exp_log_softmax(q)


def probs_from_logsumexp(computed: Rounded, q: Quantities) -> Rounded:
    """exp(scores - logsumexp), which rounds more the larger the scores are."""
    return exp_less_logsumexp(q)


def correct_logprobs_from_scores(computed: Rounded, q: Quantities) -> Rounded:
    """Through log-softmax, without the probabilities."""
    return -log_softmax(q)[right_class(q)]


def correct_logprobs_from_logsumexp(computed: Rounded, q: Quantities) -> Rounded:
    """logsumexp(scores) - score of the right class, as in optax: rounded at the scores' size."""
    right_score = cast(Rounded, q["scores"])[right_class(q)]
    return logsumexp(q)[:, 0] - right_score


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
    own = q["computed probs"], shifted_softmax(q), exp_log_softmax(q), exp_less_logsumexp(q)
    return split_dscores(hull(q["probs"], *own), q)


def dscores_through_quotient(computed: Rounded, q: Quantities) -> Rounded:
    """The chain rule through -log(e_y / s), s = sum(e), shifted or not, as autograd applies it.

    With g = -1/(N p_y): dscores_k = e_k (g/s [k is y] - g e_y/s^2). Let d be the roundings of a
    division. The errors of g, of the subtraction and of the product with e_k are common to both
    terms (3d + 2 roundings of the difference); g/s costs d more, g e_y/s^2 at most 2d + 1 more
    (as (e/s)/s * g, or as (g e) * (1/(s s))). Where (e/s)/s is flushed to 0, g magnifies that.
    """
    probs, arithmetic = hull(shifted_softmax(q), q["computed probs"]), computed.arithmetic
    num_examples, y, d = q["num_examples"], q["y"], arithmetic.division_roundings
    right_probs = probs[right_class(q)]
    least = right_probs.value - right_probs.error
    if not np.all(least > 0):
        raise Unbounded(f"the probability of a right class may be 0 in {arithmetic.name}: {ADVICE}")
    flushed = arithmetic.smallest_normal * (1 + 2 / (num_examples * least[..., None]))
    value = probs.value.copy()
    value[..., np.arange(len(y)), y] -= 1
    value /= num_examples
    error = probs.error - arithmetic.division * probs.value  # its division is counted in 2d + 1
    error += arithmetic.gamma(2 * d + 1) * (probs.value + probs.error)
    error[..., np.arange(len(y)), y] += arithmetic.gamma(d)
    error /= num_examples
    error += arithmetic.gamma(3 * d + 2) * (np.abs(value) + error) + flushed
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
        rounding = arithmetic.unit * partial_sum + 2 * arithmetic.smallest_normal * (half > 0)
        return computed.with_error(rules.off(computed.bounded) + (1 + arithmetic.unit) * rounding)

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
        error = gamma * size + (size > 0) * flushes * arithmetic.smallest_normal
        return computed.with_error(rules.total(error, data_loss.error, reg_loss.error))

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
        reach = rules.onto(np.abs(other.value - computed.value), other.error)
        error = reach if error is None else np.maximum(error, reach)
    return computed.with_error(error)


def by_example(*routes: Route) -> Route:
    """Join routes that treat each example by itself; they take large matrices tile by tile.

    What the routes share in a tile is not kept for later quantities: it would be most of the memory of
    a step with many classes.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        scores = q["scores"]
        if not blocks.is_large(scores.shape):
            return hull(computed, *(one(computed, q) for one in routes))
        error = np.empty(computed.value.shape)
        for tile in blocks.tiles_of(scores.value.shape, arrays=4):
            part, some = computed[tile], examples(q, tile)
            covered = hull(part, *(one(part, some) for one in routes))
            error[blocks.behind(tile, computed.stacked)] = covered.error
        return computed.with_error(error)

    return route


def examples(q: Quantities, tile: slice) -> Quantities:
    """The quantities that the routes of some examples use."""
    by_row = {name: q[name][tile] for name in ("y", "scores", "probs", "computed probs") if name in q}
    return by_row | {"num_examples": q["num_examples"]}


def classifier_routes(weights: Sequence[str]) -> dict[str, tuple[Route, ...]]:
    """The routes of a softmax classifier by quantity. `weights` names its regularized layers."""
    to_probs = by_example(probs_shifted, probs_from_log_softmax, probs_from_logsumexp)
    to_logprobs = by_example(correct_logprobs_from_scores, correct_logprobs_from_logsumexp)
    return {
        "probs": (to_probs,),
        "correct_logprobs": (to_logprobs,),
        "reg_loss": (reg_loss_in_any_order(*weights),),
        "loss": (loss_term_by_term(len(weights)),),
        "dscores": (by_example(dscores_split, dscores_through_quotient),),
        **{f"d{name}": (with_two_halves(name),) for name in weights},
    }
