"""The judge: it compares ports' traces of a step with the reference's, and returns findings.

Every recorded tensor is held against its bound under both certificates (`bounds.py`). A finding says
what share of the bound the worst element uses. Nothing here asserts or prints.

Several steps of several ports are judged in one pass. Where that cannot be done, one policy holds:

1. A tensor whose form is wrong gives a finding, and is not compared by value. Where the traces differ in
   form, the steps are judged one by one.
2. Where a recorded number is not finite, or leaves what follows it without a local bound (a probability
   of 0 does), each step of each port is judged by itself, locally. What is computed from a NaN or
   infinity is not compared.
3. Where there is still no local bound, only those recordings of a port that agree end to end are used.
4. Where there is no bound even so, `Unbounded` is raised: the numbers of the step itself are out of
   range. Where there is none end to end, that is `Unfollowed`: the step may still be judged locally
   alone, with no `bounds` at all ({}).
"""

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.arithmetic import Arithmetic, Unbounded, Unfollowed
from reference.agreement.bounds import (
    PortTrace,
    Recorded,
    See,
    end_to_end_of_all,
    local_of_all,
    recorded_by,
    stacked,
)
from reference.agreement.rounded import Rounded
from reference.agreement.rules import SLACK
from reference.arrays import Plain, holder
from reference.models import Problem

END_TO_END, LOCAL = "end to end", "local"
CERTIFICATES = (LOCAL, END_TO_END)

#: Keeps an exact bound from dividing 0 by 0. (A subnormal number would make each division slow.)
SMALLEST = np.finfo(np.float64).smallest_normal


class Finding(NamedTuple):
    """One quantity of one step under one certificate.

    `share` is the largest |got - expected| / allowed over the elements. A share of at most 1 agrees;
    NaN never does. `index`, `got`, `expected` and `allowed` are of that element. `problem` says what is
    wrong with a tensor that could not be compared by value at all.
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


class Worst(NamedTuple):
    """The element of a tensor that uses most of its bound, or the first NaN (see `Finding`)."""

    share: float
    index: tuple[int, ...]  # type: ignore[assignment]  # hides tuple.index
    got: float
    expected: float
    allowed: float


class Held(NamedTuple):
    """One quantity as recorded by some ports at some steps, held against its bound.

    `shares[i, j]` is the largest share of `ports[i]` at `steps[j]`; most need no closer look.
    `worst(i, j)` looks up the element with that share. `elements` is the size of each tensor.
    """

    ports: Sequence[int]
    steps: Sequence[int]
    shares: Plain
    elements: int
    worst: Callable[[int, int], Worst]


class Compared(NamedTuple):
    """A quantity, the certificate, and how the quantity was held against its bound."""

    quantity: str
    certificate: str
    held: Held

    def finding(self, i: int, j: int) -> Finding:
        """The comparison of `held.ports[i]` at `held.steps[j]` in full."""
        return Finding(self.quantity, self.certificate, *self.held.worst(i, j), self.held.elements)


class Judgement(NamedTuple):
    """Findings on some steps of some ports: problems[step][port] of form, and comparisons by value."""

    problems: list[list[list[Finding]]]
    compared: list[Compared]


# Judging


def certify(
    problem: Problem,
    trace: PortTrace,
    arithmetic: Arithmetic,
    bounds: Mapping[str, Rounded] | None = None,
    hidden: Collection[str] = (),
    at: str = "this step",
) -> list[Finding]:
    """Judge one port's trace of one step. Returns every `Finding`, those on form first.

    `bounds` is the step's `end_to_end` result, shared by all ports that start from the same numbers. If
    it is empty, the trace is judged locally alone.
    `hidden` names quantities that the port declares its library does not show.
    Raises Unbounded, naming the step `at`, where no bound exists.
    """
    problems, compared = certify_steps([problem], [[trace]], arithmetic, [hidden], at, bounds)
    return problems[0][0] + [of_quantity.finding(0, 0) for of_quantity in compared]


def certify_steps(
    starts: Sequence[Problem],
    traces: Sequence[Sequence[PortTrace]],
    arithmetic: Arithmetic,
    hidden: Sequence[Collection[str]] | None = None,
    at: str = "this step",
    bounds: Mapping[str, Rounded] | None = None,
) -> Judgement:
    """`certify` for several steps of several ports.

    `starts` holds the problem that each step starts from; they differ in their parameters alone.
    traces[step][port] is what each port computed from them.
    """
    shown = hidden or [()] * len(traces[0])
    problems = [
        [
            structural_problems(starts[0], trace, arithmetic, h)
            for trace, h in zip(step, shown, strict=True)
        ]
        for step in traces
    ]
    usable = [
        [_without(trace, found) for trace, found in zip(*step, strict=True)]
        for step in zip(traces, problems, strict=True)
    ]
    compared = []
    for steps in _passes(traces, problems):
        of_pass = Pass(steps, [starts[i] for i in steps], [usable[i] for i in steps], arithmetic, at)
        compared += of_pass.judged(bounds)
    return Judgement(problems, compared)


def _without(trace: PortTrace, problems: Sequence[Finding]) -> PortTrace:
    """The tensors of a trace that can be compared by value."""
    broken = {problem.quantity for problem in problems}
    return {name: got for name, got in trace.items() if name not in broken} if broken else trace


def _passes(
    traces: Sequence[Sequence[PortTrace]], problems: Sequence[Sequence[Sequence[Finding]]]
) -> list[Sequence[int]]:
    """Group the steps to be judged together: all, if each port's traces are right and alike in form."""
    names = [[trace.keys() for trace in step] for step in traces]
    if any(found for step in problems for found in step) or any(step != names[0] for step in names):
        return [[step] for step in range(len(traces))]
    return [range(len(traces))]


@dataclass(frozen=True)
class Pass:
    """Some steps of all ports. A port shows the same quantities at each of these steps."""

    steps: Sequence[int]
    starts: Sequence[Problem]
    traces: Sequence[Sequence[PortTrace]]
    arithmetic: Arithmetic
    at: str

    def judged(self, bounds: Mapping[str, Rounded] | None) -> list[Compared]:
        """All comparisons, the local ones first."""
        ports = range(len(self.traces[0]))
        recorded = recorded_by(ports, self.steps, self.traces)
        start = stacked(self.starts, self.arithmetic)
        ends: dict[str, Held] = {}
        own: dict[str, Held] = {}
        see = _holding(recorded, ends)
        if bounds is None:
            self._follow(start, see)
        for name, bound in (bounds or {}).items():
            see(name, bound)
        try:
            _require_finite(recorded, ends)
            local_of_all(start, recorded, ports, self.at, _holding(recorded, own, ends))
            locally = _compared(LOCAL, own)
        except Unbounded:
            locally = [found for port in ports for found in self._judged_alone(port, ends)]
        return locally + _compared(END_TO_END, ends)

    def _follow(self, start: Problem, see: See) -> None:
        """See the bounds end to end. Raises Unfollowed where one of these steps has none."""
        try:
            end_to_end_of_all(start, self.at, see)
        except Unbounded as why:
            raise Unfollowed(str(why)) from None

    def _judged_alone(self, port: int, ends: Mapping[str, Held]) -> Iterator[Compared]:
        """The local comparisons of one port, step by step."""
        for j, (step, start) in enumerate(zip(self.steps, self.starts, strict=True)):
            recorded = recorded_by([port], [step], [[self.traces[j][port]]])
            agreeing = {name for name in recorded if name in ends and _share(ends[name], port, j) <= 1}
            held = _held_alone(start, port, recorded, agreeing, self.arithmetic, self.at)
            yield from _compared(LOCAL, held)


def _require_finite(recorded: Mapping[str, Recorded], ends: Mapping[str, Held]) -> None:
    """Raise Unbounded where a recorded number is not finite: what follows it has no bound.

    If all shares are finite, so are the recorded numbers.
    """
    for name, of_ports in recorded.items():
        shown_to_be = name in ends and np.isfinite(ends[name].shares).all()
        if not (shown_to_be or np.isfinite(of_ports.values).all()):
            raise Unbounded(f"a recorded number of {name} is not finite")


def _share(held: Held, port: int, j: int) -> float:
    return float(held.shares[held.ports.index(port), j])


def _held_alone(
    start: Problem,
    port: int,
    recorded: Mapping[str, Recorded],
    agreeing: Collection[str],
    arithmetic: Arithmetic,
    at: str,
) -> dict[str, Held]:
    """Judge one step of one port, in which recorded numbers may leave no bound for what follows them.

    What follows from a number that is not finite is not compared: it counts as expected. If there is
    still no bound, the port is judged only from those recordings that agree end to end.
    """
    follows = _following_not_finite(start, {name: one.values[0, 0] for name, one in recorded.items()})
    seen = {name: one._replace(holes=~np.isfinite(one.values)) for name, one in recorded.items()}

    def built_on(trusted: Mapping[str, Recorded]) -> dict[str, Held]:
        held = {}

        def see(name: str, bound: Rounded) -> None:
            if name in recorded:
                values = np.where(follows[name], bound.value, recorded[name].values)
                held[name] = hold(recorded[name]._replace(values=values), bound)

        local_of_all(stacked([start], arithmetic), trusted, [port], at, see)
        return held

    try:
        return built_on(seen)
    except Unbounded:
        return built_on({name: seen[name] for name in agreeing})


def _following_not_finite(start: Problem, trace: PortTrace) -> dict[str, Plain]:
    """Mark the elements of each quantity that follow from a recorded NaN or infinity.

    Each recorded NaN or infinity is made a NaN. The reference's step, run on the port's plain numbers,
    then turns what follows from it into NaN.
    """
    follows = {}

    def tap(name: str, computed: Plain) -> Plain:
        follows[name] = np.isnan(computed)
        seen = np.asarray(trace.get(name, computed), dtype=np.float64)
        return np.where(np.isfinite(seen) & ~follows[name], seen, np.nan)

    with np.errstate(all="ignore"):
        start.step(tap)
    return follows


def _compared(certificate: str, held: Mapping[str, Held]) -> list[Compared]:
    return [Compared(name, certificate, of_quantity) for name, of_quantity in held.items()]


# Holding numbers against bounds


def _holding(
    recorded: Mapping[str, Recorded],
    held: dict[str, Held],
    ends: Mapping[str, Held] = MappingProxyType({}),
) -> See:
    """Return the function that holds each bound it is given against what was recorded.

    A local bound that has no axis of ports is computed from the inputs alone. It is then the end-to-end
    bound, and the end-to-end comparison is used again.
    """

    def see(name: str, bound: Rounded) -> None:
        if name in recorded:
            from_inputs = name in ends and bound.stacked < 2
            held[name] = ends[name] if from_inputs else hold(recorded[name], bound)

    return see


def compare(quantity: str, certificate: str, got: Plain, expected: Rounded) -> Finding:
    """Hold one recorded tensor against its bound."""
    got = np.asarray(got, dtype=np.float64)
    return Finding(quantity, certificate, *worst_element(got, expected), got.size)


def hold(recorded: Recorded, expected: Rounded) -> Held:
    """Hold all recordings of a quantity against its bound.

    The worst elements of large tensors are looked up at once, so that the bounds need not be kept.
    """
    if expected.stacked == 2 and len(recorded.ports) < len(expected.value):
        expected = expected.of_ports(recorded.ports)
    got = recorded.values
    elements = math.prod(got.shape[2:])

    def worst(i: int, j: int) -> Worst:
        return worst_element(got[i, j], expected.at((i, j)))

    if elements > blocks.LARGE:
        found = {place: worst(*place) for place in np.ndindex(*got.shape[:2])}
        shares = np.reshape([element.share for element in found.values()], got.shape[:2])
        return Held(recorded.ports, recorded.steps, shares, elements, lambda i, j: found[i, j])
    each = _shares(got, expected)
    behind = tuple(range(2, each.ndim))
    shares = np.maximum(each.max(axis=behind), -each.min(axis=behind)) / SLACK
    return Held(recorded.ports, recorded.steps, shares, elements, worst)


def worst_element(got: Plain, expected: Rounded) -> Worst:
    """The element of one tensor that uses most of its bound, or the first NaN."""
    tiles = blocks.tiles_of(got.shape) if blocks.is_large(got.shape) else [slice(None)]
    if len(tiles) == 1:
        return _worst(got, expected)
    worst = [_worst(got[..., tile, :], expected[..., tile, :]) for tile in tiles]
    number = int(np.argmax([element.share for element in worst]))
    *front, row, column = worst[number].index
    return worst[number]._replace(index=(*front, tiles[number].start + row, column))


def disagreeing(got: Plain, expected: Rounded) -> Plain:
    """Where one tensor is further off than its bound, or NaN."""
    return ~(np.abs(_shares(got, expected)) <= SLACK)


def _worst(got: Plain, expected: Rounded) -> Worst:
    shares = np.abs(_shares(got, expected))
    index = tuple(int(i) for i in np.unravel_index(shares.argmax(), shares.shape))
    share, allowed = float(shares[index]) / SLACK, float(expected.errors()[index])
    if share > 1 and not allowed:
        share = math.inf
    return Worst(share, index, float(got[index]), float(expected.value[index]), allowed)


def _shares(got: Plain, expected: Rounded) -> Plain:
    """(got - expected) / error, elementwise. The caller divides the largest by SLACK.

    No difference from an exact value gives 0; any other gives infinity or a very large number. NaN stays
    NaN.
    """
    allowed = rules.off(expected.bounded) + SMALLEST
    with np.errstate(all="ignore"):
        share = np.asarray(got - expected.value)  # shape () gives a scalar, which `out` refuses
        share /= allowed
    return share


# Form, before values


def structural_problems(
    problem: Problem, trace: PortTrace, arithmetic: Arithmetic, hidden: Collection[str] = ()
) -> list[Finding]:
    """Findings on what cannot be compared by value: missing, renamed, misshapen, wrong dtype.

    The dtype is that of the arithmetic, or the one that it has for the quantity. `hidden` names
    quantities that the port declares its library does not show.
    """
    findings = []
    for name, shape in problem.shapes.items():
        if name not in trace:
            if name not in hidden:
                findings.append(_problem(name, "is missing from the port's trace"))
            continue
        got, dtype = trace[name], holder(arithmetic.dtype_of(name))
        if got.shape != shape:
            findings.append(_problem(name, f"has shape {got.shape}, expected {shape}"))
        elif got.dtype != dtype:
            findings.append(_problem(name, f"has dtype {got.dtype}, expected {dtype}"))
    for name in trace:
        if name not in problem.shapes:
            unknown = f"is not a quantity of {problem.model.name}"
            findings.append(_problem(name, f"{unknown}; {_nearest(name, list(problem.shapes))}"))
    return findings


def _problem(name: str, problem: str) -> Finding:
    return Finding(name, LOCAL, float("nan"), problem=problem)


def _nearest(name: str, names: Sequence[str]) -> str:
    near = [n for n in names if n.lower() == name.lower()]
    near = near or difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"expected {', '.join(names)}"
