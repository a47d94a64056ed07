"""The matrix of `lockstep merge` as rows, and as text; other formats render the same rows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ports.engine.machines import Machine, Merged
from ports.engine.results import Cell, CellResult, parts, quantities_of
from ports.messages import both
from ports.report.matrix import columns, entry, failures, label, manifest
from ports.report.table import Table

#: Marks of an entry that is not the same on every machine that ran the cell.
OTHER_SHARE, OTHER_VERDICT = "~", "*"
LEGEND = (
    "An entry is the largest share of the bound used: at most 1 agrees. Signs: ! fails; "
    f"{OTHER_SHARE} the same verdict, and another share on another machine; "
    f"{OTHER_VERDICT} another verdict on another machine; - hidden by the library."
)
UNVERIFIED = "unverified"
NOWHERE = "No machine has run these cells"


class Row(NamedTuple):
    """One cell on one machine. `result` is None for a cell that ran nowhere."""

    cell: Cell
    steps: str
    entries: tuple[str, ...]
    result: CellResult | None


class Group(NamedTuple):
    """The rows of one machine."""

    machine: str
    rows: Sequence[Row]


class Sheet(NamedTuple):
    """One model: its quantities, and its rows grouped by machine."""

    part: str
    quantities: tuple[str, ...]
    groups: Sequence[Group]


def sheets(merged: Merged) -> list[Sheet]:
    """A sheet for each model that ran, in the order of the registry; models from elsewhere come last."""
    ran = [result.cell.model for result in merged.results]
    return [_sheet(merged, part) for part in dict.fromkeys([*parts(), *ran]) if part in ran]


def _sheet(merged: Merged, part: str) -> Sheet:
    results = [result for result in merged.results if result.cell.model == part]
    met = [name for result in results for name, _ in result.verdicts]
    names = tuple(dict.fromkeys([*quantities_of(part), *met]))
    marks = _marks(merged, names)
    groups = [Group(machine.name, _rows(machine, part, names, marks)) for machine in merged.machines]
    nowhere = [Row(cell, UNVERIFIED, (), None) for cell in merged.unverified if cell.model == part]
    return Sheet(part, names, [group for group in [*groups, Group(NOWHERE, nowhere)] if group.rows])


def _rows(
    machine: Machine, part: str, names: Sequence[str], marks: dict[tuple[Cell, str], str]
) -> list[Row]:
    return [
        Row(
            result.cell,
            str(result.steps),
            tuple(entry(result, name) + marks.get((result.cell, name), "") for name in names),
            result,
        )
        for result in machine.results
        if result.cell.model == part
    ]


def _marks(merged: Merged, names: Sequence[str]) -> dict[tuple[Cell, str], str]:
    """A mark for each entry that reads otherwise on another machine."""
    shown: dict[tuple[Cell, str], set[str]] = {}
    for result in merged.results:
        for name in names:
            shown.setdefault((result.cell, name), set()).add(entry(result, name))
    marks = {key: OTHER_SHARE for key, entries in shown.items() if len(entries) > 1}
    others = {(d.cell, d.quantity): OTHER_VERDICT for d in merged.differences() if not d.same_verdict}
    return marks | others


def text(merged: Merged) -> str:
    """The matrix, the failures, the differences and the manifest, for a terminal."""
    tables = ["\n".join(_lines(sheet)) for sheet in sheets(merged)]
    blocks = [*tables, LEGEND, failures_of(merged), differences(merged), sources(merged)]
    return "\n\n".join(
        filter(None, [*blocks, manifest(merged.results, merged.skipped), verdict(merged)])
    )


def _lines(sheet: Sheet) -> Iterator[str]:
    """One table. The columns have the same widths for all machines."""
    rows = {
        group.machine: [[label(row.cell), row.steps, *row.entries] for row in group.rows]
        for group in sheet.groups
    }
    table = Table(columns(sheet.part, sheet.quantities), [row for own in rows.values() for row in own])
    yield from table.heads()
    for machine, own in rows.items():
        yield f"  {machine}"
        yield from map(table.line, own)


def failures_of(merged: Merged) -> str:
    """What failed, by machine."""
    found = {machine.name: failures(machine.results) for machine in merged.machines}
    empty = {
        machine.name: "nothing was compared: that is a failure"
        for machine in merged.machines
        if not machine.results
    }
    return "\n".join(f"{name}\n{lines}" for name, lines in (found | empty).items() if lines)


def differences(merged: Merged) -> str:
    """How many quantities used another share elsewhere, and each that got another verdict."""
    found = merged.differences()
    other = [d for d in found if not d.same_verdict]
    lines = [
        f"{d.cell}, {d.quantity}: "
        + "; ".join(f"{share:.3g} on {machine}" for machine, share in d.shares.items())
        for d in other
    ]
    if len(merged.machines) > 1:
        lines.append(
            f"{len(found) - len(other)} quantities have the same verdict and another share on another "
            f"machine, {len(other)} have another verdict"
        )
    return "\n".join(lines)


def sources(merged: Merged) -> str:
    """Which reports each machine's rows come from."""
    return "\n".join(
        f"{machine.name}: {len(machine.results)} cells, from "
        + both(f"{report.source} (shard {report.shard})" for report in machine.reports)
        for machine in merged.machines
    )


def amount(merged: Merged) -> str:
    """What was compared, in one sentence, and in which run."""
    tensors = sum(result.comparisons for result in merged.results)
    numbers = sum(result.elements for result in merged.results)
    held = f"{tensors:,} tensors of {numbers:,} numbers were held against their bounds"
    return f"{held}. The run: {merged.run}."


def verdict(merged: Merged) -> str:
    """The verdict in one sentence."""
    cells, machines = len(merged.results), len(merged.machines)
    unverified = f"; {len(merged.unverified)} cells are unverified" if merged.unverified else ""
    where = "1 machine" if machines == 1 else f"{machines} machines"
    if merged.agrees:
        return f"All {cells} cells on {where} agree{unverified}."
    failed = sum(not result.agrees for result in merged.results)
    return f"Not certified: {failed} of {cells} cells on {where}{unverified}."
