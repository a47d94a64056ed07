"""Why a quantity is wrong: a search for the line of code that would have given the port's numbers.

The note's own line for the quantity is edited in small ways (`grammar.py`) and run on what the port
recorded (`search.py`). A few things that are no edit of a line are looked for beside that
(`observations.py`, `precision.py`). An explanation is believed if it holds for every element down to
rounding, by the same bounds that found the quantity wrong. The sentence stays cautious ("consistent
with"), because another mistake may give the same numbers.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ports.contract import Port
from ports.diagnosis import search
from ports.diagnosis.any_network import ANY_NETWORK
from ports.diagnosis.bench import Bench, bench_of, bench_of_spiral, benches_of
from ports.diagnosis.case import Case, Change, Observation, Suspicion
from ports.diagnosis.grammar import RULES, SPIRAL_RULES, Rule
from ports.diagnosis.observations import (
    by_class,
    clipped,
    dropout,
    flushed,
    kept_between,
    loss_by_class,
    other_weights,
    overwritten,
    permuted,
)
from ports.diagnosis.place import place_of
from ports.diagnosis.precision import a_few_roundings, lower_precision, not_finite
from ports.diagnosis.search import Found, Search
from ports.engine.lockstep import prepare, run_step
from ports.engine.results import Cell
from reference.agreement.arithmetic import ARITHMETICS, Arithmetic, Unbounded
from reference.agreement.rounded import Rounded, linspace
from reference.arrays import Array, Plain
from reference.line import NoLine
from reference.models import Model, Problem
from reference.own import OwnModel
from reference.runs import trajectory
from reference.spiral import spiral

UNEXPLAINED = "unexplained"
#: How many explanations are shown, where several fit.
SHOWN = 3

#: What is looked for beside single edits of the line.
OBSERVATIONS: tuple[Observation, ...] = (overwritten, permuted, dropout, flushed, clipped)
#: What explains an error last, because it fits numbers or only the error's size.
LAST: tuple[Observation, ...] = (
    kept_between,
    by_class,
    loss_by_class,
    other_weights,
    lower_precision,
)


@dataclass(frozen=True)
class Diagnosis:
    """What is probably wrong.

    Attributes:
        cause: a short key, or "unexplained".
        sentence: the same in words.
        certain: whether one explanation alone fits down to rounding, with nothing in it chosen to fit.
        changes: the explanations that can be shown as code, the likeliest first.
    """

    cause: str
    sentence: str
    certain: bool = False
    changes: tuple[Change, ...] = ()


def diagnose(
    start: Problem,
    trace: Mapping[str, Plain],
    arithmetic: Arithmetic,
    quantity: str,
    previous_trace: Mapping[str, Plain] | None = None,
    others: Sequence[Case] = (),
    budget: float | None = None,
) -> Diagnosis:
    """Explain one wrong quantity of one step from the port's recorded tensors.

    `previous_trace` is the trace of the step before, with that step's parameters if they are known.
    `others` are other steps of the same code, of other sizes say. An edit that they refute is dropped.
    `budget` is how many seconds the search may compute, beyond the single edits of the line.
    """
    case = Case(start, trace, arithmetic, quantity, previous_trace or {})
    structural = case.structural_problem()
    if structural:
        return _structure(case, structural)
    try:
        return _value(case, others, search.BUDGET if budget is None else budget)
    except (Unbounded, NoLine) as why:
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
    arithmetic = port.arithmetic(cell.mode, cell.device, cell.dtype)
    return diagnose(start, trace, arithmetic, quantity, before)


def diagnose_spiral(noise: Plain, got: Plain, arithmetic: Arithmetic, quantity: str = "X") -> Diagnosis:
    """Explain wrong points X (N*K, 2) or wrong labels y (N*K,) of the generator."""
    bench = bench_of_spiral(quantity, noise, got, arithmetic)
    searched = Search(bench, (*SPIRAL_RULES, *RULES))
    found = searched.one_edit()
    if found:
        return _verdict(bench.quantity, bench.got, _shown(bench, found))
    if quantity == "X":
        return _other_points(noise, bench.got, arithmetic) or Diagnosis(UNEXPLAINED, "X: unexplained.")
    return Diagnosis(UNEXPLAINED, f"{quantity}: unexplained.")


def _other_points(noise: Plain, X: Plain, arithmetic: Arithmetic) -> Diagnosis | None:
    """Points in float32, or of other draws of noise, which move them along a circle."""
    single = ARITHMETICS["float32"]
    exact_noise: Array = Rounded.exact(noise, single)
    in_float32, _ = spiral(exact_noise, linspace(single))
    if np.all(np.abs(X - in_float32.value) <= in_float32.errors()):
        return Diagnosis("float32", "X is consistent with float32 somewhere in its computation.")
    radius, got = (np.hypot(*points.T) for points in (in_float32.value, X))
    if np.all(np.abs(radius - got) <= 16 * arithmetic.function):
        what = "other draws of noise: every radius is right, the angles are not"
        return Diagnosis("other noise", f"X is consistent with {what}.")
    return None


def _value(case: Case, others: Sequence[Case], budget: float) -> Diagnosis:
    """A quantity of the right form with wrong numbers."""
    if case.explained_by(case.expected):
        why = "this operation is right: the error comes from a quantity before it"
        return Diagnosis("upstream", f"{case.quantity}: {why}.")
    if not np.all(np.isfinite(case.got)):
        cause, phrase = not_finite(case)
        return Diagnosis(cause, f"{case.quantity} {phrase}.")
    bench = bench_of(case)
    searched = Search(bench, rules_of(case.model), benches_of(case.quantity, others), budget)
    stages: tuple[Callable[[], list[Suspicion]], ...] = (
        lambda: [*_shown(bench, searched.one_edit()), *_observed(case, OBSERVATIONS)],
        lambda: _observed(case, [a_few_roundings]),
        lambda: _shown(bench, searched.further()),
        lambda: _observed(case, LAST),
    )
    for stage in stages:
        fitting = stage()
        if fitting:
            return _verdict(case.quantity, case.got, fitting)
    where = "" if bench.wrong.all() else f"; the error is {place_of(bench.wrong, case.y)} only"
    return Diagnosis(UNEXPLAINED, f"{case.quantity}: unexplained{where}.")


def rules_of(model: Model) -> Sequence[Rule]:
    """The edits that are tried on a model's lines. A network of one's own has any kind of lines."""
    return (*ANY_NETWORK, *RULES) if isinstance(model, OwnModel) else RULES


def _observed(case: Case, observations: Iterable[Observation]) -> list[Suspicion]:
    """What the observations see that explains the error."""
    seen = [suspicion for observation in observations for suspicion in observation(case)]
    return [suspicion for suspicion in seen if case.bears_out(suspicion.predicted)]


def _shown(bench: Bench, found: Iterable[Found]) -> list[Suspicion]:
    """The edits that were found, with their code."""
    return [
        Suspicion(
            f.edit.cause, _phrase(f, bench), f.predicted, not f.is_certain, f.change(bench, whole=i == 0)
        )
        for i, f in enumerate(found)
    ]


def _verdict(quantity: str, got: Plain, fitting: Sequence[Suspicion]) -> Diagnosis:
    """One diagnosis from all that fits, the likeliest first."""
    phrases = list(dict.fromkeys(suspicion.phrase for suspicion in fitting))
    more = f", or with {len(phrases) - SHOWN} more" if len(phrases) > SHOWN else ""
    sentence = f"{quantity} is consistent with {' or with '.join(phrases[:SHOWN])}{more}"
    certain = len(phrases) == 1 and not fitting[0].fitted
    changes = [suspicion.code for suspicion in fitting if suspicion.code]
    if certain and not changes and got.size > 1:
        sentence += "; that explains every element down to rounding"
    return Diagnosis(fitting[0].cause, f"{sentence}.", certain, tuple(changes[:SHOWN]))


def _phrase(found: Found, bench: Bench) -> str:
    """What an edit says, and where, if it holds in a part of the tensor or in a line before alone."""
    if found.part is not None:
        place = place_of(found.part, bench.plain.get("y"))
        return f"{found.edit.says}, {place} alone (the rest is right)"
    if found.line is not bench.line:
        changed = found.edit.changed_in(found.line)
        if changed != bench.line.target:
            return f"{found.edit.says}, in a {changed} of its own, not in the {changed} that you return"
    return found.edit.says


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
    bench = bench_of(case)
    fitting = _shown(bench, Search(bench, rules_of(case.model)).one_edit())
    if fitting:
        found = _verdict(name, case.got, fitting)
        return replace(found, sentence=f"{name} {problem}. {found.sentence}")
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
