"""The table of `lockstep show`: one quantity of one step, every port beside the reference."""

from collections.abc import Iterator

from ports.engine.reports import products_in
from ports.engine.side_by_side import Shown, SideBySide
from ports.report.table import Column, Table, in_digits

COLUMNS = (
    Column("", "<", 15),
    Column("", least=26, before=""),
    Column("", least=26, before="  reference "),
    Column("", "<", before="  apart "),
    Column("", "<", before="  allowed "),
)
SHARES = Column("", "<", 15, before=""), Column("", "<", before=" largest share of the bound ")


def lines(found: SideBySide, most: int) -> Iterator[str]:
    """What ports do not show, the elements that use most of their bound, and each port's share."""
    for port in found.ports:
        if port in found.problems:
            yield f"{port}: {found.quantity} {found.problems[port]}  FAILS"
        if port in found.hidden:
            yield f"{port} does not show {found.quantity}: {found.hidden[port]}"
    labels, products = found.problem.labels, products_in(found.precision)
    points = "" if labels is None else f", {len(labels)} points"
    of_what = f"{found.problem.model.name} {found.quantity}"
    yield f"{of_what} at step {found.step}, {found.dtype}{points}{products}"
    yield from _elements(found, most)
    shares = [[port, _share(shown)] for port, shown in found.shown.items()]
    yield from map(Table(SHARES, shares).line, shares)


def _elements(found: SideBySide, most: int) -> Iterator[str]:
    """Each element's index, and a row for each port."""
    by_index = {
        index: [_row(port, shown, index) for port, shown in found.shown.items()]
        for index in found.largest_shares(most)
    }
    table = Table(COLUMNS, [row for rows in by_index.values() for row in rows])
    for index, rows in by_index.items():
        yield f"{list(index)}"
        yield from map(table.line, rows)


def _row(port: str, shown: Shown, index: tuple[int, ...]) -> list[str]:
    got, expected = float(shown.got[index]), float(shown.bound.value[index])
    allowed = float(shown.bound.errors()[index])
    return [port, repr(got), repr(expected), f"{abs(got - expected):.1e}", f"{allowed:.1e}"]


def _share(shown: Shown) -> str:
    return in_digits(shown.finding.share) + ("" if shown.finding.agrees else "  FAILS")
