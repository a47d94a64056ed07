"""The matrix, the failures and the manifest of `lockstep compare` as text."""

import math
from collections.abc import Iterable, Iterator, Sequence

from ports.engine.reports import Change
from ports.engine.results import Cell, CellResult, parts, quantities_of
from ports.engine.selection import Skipped
from ports.report.table import Column, Table, in_digits
from reference.agreement.judge import LOCAL, Finding


def matrix(results: Sequence[CellResult], precision: str = "highest") -> str:
    """One table per model: a row per port, mode, device and dtype, and a column per quantity.

    An entry is the largest share of the bound that was used: at most 1 agrees. A line above says how
    precise float32 products were, unless they were exact.
    """
    heading = [] if precision == "highest" else [f"float32 products in {precision} precision"]
    by_model = {part: [r for r in results if r.cell.model == part] for part in parts()}
    tables = ["\n".join(_table(part, rows)) for part, rows in by_model.items() if rows]
    return "\n\n".join([*heading, *tables])


def _table(part: str, results: Sequence[CellResult]) -> Iterator[str]:
    names = quantities_of(part)
    rows = [[label(r.cell), str(r.steps), *(entry(r, name) for name in names)] for r in results]
    return Table(columns(part, names), rows).lines()


def columns(part: str, names: Sequence[str]) -> list[Column]:
    """The columns of one model's table: the cell, its steps, and the quantities."""
    first, *others = map(_two_lines, names)
    quantities = [Column(first), *(Column(name, before=" ") for name in others)]
    return [Column(part, "<", before=""), Column("steps"), *quantities]


def _two_lines(name: str) -> str:
    """A long name breaks at its underscore, so that seventeen columns fit a screen."""
    return name.replace("_", "_\n", 1) if "_" in name else f"\n{name}"


def label(cell: Cell) -> str:
    """What a row is of, within its model."""
    return f"{cell.port:<14} {cell.mode:<8} {cell.device:<4} {cell.dtype}"


def entry(result: CellResult, name: str) -> str:
    """The worst share of one quantity: two digits, `!` before a failure, `-` where it is hidden."""
    share = result.share(name)
    if share is None:
        return "-"
    if any(v.failures for v in result.quantity(name)):
        return f"!{share:.0e}" if math.isfinite(share) else f"!{share}"
    return "0" if share == 0 else f"{share:.2f}".lstrip("0") if share >= 0.005 else "<.01"


def failures(results: Iterable[CellResult], most: int = 5) -> str:
    """For each cell that failed: the first wrong operation, and how many more disagree.

    A cell that was not certified end to end at every step is told, too.
    """
    lines = []
    for result in results:
        if result.error:
            lines.append(f"{result.cell}: {result.error}")
        elif not result.comparisons:
            lines.append(f"{result.cell}: nothing was compared: that is a failure")
        if result.local_alone:
            lines.append(local_alone(result))
        found = result.first_failures()
        lines += [f"{result.cell}: {sentence(step, finding)}" for step, finding in found[:most]]
        if len(found) > most:
            lines.append(f"{result.cell}: and {len(found) - most} more")
    return "\n".join(lines)


def sentence(step: int, finding: Finding) -> str:
    """One finding in words."""
    where = f"step {step}: {finding.quantity}"
    if finding.problem:
        return f"{where} {finding.problem}"
    blame = "this operation is wrong" if finding.certificate == LOCAL else "end to end"
    return (
        f"{where}{list(finding.index)} is {finding.got!r}, expected {finding.expected!r} "
        f"± {finding.allowed:.2g}, {in_digits(finding.share)} times the bound ({blame})"
    )


def changes(since: str, changed: Sequence[Change] | None) -> str:
    """What changed since an earlier report."""
    lines = [f"{c.what}: {c.before} -> {c.now}" for c in changed or ()]
    return "\n".join([f"Since {since}:" if lines else f"Since {since} nothing changed.", *lines])


def local_alone(result: CellResult) -> str:
    """How far a cell was certified end to end, where that was not at every step."""
    followed, steps = result.steps_followed, result.steps
    why = result.local_alone.why if result.local_alone else ""
    return f"{result.cell}: end to end at {followed:,} of {steps:,} steps, locally at all: {why}"


def manifest(results: Sequence[CellResult], skipped: Sequence[Skipped]) -> str:
    """What ran, what was compared, what was skipped and why."""
    comparisons = sum(r.comparisons for r in results)
    elements = sum(r.elements for r in results)
    failed = sum(not r.agrees for r in results)
    steps = sum(r.steps for r in results)
    lines = [f"skipped {s.what}: {s.reason}" for s in skipped]
    lines.append(
        f"{len(results)} cells, {steps:,} port steps, {comparisons:,} certified comparisons of "
        f"{elements:,} numbers; {failed} cells disagree, {len(skipped)} skipped"
    )
    if not comparisons:
        lines.append("nothing was compared: that is a failure")
    return "\n".join(lines)
