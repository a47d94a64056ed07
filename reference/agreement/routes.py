"""Other legitimate ways to compute a quantity, each with its own rounding.

Softmax may be computed as in the document, shifted by the row maximum, or through
log-softmax; a gradient may come from the chain rule. A bound covers every route. Each
route below is code on `Rounded` arrays like the reference's own: when a port legitimately
takes another way, add the way; never widen a number.

A route takes the quantity as the document computes it and `q`, the step's inputs
and the quantities before it, by name; those of more than one route also as computed.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from reference.agreement.arithmetic import Unbounded
from reference.agreement.rounded import ADVICE, Rounded
from reference.arrays import Plain

Quantities: TypeAlias = dict[str, Any]
Route: TypeAlias = Callable[[Rounded, Quantities], Rounded]


def shared(compute: Callable[[Quantities], Rounded]) -> Callable[[Quantities], Rounded]:
    """Compute once a step what several routes go through; it is kept among the quantities."""
    name = compute.__name__.replace("_", " ")  # no quantity has a space in its name

    def once(q: Quantities) -> Rounded:
        if name not in q:
            q[name] = compute(q)
        found: Rounded = q[name]
        return found

    return once


def largest_of_row(matrix: Plain) -> Plain:
    """np.max over the last axis, moved to the front: NumPy reduces short rows slowly."""
    top: Plain = np.max(np.moveaxis(matrix, -1, 0).copy(), axis=0)
    return top[..., None]


@shared
def row_maximum(q: Quantities) -> Rounded:
    """The largest score of each row (N, 1), as an exact number (see `shifted_scores`)."""
    scores = q["scores"]
    top = largest_of_row(scores.value)
    return Rounded(top, 0.0, scores.arithmetic, stacked=scores.stacked)


@shared
def shifted_scores(q: Quantities) -> Rounded:
    """scores - row maximum.

    Softmax does not depend on the shift, so the maximum counts as an exact number; where
    the port's own maximum differs from it, only the rounding of the subtraction feels that.
    """
    scores = q["scores"]
    shifted: Rounded = scores - row_maximum(q)
    if not scores.is_exact:
        shifted.error = shifted.error + scores.arithmetic.unit * largest_of_row(scores.error)
    return shifted


@shared
def shifted_exp(q: Quantities) -> Rounded:
    """exp(scores - row maximum)."""
    return cast(Rounded, np.exp(shifted_scores(q)))


@shared
def shifted_sum(q: Quantities) -> Rounded:
    """The row sums (N, 1) of exp(scores - row maximum)."""
    return cast(Rounded, np.sum(shifted_exp(q), axis=1, keepdims=True))


@shared
def log_shifted_sum(q: Quantities) -> Rounded:
    """Their logarithms (N, 1)."""
    return cast(Rounded, np.log(shifted_sum(q)))


@shared
def shifted_softmax(q: Quantities) -> Rounded:
    """Softmax shifted by the row maximum."""
    return shifted_exp(q) / shifted_sum(q)


@shared
def log_softmax(q: Quantities) -> Rounded:
    """log-softmax shifted by the row maximum."""
    return shifted_scores(q) - log_shifted_sum(q)


@shared
def exp_log_softmax(q: Quantities) -> Rounded:
    """Softmax as exp of log-softmax."""
    return cast(Rounded, np.exp(log_softmax(q)))


@shared
def logsumexp(q: Quantities) -> Rounded:
    """log of the row sums (N, 1) of exp(scores), at the size of the scores."""
    return row_maximum(q) + log_shifted_sum(q)


@shared
def exp_less_logsumexp(q: Quantities) -> Rounded:
    """Softmax as exp(scores - logsumexp), rounded at the scores' size: the gradient of logsumexp."""
    return cast(Rounded, np.exp(q["scores"] - logsumexp(q)))


def right_class(q: Quantities) -> tuple[range, Any]:
    """The index of each example's right class."""
    return range(q["X"].shape[0]), q["y"]


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
    """logsumexp(scores) - score of the right class, as optax has it: rounded at the scores' size."""
    right_score = cast(Rounded, q["scores"])[right_class(q)]
    return logsumexp(q)[:, 0] - right_score


def split_dscores(probs: Rounded, q: Quantities) -> Rounded:
    """p/N - 1/N at the right class, p/N elsewhere: what the chain rule through log-softmax gives."""
    num_examples: int = q["X"].shape[0]
    one = Rounded(np.float64(1), 0.0, probs.arithmetic)  # type: ignore[arg-type]
    dscores = probs / num_examples
    dscores[right_class(q)] = dscores[right_class(q)] - one / num_examples
    return dscores


def dscores_split(computed: Rounded, q: Quantities) -> Rounded:
    """From the recorded probabilities, or from a softmax of the gradient's own.

    Autograd computes that one again from the scores: as in the document, shifted, or as the exponential
    of log-softmax, as PyTorch's backward does, or of scores - logsumexp, the gradient of logsumexp.
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
    num_examples, y, d = q["X"].shape[0], q["y"], arithmetic.division_roundings
    right_probs = probs[right_class(q)]
    least = right_probs.value - right_probs.error
    if not np.all(least > 0):
        raise Unbounded(f"the probability of a right class may be 0 in {arithmetic.name}: {ADVICE}")
    flushed = arithmetic.smallest_normal * (1 + 2 / (num_examples * least[..., None]))
    value = probs.value.copy()
    value[..., np.arange(num_examples), y] -= 1
    value /= num_examples
    error = probs.error - arithmetic.division * probs.value  # its division is counted in 2d + 1
    error += arithmetic.gamma(2 * d + 1) * (probs.value + probs.error)
    error[..., np.arange(num_examples), y] += arithmetic.gamma(d)
    error /= num_examples
    error += arithmetic.gamma(3 * d + 2) * (np.abs(value) + error) + flushed
    return Rounded(value, error, arithmetic, stacked=probs.stacked)


def with_two_halves(weights: str) -> Route:
    """The regularization gradient added as two halves, as autograd does for W*W.

    (x + h) + h instead of x + r, with h = r/2, whose roundings are those of r: one partial sum more is
    rounded, no larger than |x + r| + |h|, and that again by the last addition. Either h may be flushed.
    """

    def route(computed: Rounded, q: Quantities) -> Rounded:
        arithmetic = computed.arithmetic
        half = np.abs(0.5 * q["reg"] * q[weights].value)
        partial_sum = np.abs(computed.value) + computed.error + half
        rounding = arithmetic.unit * partial_sum + 2 * arithmetic.smallest_normal * (half > 0)
        error = computed.error + (1 + arithmetic.unit) * rounding
        return Rounded(computed.value, error, arithmetic, stacked=computed.stacked)

    return route


def loss_term_by_term(computed: Rounded, q: Quantities) -> Rounded:
    """data_loss and each layer's regularization in turn: (d + a) + b, where a + b is reg_loss.

    Three terms in any order round by gamma_2 of their sizes, which add up: a and b are of one sign.
    The recorded reg_loss is off from a + b by its own rounding, and by that of a contracted product.
    """
    if "W2" not in q:  # one layer: there is no other order
        return computed
    data_loss, reg_loss = q["data_loss"], q["reg_loss"]
    regularization = np.abs(reg_loss.value) + reg_loss.error
    size = np.abs(data_loss.value) + data_loss.error + 2 * regularization
    error = data_loss.error + reg_loss.error + computed.arithmetic.gamma(2) * size
    return Rounded(computed.value, error, computed.arithmetic, stacked=computed.stacked)


def classifier_routes(weights: Sequence[str]) -> dict[str, tuple[Route, ...]]:
    """The routes of a softmax classifier by quantity. `weights` names its regularized layers."""
    return {
        "probs": (probs_shifted, probs_from_log_softmax, probs_from_logsumexp),
        "correct_logprobs": (correct_logprobs_from_scores, correct_logprobs_from_logsumexp),
        "loss": (loss_term_by_term,),
        "dscores": (dscores_split, dscores_through_quotient),
        **{f"d{name}": (with_two_halves(name),) for name in weights},
    }


def cover(name: str, routes: Sequence[Route], computed: Rounded, q: Quantities) -> Rounded:
    """Widen the bound of a computed quantity so that it holds for every route to it.

    As computed it stays among the quantities, for the routes of later ones.
    """
    if routes:
        q[f"computed {name}"] = computed
    return hull(computed, *(route(computed, q) for route in routes))


def hull(computed: Rounded, *others: Rounded) -> Rounded:
    """The same values with a bound that takes in the other ways to them."""
    error = computed.error
    for other in others:
        error = np.maximum(error, np.abs(other.value - computed.value) + other.error)
    return Rounded(computed.value, error, computed.arithmetic, computed.product, computed.stacked)
