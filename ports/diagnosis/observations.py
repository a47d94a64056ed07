"""What a tensor shows beside the edits of its line: an order, zeros, another tensor's numbers."""

from collections.abc import Iterator
from typing import cast

import numpy as np

from ports.diagnosis.case import Case, Suspicion
from reference.agreement.arithmetic import ARITHMETICS, Unbounded
from reference.agreement.rounded import Rounded
from reference.arrays import Plain


def permuted(case: Case) -> Iterator[Suspicion]:
    """Rows or columns in another order."""
    if case.got.ndim != 2:
        return
    for noun, got, expected in (
        ("rows", case.got, case.expected),
        ("columns", case.got.T, case.expected.T),
    ):
        order = matching_order(got, expected)
        if order is not None:
            predicted = expected[order] if noun == "rows" else expected[order].T
            yield Suspicion("permutation", f"{noun} in another order", predicted)


def matching_order(got: Plain, expected: Rounded) -> Plain | None:
    """The order for which got == expected[order] within the bounds, or None."""
    allowed = expected.errors() * 1.001 + np.finfo(float).tiny
    free = np.ones(len(got), dtype=bool)
    order = []
    for row in got:
        fits = np.all(np.abs(row - expected.value) <= allowed, axis=1) & free
        if not fits.any():
            return None
        order.append(int(np.argmax(fits)))
        free[order[-1]] = False
    return np.array(order)


def overwritten(case: Case) -> Iterator[Suspicion]:
    """Another quantity's numbers: a shared buffer, or the wrong name."""
    for name, value in case.trace.items():
        if name != case.quantity and np.ndim(value) and np.shape(value) == case.got.shape:
            phrase = f"the numbers of {name}: overwritten in place, or returned under the wrong name"
            yield Suspicion("overwritten", phrase, case.exact(value))
    if case.quantity == "scores":
        yield from _scores_overwritten(case)


def _scores_overwritten(case: Case) -> Iterator[Suspicion]:
    """The softmax's own steps, written into the scores that are reported."""
    with np.errstate(over="ignore"):
        for what, top in (
            ("the shift by the row maximum", np.max(case.expected.value, axis=1, keepdims=True)),
            ("the shift by the largest of all scores", np.max(case.expected.value)),
        ):
            shifted = case.expected - case.exact(top)
            phrase = f"being overwritten in place by {what}, on which the softmax does not depend"
            yield Suspicion("overwritten", phrase, shifted)
        try:
            exponentials = cast(Rounded, np.exp(case.expected))
            yield Suspicion(
                "overwritten", "being overwritten in place by their exponentials", exponentials
            )
        except Unbounded:
            return


def dropout(case: Case) -> Iterator[Suspicion]:
    """Some elements are 0, and the others are scaled up by 1/(1-p)."""
    on = (case.got != 0) & (case.expected.value > 0)
    if case.quantity not in case.model.relus or not on.any():
        return
    scale = float(np.median(case.got[on] / case.expected.value[on]))
    p = round(1 - 1 / scale, 2) if scale > 1 else 0.0
    if 0 < p < 1:
        kept = np.where(case.got != 0, 1 / (1 - p), 0.0)
        yield Suspicion("dropout", f"dropout of {p:g} left on", case.expected * case.exact(kept))


def clipped(case: Case) -> Iterator[Suspicion]:
    """A clipped probability of the right class passes no gradient."""
    if case.quantity != "dscores":
        return
    p = case.value_of("probs")[range(case.y.size), case.y]
    gone = ~case.got.any(axis=1)
    if gone.any() and not gone.all() and p[gone].max() < p[~gone].min():
        phrase = f"no gradient where the probability of the right class is {p[gone].max():.0e} or less"
        kept = np.where(gone, 0.0, 1.0)[:, None]
        yield Suspicion("clipped", phrase, case.expected * case.exact(kept), fitted=True)


def kept_between(case: Case) -> Iterator[Suspicion]:
    """Probabilities are clipped at limits that are read off the numbers."""
    if case.quantity in ("probs", "correct_logprobs"):
        low, high = float(case.got.min()), float(case.got.max())
        predicted = cast(Rounded, -np.maximum(-np.maximum(case.expected, low), -high))
        ends = (low, high) if case.quantity == "probs" else (np.exp(-high), np.exp(-low))
        phrase = "probabilities kept between {:.3g} and {:.6g}".format(*ends)
        yield Suspicion("clipped", phrase, predicted, fitted=True)


def by_class(case: Case) -> Iterator[Suspicion]:
    """A factor for each class: class weights."""
    if case.got.shape[:1] == case.y.shape:
        weights = _class_weights(case)
        if 3 * np.unique(case.y).size <= case.got.size and np.unique(weights).size > 1:
            of_rows = case.exact(weights.reshape(-1, *[1] * (case.got.ndim - 1)))
            scaled = case.expected * of_rows
            # A fitted factor is off by no more than the worst of its rows.
            predicted = scaled.with_error(4 * scaled.errors())
            yield Suspicion("class weights", _factors(case, weights), predicted, fitted=True)


def loss_by_class(case: Case) -> Iterator[Suspicion]:
    """The loss has the class weights that the gradient on the scores shows."""
    if case.quantity != "data_loss" or "dscores" not in case.trace or "dscores" in case.problems:
        return
    gradient = case.about("dscores")
    for seen in by_class(gradient):
        if gradient.bears_out(seen.predicted):
            weights = _class_weights(gradient)
            losses = case.exact(case.value_of("correct_logprobs")) * case.exact(weights)
            mean: Rounded = np.sum(losses) / case.y.size
            predicted = mean.with_error(4 * (mean.errors() + case.expected.errors()))
            yield Suspicion("class weights", _factors(case, weights), predicted, fitted=True)


def _class_weights(case: Case) -> Plain:
    """For each row (N,) the factor between the port's rows of its class and the right ones."""
    weights = np.ones(case.y.shape)
    for k in np.unique(case.y):
        rows = case.y == k
        got, right = np.ravel(case.got[rows]), np.ravel(case.expected.value[rows])
        along = float(right @ right)
        weights[rows] = float(got @ right) / along if along else 1.0
    return weights


def _factors(case: Case, weights: Plain) -> str:
    listed = ", ".join(f"{weights[case.y == k][0]:.4g}" for k in np.unique(case.y))
    return f"a factor for each class: {listed}"


def other_weights(case: Case) -> Iterator[Suspicion]:
    """The step used other W and b than the given ones."""
    first = next(iter(case.model.quantities))
    if case.quantity != first or len(case.model.layers[0]) != 2:
        return
    weights, bias = case.model.layers[0]
    A = np.hstack([case.start.X, np.ones((len(case.start.X), 1))])
    theta, free = np.zeros((A.shape[1], case.got.shape[1])), np.full(case.got.shape[1], np.inf)
    for k, column in enumerate(case.got.T):
        on = (column != 0) | (first not in case.model.relus)  # where the ReLU lets the weights be seen
        if on.sum() > A.shape[1] + 1:
            theta[:, k], free[k] = np.linalg.lstsq(A[on], column[on])[0], 0.0
    other = case.recomputed({weights: theta[:-1], bias: theta[-1:]})
    if other is None or np.mean(free == 0) < 0.5:
        return
    spread = np.sqrt(np.sum(other.errors() ** 2, axis=0, keepdims=True))
    error = other.errors() + 4 * spread + free
    if first in case.model.relus:
        error[case.got == 0] = np.inf  # a 0 says little
    phrase = "other weights than those given"
    yield Suspicion("other weights", phrase, other.with_error(error), fitted=True)


def flushed(case: Case) -> Iterator[Suspicion]:
    """All numbers below some size are 0, and no others. That size is not normal in some format."""
    size = np.abs(case.expected.value)
    gone = (case.got == 0) & (size > 0)
    left = size[~gone & (size > 0)]
    normal = max(known.smallest_normal for known in ARITHMETICS.values())
    if gone.any() and left.size and size[gone].max() < min(normal, left.min()):
        kept = np.where(gone, 0.0, 1.0)
        phrase = f"numbers of {size[gone].max():.0e} and below flushed to 0"
        yield Suspicion("flushed", phrase, case.expected * case.exact(kept))
