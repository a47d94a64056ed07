"""Certify: a reference step and ports' traces of it -> findings.

Two certificates for every quantity:

*end to end*: from identical weights and points, the port's value is within the bound
propagated through the whole step.

*local*: the reference recomputes each quantity from the port's **own** recorded inputs.
This bound does not accumulate, and it blames exactly the operation that is wrong:
everything downstream of a bug stays green.

Several steps of several ports, in the same arithmetic, are certified in one pass
(`certify_steps`). Nothing here asserts or prints.
"""

import difflib
import weakref
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.rounded import LARGE, SLACK, Known, Rounded
from reference.agreement.routes import Quantities, cover
from reference.arrays import Params, Plain, Tap
from reference.trace import PARAMETERS, QUANTITIES, STEPS, overflow_message

END_TO_END, LOCAL = "end to end", "local"
CERTIFICATES = (LOCAL, END_TO_END)

#: Keeps an exact bound from dividing 0 by 0. (A subnormal number would make each division slow.)
SMALLEST = np.finfo(np.float64).smallest_normal

#: One port's quantities by name.
PortTrace: TypeAlias = Mapping[str, Plain]


class Finding(NamedTuple):
    """One quantity of one step under one certificate.

    `share` is the largest |got - expected| / allowed over the elements: at most 1 agrees, NaN
    never does. `index`, `got`, `expected`, `allowed` are of that element. `problem` says what
    is wrong with a tensor that could not be compared by value at all.
    """

    quantity: str
    certificate: str
    share: float
    index: tuple[int, ...] = ()  # type: ignore[assignment]  # hides tuple.index
    got: float = float("nan")
    expected: float = float("nan")
    allowed: float = float("nan")
    elements: int = 0
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the difference is within rounding."""
        return self.share <= 1

    def finding(self) -> "Finding":
        """Itself, as `Outcome.finding`."""
        return self


class Outcome(NamedTuple):
    """A comparison whose `Finding` is not spelled out yet: most are never looked at."""

    quantity: str
    certificate: str
    share: float
    got: Plain
    expected: Rounded
    place: tuple[int, int]  # port and step

    @property
    def elements(self) -> int:
        """How many numbers were compared."""
        return self.got.size

    def finding(self, shares: Plain | None = None) -> Finding:
        """Look up the worst element, or the first NaN; `shares` may hand in those of `got`."""
        expected = self.expected.at(self.place)
        worst = (_shares(self.got, expected) if shares is None else shares).argmax()
        index = tuple(int(i) for i in np.unravel_index(worst, self.got.shape))
        allowed = float(expected.errors()[index])
        return Finding(
            self.quantity,
            self.certificate,
            float("inf") if self.share > 1 and not allowed else self.share,
            index,
            float(self.got[index]),
            float(expected.value[index]),
            allowed,
            self.got.size,
        )


class Recorded(NamedTuple):
    """One quantity as recorded: by which ports, and their tensors (ports, steps, ...) as float64."""

    ports: tuple[int, ...]
    values: Plain


class Given(NamedTuple):
    """What some steps start from: what both certificates run the reference's step on.

    `inputs` holds X, y, reg and the parameters by name; the routes may use them. `known` holds what
    has been computed from them alone.
    """

    model: str
    inputs: Quantities
    step_size: float
    known: Known


Compared: TypeAlias = Finding | Outcome

#: Of one step of one port: structural problems, and the outcomes of all comparisons by value.
Judgement: TypeAlias = tuple[list[Finding], list[Compared]]


def end_to_end(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    arithmetic: Arithmetic,
    at: str = "this step",
) -> dict[str, Rounded]:
    """Run the reference step on `Rounded` inputs: every quantity with its propagated bound.

    All arrays are float64 holding numbers of the port's dtype; they count as exact.
    Raises Unbounded, naming the step, where no bound exists.
    """
    bounds = _end_to_end(_given(model, [params], X, y, reg, step_size, arithmetic), at)
    return {name: rounded.at((0, 0)) for name, rounded in bounds.items()}


def _end_to_end(given: Given, at: str) -> dict[str, Rounded]:
    q = given.inputs.copy()

    def tap(name: str, computed: Rounded) -> Rounded:
        q[name] = covered = cover(name, computed, q)
        return covered

    _run(given, q, tap, at)
    return {name: q[name] for name in QUANTITIES[given.model]}


def local(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    trace: PortTrace,
    arithmetic: Arithmetic,
    at: str = "this step",
) -> dict[str, Rounded]:
    """Recompute every quantity from the port's own recorded ones, with the bound of that one operation.

    `trace` maps names to arrays; a quantity missing from it is recomputed from those before it.
    Raises Unbounded, naming the step, where no bound exists.
    """
    given = _given(model, [params], X, y, reg, step_size, arithmetic)
    expected = _local(given, _recorded([[trace]]), 1, at)
    return {name: rounded.at((0, 0)) for name, rounded in expected.items()}


def _local(given: Given, recorded: Mapping[str, Recorded], ports: int, at: str) -> dict[str, Rounded]:
    q = given.inputs.copy()
    expected = {}

    def tap(name: str, computed: Rounded) -> Rounded:
        seen = expected[name] = cover(name, computed, q)
        if name in recorded:
            seen = _as_recorded(recorded[name], ports, computed, seen)
        q[name] = seen
        return seen

    _run(given, q, tap, at)
    return expected


def _given(
    model: str,
    starts: Sequence[Params],
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    arithmetic: Arithmetic,
) -> Given:
    """Steps from those parameters, which are stacked. What follows from them alone is computed once."""
    inputs: Quantities = {"X": Rounded.exact(X, arithmetic), "y": y, "reg": reg}
    for name in PARAMETERS[model]:
        inputs[name] = Rounded.exact([start[name] for start in starts], arithmetic, stacked=1)
    known = Known()
    reference = weakref.ref(known)
    for name in ("X", *PARAMETERS[model]):
        inputs[name].known = reference
    return Given(model, inputs, step_size, known)


def _run(given: Given, q: Quantities, tap: Tap, at: str) -> None:
    model = given.model
    params = {name: q[name] for name in PARAMETERS[model]}
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            STEPS[model](params, q["X"], q["y"], q["reg"], given.step_size, tap)
    except Unbounded as why:
        raise Unbounded(f"{at}: {why}") from None
    except FloatingPointError:
        values = {n: q[n].at((0, 0)).value for n in QUANTITIES[model] if n in q}
        raise Unbounded(overflow_message(values, at, q["y"])) from None


def _recorded(traces: Sequence[Sequence[PortTrace]]) -> dict[str, Recorded]:
    """Stack, by quantity, what traces[step][port] recorded; a port shows the same names at all steps."""
    first = traces[0]
    recorded = {}
    for name in dict.fromkeys(name for trace in first for name in trace):
        ports = tuple(port for port, trace in enumerate(first) if name in trace)
        tensors = [[step[port][name] for step in traces] for port in ports]
        recorded[name] = Recorded(ports, _stack(tensors))
    return recorded


def _stack(tensors: Sequence[Sequence[Plain]]) -> Plain:
    """The tensors of some ports and steps as one array of float64; a tensor alone is not copied."""
    one = tensors[0][0]
    if len(tensors) == len(tensors[0]) == 1:
        return np.asarray(one, dtype=np.float64)[None, None]
    values = np.empty((len(tensors), len(tensors[0]), *one.shape))
    for row, steps in enumerate(tensors):
        for i, tensor in enumerate(steps):
            values[row, i] = tensor
    return values


def _as_recorded(recorded: Recorded, ports: int, computed: Rounded, expected: Rounded) -> Rounded:
    """The ports' own tensors, as the operation after them sees them.

    That is the recorded number itself (a subnormal one may be read as 0), except for a product:
    a compiler may contract it into the addition that follows (a fused multiply-add), which then
    sees the product unrounded. Where a port shows no tensor, what is expected stands in.
    """
    value = recorded.values
    absent = [i for i in range(ports) if i not in recorded.ports]
    if absent:
        value = np.empty((ports, *recorded.values.shape[1:]))
        value[...] = expected.value
        value[list(recorded.ports)] = recorded.values
    if computed.product == 1:
        flushed = (np.asarray(computed.error) > 0) * computed.arithmetic.smallest_normal
        error = computed.arithmetic.unit * np.abs(value) + flushed
        seen = Rounded(value, error, computed.arithmetic, product=1, stacked=2)
    else:
        seen = Rounded.exact(value, computed.arithmetic, stacked=2)
    if absent:
        seen.error = np.array(seen.errors())
        seen.error[absent] = np.broadcast_to(expected.error, value.shape)[absent]
    return seen


def compare(quantity: str, certificate: str, got: Plain, expected: Rounded) -> Finding:
    """Hold one recorded tensor against its bound."""
    recorded = Recorded((0,), np.asarray(got, dtype=np.float64)[None, None])
    return compare_all(quantity, certificate, recorded, expected)[0][0].finding()


def compare_all(
    quantity: str, certificate: str, recorded: Recorded, expected: Rounded
) -> list[list[Compared]]:
    """Hold all recordings of a quantity against its bound; returns outcomes[row of the ports][step].

    Those of large tensors are spelled out at once, so that the bounds need not be kept.
    """
    if expected.stacked == 2 and len(recorded.ports) < len(expected.value):
        expected = expected.of_ports(recorded.ports)
    shares = _shares(recorded.values, expected)
    ports, steps = shares.shape[:2]
    largest = (shares.reshape(ports, steps, -1).max(axis=2) / SLACK).tolist()

    def outcome(i: int, j: int) -> Compared:
        got = recorded.values[i, j]
        found = Outcome(quantity, certificate, largest[i][j], got, expected, (i, j))
        return found.finding(shares[i, j]) if got.size > LARGE else found

    return [[outcome(i, j) for j in range(steps)] for i in range(ports)]


def _shares(got: Plain, expected: Rounded) -> Plain:
    """|got - expected| / error, elementwise; the largest is still to be divided by SLACK.

    0/0 (both exact, and equal) uses none of the bound; anything over an exact bound is
    infinite; NaN stays NaN.
    """
    allowed = expected.error + SMALLEST
    with np.errstate(all="ignore"):
        share = np.asarray(got - expected.value)  # shape () gives a scalar, which `out` refuses
        np.abs(share, out=share)
        share /= allowed
    return share


def structural_problems(
    model: str,
    trace: PortTrace,
    sizes: Mapping[str, int],
    dtype: np.dtype,
    hidden: Collection[str] = (),
) -> list[Finding]:
    """Findings on what cannot be compared by value: missing, renamed, misshapen, wrong dtype.

    `sizes` maps the letters N, D, H, K to numbers; `hidden` names quantities that the port declares
    its library does not show.
    """
    findings = []
    for name, letters in QUANTITIES[model].items():
        if name not in trace:
            if name not in hidden:
                findings.append(_problem(name, "is missing from the port's trace"))
            continue
        shape = tuple(1 if letter == "1" else sizes[letter] for letter in letters)
        got = trace[name]
        if got.shape != shape:
            findings.append(_problem(name, f"has shape {got.shape}, expected {shape}"))
        elif got.dtype != dtype:
            findings.append(_problem(name, f"has dtype {got.dtype}, expected {dtype}"))
    for name in trace:
        if name not in QUANTITIES[model]:
            findings.append(_problem(name, f"is not a quantity of {model}; {_nearest(name, model)}"))
    return findings


def _problem(name: str, problem: str) -> Finding:
    return Finding(name, LOCAL, float("nan"), problem=problem)


def _nearest(name: str, model: str) -> str:
    near = difflib.get_close_matches(name, QUANTITIES[model], n=1)
    return f"did you mean {near[0]}?" if near else f"expected {', '.join(QUANTITIES[model])}"


def sizes_of(model: str, params: Params, X: Plain) -> dict[str, int]:
    """The letters of the shape table for one problem."""
    sizes = {"N": X.shape[0]}
    for name, letters in PARAMETERS[model].items():
        sizes |= dict(zip(letters, params[name].shape, strict=True))
    return sizes


def certify(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    trace: PortTrace,
    arithmetic: Arithmetic,
    bounds: Mapping[str, Rounded] | None = None,
    hidden: Collection[str] = (),
    at: str = "this step",
) -> list[Finding]:
    """Judge one port's trace of one step. Returns every `Finding`, structural ones first.

    `bounds` is the step's `end_to_end` result, shared by all ports that start from the same numbers.
    """
    inputs = (model, [params], X, y, reg, step_size)
    problems, outcomes = certify_steps(*inputs, [[trace]], arithmetic, [hidden], at, bounds)[0][0]
    return problems + [outcome.finding() for outcome in outcomes]


def certify_steps(
    model: str,
    starts: Sequence[Params],
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    traces: Sequence[Sequence[PortTrace]],
    arithmetic: Arithmetic,
    hidden: Sequence[Collection[str]] | None = None,
    at: str = "this step",
    bounds: Mapping[str, Rounded] | None = None,
) -> list[list[Judgement]]:
    """`certify` for several steps of several ports, in one pass.

    `starts` holds the parameters of each step; traces[step][port] what each port made of them.
    Returns judgements[step][port]: structural problems, and the outcomes of all comparisons by value.
    """
    sizes, dtype = sizes_of(model, starts[0], X), np.dtype(arithmetic.name)
    shown = hidden or [()] * len(traces[0])
    problems = [
        [
            structural_problems(model, trace, sizes, dtype, h)
            for trace, h in zip(step, shown, strict=True)
        ]
        for step in traces
    ]
    irregular = any(found for step in problems for found in step) or any(
        trace.keys() != first.keys()
        for step in traces
        for trace, first in zip(step, traces[0], strict=True)
    )
    if irregular and len(starts) > 1:
        one_by_one = (
            certify_steps(model, [start], X, y, reg, step_size, [step], arithmetic, hidden, at)
            for start, step in zip(starts, traces, strict=True)
        )
        return [judged for (judged,) in one_by_one]
    usable = [
        [_without(trace, found) for trace, found in zip(*step, strict=True)]
        for step in zip(traces, problems, strict=True)
    ]
    recorded, ports = _recorded(usable), len(shown)
    given = _given(model, starts, X, y, reg, step_size, arithmetic)
    bounds = bounds or _end_to_end(given, at)
    at_the_end = _compared(END_TO_END, recorded, bounds)
    bounds = {name: bound for name, bound in bounds.items() if bound.value.size <= LARGE}
    ends = _dealt(at_the_end, recorded, usable)
    try:
        own_bounds = _local(given, recorded, ports, at)
        from_inputs = {
            name: at_the_end[name]
            for name, bound in bounds.items()
            if name in recorded and bound.is_same(own_bounds[name])
        }
        own = _dealt(_compared(LOCAL, recorded, own_bounds, from_inputs), recorded, usable)
    except Unbounded:
        own = []
        for start, step, outcomes in zip(starts, usable, ends, strict=True):
            given = _given(model, [start], X, y, reg, step_size, arithmetic)
            own.append([_local_alone(given, *one, at) for one in zip(step, outcomes, strict=True)])
    return [
        [(problems[i][port], own[i][port] + ends[i][port]) for port in range(ports)]
        for i in range(len(starts))
    ]


def _without(trace: PortTrace, problems: Sequence[Finding]) -> PortTrace:
    """What of a trace can be compared by value."""
    broken = {problem.quantity for problem in problems}
    return {name: got for name, got in trace.items() if name not in broken} if broken else trace


def _local_alone(
    given: Given, trace: PortTrace, end_to_end_outcomes: Sequence[Compared], at: str
) -> list[Compared]:
    """The local certificates of one step of one port, where something recorded has no bound.

    A recorded NaN, infinity or probability of 0 leaves what follows it without one: then the
    port is judged from those of its recordings that agree end to end.
    """
    recorded = _recorded([[trace]])
    try:
        bounds = _local(given, recorded, 1, at)
    except Unbounded:
        sound = {o.quantity: trace[o.quantity] for o in end_to_end_outcomes if o.share <= 1}
        bounds = _local(given, _recorded([[sound]]), 1, at)
    return _dealt(_compared(LOCAL, recorded, bounds), recorded, [[trace]])[0][0]


def _compared(
    certificate: str,
    recorded: Mapping[str, Recorded],
    expected: Mapping[str, Rounded],
    known: Mapping[str, list[list[Compared]]] = MappingProxyType({}),
) -> dict[str, list[list[Compared]]]:
    """Hold every recorded quantity against its bound, but for those known from the other certificate."""

    def renamed(rows: list[list[Compared]]) -> list[list[Compared]]:
        return [[outcome._replace(certificate=certificate) for outcome in row] for row in rows]

    return {
        name: renamed(known[name])
        if name in known
        else compare_all(name, certificate, recorded[name], bound)
        for name, bound in expected.items()
        if name in recorded
    }


def _dealt(
    compared: Mapping[str, list[list[Compared]]],
    recorded: Mapping[str, Recorded],
    traces: Sequence[Sequence[PortTrace]],
) -> list[list[list[Compared]]]:
    """The outcomes of each step and port that shows the quantity: outcomes[step][port]."""
    outcomes: list[list[list[Compared]]] = [[[] for _ in step] for step in traces]
    for name, rows in compared.items():
        for port, by_step in zip(recorded[name].ports, rows, strict=True):
            for i, outcome in enumerate(by_step):
                outcomes[i][port].append(outcome)
    return outcomes
