"""Why a quantity is wrong: hypotheses tested on the numbers that the port recorded.

A hypothesis says what the port would have computed, from its own recorded inputs, had it made
one particular mistake. It is believed if it explains every element down to rounding, by the
same bounds that found the quantity wrong. The sentence stays cautious ("consistent with"),
because another mistake may give the same numbers.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ports.contract import Port
from ports.diagnosis.hypotheses import LOOSE, SUSPECTS, Case, Hypothesis, Suspicion, not_finite
from ports.engine.lockstep import prepare, run_step
from ports.engine.results import Cell
from reference.agreement.arithmetic import ARITHMETICS, Arithmetic, Unbounded
from reference.agreement.rounded import Rounded, linspace
from reference.arrays import Array, Plain
from reference.models import Problem
from reference.runs import trajectory
from reference.spiral import spiral

UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Diagnosis:
    """What is probably wrong.

    Attributes:
        cause: a short key, or "unexplained".
        sentence: the same in words.
        certain: whether one hypothesis alone explains the difference down to rounding.
    """

    cause: str
    sentence: str
    certain: bool = False


def diagnose(
    start: Problem,
    trace: Mapping[str, Plain],
    arithmetic: Arithmetic,
    quantity: str,
    previous_trace: Mapping[str, Plain] | None = None,
) -> Diagnosis:
    """Explain one wrong quantity of one step from the port's recorded tensors.

    `previous_trace` is the trace of the step before, with that step's parameters if they are known.
    """
    case = Case(start, trace, arithmetic, quantity, previous_trace or {})
    structural = case.structural_problem()
    if structural:
        return _structure(case, structural)
    try:
        return _value(case)
    except Unbounded as why:
        return Diagnosis(UNEXPLAINED, f"{quantity}: unexplained ({why})")


def explain(
    problem: Problem,
    port: Port,
    cell: Cell,
    step: int,
    quantity: str,
    steps: Collection[int] | None = None,
) -> Diagnosis:
    """Run a port again up to a step in which `quantity` was wrong, and diagnose it.

    `steps` are the steps at which the port was run (None: all of them). Its state depends on them.
    """
    chosen = range(step + 1) if steps is None else steps
    before: dict[str, Plain] = {}
    start, trace = problem, dict[str, Plain]()
    with port.host.exact_settings():
        contestant = prepare(cell, port, problem, chosen)
        for i, at, _ in trajectory(problem, step + 1):
            if i in chosen:
                before = {**start.params, **trace} if trace else {}
                start = at.held_as(cell.dtype)
                trace = {n: np.array(t) for n, t in run_step(contestant, start).items()}
    arithmetic = port.host.arithmetic(cell.device, cell.dtype)
    return diagnose(start, trace, arithmetic, quantity, before)


def diagnose_spiral(noise: Plain, X: Plain, arithmetic: Arithmetic) -> Diagnosis:
    """Explain wrong points: other draws of noise move them along a circle."""
    single = ARITHMETICS["float32"]
    exact_noise: Array = Rounded.exact(noise, single)
    in_float32, _ = spiral(exact_noise, linspace(single))
    if np.all(np.abs(X - in_float32.value) <= in_float32.errors()):
        return Diagnosis("float32", "X is consistent with float32 somewhere in its computation.")
    radius, got = (np.hypot(*points.T) for points in (in_float32.value, X.astype(np.float64)))
    if np.all(np.abs(radius - got) <= 16 * arithmetic.function):
        what = "other draws of noise: every radius is right, the angles are not"
        return Diagnosis("other noise", f"X is consistent with {what}.")
    return Diagnosis(UNEXPLAINED, "X: unexplained.")


def _value(case: Case) -> Diagnosis:
    """A quantity of the right form with wrong numbers."""
    if case.explained_by(case.expected):
        why = "this operation is right: the error comes from a quantity before it"
        return Diagnosis("upstream", f"{case.quantity}: {why}.")
    if not np.all(np.isfinite(case.got)):
        cause, phrase = not_finite(case)
        return Diagnosis(cause, f"{case.quantity} {phrase}.")
    for suspects, decisive in ((SUSPECTS, True), (LOOSE, False)):
        fitting = [s for hypothesis in suspects for s in _fitting(case, hypothesis)]
        if fitting:
            return _verdict(case, fitting, decisive)
    return Diagnosis(UNEXPLAINED, f"{case.quantity}: unexplained{_where(case)}.")


def _fitting(case: Case, hypothesis: Hypothesis) -> Iterator[Suspicion]:
    """The suspicions of a hypothesis that can be computed and that explain the error."""
    with suppress(Unbounded):
        for suspicion in hypothesis(case):
            if case.bears_out(suspicion.predicted):
                yield suspicion


def _verdict(case: Case, fitting: list[Suspicion], decisive: bool) -> Diagnosis:
    phrases = {s.cause: s.phrase for s in reversed(fitting)}
    alternatives = " or with ".join(phrases[cause] for cause in reversed(phrases))
    sentence = f"{case.quantity} is consistent with {alternatives}"
    certain = decisive and len(phrases) == 1
    if certain and case.got.size > 1:
        sentence += "; that explains every element down to rounding"
    return Diagnosis(fitting[0].cause, f"{sentence}.", certain)


def _where(case: Case) -> str:
    """Which rows or columns are wrong, if at most half of them are."""
    wrong = ~(np.abs(case.got - case.expected.value) <= case.expected.errors())
    said = []
    for axis, noun in ((0, "row"), (1, "column")):
        if case.got.ndim == 2 and case.got.shape[axis] > 1:
            hit = np.flatnonzero(wrong.any(axis=1 - axis))
            if 0 < hit.size <= case.got.shape[axis] // 2:
                said.append(f"{noun}{'s' * (hit.size > 1)} {_listed(hit)} of {case.got.shape[axis]}")
    return f"; the error is in {' and '.join(said)} only" if said else ""


def _listed(indices: Plain) -> str:
    shown = ", ".join(str(i) for i in indices[:6])
    return f"{shown} and {indices.size - 6} more" if indices.size > 6 else shown


def _structure(case: Case, problem: str) -> Diagnosis:
    """Explain a wrong name, dtype or shape; the numbers may add to the explanation."""
    name = case.quantity
    if name not in case.model.quantities:
        return _renamed(case, problem)
    if name not in case.trace:
        return Diagnosis("missing", f"{name} {problem}.", certain=True)
    if "shape" not in problem:
        return Diagnosis("dtype", f"{name} {problem}.", certain=True)
    for cause, phrase, reshaped in _of_another_shape(case):
        if case.explained_by(case.expected, reshaped):
            return Diagnosis(cause, f"{name} {problem}: {phrase}.", certain=True)
    return Diagnosis("shape", f"{name} {problem}.", certain=True)


def _of_another_shape(case: Case) -> list[tuple[str, str, Plain]]:
    got, shape = case.got, case.expected.value.shape
    ways = []
    if got.ndim == 2 and (1, got.shape[1]) == shape:
        ways.append(("not summed", "its sum over the examples is right", got.sum(0, keepdims=True)))
    if got.shape[::-1] == shape and got.ndim == 2:
        ways.append(("transpose", "its transpose is right", got.T))
    if got.size == np.prod(shape):
        ways.append(("shape", "its numbers are right", got.reshape(shape)))
    return ways


def _renamed(case: Case, problem: str) -> Diagnosis:
    """Explain an unknown name, which may hold a quantity that is missing."""
    for name in case.model.quantities:
        if name not in case.trace:
            missing = case.about(name)
            if missing.expected.value.shape == case.got.shape and missing.explained_by(
                missing.expected, case.got
            ):
                what = f"{case.quantity} {problem}: it holds {name}, which is missing."
                return Diagnosis("renamed", what, certain=True)
    return Diagnosis("renamed", f"{case.quantity} {problem}.")
