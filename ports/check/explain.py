"""Why a quantity is probably wrong: from its shape, its memory, and then from its numbers."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ports.check.results import Case, ModelResult
from ports.diagnosis import UNEXPLAINED, Diagnosis, diagnose, diagnose_spiral
from ports.diagnosis.case import Case as Recorded
from reference.agreement.arithmetic import Arithmetic
from reference.arrays import Plain, held_as
from reference.line import formula

#: How many more wrong quantities are explained, beside the first one.
FURTHER = 3


def explanations_of(result: ModelResult) -> dict[str, Diagnosis]:
    """Why the wrong quantities of a step are wrong, as far as its record tells: the first one first.

    An exception raised while explaining does not cost the verdict.
    """
    explained, wrong = dict[str, Diagnosis](), result.wrong()
    for i, (found, _, finding) in enumerate(result.failures()):
        name, first = finding.quantity, i == 0
        if found.case and (first or (name in wrong and name not in explained)):
            others = [run.case for run in result.runs if run.case and run is not found]
            why = _explained(found.case, name, others, thorough=first)
            if why and (first or why.cause not in ("upstream", UNEXPLAINED)):
                explained[name] = why
        if len(explained) > FURTHER:
            break
    return explained


def _explained(case: Case, quantity: str, others: Sequence[Case], thorough: bool) -> Diagnosis | None:
    try:
        return explain(case, quantity, others, thorough)
    except Exception as why:
        return Diagnosis(UNEXPLAINED, f"no explanation ({type(why).__name__}: {why})")


def explanations_of_spiral(
    result: ModelResult, noise: Plain, got: Mapping[str, Plain], arithmetic: Arithmetic
) -> dict[str, Diagnosis]:
    """Why the points or the labels of a spiral are wrong, from the draws of `noise` (K, N)."""
    explained = dict[str, Diagnosis]()
    for _, _, finding in result.failures():
        name = finding.quantity
        if not finding.problem and np.all(np.isfinite(got[name])):
            held = held_as(arithmetic.name, noise)
            explained[name] = diagnose_spiral(held, got[name], arithmetic, name)
    return explained


def explain(
    case: Case, quantity: str, others: Sequence[Case] = (), thorough: bool = True
) -> Diagnosis | None:
    """The first cause that the step's record supports, or None.

    `others` are steps of other runs. A search that is not thorough tries single edits alone.
    """
    if quantity not in case.start.shapes or quantity not in case.trace:
        return None
    return (
        _shape(case, quantity)
        or _dtype(case, quantity)
        or _changed_input(case, quantity)
        or _shared_memory(case, quantity)
        or _numbers(case, quantity, others, thorough)
    )


def _shape(case: Case, quantity: str) -> Diagnosis | None:
    got, expected = case.trace[quantity].shape, case.start.shapes[quantity]
    if got == expected:
        return None
    sizes = [n for n in got if n != 1]
    if len(got) < len(expected) and sizes == [n for n in expected if n != 1]:
        return Diagnosis("shape", "Probably the sum needs keepdims=True.")
    if got == expected[::-1]:
        return Diagnosis("transposed", "It is transposed.")
    labels = case.start.labels
    if quantity in ("data_loss", "loss") and labels is not None and got == labels.shape:
        return Diagnosis("not averaged", "It has one number per example: average them.")
    found = diagnose(case.start, case.trace, case.arithmetic, quantity)
    if found.changes:
        return found
    return Diagnosis("shape", "Probably an axis or an operand is not the one you meant.", certain=False)


def _dtype(case: Case, quantity: str) -> Diagnosis | None:
    got, expected = case.trace[quantity].dtype, case.arithmetic.dtype_of(quantity)
    if got == expected:
        return None
    if expected != case.arithmetic.name:
        return Diagnosis("dtype", f"The file declares it as {expected}.", certain=True)
    return Diagnosis(
        "dtype",
        f"Make new tensors in the dtype of X, here {case.arithmetic.name}; a framework's default, or a "
        f"wider constant, has turned this one into {got}.",
    )


def _changed_input(case: Case, quantity: str) -> Diagnosis | None:
    """The step overwrote X or y, and the quantity is computed from it."""
    operands = " ".join(formula(case.start.model.name, quantity))
    changed = [n for n in case.facts.get("changed", []) if re.search(rf"\b{n}\b", operands)]
    if not changed:
        return None
    sentence = (
        f"The step changes {' and '.join(changed)} in place: the next step is given the changed one. "
        "Work on a copy."
    )
    return Diagnosis("changed input", sentence, certain=True)


def _shared_memory(case: Case, quantity: str) -> Diagnosis | None:
    """The array has two names, and a change under the later name overwrote it.

    A later quantity that is just the array of an earlier one, as in loss = data_loss, lacks something:
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
            return Diagnosis("overwritten", sentence, certain=True)
    return None


def _numbers(case: Case, quantity: str, others: Sequence[Case], thorough: bool) -> Diagnosis:
    """What `ports.diagnosis` reads from the recorded tensors."""
    usable = _usable(case)
    elsewhere = [
        Recorded(other.start, _usable(other), other.arithmetic, quantity, _before(other) or {})
        for other in others
    ]
    budget = None if thorough else 0.0
    return diagnose(case.start, usable, case.arithmetic, quantity, _before(case), elsewhere, budget)


def _usable(case: Case) -> dict[str, Plain]:
    """The recorded tensors of the right form."""
    return {n: a for n, a in case.trace.items() if _is_usable(case, n, a)}


def _before(case: Case) -> dict[str, Plain] | None:
    """What the step before was given and computed, as far as it is usable."""
    usable = _usable(case)
    previous = case.previous_trace
    if not previous:
        return None
    return {n: a for n, a in previous.items() if n in usable or n in case.start.params}


def _is_usable(case: Case, name: str, array: Plain) -> bool:
    known = name in case.start.shapes
    return (
        known
        and array.shape == case.start.shapes[name]
        and array.dtype == case.arithmetic.dtype_of(name)
    )
