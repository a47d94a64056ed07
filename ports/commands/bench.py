"""`lockstep bench`: what certification costs."""

import argparse

HELP = """measure what certification costs, against its goals

Ratios of contestants that take turns in one run: medians and quartiles. Speed is a report, not a
test: the exit status is 0 whether goals are met or not. See docs/performance.md for each row."""

BENCHMARKS = ("reference", "certificate", "run", "growth", "startup")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}"
    )
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes: a minute")
    amount.add_argument(
        "--full", action="store_true", help="also time the whole command `lockstep`: minutes more"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the rows as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print; 0."""
    from dataclasses import replace

    from ports.bench import growth, runs, startup, steps
    from ports.bench.measuring import QUICK, Effort
    from ports.engine.matrix import THREAD_SETTINGS, exact_settings_of
    from ports.engine.memory import keep_freed_memory
    from ports.engine.provenance import provenance
    from ports.engine.selection import named
    from ports.report import as_json, benchmarks

    measures = (steps.reference, steps.certificate, runs.run, growth.growth, startup.startup)
    by_name = dict(zip(BENCHMARKS, measures, strict=True))
    chosen = [named("benchmark", name, BENCHMARKS) for name in args.only] or list(BENCHMARKS)
    as_json.refuse_unwritable(args.json)
    effort = QUICK if args.quick else replace(Effort(), full=args.full)

    keep_freed_memory()
    here, rows = steps.ports_here(), []
    with exact_settings_of(here):
        facts = benchmarks.machine(provenance(here), THREAD_SETTINGS)
        print(*benchmarks.machine_lines(facts), "", benchmarks.heading(), sep="\n", flush=True)
        for name in dict.fromkeys(chosen):
            for row in by_name[name](effort):
                rows.append(row)
                print(benchmarks.line(row), flush=True)
    if args.json:
        as_json.write(
            args.json, benchmarks.document({"quick": args.quick, "full": args.full}, rows, facts)
        )
    return 0
