"""The certified accuracy of each quantity as tables."""

from collections.abc import Collection, Iterator

from ports.engine.accuracy import Accuracy
from ports.report.table import Column, Table

COLUMNS = (
    Column("quantity", "<", 18, before=""),
    Column("largest", least=10, before=" "),
    Column("local", least=15),
    Column("end to end", least=15),
    Column("assert_allclose"),
    Column("assert_close", least=15),
)


def tables(rows: Collection[Accuracy]) -> Iterator[str]:
    """One table per step and dtype, as lines."""
    for step, dtype in dict.fromkeys((row.step, row.dtype) for row in rows):
        yield f"\nstep {step}, {dtype}"
        here = [_entries(row) for row in rows if (row.step, row.dtype) == (step, dtype)]
        yield from Table(COLUMNS, here).lines()


def _entries(row: Accuracy) -> list[str]:
    figures = (row.local, row.end_to_end, row.assert_allclose, row.assert_close)
    return [row.quantity, f"{row.largest:.2e}", *(f"{figure:.1e}" for figure in figures)]
