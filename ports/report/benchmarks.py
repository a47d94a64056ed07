"""Benchmark rows as a table. Rows are printed as they are measured, so the widths are fixed."""

from collections.abc import Iterator, Mapping

from ports.bench.measuring import Row
from ports.report.table import Column, Table

TABLE = Table(
    [
        Column("benchmark", "<", 12, before=""),
        Column("what", "<", 92, before=" "),
        Column("median", least=9, before=" "),
        Column("quartiles", least=17, before=" "),
        Column("goal", least=8, before=" "),
        Column("verdict", "<"),
    ]
)


def heading(facts: Mapping[str, str]) -> Iterator[str]:
    """The machine, one fact per line, and the table's first line."""
    yield from (f"{name}: {fact}" for name, fact in facts.items() if fact)
    yield ""
    yield from TABLE.heads()


def line(row: Row) -> str:
    """One row of the table."""
    goal = "" if row.goal is None else f"<= {row.goal:g}"
    if row.figure is None or row.low is None or row.high is None:
        return TABLE.line([row.bench, row.what, "", "", goal, f"{row.verdict}: {row.skipped}"])
    figure = f"{row.figure:.4g}" + {"x": "x", "s": " s"}.get(row.unit, "")
    spread = f"{row.low:.3g} to {row.high:.3g}" if row.rounds > 1 else "once"
    return TABLE.line([row.bench, row.what, figure, spread, goal, row.verdict])
