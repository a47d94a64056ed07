"""The merged matrix as one HTML page: no script, nothing from elsewhere, light and dark."""

from collections.abc import Iterable, Iterator
from html import escape

from ports.engine.machines import Machine, Merged
from ports.report.merged import (
    LEGEND,
    OTHER_SHARE,
    OTHER_VERDICT,
    UNVERIFIED,
    Group,
    Row,
    Sheet,
    amount,
    differences,
    failures_of,
    sheets,
    verdict,
)

TITLE = "lockstep: one matrix over all machines"

STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0;
  --band: #f3f5f7; --good: #1a7f37; --bad: #b3261e; --badband: #fdecea; --note: #8a5300; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e6e9ed; --soft: #9aa4af; --line: #363d46; --band: #1e2329;
    --good: #57c878; --bad: #ff8a80; --badband: #3a1d1b; --note: #f0b35b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 105rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
.verdict { font-size: 1.15rem; font-weight: 600; }
.agrees { color: var(--good); } .fails { color: var(--bad); }
.legend, .facts { color: var(--soft); max-width: 60rem; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
.wide:focus-visible, summary:focus-visible { outline: 2px solid var(--ink); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; padding: .4rem .6rem; color: var(--soft); }
th, td { padding: .2rem .55rem; text-align: right; white-space: nowrap;
  border-top: 1px solid var(--line); }
thead th { vertical-align: bottom; border-top: 0; } tbody th { font-weight: 400; }
tbody th, .left { text-align: left; }
tbody th.machine { background: var(--band); font-weight: 600; }
tbody th[scope=row] { position: sticky; left: 0; background: var(--paper); }
td.fail { color: var(--bad); background: var(--badband); font-weight: 700; }
td.other { color: var(--note); }
td.unverified { color: var(--note); text-align: left; font-style: italic; }
pre { overflow-x: auto; padding: .8rem; background: var(--band); border-radius: 6px; font-size: .85rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .85rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""


def page(merged: Merged) -> str:
    """The whole page."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>{TITLE}</title><style>\n{STYLE}</style></head>",
            f"<body><main>\n<h1>{TITLE}</h1>",
            *_body(merged),
            "</main></body></html>\n",
        ]
    )


def _body(merged: Merged) -> Iterator[str]:
    kind = "agrees" if merged.agrees else "fails"
    yield f'<p class="verdict {kind}">{escape(verdict(merged))}</p>'
    yield f'<p class="facts">{escape(amount(merged))}</p>'
    yield from _section("What failed", failures_of(merged))
    yield f'<p class="legend">{escape(LEGEND)}</p>'
    for number, sheet in enumerate(sheets(merged)):
        yield from _table(sheet, f"model{number}")
    yield from _section("Differences between machines", differences(merged))
    yield "<h2>Machines</h2>"
    for machine in merged.machines:
        yield from _machine(machine)


def _section(title: str, lines: str) -> Iterator[str]:
    if lines:
        yield f"<h2>{title}</h2>\n<pre>{escape(lines)}</pre>"


def _table(sheet: Sheet, name: str) -> Iterator[str]:
    """One model's table, in a region of its own that scrolls sideways, also by keyboard."""
    yield f'<h2 id="{name}">{escape(sheet.part)}</h2>'
    yield f'<div class="wide" role="region" aria-labelledby="{name}" tabindex="0"><table>'
    yield "<caption>Largest share of the bound, by machine, port and quantity</caption>"
    heads = ["port", "mode", "device", "dtype", "steps", *sheet.quantities]
    cells = "".join(
        f'<th scope="col"{_left(i)}>{escape(head).replace("_", "_<wbr>")}</th>'
        for i, head in enumerate(heads)
    )
    yield f"<thead><tr>{cells}</tr></thead>"
    for group in sheet.groups:
        yield from _group(group, len(heads))
    yield "</table></div>"


def _group(group: Group, width: int) -> Iterator[str]:
    """The rows of one machine."""
    machine = f'<th class="machine" scope="rowgroup" colspan="{width}">{escape(group.machine)}</th>'
    yield f"<tbody><tr>{machine}</tr>"
    for row in group.rows:
        yield f"<tr>{''.join(_row(row, width))}</tr>"
    yield "</tbody>"


def _row(row: Row, width: int) -> Iterator[str]:
    cell = row.cell
    yield f'<th scope="row">{escape(cell.port)}</th>'
    for word in (cell.mode, cell.device, cell.dtype):
        yield f'<td class="left">{escape(word)}</td>'
    if row.result is None:
        yield f'<td class="unverified" colspan="{width - 4}">{UNVERIFIED}</td>'
        return
    yield f"<td>{row.steps}</td>"
    yield from map(_entry, row.entries)


def _entry(text: str) -> str:
    """An entry. Its colour only repeats what its signs say."""
    kind = (
        "fail" if text.startswith("!") else "other" if text[-1] in (OTHER_SHARE, OTHER_VERDICT) else ""
    )
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def _machine(machine: Machine) -> Iterator[str]:
    """Where a machine's reports came from."""
    cells = len(machine.results)
    verdict = "all agree" if machine.agrees else "not all agree"
    yield f"<details><summary>{escape(machine.name)}: {cells} cells, {verdict}</summary>"
    for report in machine.reports:
        yield f"<p>{escape(report.source)}, shard {report.shard}</p>"
        yield _list(report.provenance.items())
    if machine.skipped:
        yield "<p>Skipped</p>"
        yield _list((s.what, s.reason) for s in machine.skipped)
    yield "</details>"


def _list(items: Iterable[tuple[str, str]]) -> str:
    entries = (f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in items if fact)
    return f"<dl>{''.join(entries)}</dl>"


def _left(column: int) -> str:
    return ' class="left"' if column < 4 else ""
