"""`lockstep merge`: one matrix over many machines."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ports.commands.arguments import SEVERAL, add_json, report_path, typed
from ports.commands.compare import status
from ports.engine.machines import Merged
from ports.engine.merging import merge
from ports.report import as_json
from ports.report.from_json import read_report
from ports.report.junit import junit
from ports.report.markdown import markdown
from ports.report.merged import text
from ports.report.page import page

DETAILS = """\
Takes what `lockstep compare --json` wrote on each machine, and for each shard. A missing shard, a
cell that is there twice, or a report that does not add up is an error. An entry marked ~ has another
share on another machine; * has another verdict."""

#: The formats beside JSON that the matrix is written in.
FORMATS: dict[str, tuple[Callable[[Merged], str], str]] = {
    "html": (page, "one page for a browser"),
    "junit": (junit, "JUnit XML, a test case per verdict"),
    "markdown": (markdown, "Markdown, as for a job's summary"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("report", nargs="+", type=Path, help="a file that lockstep compare --json wrote")
    for name, (_, what) in FORMATS.items():
        parser.add_argument(
            f"--{name}",
            type=typed(partial(report_path, option=f"--{name}")),
            metavar="FILE",
            help=f"also write it as {what}",
        )
    add_json(parser, "matrix")
    parser.add_argument(
        "--require", help="a port, device or machine that must be there: else exit 2", **SEVERAL
    )
    parser.add_argument(
        "--unverified", help="a device: mark its cells that ran nowhere as unverified", **SEVERAL
    )


def run(args: argparse.Namespace) -> int:
    """Merge; 0 if everything agrees on every machine, 1 if not, 2 if a cell could not go on."""
    outputs = {name: getattr(args, name) for name in ("json", *FORMATS) if getattr(args, name)}
    _refuse_overlap([*args.report, *outputs.values()])
    merged = merge([read_report(path) for path in args.report], args.unverified, args.require)

    if args.json:  # first: printing fails if nobody reads it
        as_json.write(args.json, as_json.of_merge(merged))
    for name, (rendered, _) in FORMATS.items():
        if name in outputs:
            as_json.write_text(outputs[name], rendered(merged))
    print(text(merged))
    return status(merged.results) if all(m.results for m in merged.machines) else 1


def _refuse_overlap(paths: list[Path]) -> None:
    """Raise ValueError if a file is named twice: a report counts once, and nothing is written over."""
    seen = set()
    for path in paths:
        if path.resolve() in seen:
            raise ValueError(f"{path} is named twice: give each file once")
        seen.add(path.resolve())
