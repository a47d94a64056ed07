"""`lockstep compare`: certify ports at every step."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ports.commands.arguments import (
    add_json,
    add_precision,
    add_reference,
    add_run,
    add_selection,
    shard,
    typed,
    whole,
)
from ports.engine.changes import changes
from ports.engine.matrix import exact_settings_of, run_matrix, step_total
from ports.engine.provenance import provenance
from ports.engine.reports import Report, RunOf, machine_name
from ports.engine.results import CellResult
from ports.engine.selection import Planned, choose, plan
from ports.engine.shards import WHOLE, shard_of
from ports.registry import FRAMEWORKS
from ports.report import as_json, matrix
from ports.report.from_json import read_report
from ports.report.progress import Progress

DETAILS = """\
Every port starts each step from the reference's own weights, and each of its quantities is held
against a derived rounding bound. An entry is the largest share of the bound used: at most 1 agrees.
Several machines divide the work with --shard, and `lockstep merge` puts their reports together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_selection(parser)
    add_reference(parser)
    add_run(parser)
    parser.add_argument(
        "--jobs",
        type=typed(whole("jobs")),
        default=os.cpu_count() or 1,
        help="processes to spread the work over (default: one per core)",
    )
    add_precision(parser)
    parser.add_argument(
        "--shard",
        type=typed(shard),
        default=WHOLE,
        metavar="I/N",
        help="run only share I of N of the cells",
    )
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help="this machine's name in a merged matrix (default: its versions)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="say what changed since that report (--json wrote it)",
    )
    add_json(parser, "results")


def run(args: argparse.Namespace) -> int:
    """Run the matrix; 0 if everything agrees, 1 if not."""
    before = read_report(args.against) if args.against else None  # first: a bad file costs no run
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
    own = shard_of(planned, args.shard)

    with Progress("lockstep", step_total(own)) as progress:
        results, facts = run_matrix(own, args.points, args.seed, progress.advance, args.jobs)

    steps = "default" if args.steps is None else str(args.steps)
    report = Report(
        RunOf(args.points, args.seed, steps, args.precision),
        args.machine or name_of(planned),
        args.shard,
        tuple(str(p.cell) for p in planned),
        facts,
        results,
        skipped,
    )
    if before:
        report = replace(report, changes=changes(before, report))
    if args.json:  # first: printing fails if nobody reads it
        as_json.write(args.json, as_json.of_compare(report))
    print(matrix.matrix(results, args.precision))
    failures = matrix.failures(results)
    if failures:
        print(f"\n{failures}")
    if before:
        print(f"\n{matrix.changes(before.source, report.changes)}")
    print(f"\n{matrix.manifest(results, skipped)}")
    return status(results)


def name_of(planned: Sequence[Planned]) -> str:
    """This machine's name. It follows from the whole plan, so that all shards have the same."""
    ports = {p.port.name: p.port for p in planned}.values()
    with exact_settings_of(ports):
        return machine_name(provenance(ports), list(FRAMEWORKS))


def status(results: Sequence[CellResult]) -> int:
    """1 if something disagreed or nothing was compared, else 2 if a cell could not go on, else 0."""
    disagrees = any(v.failures for r in results for v in r.verdicts.values())
    if not results or disagrees or any(not r.agrees and not r.error for r in results):
        return 1
    return 2 if any(r.error for r in results) else 0
