"""`lockstep compare`: certify ports at every step."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ports.engine.results import CellResult

HELP = """certify ports against the reference at every step and print the matrix

Every port starts each step from the reference's own weights, and each of its quantities is held
against a derived rounding bound. An entry is the largest share of the bound used: at most 1 agrees."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selection(parser)
    add_run(parser)
    parser.add_argument("--jobs", help="processes to spread the work over (default: one a core)")
    parser.add_argument("--json", metavar="FILE", help="also write the results as JSON")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare the options that choose cells; each may be repeated."""
    choose = parser.add_argument_group("what to run (repeat for several; default: everything here)")
    choose.add_argument("--model", action="append", default=[], help="spiral, softmax or two_layer")
    choose.add_argument(
        "--port", action="append", default=[], help="a port's name, or a path to a .py file"
    )
    choose.add_argument("--mode", action="append", default=[], help="eager or compiled")
    choose.add_argument("--device", action="append", default=[], help="cpu, cuda, ...")
    choose.add_argument("--dtype", action="append", default=[], help="float64 or float32")
    choose.add_argument(
        "--require", action="append", default=[], help="a port or device that must run: absent is exit 2"
    )
    choose.add_argument(
        "--steps",
        help='a number of steps spread over the run, or "all" (default: all for float64 in a '
        "framework's natural mode, 20 elsewhere)",
    )


def add_run(parser: argparse.ArgumentParser, points: str = "100") -> None:
    """Declare the options that set up the document's run."""
    document = ", as in the document" if points == "5" else "; the document: 5"
    parser.add_argument(
        "--points", default=points, help=f"points per class (default {points}{document})"
    )
    parser.add_argument("--seed", default="0", help="seed of the draws (default 0)")


def run(args: argparse.Namespace) -> int:
    """Run the matrix; 0 if everything agrees, 1 if not."""
    from ports.engine.matrix import run_matrix, step_total
    from ports.engine.selection import plan, positive, seed_number, select
    from ports.report import as_json, terminal
    from ports.report.progress import Progress

    points, seed = positive("points", args.points), seed_number(args.seed)
    as_json.refuse_unwritable(args.json)
    jobs = positive("jobs", args.jobs or str(os.cpu_count() or 1))
    selection = select(
        args.model, args.port, args.mode, args.device, args.dtype, args.steps, args.require
    )
    planned, skipped = plan(selection)

    progress = Progress("lockstep", step_total(planned))
    try:
        results, provenance = run_matrix(planned, points, seed, progress.advance, jobs)
    finally:
        progress.close()

    if args.json:  # first: nobody may be reading what is printed
        run = {"points": points, "seed": seed, "steps": args.steps or "default"}
        as_json.write(args.json, as_json.document(run, results, skipped, provenance))
    print(terminal.matrix(results))
    failures = terminal.failures(results)
    if failures:
        print(f"\n{failures}")
    print(f"\n{terminal.manifest(results, skipped)}")
    return status(results)


def status(results: "Sequence[CellResult]") -> int:
    """1 if something disagreed (or nothing was compared), else 2 if a cell could not go on, else 0."""
    disagrees = any(v.failures for r in results for v in r.verdicts.values())
    if not results or disagrees or any(not r.agrees and not r.error for r in results):
        return 1
    return 2 if any(r.error for r in results) else 0
