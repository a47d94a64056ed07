"""Interleaved measurement, and the row that reports it."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Contestants: TypeAlias = Mapping[str, Callable[[], object]]
#: Seconds per call, by contestant; entry i of each was measured in the same round.
Seconds: TypeAlias = dict[str, list[float]]

MET, MISSED, NO_GOAL, SKIPPED = "met", "MISSED", "no goal", "skipped"


@dataclass(frozen=True)
class Effort:
    """How much to measure. `full` adds the real command, which takes minutes."""

    rounds: int = 15
    sample: float = 0.05  #: the least seconds that one sample lasts: short calls are repeated
    quick: bool = False
    full: bool = False

    def rounds_of(self, share: float) -> int:
        """The number of rounds for a benchmark that takes longer than most."""
        return max(3, round(self.rounds * share))


QUICK = Effort(rounds=5, sample=0.02, quick=True)


@dataclass(frozen=True)
class Row:
    """One line of the report: the median, the quartiles, and the goal it is held against.

    `unit` is "x" for a ratio, "s" for seconds, "exponent" for a slope; `detail` holds the
    numbers behind the figure. A row that could not be measured says why in `skipped`.
    """

    bench: str
    what: str
    unit: str
    goal: float | None = None
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    skipped: str = ""

    @property
    def verdict(self) -> str:
        """Whether the median reaches the goal; NaN does not."""
        if self.skipped or self.figure is None:
            return SKIPPED
        if self.goal is None:
            return NO_GOAL
        return MET if self.figure <= self.goal else MISSED


def row(
    bench: str,
    what: str,
    unit: str,
    goal: float | None,
    figures: Sequence[float],
    detail: Mapping[str, Any] | None = None,
) -> Row:
    """The row of one figure per round: its median and quartiles."""
    low, middle, high = quartiles(figures)
    return Row(bench, what, unit, goal, middle, low, high, len(figures), detail or {})


def ratio_row(bench: str, what: str, goal: float | None, seconds: Seconds, over: str, under: str) -> Row:
    """The row of one contestant's time over another's, taken round by round."""
    medians = {name: statistics.median(seconds[name]) for name in (over, under)}
    return row(bench, what, "x", goal, ratios(seconds, over, under), {"median seconds": medians})


def ratios(seconds: Seconds, over: str, under: str) -> list[float]:
    """One contestant's time over another's, round by round."""
    return [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]


def quartiles(figures: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile."""
    if len(figures) == 1:
        return (figures[0],) * 3
    low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
    return low, middle, high


def interleaved(contestants: Contestants, rounds: int, sample: float = 0.0) -> Seconds:
    """Seconds per call of each contestant, in rounds in which they take turns: A B A B ...

    Each is called first to warm it up, and to find how many calls make a sample.
    """
    repeats = {name: repeats_for(call, sample) for name, call in contestants.items()}
    seconds: Seconds = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            seconds[name].append(seconds_of(call, repeats[name]))
    return seconds


def repeats_for(call: Callable[[], object], sample: float) -> int:
    """How many calls last about `sample` seconds, after a first call that does not count."""
    call()
    once = max(seconds_of(call), 1e-9) if sample else 1.0
    return max(1, round(sample / once))


def seconds_of(call: Callable[[], object], repeats: int = 1) -> float:
    """Seconds per call, on average over `repeats` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of log(time) over log(size), by least squares: 1 is proportional."""
    from math import log

    return statistics.linear_regression([log(s) for s in sizes], [log(t) for t in seconds]).slope
