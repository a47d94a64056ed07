"""Other legitimate ways to compute a quantity, each with its own rounding.

Softmax may be computed as in the document, shifted by the row maximum, or through
log-softmax; a gradient may come from the chain rule. A bound covers every route. Each
route below is code on `Rounded` arrays like the reference's own: when a port legitimately
takes another way, add the way; never widen a number.

A route takes the quantity as the document computes it and `q`, the step's inputs
and the quantities before it, by name.
"""

import numpy as np

from reference.agreement.rounded import Rounded


def shifted_scores(q):
    """scores - row maximum.

    Softmax does not depend on the shift, so the maximum counts as an exact number; where
    the port's own maximum differs from it, only the rounding of the subtraction feels that.
    """
    scores = q["scores"]
    top = np.max(scores.value, axis=1, keepdims=True)
    shifted = scores - Rounded(top, 0.0, scores.arithmetic)
    if not scores.is_exact:
        shifted.error = shifted.error + scores.arithmetic.unit * np.max(
            scores.error, axis=1, keepdims=True
        )
    return shifted


def shifted_softmax(q):
    exp_scores = np.exp(shifted_scores(q))
    return exp_scores / np.sum(exp_scores, axis=1, keepdims=True)


def log_softmax(q):
    shifted = shifted_scores(q)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def probs_shifted(computed, q):
    return shifted_softmax(q)


def probs_from_log_softmax(computed, q):
    return np.exp(log_softmax(q))


def correct_logprobs_from_scores(computed, q):
    return -log_softmax(q)[range(q["X"].shape[0]), q["y"]]


def correct_logprobs_from_logsumexp(computed, q):
    """logsumexp(scores) - score of the right class, as optax has it: rounded at the scores' size."""
    right_class = (range(q["X"].shape[0]), q["y"])
    scores = q["scores"]
    top = Rounded(np.max(scores.value, axis=1, keepdims=True), 0.0, scores.arithmetic)
    logsumexp = top + np.log(np.sum(np.exp(shifted_scores(q)), axis=1, keepdims=True))
    return (logsumexp - scores)[right_class]


def split_dscores(probs, q):
    """p/N - 1/N at the right class, p/N elsewhere: what the chain rule through log-softmax gives."""
    num_examples = q["X"].shape[0]
    right_class = (range(num_examples), q["y"])
    dscores = probs / num_examples
    dscores[right_class] = dscores[right_class] - _one(probs) / num_examples
    return dscores


def dscores_split(computed, q):
    return split_dscores(q["probs"], q)


def dscores_from_scores(computed, q):
    return split_dscores(shifted_softmax(q), q)


def dscores_from_log_softmax(computed, q):
    return split_dscores(np.exp(log_softmax(q)), q)


def dscores_through_quotient(computed, q):
    """The chain rule through -log(e_y / s), s = sum(e), as autograd applies it.

    With g = -1/(N p_y): dscores_k = e_k (g/s [k is y] - g e_y/s^2). Let d be the roundings of a
    division. The errors of g, of the subtraction and of the product with e_k are common to both
    terms (3d + 2 roundings of the difference); g/s costs d more, g e_y/s^2 at most 2d + 1 more
    (as (e/s)/s * g, or as (g e) * (1/(s s))).
    """
    probs, arithmetic = shifted_softmax(q), computed.arithmetic
    num_examples, d = q["X"].shape[0], arithmetic.division_roundings
    error = probs.error - arithmetic.division * probs.value  # its division is counted in 2d + 1
    error += arithmetic.gamma(2 * d + 1) * (probs.value + probs.error)
    error[range(num_examples), q["y"]] += arithmetic.gamma(d)
    difference = np.abs(computed.value) + error / num_examples
    error = error / num_examples + arithmetic.gamma(3 * d + 2) * difference
    return Rounded(computed.value, error + arithmetic.smallest_normal, arithmetic)


def with_two_halves(weights):
    """The regularization gradient added as two halves, as autograd does for W*W.

    (x + h) + h instead of x + r, with h = r/2: one partial sum more is rounded, and it is
    no larger than |x + r| + |h|.
    """

    def route(computed, q):
        half = 0.5 * q["reg"] * np.abs(q[weights].value)
        partial_sum = np.abs(computed.value) + computed.error + half
        extra = 2 * computed.arithmetic.unit * (partial_sum + half)
        return Rounded(computed.value, computed.error + extra, computed.arithmetic)

    return route


ROUTES = {
    "probs": (probs_shifted, probs_from_log_softmax),
    "correct_logprobs": (correct_logprobs_from_scores, correct_logprobs_from_logsumexp),
    "dscores": (
        dscores_split,
        dscores_from_scores,
        dscores_from_log_softmax,
        dscores_through_quotient,
    ),
    "dW": (with_two_halves("W"),),
    "dW2": (with_two_halves("W2"),),
}


def cover(name, computed, q):
    """Widen the bound of a computed quantity so that it holds for every route to it."""
    error = computed.error
    for route in ROUTES.get(name, ()):
        other = route(computed, q)
        error = np.maximum(error, np.abs(other.value - computed.value) + other.error)
    return Rounded(computed.value, error, computed.arithmetic, computed.product)


def _one(like):
    return Rounded(np.float64(1), 0.0, like.arithmetic)
