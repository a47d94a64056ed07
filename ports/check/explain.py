"""Why a quantity is probably wrong: from its shape, its memory, and then from its numbers."""

import re
from dataclasses import dataclass

from ports.check.results import Case
from ports.diagnosis import diagnose
from reference.arrays import Plain
from reference.formula import formula


@dataclass(frozen=True)
class Explanation:
    """A cause by its short name, a sentence, and whether the numbers certify it."""

    cause: str
    sentence: str
    certain: bool


def explain(case: Case, quantity: str) -> Explanation | None:
    """The first cause that the step's record speaks for, or None."""
    if quantity not in case.start.shapes or quantity not in case.trace:
        return None
    return (
        _shape(case, quantity)
        or _dtype(case, quantity)
        or _changed_input(case, quantity)
        or _shared_memory(case, quantity)
        or _numbers(case, quantity)
    )


def _shape(case: Case, quantity: str) -> Explanation | None:
    got, expected = case.trace[quantity].shape, case.start.shapes[quantity]
    if got == expected:
        return None
    sizes = [n for n in got if n != 1]
    if len(got) < len(expected) and sizes == [n for n in expected if n != 1]:
        return Explanation("shape", "Probably the sum wants keepdims=True.", certain=False)
    if got == expected[::-1]:
        return Explanation("transposed", "It is transposed.", certain=False)
    if quantity in ("data_loss", "loss") and got == case.start.y.shape:
        return Explanation("not averaged", "One number an example: average them.", certain=False)
    return Explanation(
        "shape", "Probably an axis or an operand is another one than meant.", certain=False
    )


def _dtype(case: Case, quantity: str) -> Explanation | None:
    got = case.trace[quantity].dtype
    if got == case.arithmetic.name:
        return None
    return Explanation(
        "dtype",
        f"Make new tensors in the dtype of X, here {case.arithmetic.name}; a framework's default, or a "
        f"wider constant, has turned this one into {got}.",
        certain=False,
    )


def _changed_input(case: Case, quantity: str) -> Explanation | None:
    """X or y was overwritten by the step, where the quantity is made of it."""
    operands = " ".join(formula(case.start.model.name, quantity))
    changed = [n for n in case.facts.get("changed", []) if re.search(rf"\b{n}\b", operands)]
    if not changed:
        return None
    sentence = (
        f"The step changes {' and '.join(changed)} in place: the next step is given the changed one. "
        "Work on a copy."
    )
    return Explanation("changed input", sentence, certain=True)


def _shared_memory(case: Case, quantity: str) -> Explanation | None:
    """An array that was overwritten when a later name for it was.

    A later quantity that is an earlier one's array and no more, as in loss = data_loss, lacks something:
    nothing was overwritten.
    """
    order = list(case.start.shapes)
    for pair in case.facts.get("shared", []):
        if quantity in pair and case.trace[pair[0]].shape == case.trace[pair[1]].shape:
            other = pair[0] if pair[1] == quantity else pair[1]
            if other in order and order.index(other) < order.index(quantity):
                continue
            sentence = (
                f"{quantity} and {other} are one array: changing the one in place overwrote the "
                "other. Make a copy first."
            )
            return Explanation("overwritten", sentence, certain=True)
    return None


def _numbers(case: Case, quantity: str) -> Explanation:
    """What `ports.diagnosis` reads from the recorded tensors."""
    usable = {n: a for n, a in case.trace.items() if _is_usable(case, n, a)}
    previous = case.previous_trace
    found = diagnose(
        case.start,
        usable,
        case.arithmetic,
        quantity,
        previous_trace={n: a for n, a in previous.items() if n in usable} if previous else None,
    )
    return Explanation(found.cause, found.sentence, found.certain)


def _is_usable(case: Case, name: str, array: Plain) -> bool:
    known = name in case.start.shapes
    return known and array.shape == case.start.shapes[name] and array.dtype == case.arithmetic.name
