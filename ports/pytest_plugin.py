"""The pytest plugin: a fixture `lockstep` for any project's tests, whose tolerances are derived.

It is there wherever the package is installed, and does nothing in a test that does not ask for it.
A test that asks for it and compares nothing fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reference import Agreement

#: Under this name a test's report carries what it compared, also from pytest-xdist's workers.
PROPERTY = "lockstep"


class Lockstep:
    """What the fixture gives: `reference.certified`, and `reference.assert_agrees`, which is counted.

    Attributes:
        agreements: what each call of `assert_agrees` has compared.
    """

    def __init__(self) -> None:
        self.agreements: list[Agreement] = []

    def certified(self, fn: Callable[..., Any], *arrays: Any, **how: Any) -> Any:
        """See `reference.certified`."""
        __tracebackhide__ = True
        from reference import (
            certified,
        )  # NumPy is loaded where it is used, and not by each start of pytest

        return certified(fn, *arrays, **how)

    def assert_agrees(self, actual: Any, fn: Callable[..., Any], *arrays: Any, **how: Any) -> Agreement:
        """See `reference.assert_agrees`."""
        __tracebackhide__ = True
        from reference import Disagreement, assert_agrees

        try:
            agreement = assert_agrees(actual, fn, *arrays, **how)
        except Disagreement as found:
            self.agreements += [found.agreement] if found.agreement else []
            raise
        self.agreements.append(agreement)
        return agreement


@pytest.fixture
def lockstep() -> Lockstep:
    """Compare tensors with NumPy code: `lockstep.assert_agrees(actual, fn, *arrays)`."""
    return Lockstep()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Fail a test that has the fixture and compared nothing; report what the others compared."""
    used = pyfuncitem.funcargs.get("lockstep")
    try:
        result = yield
    finally:
        if isinstance(used, Lockstep):
            compared = [list(agreement) for agreement in used.agreements]
            pyfuncitem.user_properties.append((PROPERTY, compared))
    if isinstance(used, Lockstep) and not used.agreements:
        pytest.fail("this test has the fixture lockstep, and compared nothing by it", pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many numbers were compared, and which used most of its bound."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    compared = [found for report in reports for found in _compared_in(report)]
    if compared:
        terminalreporter.write_sep("-", "lockstep")
        for line in summary(compared):
            terminalreporter.write_line(line)


def _compared_in(report: Any) -> Iterator[tuple[str, Agreement]]:
    """The test of a report, with each of its comparisons."""
    if getattr(report, "when", None) == "call":
        for name, value in report.user_properties:
            if name == PROPERTY:
                from reference import Agreement

                yield from ((report.nodeid, Agreement(*one)) for one in value)


def summary(compared: Sequence[tuple[str, Agreement]]) -> Iterator[str]:
    """The lines at the end of a run in which these tests compared something."""
    every, tests = [agreement for _, agreement in compared], {test for test, _ in compared}
    agreeing = [(test, agreement) for test, agreement in compared if agreement.share <= 1]
    counts = f"tests: {len(tests)}, calls: {len(every)}, disagreeing: {len(every) - len(agreeing)}"
    elements, vacuous = sum(a.elements for a in every), sum(a.vacuous for a in every)
    yield f"{elements:,} numbers were held against derived bounds ({counts})"
    if agreeing:
        test, most = max(agreeing, key=lambda one: one[1].share)
        yield f"largest share that agrees: {most.share:.2g} in {test}, at {most.where}"
    if vacuous:
        yield f"{vacuous:,} of the numbers ({vacuous / elements:.1%}) are smaller than their bound"
