"""The merged matrix as Markdown: a job's summary, or a page of the documentation."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from ports.engine.machines import Machine, Merged
from ports.report.merged import (
    LEGEND,
    UNVERIFIED,
    Sheet,
    amount,
    differences,
    failures_of,
    sheets,
    verdict,
)


def markdown(merged: Merged) -> str:
    """The verdict first, then failures, differences, one table per model and machine, and provenance."""
    return "\n\n".join(filter(None, _blocks(merged))) + "\n"


def _blocks(merged: Merged) -> Iterator[str]:
    yield "# One matrix over all machines"
    yield f"**{verdict(merged)}** {amount(merged)}"
    yield _code(failures_of(merged))
    yield _escaped(LEGEND)
    for sheet in sheets(merged):
        yield f"## {_escaped(sheet.part)}"
        yield from _tables(sheet)
    yield _code(differences(merged))
    yield "## Machines"
    for machine in merged.machines:
        yield f"### {_escaped(machine.name)}"
        yield from _provenance(machine)
    yield _how(merged)


def _tables(sheet: Sheet) -> Iterator[str]:
    """A table for each machine."""
    heads = ["port", "mode", "device", "dtype", "steps", *sheet.quantities]
    for group in sheet.groups:
        yield f"### {_escaped(group.machine)}"
        rows = [
            [row.cell.port, row.cell.mode, row.cell.device, row.cell.dtype, row.steps, *row.entries]
            for row in group.rows
        ]
        yield table(heads, rows).replace(f"| {UNVERIFIED} |", f"| **{UNVERIFIED}** |")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. A row may end early; a numeric column is aligned right by its head's rule."""
    rule = ["---"] * 4 + ["--:"] * (len(heads) - 4) if len(heads) > 4 else ["---"] * len(heads)
    padded = [[*map(_escaped, row), *[""] * (len(heads) - len(row))] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [[*map(_escaped, heads)], rule, *padded])


def _provenance(machine: Machine) -> Iterator[str]:
    """Versions and settings of each report, and what was skipped."""
    for report in machine.reports:
        facts = [(name, fact) for name, fact in report.provenance.items() if fact]
        yield f"`{report.source}`, shard {report.shard}:"
        yield table(["what", "is"], facts)
    skips = [(s.what, s.reason) for s in machine.skipped]
    if skips:
        yield table(["skipped", "why"], skips)


def _how(merged: Merged) -> str:
    """The command that writes this page."""
    sources = [report.source for machine in merged.machines for report in machine.reports]
    devices = dict.fromkeys(cell.device for cell in merged.unverified)
    words = ["lockstep", "merge", *sources, *(w for d in devices for w in ("--unverified", d))]
    return f"This page is what `{shlex.join([*words, '--markdown', 'FILE'])}` writes."


def _code(text: str) -> str:
    """Lines as they stand. The fence is longer than any run of backticks in them."""
    longest = max([2, *map(len, re.findall("`+", text))])
    fence = "`" * (longest + 1)
    return f"{fence}text\n{text}\n{fence}" if text else ""


def _escaped(text: str) -> str:
    """Text on one line, in which nothing is markup."""
    return re.sub(r"([\\`*\[\]<>|~&])", r"\\\1", " ".join(text.split()))
