"""The gallery of `lockstep traps`: one row per trap, one trap in full, and the totals."""

from collections.abc import Iterator, Sequence

from ports.report.table import Column, Table
from ports.traps.outcome import Outcome, totals


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """One row per trap."""
    checks = [check.rpartition(".")[2] for check in (outcomes[0].naive if outcomes else ())]
    first, *heads = ("trap", "port", "first wrong", "step", "lockstep", *checks, "diagnosis")
    columns = [Column(first, "<", before=""), *(Column(head, "<") for head in heads)]
    return Table(columns, [row(outcome) for outcome in outcomes]).lines()


def row(outcome: Outcome) -> tuple[str, ...]:
    """The entries of one trap."""
    diagnosis = outcome.diagnosis
    return (
        outcome.trap.name,
        outcome.trap.port,
        outcome.blamed or "-",
        str(outcome.step),
        "yes" if outcome.caught and outcome.blamed_rightly else "WRONGLY" if outcome.caught else "NO",
        *outcome.naive.values(),
        diagnosis.cause + ("" if diagnosis.certain else "?"),
    )


def in_full(outcome: Outcome) -> str:
    """One trap with its wrong line, what was meant, and what each check says."""
    trap = outcome.trap
    lines = [
        f"{trap.name}: {trap.port}, {trap.model}, {trap.dtype}, on {trap.fixture}",
        *marked("- ", trap.right),
        *marked("+ ", trap.wrong),
        f"  meant:     {trap.meant}",
        f"  source:    {trap.source or 'none'}",
        f"  found:     {outcome.blamed or 'nothing'} at step {outcome.step}"
        f" (declared: {trap.blames} at step {trap.step})",
        f"  diagnosis: {outcome.diagnosis.sentence}",
        *(f"  yours is:  {line}" for change in outcome.diagnosis.changes[:1] for line in change.yours),
        *(f"  {check}: {said}" for check, said in outcome.naive.items()),
    ]
    return "\n".join(lines)


def marked(sign: str, snippet: str) -> list[str]:
    """A snippet's lines as in a diff."""
    return [f"  {sign}{line.strip()}" for line in snippet.strip().splitlines()]


def manifest(outcomes: Sequence[Outcome], absences: Sequence[str]) -> Iterator[str]:
    """The totals, then how many traps could not run, and why."""
    count = len(outcomes)
    for what, number in totals(outcomes).items():
        if what == "traps":
            yield f"{number} traps"
        elif number or not what.endswith("cries wolf"):
            yield f"  {what}: {number}/{count}"
    for reason in sorted(set(absences)):
        yield f"  skipped {absences.count(reason)}: {reason}"
