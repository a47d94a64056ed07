"""`lockstep traps`: the gallery of wrong ports, run."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ports.traps import Trap
    from ports.traps.outcome import Outcome

HELP = """run the gallery of wrong ports: who catches them, and what the diagnosis says

Each trap is a port with one line wrong. The table says which quantity was found wrong first and
in which step; whether three common checks catch it on the same steps ("cries wolf": the check
rejects the correct port as well); and the cause that the diagnosis names ("?": not certain)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "name", nargs="*", help="traps to show in full, with the wrong line (default: all)"
    )
    parser.add_argument("--steps", default="10", help="steps each trap runs for (default 10)")
    parser.add_argument("--json", metavar="FILE", help="also write the results as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the traps; 0 if each is caught where it is declared and no correct port is rejected."""
    from ports.engine.selection import named, positive
    from ports.report import as_json
    from ports.report.progress import Progress
    from ports.traps import GALLERY, outcome

    steps = positive("steps", args.steps, least=2)
    as_json.refuse_unwritable(args.json)
    for name in args.name:
        named("trap", name, tuple(GALLERY))
    chosen = [GALLERY[name] for name in dict.fromkeys(args.name) or GALLERY]
    here = [trap for trap in chosen if not trap.twin.absence()]

    progress, judge, outcomes = Progress("traps", len(here)), outcome.Judge(steps), []
    try:
        for trap in here:
            outcomes.append(judge.outcome(trap))
            progress.advance()
    finally:
        progress.close()

    if args.json:  # first: nobody may be reading what is printed
        as_json.write(args.json, outcome.as_json(steps, outcomes))
    print("\n\n".join(map(in_full, outcomes)) if args.name else "\n".join(table(outcomes)))
    print()
    for line in manifest(outcomes, [trap for trap in chosen if trap not in here]):
        print(line)
    return 0 if outcomes and all(o.as_declared for o in outcomes) else 1


def table(outcomes: "list[Outcome]") -> "Iterator[str]":
    """One row a trap."""
    checks = list(outcomes[0].naive) if outcomes else []
    heads = ("trap", "port", "first wrong", "step", "lockstep", *map(short, checks), "diagnosis")
    rows = [heads, *(row(o) for o in outcomes)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(heads))]
    for cells in rows:
        yield "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()


def row(outcome: "Outcome") -> tuple[str, ...]:
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


def short(check: str) -> str:
    """A check's name as a column's head."""
    return check.rpartition(".")[2]


def in_full(outcome: "Outcome") -> str:
    """One trap with its line, its reason, and what is said about it."""
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
        *(f"  {check}: {said}" for check, said in outcome.naive.items()),
    ]
    return "\n".join(lines)


def marked(sign: str, snippet: str) -> list[str]:
    """A snippet's lines as in a diff."""
    return [f"  {sign}{line.strip()}" for line in snippet.strip().splitlines()]


def manifest(outcomes: "list[Outcome]", absent: "list[Trap]") -> "Iterator[str]":
    """The totals, and what could not run."""
    from ports.traps.outcome import totals

    count = len(outcomes)
    for what, number in totals(outcomes).items():
        if what == "traps":
            yield f"{number} traps"
        elif number or not what.endswith("cries wolf"):
            yield f"  {what}: {number}/{count}"
    reasons = {trap.twin.absence() for trap in absent}
    for reason in sorted(filter(None, reasons)):
        yield f"  skipped {sum(t.twin.absence() == reason for t in absent)}: {reason}"
