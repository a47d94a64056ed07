"""`lockstep bench`: what certification costs."""

import argparse
from dataclasses import replace

from ports.bench import growth, largest, limits, models, one_call, runs, startup, steps
from ports.bench.machine import machine
from ports.bench.measuring import QUICK, Effort
from ports.commands.arguments import add_json, typed, word
from ports.engine.matrix import exact_settings_of
from ports.engine.memory import keep_freed_memory
from ports.engine.provenance import provenance
from ports.engine.selection import ports_here
from ports.engine.workers import THREAD_SETTINGS
from ports.report import as_json, benchmarks

DETAILS = """\
Ratios of contestants that take turns in one run: medians and quartiles. Speed is a report, not a
test: the exit status is 0 whether goals are met or not. See docs/performance.md for each row."""

BENCHMARKS = {
    "reference": steps.reference,
    "certificate": steps.certificate,
    "models": models.models,
    "largest": largest.largest,
    "limits": limits.limits,
    "run": runs.run,
    "growth": growth.growth,
    "startup": startup.startup,
    "call": one_call.one_call,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--only",
        type=typed(word("benchmark", BENCHMARKS)),
        action="append",
        default=[],
        metavar="NAME",
        help=f"one of {', '.join(BENCHMARKS)}",
    )
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--quick", action="store_true", help="fewer rounds and smaller sizes: some minutes less"
    )
    amount.add_argument(
        "--full",
        action="store_true",
        help="also the whole command `lockstep`, and larger networks: minutes more",
    )
    add_json(parser, "rows")


def run(args: argparse.Namespace) -> int:
    """Measure and print; 0."""
    effort = QUICK if args.quick else replace(Effort(), full=args.full)
    keep_freed_memory()
    here, rows = ports_here(), []
    with exact_settings_of(here):
        facts = machine(provenance(here), THREAD_SETTINGS)
        print(*benchmarks.heading(facts), sep="\n", flush=True)
        for name in dict.fromkeys(args.only or BENCHMARKS):
            for row in BENCHMARKS[name](effort):
                rows.append(row)
                print(benchmarks.line(row), flush=True)
    if args.json:
        amount = {"quick": args.quick, "full": args.full}
        as_json.write(args.json, as_json.of_bench(amount, rows, facts))
    return 0
