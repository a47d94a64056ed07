"""`lockstep traps`: run the gallery of wrong ports."""

import argparse

from ports.commands.arguments import add_json, typed, whole, word
from ports.report import as_json, traps
from ports.report.progress import Progress
from ports.traps import GALLERY
from ports.traps.outcome import Judge

DETAILS = """\
Each trap is a port with one line wrong. The table says which quantity was found wrong first and
in which step; whether three common checks catch it on the same steps ("cries wolf": the check
rejects the correct port as well); and the cause that the diagnosis names ("?": not certain)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "name",
        nargs="*",
        type=typed(word("trap", GALLERY)),
        help="traps to show in full, with the wrong line (default: all)",
    )
    parser.add_argument(
        "--steps",
        type=typed(whole("steps", least=2)),
        default=10,
        help="how many steps each trap runs (default 10)",
    )
    add_json(parser, "results")


def run(args: argparse.Namespace) -> int:
    """Run the traps; 0 if each is caught where it is declared and no correct port is rejected."""
    chosen = [GALLERY[name] for name in dict.fromkeys(args.name) or GALLERY]
    absences = {trap.name: trap.twin.absence() for trap in chosen}
    here = [trap for trap in chosen if not absences[trap.name]]

    judge, outcomes = Judge(args.steps), []
    with Progress("traps", len(here)) as progress:
        for trap in here:
            outcomes.append(judge.outcome(trap))
            progress.advance()

    if args.json:  # first: printing fails if nobody reads it
        as_json.write(args.json, as_json.of_traps(args.steps, outcomes))
    print("\n\n".join(map(traps.in_full, outcomes)) if args.name else "\n".join(traps.table(outcomes)))
    print()
    for line in traps.manifest(outcomes, [absence for absence in absences.values() if absence]):
        print(line)
    return 0 if outcomes and all(o.as_declared for o in outcomes) else 1
