"""Mistakes in an operand or the result: another tensor, or numbers in another order."""

from collections.abc import Iterator

import numpy as np

from ports.diagnosis.case import Case, Suspicion
from reference.agreement.arithmetic import Unbounded
from reference.agreement.rounded import Rounded
from reference.arrays import Plain


def transposed(case: Case) -> Iterator[Suspicion]:
    """An operand, the result or its data part is transposed; or an operand is reshaped instead."""
    rows, columns = case.got.shape if case.got.ndim == 2 else (0, 1)
    if rows == columns:
        yield Suspicion("transpose", "a transposed result", case.expected.T)
        if case.parameter in case.model.weights and not case.is_update:
            swapped = case.recomputed({"reg": 0.0}).T
            term = case.exact(case.params[case.parameter]) * case.reg
            yield Suspicion("transpose", "operands swapped", swapped + term)
    for name in case.operands:
        value = np.asarray(case.inputs[name])
        if value.ndim == 2 and value.shape[0] == value.shape[1]:
            changed = case.try_recomputed({name: value.T})
            yield Suspicion("transpose", f"{name} transposed", changed)
        elif value.ndim == 2:
            mixed = value.reshape(value.shape[::-1]).T
            changed = case.try_recomputed({name: mixed})
            yield Suspicion("permutation", f"{name} reshaped instead of transposed", changed)


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


def exchanged(case: Case) -> Iterator[Suspicion]:
    """One operand is another tensor of its shape: of this step, of the one before, or updated."""
    pool = {"X": case.start.X} | dict(case.params) | {n: v for n, v in case.trace.items() if np.ndim(v)}
    pool |= {f"the last step's {n}": v for n, v in case.before.items() if np.ndim(v)}
    pool = {n: v for n, v in pool.items() if np.any(v)}  # zeros mean that an operand is left out
    for name in case.operands:
        shape = np.shape(case.inputs[name])
        for other, value in pool.items():
            if shape and np.shape(value) == shape and other not in (name, case.quantity):
                updated = other == f"{name}_next"
                yield Suspicion(
                    "after the update" if updated else "wrong tensor",
                    f"{name} after its update" if updated else f"{other} in the place of {name}",
                    case.try_recomputed({name: value}),
                )


def overwritten(case: Case) -> Iterator[Suspicion]:
    """Another quantity's numbers: a shared buffer, or the wrong name."""
    for name, value in case.trace.items():
        if name != case.quantity and np.ndim(value) and np.shape(value) == case.got.shape:
            phrase = f"the numbers of {name}: overwritten in place, or returned under the wrong name"
            yield Suspicion("overwritten", phrase, case.exact(value))
    if case.quantity == "scores":
        with np.errstate(over="ignore"):
            top = case.exact(np.max(case.expected.value, axis=1, keepdims=True))
        in_place = "being overwritten in place by"
        yield Suspicion("overwritten", f"{in_place} the shift", case.expected - top)
        try:
            yield Suspicion("overwritten", f"{in_place} their exponentials", np.exp(case.expected))
        except Unbounded:
            return


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
    if np.mean(free == 0) < 0.5:
        return
    other = case.recomputed({weights: theta[:-1], bias: theta[-1:]})
    spread = np.sqrt(np.sum(other.errors() ** 2, axis=0, keepdims=True))
    error = other.errors() + 4 * spread + free
    if first in case.model.relus:
        error[case.got == 0] = np.inf  # a 0 says little
    yield Suspicion("other weights", "other weights than those given", other.with_error(error))
