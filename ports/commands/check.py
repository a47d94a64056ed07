"""`lockstep check`: a student's or a porter's own file, judged."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ports.check.results import Options

HELP = """judge your own file: which quantities are right, which is the first wrong one, and why

The file is your own code: it runs with your rights, in a process of its own, and only because
you name it here. It needs a softmax_step, a two_layer_step, or both (--new writes a template).

Exit status: 0 right; 1 a quantity disagrees or is missing; 2 the file cannot be judged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from ports.commands.compare import add_run

    parser.add_argument("file", help="path to your .py file")
    parser.add_argument("--new", action="store_true", help="write a template there instead")
    parser.add_argument(
        "--framework", help="with --new: numpy (default, and for any other), torch or jax"
    )
    parser.add_argument(
        "--partial", action="store_true", help="accept missing quantities: what is there must be right"
    )
    parser.add_argument(
        "--steps",
        help='judge that many first steps, or "all" (default: the first 20, and 10 spread over the run)',
    )
    parser.add_argument(
        "--dtype", action="append", default=[], help="float64 (default) or float32; may be repeated"
    )
    parser.add_argument(
        "--timeout",
        default="60",
        metavar="SECONDS",
        help="how long the import, or any one step, may take (default 60)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the answer as JSON")
    add_run(parser)


def run(args: argparse.Namespace) -> int:
    """Judge the file, or write the template."""
    if args.new:
        if args.json or args.steps or args.dtype or args.partial:
            raise ValueError(
                "--new writes a template, and judges nothing: it goes with --framework alone"
            )
        return _write_new(Path(args.file), args.framework or "numpy")
    if args.framework:
        raise ValueError(
            '--framework goes with --new; a file says framework = "torch", "jax" or "numpy" itself'
        )
    from ports.check.engine import check_file
    from ports.report import as_json, teacher
    from ports.report.progress import Progress

    as_json.refuse_unwritable(args.json)
    options = _options(args)
    lines: list[Progress] = []

    def begin(total: int) -> Callable[[], None]:
        lines.append(Progress("check", total))
        return lines[0].advance

    try:
        check = check_file(Path(args.file), options, begin)
    finally:
        for line in lines:
            line.close()
    status = check.status(args.partial)
    if args.json:  # first: nobody may be reading what is printed
        as_json.write(args.json, teacher.document(check, options, status))
    print(teacher.answer(check, options, args.partial))
    return status


def _write_new(path: Path, framework: str) -> int:
    from ports.check.template import write_template

    write_template(path, framework)
    print(f"wrote {path}: fill it in, and run lockstep check {path} whenever you like")
    return 0


def _options(args: argparse.Namespace) -> "Options":
    """The options' words as numbers. Raises ValueError."""
    import math

    from ports.check.results import Options
    from ports.engine.selection import parse_steps, positive, seed_number
    from reference.agreement.arithmetic import DTYPES

    for dtype in args.dtype:
        if dtype not in DTYPES:
            raise ValueError(f"unknown dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    try:
        timeout = float(args.timeout)
    except ValueError:
        timeout = math.nan
    if not 0 < timeout < 1e6:
        raise ValueError(f"timeout is {args.timeout!r}: expected a positive number of seconds")
    return Options(
        positive("points", args.points),
        seed_number(args.seed),
        parse_steps(args.steps),
        tuple(args.dtype) or ("float64",),
        timeout,
    )
