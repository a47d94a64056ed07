"""Mistakes of precision: numbers in a narrower format, flushed to 0, or not finite."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ports.diagnosis.case import Case, Suspicion, like
from reference.agreement.arithmetic import ARITHMETICS, Arithmetic
from reference.agreement.rounded import Rounded
from reference.arrays import Plain

#: Significant bits that a product's inputs keep.
PRODUCT_BITS = {"bfloat16": 8, "tf32": 11}
#: An error has a format's size if it uses at least this share of that format's bound.
LEAST_SHARE = 1e-3
#: An error of up to this many times the bound may still come from rounding.
ROUNDINGS_MORE = 8


def float32_residue(case: Case) -> Iterator[Suspicion]:
    """float32 numbers in a float64 computation: the result itself, or its operands."""
    if case.arithmetic.name != "float64":
        return
    held = case.got.astype(np.float32).astype(np.float64)
    if case.got.size > 2 and np.array_equal(held, case.got):
        loose = case.try_recomputed(arithmetic=ARITHMETICS["float32"])
        if case.explained_by(loose):
            yield Suspicion("float32", "a result that has been held in float32", case.exact(held))
    names = case.operands
    for chosen in [(name,) for name in names] + ([tuple(names)] if len(names) > 1 else []):
        changes = {n: like(case.inputs[n], _float32(case.inputs[n])) for n in chosen}
        phrase = f"{' and '.join(chosen)} in float32"
        yield Suspicion("float32", phrase, case.try_recomputed(changes))


def _float32(value: Any) -> Plain:
    with np.errstate(over="ignore"):
        return np.asarray(value).astype(np.float32).astype(np.float64)


def rounded_products(case: Case) -> Iterator[Suspicion]:
    """A matrix product whose inputs were rounded first: TF32, bfloat16."""
    matrices = [n for n in case.operands if np.ndim(case.inputs[n]) == 2 and case.inputs[n].shape[0] > 1]
    pairs = [*itertools.combinations(matrices, 2), *((n,) for n in matrices)]
    for (name, bits), mode, pair in itertools.product(PRODUCT_BITS.items(), ROUNDINGS, pairs):
        changes = {n: rounded_to(case.inputs[n], bits, mode) for n in pair}
        phrase = f"{' and '.join(pair)} rounded to {name} in the product"
        yield Suspicion(f"{name} products", phrase, case.try_recomputed(changes))


def _half_up(x: Plain) -> Plain:
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


ROUNDINGS: tuple[Callable[[Plain], Plain], ...] = (np.rint, _half_up, np.trunc)


def rounded_to(value: Plain, bits: int, mode: Callable[[Plain], Plain]) -> Plain:
    """Numbers rounded to that many significant bits."""
    mantissa, exponent = np.frexp(value.astype(np.float64))
    return np.asarray(np.ldexp(mode(np.ldexp(mantissa, bits)), exponent - bits))


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


def lower_precision(case: Case) -> Iterator[Suspicion]:
    """Errors of the size that a narrower format leaves: within its bound, but not far within it."""
    for cause, phrase, narrower in narrower_formats(case.arithmetic):
        predicted = case.try_recomputed(arithmetic=narrower)
        if predicted is not None and case.explained_by(predicted):
            far_within = Rounded(predicted.value, predicted.errors() * LEAST_SHARE, narrower)
            if not case.explained_by(far_within):
                yield Suspicion(cause, phrase, case.exact(case.got))
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
        yield Suspicion("a few roundings", phrase, case.exact(case.got))


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
