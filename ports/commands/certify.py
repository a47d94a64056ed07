"""`lockstep certify`: judge what was recorded elsewhere."""

import argparse
from pathlib import Path

from ports.commands.arguments import add_json
from ports.commands.compare import status
from ports.recordings.certify import certify, report_of, require_one_run
from ports.recordings.recording import open_recording
from ports.report import as_json, matrix
from ports.report.progress import Progress
from ports.report.recordings import explanations

DETAILS = """\
A recording is data: nothing in it is executed. Neither the framework nor the device that it was made
with is needed here. The table, the verdicts and the exit status are those of compare.

Exit status: 0 all certified; 1 something disagrees; 2 a file is no recording, or its run ended early."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", type=Path, nargs="+", metavar="file", help="recordings of one run")
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help="the name, in a merged matrix, of the machine that recorded (default: its platform)",
    )
    add_json(parser, "results, as compare does,")


def run(args: argparse.Namespace) -> int:
    """Judge the recordings; 0 if everything agrees, 1 if not."""
    recordings = [open_recording(path) for path in args.files]
    require_one_run(recordings)
    with Progress("certify", sum(len(r.steps) for r in recordings)) as progress:
        judged = [certify(recording, progress.advance) for recording in recordings]

    results = [j.result for j in judged]
    if args.json:  # first: printing fails if nobody reads it
        as_json.write(args.json, as_json.of_compare(report_of(judged, args.machine)))
    print(matrix.matrix(results, recordings[0].precision))
    failures = matrix.failures(results)
    if failures:
        print(f"\n{failures}")
    for explanation in explanations(judged):
        print(f"\n{explanation}")
    print(f"\n{matrix.manifest(results, [])}")
    return status(results)
