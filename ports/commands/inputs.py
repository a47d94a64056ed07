"""`lockstep inputs`: hand the note's problem to a program in any language."""

import argparse

from ports.commands.arguments import (
    add_run,
    model,
    out_path,
    steps_or_all,
    typed,
    word,
)
from ports.engine.selection import SPREAD_STEPS
from ports.messages import either
from ports.recordings.record import Run, run_of, write_inputs
from ports.report.progress import Progress
from ports.report.recordings import inputs_written
from reference.agreement.arithmetic import DTYPES
from reference.models import MODELS, TWO_LAYER

DETAILS = """\
The file has the points, the labels, what each step starts from, and the shapes of what is expected
back. docs/recordings.md shows how a program reads it and writes the recording that certify judges."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--dtype",
        type=typed(word("dtype", DTYPES)),
        default=DTYPES[0],
        help=f"{either(DTYPES)} (default {DTYPES[0]})",
    )
    add_written_run(parser)


def add_written_run(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which of the note's runs is written, and where."""
    parser.add_argument(
        "--model",
        type=typed(model),
        default=TWO_LAYER,
        help=f"{either(MODELS)} (default {TWO_LAYER.name})",
    )
    parser.add_argument(
        "--steps",
        type=typed(steps_or_all),
        default=SPREAD_STEPS,
        help=f'a number of steps spread over the run, or "all" (default {SPREAD_STEPS})',
    )
    add_run(parser)
    parser.add_argument(
        "--out", type=typed(out_path), required=True, metavar="FILE", help="the file that is written"
    )


def chosen_run(args: argparse.Namespace, narrowest: str) -> Run:
    """The run that these options choose, for numbers of which the narrowest have that dtype."""
    steps = None if args.steps == "all" else args.steps
    return run_of(args.model, narrowest, args.points, args.seed, steps)


def run(args: argparse.Namespace) -> int:
    """Write the file; always 0."""
    run = chosen_run(args, args.dtype)
    with Progress("inputs", len(run.steps)) as progress:
        found = write_inputs(args.out, run, args.dtype, progress.advance)
    print(inputs_written(args.out, found))
    return 0
