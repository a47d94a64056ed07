"""`lockstep compare`: certify ports at every step."""

import argparse
import os
from collections.abc import Sequence

from ports.commands.arguments import add_json, add_run, add_selection, typed, whole
from ports.engine.matrix import run_matrix, step_total
from ports.engine.results import CellResult
from ports.engine.selection import choose, plan
from ports.report import as_json, matrix
from ports.report.progress import Progress
from reference.agreement.arithmetic import PRODUCT_PRECISIONS

DETAILS = """\
Every port starts each step from the reference's own weights, and each of its quantities is held
against a derived rounding bound. An entry is the largest share of the bound used: at most 1 agrees."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selection(parser)
    add_run(parser)
    parser.add_argument(
        "--jobs",
        type=typed(whole("jobs")),
        default=os.cpu_count() or 1,
        help="processes to spread the work over (default: one per core)",
    )
    parser.add_argument(
        "--precision",
        choices=tuple(PRODUCT_PRECISIONS),
        default="highest",
        help="of float32 products: high is TF32 or split, medium bfloat16, where the device has them",
    )
    add_json(parser, "results")


def run(args: argparse.Namespace) -> int:
    """Run the matrix; 0 if everything agrees, 1 if not."""
    selection = choose(
        args.model,
        args.port,
        args.mode,
        args.device,
        args.dtype,
        args.steps,
        args.require,
        args.precision,
    )
    planned, skipped = plan(selection)

    with Progress("lockstep", step_total(planned)) as progress:
        results, provenance = run_matrix(planned, args.points, args.seed, progress.advance, args.jobs)

    if args.json:  # first: printing fails if nobody reads it
        steps = "default" if args.steps is None else str(args.steps)
        of_run = {
            "points": args.points,
            "seed": args.seed,
            "steps": steps,
            "precision": args.precision,
        }
        as_json.write(args.json, as_json.of_compare(of_run, results, skipped, provenance))
    if args.precision != "highest":
        print(f"float32 products in {args.precision} precision\n")
    print(matrix.matrix(results))
    failures = matrix.failures(results)
    if failures:
        print(f"\n{failures}")
    print(f"\n{matrix.manifest(results, skipped)}")
    return status(results)


def status(results: Sequence[CellResult]) -> int:
    """1 if something disagreed or nothing was compared, else 2 if a cell could not go on, else 0."""
    disagrees = any(v.failures for r in results for v in r.verdicts.values())
    if not results or disagrees or any(not r.agrees and not r.error for r in results):
        return 1
    return 2 if any(r.error for r in results) else 0
