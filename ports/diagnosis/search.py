"""The search for the line of code that would have given the port's numbers.

Most mistakes are a small edit of one line. So the reference's own line for the wrong quantity is edited
in every way of the grammar and run on what the port recorded. An edit explains the error if its result
holds for every element, within the bounds of its own operations. One edit is tried first; then one
with a fitted number, one in the lines before, one that holds in some rows alone; then pairs.
"""

import ast
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ports.diagnosis.bench import Bench, Run, parts_of_lines_before
from ports.diagnosis.case import Change
from ports.diagnosis.edits import Applied, Edit, edits_of
from ports.diagnosis.grammar import Rule
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.line import Line

#: Seconds of computing for the search for one failure. Single edits of the line itself are always tried.
BUDGET = 1.2
#: How many of the likeliest, and how many of the most promising, edits are tried with a second one.
PAIRED = 40
#: A line of at most so many statements is shown whole; of a longer one, what differs.
SHORT = 3
#: Significant digits of the numbers that people write.
DIGITS = (1, 2, 3, 4, 7)
#: Where the search for a free number starts, and how many steps it takes.
STARTS, IMPROVEMENTS = (1e-6, 1e-3, 0.1, 1.0, 10.0), 8


@dataclass(frozen=True)
class Found:
    """An edit that explains the error.

    Attributes:
        edit: the edited line.
        line: the line as it was.
        predicted: what the edited one gives on the port's recorded tensors, with its bound.
        part: the elements that it explains, if the port's others are right; None for all.
    """

    edit: Edit
    line: Line
    predicted: Rounded
    part: Plain | None = None

    @property
    def is_certain(self) -> bool:
        """Whether nothing in it was chosen to suit the port's numbers."""
        return len(self.edit.applied) == 1 and not self.edit.fitted and self.part is None

    def change(self, bench: Bench, whole: bool = True) -> Change:
        """The line and the edited line as code; what is the same in both is left out if that is much."""
        before, after = self.line.shown(), self.edit.line.shown()
        if len(before) > SHORT or not whole:
            before, after = ([x for x in a if x not in b] for a, b in ((before, after), (after, before)))
        explained = bench.got.size if self.part is None else int(self.part.sum())
        return Change(tuple(before), tuple(after), explained, bench.got.size)


class Search:
    """The stages of one search, each tried only where those before it found nothing.

    `others` are the benches of other steps of the same code; `budget` is in seconds of computing.
    """

    def __init__(
        self, bench: Bench, rules: Sequence[Rule], others: Sequence[Bench] = (), budget: float = BUDGET
    ) -> None:
        self.bench, self.rules, self.others, self.budget = bench, rules, others, budget
        self.deadline = time.thread_time() + budget / 2  # for all but pairs
        self.singles = list(edits_of(bench.line, rules, bench.names))

    @property
    def in_time(self) -> bool:
        """Whether the budget still lasts."""
        return time.thread_time() < self.deadline

    def one_edit(self) -> list[Found]:
        """One edit of the line, or another tensor in it."""
        others = {n: v for n, v in self.bench.plain.items() if isinstance(v, np.ndarray) and v.ndim}
        return self._first_of(
            lambda: self._explained(itertools.chain(self.singles, exchanged(self.bench, others))),
            lambda: sorted(self._explained(self.singles, fitting=True), key=digits),
        )

    def further(self) -> list[Found]:
        """Less likely explanations, until the time is up."""
        return self._first_of(
            self._in_some_rows,
            self._in_lines_before,
            lambda: self._explained(exchanged(self.bench, parts_of_lines_before(self.bench))),
            self._two_edits,
        )

    def _first_of(self, *stages: Callable[[], list[Found]]) -> list[Found]:
        found = next((found for stage in stages if (found := self._borne_out(stage()))), [])
        return distinct(self.bench, found)

    def _borne_out(self, found: list[Found]) -> list[Found]:
        """The edits that other steps of the same code do not refute."""
        whole = [f for f in found if f.part is None and not f.edit.fitted]
        refuted = [f for f in whole if any(other.refutes(f.edit.line) for other in self.others)]
        return [f for f in found if not any(f is other for other in refuted)]

    def _explained(
        self, edits: Iterable[Edit], line: Line | None = None, fitting: bool = False, timed: bool = False
    ) -> list[Found]:
        found = []
        for edit in edits:
            if timed and not self.in_time:
                break
            for complete in completed(self.bench, edit, fitting, self.others):
                predicted = self.bench.predicted(complete.line)
                if self.bench.explains(predicted):
                    assert predicted is not None
                    found.append(Found(complete, line or self.bench.line, predicted))
                    if fitting:
                        break  # the shortest number that fits
        return found

    def _in_some_rows(self) -> list[Found]:
        """An edit that holds in the rows, or in the columns, that have wrong elements."""
        bench, found = self.bench, list[Found]()
        for edit in self.singles:
            value = None if edit.is_free else bench.value_of(edit.line.compiled())
            for part in bench.wrong_parts if value is not None else ():
                if bench.near(value)[part].all():
                    predicted = bench.predicted(edit.line)
                    if predicted is not None and bench.explains_part(predicted, part):
                        found.append(Found(edit, bench.line, predicted, part))
                        break
        return found

    def _in_lines_before(self) -> list[Found]:
        """One edit of a quantity before this one, which the port then computed in two ways."""
        for line in self.bench.lines_before:
            if len(line.statements) > len(self.bench.line.statements):
                edits = edits_of(line, self.rules, self.bench.names)
                found = self._explained(edits, line, timed=True)
                if found:
                    return found
        return []

    def _two_edits(self) -> list[Found]:
        """Two edits of the line: the first is likely, or alone comes nearer to the port's numbers."""
        self.deadline += self.budget / 2
        complete = [edit for single in self.singles for edit in with_numbers(single)]
        nearest = sorted(complete, key=lambda edit: distance(self.bench, edit))
        both = {id(edit): edit for pair in zip(nearest, complete, strict=True) for edit in pair}
        for first in itertools.islice(both.values(), 2 * PAIRED):
            seconds = edits_of(first.line, self.rules, self.bench.names, after=first)
            found = self._explained(seconds, timed=True)
            if found or not self.in_time:
                return found
        return []


def with_numbers(edit: Edit) -> list[Edit]:
    """An edit with each of the numbers that people write, or itself if it has no free number."""
    if not edit.is_free:
        return [edit]
    return [edit.with_number(code, fitted=False) for code in edit.rule.numbers]


def completed(bench: Bench, edit: Edit, fitting: bool, others: Sequence[Bench] = ()) -> Iterator[Edit]:
    """An edit with its free number filled in, if it then gives nearly the port's numbers.

    The numbers that people write are tried, or, for `fitting`, the one that suits best. Of two that are
    the same number, in all benches, the first is tried.
    """
    run = edit.line.compiled()
    if fitting:
        if edit.rule.fits:
            yield from _fitted(bench, edit, run)
    elif not edit.is_free:
        if np.all(bench.near(bench.value_of(run))):
            yield edit
    else:
        tried = set()
        for code in edit.rule.numbers:
            number, *elsewhere = (_number(code, b.plain) for b in (bench, *others))
            if (number, *elsewhere) not in tried and np.all(bench.near(bench.value_of(run, number))):
                yield edit.with_number(code, fitted=False)
            tried.add((number, *elsewhere))


def _number(code: str, names: Mapping[str, Any]) -> float:
    """A number written as code. Whole numbers stay whole, since they may be an index."""
    try:
        number = eval(code, {}, dict(names))
    except (NameError, ZeroDivisionError):
        return float("nan")
    return number if isinstance(number, int) else float(number)


def _fitted(bench: Bench, edit: Edit, run: Run) -> Iterator[Edit]:
    """The edit with the number that suits best, rounded to what a person would write if that fits.

    A single number can be hit by any factor: there, only a short one says something.
    """
    best = best_number(bench, run)
    if not best > 0:  # negative numbers have rules of their own
        return
    for code in [_written(best, digits) for digits in DIGITS] + [repr(best)] * (bench.got.size > 2):
        if np.all(bench.near(bench.value_of(run, float(code)))):
            yield edit.with_number(code, fitted=True)


def digits(found: Found) -> int:
    """How long a fitted number is: people write short ones."""
    return len(found.edit.number)


def _written(number: float, digits: int) -> str:
    """A number to so many significant digits, as a person would write it."""
    rounded = float(f"{number:.{digits}g}")
    return str(int(rounded)) if rounded.is_integer() and rounded < 1e6 else repr(rounded)


def best_number(bench: Bench, run: Run) -> float:
    """The number with which a line comes closest to the port's tensor, by Gauss-Newton steps."""
    best, least = float("nan"), np.inf
    for start, steps in ((0.0, 1), *((start, IMPROVEMENTS) for start in STARTS)):
        number = start
        for _ in range(steps):
            number = _improved(bench, run, number)
        value = bench.value_of(run, number) if np.isfinite(number) else None
        if value is not None:
            away = float(np.linalg.norm(np.ravel(value - bench.got)))
            best, least = (number, away) if away < least else (best, least)
        if np.all(bench.near(value)):
            break
    return best


def _improved(bench: Bench, run: Run, number: float) -> float:
    step = abs(number) * 1e-6 or 1.0
    here, there = bench.value_of(run, number), bench.value_of(run, number + step)
    if here is None or there is None:
        return float("nan")
    with np.errstate(all="ignore"):
        slope = np.ravel(there - here) / step
        along = float(slope @ slope)
        return number + float(slope @ np.ravel(bench.got - here)) / along if along else float("nan")


def distance(bench: Bench, edit: Edit) -> float:
    """How far an edit's result is from the port's numbers."""
    value = bench.value_of(edit.line.compiled())
    away = np.inf if value is None else float(np.linalg.norm(np.ravel(value - bench.got)))
    return away if np.isfinite(away) else np.inf


EXCHANGED = Rule("", "wrong tensor", "{other} in the place of {name}")


def exchanged(bench: Bench, others: Mapping[str, Plain]) -> Iterator[Edit]:
    """Each tensor in the line replaced by each other one of its shape."""
    for path, node in bench.line.nodes():
        value = bench.plain.get(node.id) if isinstance(node, ast.Name) else None
        if not isinstance(node, ast.Name) or not isinstance(value, np.ndarray) or node.id == "y":
            continue
        for code, other in others.items():
            if fits_in_place(other, value) and code not in (node.id, bench.line.target):
                new = ast.parse(code, mode="eval").body
                spoken = code.replace("last_", "the last step's ") if code.isidentifier() else code
                said = {"other": ast.Name(spoken), "name": node}
                yield Edit(bench.line.replaced(path, new), (Applied(EXCHANGED, said),))


def fits_in_place(other: Plain, value: Plain) -> bool:
    """Whether a tensor may stand in another's place: it has its shape, or as many columns.

    One of zeros may not: what it explains is that a term is left out.
    """
    as_many_columns = other.ndim == value.ndim == 2 and other.shape[1] == value.shape[1]
    return bool(np.any(other)) and (other.shape == value.shape or as_many_columns)


# Edits that are one mistake


def distinct(bench: Bench, found: Sequence[Found]) -> list[Found]:
    """Keep one of several edits that give the same numbers whatever the tensors are."""
    other = other_numbers(bench.plain)
    kept = list[tuple[Found, Any]]()
    for candidate in found:
        result = _on(candidate.edit.line, other)
        if not any(_same(result, earlier) for _, earlier in kept):
            kept.append((candidate, result))
    return [candidate for candidate, _ in kept]


def _on(line: Line, names: Mapping[str, Any]) -> Any:
    try:
        return line.run(names)
    except Exception:  # as in `Bench.value_of`
        return None


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None or np.shape(a) != np.shape(b):
        return False
    return bool(np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True))


def other_numbers(names: Mapping[str, Any]) -> dict[str, Any]:
    """Other tensors of the same shapes: what is positive stays so, and zeros of a ReLU stay 0."""
    rng = np.random.RandomState(0)

    def other(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
            return rng.permutation(value)
        if isinstance(value, np.ndarray):
            mixed = bool(value.size) and (value.min() < 0 or not value.any())
            spread = (np.abs(value).max() or 1.0) * rng.uniform(-0.3, 0.3, value.shape) if mixed else 0.0
            return value * rng.uniform(0.5, 1.5, value.shape) + spread
        return value * 1.37 if type(value) is float else value

    changed = {name: other(value) for name, value in names.items()}
    arguments = {"params", "batch"} & names.keys()
    return changed | {argument: {n: changed[n] for n in names[argument]} for argument in arguments}
