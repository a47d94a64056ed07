"""Mistakes of precision: errors of the size of a narrower format, or numbers that are not finite."""

from collections.abc import Iterator

import numpy as np

from ports.diagnosis.case import Case, Suspicion
from reference.agreement.arithmetic import ARITHMETICS, Arithmetic
from reference.agreement.rounded import Rounded

#: Significant bits that a product's inputs keep.
PRODUCT_BITS = {"bfloat16": 8, "tf32": 11}
#: An error has a format's size if it uses at least this share of that format's bound.
LEAST_SHARE = 1e-3
#: Of roundings, one in this many at least goes up, and one down.
MIXED = 8
#: An error of up to this many times the bound may still come from rounding.
ROUNDINGS_MORE = 8


def lower_precision(case: Case) -> Iterator[Suspicion]:
    """Errors of the size that a narrower format leaves: within its bound, but not far within it.

    Roundings go up and down. Errors in one element, or all to one side, have another cause.
    """
    error = np.ravel(case.got - case.expected.value)
    if case.got.size >= MIXED and MIXED * min((error > 0).sum(), (error < 0).sum()) < (error != 0).sum():
        return
    for cause, phrase, narrower in narrower_formats(case.arithmetic):
        predicted = case.recomputed(arithmetic=narrower)
        if predicted is not None and case.explained_by(predicted):
            far_within = Rounded(predicted.value, predicted.errors() * LEAST_SHARE, narrower)
            if not case.explained_by(far_within):
                yield Suspicion(cause, phrase, case.exact(case.got), fitted=True)
            return


def a_few_roundings(case: Case) -> Iterator[Suspicion]:
    """An error so little over the bound that rounding is the likely cause."""
    expected = case.expected
    several = Rounded(expected.value, expected.errors() * ROUNDINGS_MORE, case.arithmetic)
    if case.explained_by(several):
        phrase = (
            "an error a few roundings larger than the bound allows: the order of operations is not one "
            "that docs/bounds.md covers, or a function is less accurate than promised"
        )
        yield Suspicion("a few roundings", phrase, case.exact(case.got), fitted=True)


def narrower_formats(arithmetic: Arithmetic) -> Iterator[tuple[str, str, Arithmetic]]:
    """The formats in which a port may have computed instead, the tightest first."""
    if arithmetic.name == "float64":
        yield "float32", "float32 somewhere in its computation", ARITHMETICS["float32"]
    for name in ("tf32", "bfloat16"):
        rounded = arithmetic.with_product_inputs(2.0 ** -PRODUCT_BITS[name])
        yield f"{name} products", f"products whose inputs are rounded to {name}", rounded


def not_finite(case: Case) -> tuple[str, str]:
    """The probable cause of NaN or infinity in the quantity, and a phrase for it."""
    bad = ~np.isfinite(case.got)
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    found = f"is not finite at {bad.sum()} of {bad.size} elements, the first at {first}"
    rows = bad if bad.ndim < 2 else bad.any(axis=1)
    if case.quantity == "correct_logprobs" and np.array_equal(
        rows, (case.value_of("probs") == 0).any(axis=1)
    ):
        why = "consistent with 0 times the log of 0: those rows have a probability of exactly 0"
        return "0 times infinity", f"{found}: {why}"
    if case.quantity == "probs":
        top = np.max(case.value_of("scores"), axis=1)
        for name in ("float16", "float32", "float64"):
            if np.array_equal(rows, top > np.log(ARITHMETICS[name].largest)):
                why = f"consistent with exp in {name} without a shift by the row maximum"
                return "overflow", f"{found}: {why}"
    return "not finite", f"{found}, and everything it is computed from is finite"
