"""The certified accuracy of each quantity as tables."""

from collections.abc import Iterable, Iterator

from ports.engine.accuracy import NUMPY_RTOL, Accuracy, Certified, StepAccuracy
from ports.report.table import Column, Table
from reference.agreement.probabilistic import FAILURE

#: The columns of a certificate.
FIGURES = (
    Column("bound", least=7),
    Column("probable"),
    Column("observed"),
    Column("bound /\nobserved"),
)
LOCAL, END_TO_END = (
    (Column(f"{title}\n{FIGURES[0].head}", least=7, before="   "), *FIGURES[1:])
    for title in ("local:", "end to end:")
)
COLUMNS = (
    Column("quantity", "<", before=""),
    Column("largest"),
    *LOCAL,
    *END_TO_END,
    Column("assert_\nclose", before="   "),
)
NOTES = f"""\
All figures are relative to the largest value of the quantity.
  bound         what is allowed, and decides
  probable      what n random roundings keep to with probability 1 - n * {FAILURE:.0e}; decides nothing
  observed      the largest error of the port that comes nearest to its bound; - if no port has any
  assert_close  what PyTorch's check allows; NumPy's assert_allclose allows {NUMPY_RTOL:.0e}"""


def tables(steps: Iterable[StepAccuracy]) -> Iterator[str]:
    """One table per step and dtype, as lines."""
    for step in steps:
        yield f"step {step.step}, {step.dtype}: {', '.join(step.ports)}"
        if step.error:
            yield f"no bound: {step.error}"
        else:
            yield from Table(COLUMNS, [_entries(row) for row in step.rows]).lines()
        yield ""
    yield NOTES


def _entries(row: Accuracy) -> list[str]:
    figures = *_figures(row.local), *_figures(row.end_to_end)
    return [row.quantity, f"{row.largest:.1e}", *figures, _figure(row.assert_close)]


def _figures(certified: Certified) -> list[str]:
    ratio = f"{certified.ratio:.1f}" if certified.ratio < 10 else f"{certified.ratio:,.0f}"
    return [*map(_figure, certified[1:]), ratio if certified.observed else "-"]


def _figure(error: float | None) -> str:
    return f"{error:.1e}" if error else "-"
