"""`lockstep check`: judge a student's or a porter's own file."""

import argparse
from pathlib import Path

from ports.check.engine import check_file
from ports.check.results import Options
from ports.check.template import write_template
from ports.commands.arguments import SEVERAL, add_json, add_run, seconds, steps_or_all, typed, word
from ports.conventions.known import BY_WORD, convention
from ports.messages import either
from ports.mixed import OWN_DTYPE
from ports.registry import FRAMEWORKS
from ports.report import teacher
from ports.report.progress import Progress
from reference.agreement.arithmetic import DTYPES

DETAILS = """\
The file is your own code: it runs with your rights, in a process of its own, and only because
you name it here. It needs a softmax_step, a two_layer_step, or both (--new writes a template).

Exit status: 0 right; 1 a quantity disagrees or is missing; 2 the file cannot be judged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, help="path to your .py file")
    parser.add_argument("--new", action="store_true", help="write a template there instead")
    parser.add_argument(
        "--framework",
        type=typed(word("framework", FRAMEWORKS)),
        help=f"with --new: {either(FRAMEWORKS)} (default numpy, also for any other framework)",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="accept missing quantities: what is there must be right; says what to write next",
    )
    parser.add_argument(
        "--solution", action="store_true", help="with --partial: show the document's own lines too"
    )
    parser.add_argument(
        "--steps",
        type=typed(steps_or_all),
        help='judge that many first steps, or "all" (default: the first 20, and 10 spread over the run)',
    )
    parser.add_argument(
        "--dtype",
        type=typed(word("dtype", DTYPES)),
        action="append",
        default=[],
        help=f"{either(DTYPES)}; may be repeated (default {DTYPES[0]}, in mixed precision {OWN_DTYPE})",
    )
    parser.add_argument(
        "--timeout",
        type=typed(seconds("timeout")),
        default=60.0,
        metavar="SECONDS",
        help="how long the import, or any one step, may take (default 60)",
    )
    parser.add_argument(
        "--convention",
        type=typed(convention),
        help=f"judge by a convention that is not the document's: {either(BY_WORD)}; may be repeated",
        **SEVERAL,
    )
    add_json(parser, "answer")
    add_run(parser)


def run(args: argparse.Namespace) -> int:
    """Judge the file, or write the template."""
    if args.new:
        return _write_new(args)
    if args.framework:
        quoted = either(f'"{name}"' for name in FRAMEWORKS)
        raise ValueError(f"--framework goes with --new; a file says framework = {quoted} itself")
    if args.solution and not args.partial:
        raise ValueError(
            "--solution goes with --partial: without it the document's lines are shown anyway"
        )
    options = Options(
        args.points,
        args.seed,
        args.steps,
        tuple(args.dtype),
        args.timeout,
        tuple(args.convention),
    )
    with Progress("check") as progress:
        check = check_file(args.file, options, progress.begin)
    status = check.status(args.partial)
    if args.json:  # first: printing fails if nobody reads it
        from ports.report import as_json  # it imports what the other commands report

        as_json.write(args.json, as_json.of_check(check, options, status))
    print(teacher.answer(check, options, args.partial, solution=args.solution or not args.partial))
    return status


def _write_new(args: argparse.Namespace) -> int:
    if args.json or args.steps or args.dtype or args.partial or args.solution or args.convention:
        raise ValueError("--new writes a template, and judges nothing: it goes with --framework alone")
    write_template(args.file, FRAMEWORKS[args.framework or "numpy"])
    print(f"wrote {args.file}: fill it in, and run lockstep check {args.file} whenever you like")
    return 0
