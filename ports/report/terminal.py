"""The matrix, the failures and the manifest as text."""

import math
from collections.abc import Iterable, Sequence

from ports.engine.results import CellResult, parts, quantities_of
from ports.engine.selection import Skipped
from reference.agreement.judge import LOCAL, Finding


def matrix(results: Sequence[CellResult]) -> str:
    """One table a model: rows port x mode x device x dtype, columns quantities.

    An entry is the largest share of the bound that was used: at most 1 agrees.
    """
    tables = []
    for model in parts():
        rows = [r for r in results if r.cell.model == model]
        if rows:
            tables.append("\n".join(_table(model, rows)))
    return "\n\n".join(tables)


def _table(model: str, rows: Sequence[CellResult]) -> Iterable[str]:
    names = quantities_of(model)
    entries = [[entry(result, name) for name in names] for result in rows]
    labels = [_label(result) for result in rows]
    label = max(map(len, labels))
    heads = [_two_lines(name) for name in names]
    widths = [max(map(len, (*heads[i], *(row[i] for row in entries)))) for i in range(len(names))]

    def line(start: str, steps: object, texts: Iterable[str]) -> str:
        numbers = " ".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))
        return f"{start:<{label}}  {steps:>5}  {numbers}"

    yield line("", "", (above for above, _ in heads))
    yield line(model, "steps", (below for _, below in heads))
    for start, result, row in zip(labels, rows, entries, strict=True):
        yield line(start, result.steps, row)


def _two_lines(name: str) -> tuple[str, str]:
    """A long name breaks at its underscore, so that seventeen columns fit a screen."""
    above, underscore, below = name.partition("_")
    return (above + underscore, below) if underscore else ("", name)


def _label(result: CellResult) -> str:
    cell = result.cell
    return f"{cell.port:<14} {cell.mode:<8} {cell.device:<4} {cell.dtype}"


def entry(result: CellResult, name: str) -> str:
    """The worst share of one quantity: two digits, `!` before a failure, `-` where it is hidden."""
    verdicts = result.quantity(name)
    if not verdicts:
        return "-"
    if any(v.failures for v in verdicts):
        worst = max(
            (v.worst.share for v in verdicts if v.worst), key=lambda s: math.inf if s != s else s
        )
        return f"!{worst:.0e}" if math.isfinite(worst) else f"!{worst}"
    share = max(v.worst.share for v in verdicts if v.worst)
    return "0" if share == 0 else f"{share:.2f}".lstrip("0") if share >= 0.005 else "<.01"


def failures(results: Iterable[CellResult], most: int = 5) -> str:
    """For each cell that failed: the first wrong operation, and how many more disagree."""
    lines = []
    for result in results:
        if result.error:
            lines.append(f"{result.cell}: {result.error}")
        elif not result.comparisons:
            lines.append(f"{result.cell}: nothing was compared: that is a failure")
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


def in_digits(share: float) -> str:
    """A share in three digits; in all, where three would not tell which side of 1 it is on."""
    short = f"{share:.3g}"
    return repr(share) if short == "1" else short


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
