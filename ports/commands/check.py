"""`lockstep check`: judge a student's or a porter's own file."""

import argparse
from pathlib import Path
from typing import cast

from ports.check.engine import check_file
from ports.check.own_template import write_port, write_reference
from ports.check.results import Options
from ports.check.self_test import self_test
from ports.check.template import write_template
from ports.commands.arguments import (
    SEVERAL,
    add_json,
    add_reference,
    add_run,
    default_model,
    seconds,
    steps_or_all,
    typed,
    word,
)
from ports.conventions.known import BY_WORD, convention
from ports.messages import either
from ports.mixed import OWN_DTYPE
from ports.registry import FRAMEWORKS
from ports.report import self_test as report
from ports.report import teacher
from ports.report.progress import Progress
from reference.agreement.arithmetic import DTYPES
from reference.own import OwnModel

DETAILS = """\
The file is your own code: it runs with your rights, in a process of its own, and only because
you name it here. It needs a softmax_step, a two_layer_step, or both (--new writes a template).

Exit status: 0 right; 1 a quantity disagrees or is missing; 2 the file cannot be judged."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, nargs="?", help="path to your .py file")
    parser.add_argument("--new", action="store_true", help="write a template there instead")
    parser.add_argument(
        "--new-reference",
        type=Path,
        metavar="FILE",
        help="write a template of a reference there: a network of your own, in NumPy",
    )
    parser.add_argument(
        "--self-test",
        action="store_true",
        help="with --reference: plant errors in its lines, and say which a run would miss",
    )
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
    add_reference(parser)
    add_json(parser, "answer")
    add_run(parser)


def run(args: argparse.Namespace) -> int:
    """Judge the file, or write the template."""
    if args.new_reference:
        return _write_new_reference(args)
    if args.self_test:
        return _self_test(args)
    if args.file is None:
        raise ValueError("give the path of the .py file to judge; --new FILE writes a template")
    if args.new:
        return _write_new(args)
    if args.framework:
        quoted = either(f'"{name}"' for name in FRAMEWORKS)
        raise ValueError(f"--framework goes with --new; a file says framework = {quoted} itself")
    if args.solution and not args.partial:
        raise ValueError(
            "--solution goes with --partial: without it the document's lines are shown anyway"
        )
    options = _options(args)
    with Progress("check") as progress:
        check = check_file(args.file, options, progress.begin)
    status = check.status(args.partial)
    if args.json:  # first: printing fails if nobody reads it
        from ports.report import as_json  # it imports what the other commands report

        as_json.write(args.json, as_json.of_check(check, options, status))
    print(teacher.answer(check, options, args.partial, solution=args.solution or not args.partial))
    return status


def _options(args: argparse.Namespace) -> Options:
    return Options(
        args.points,
        args.seed,
        args.steps,
        tuple(args.dtype),
        args.timeout,
        tuple(args.convention),
    )


def _self_test(args: argparse.Namespace) -> int:
    """Plant errors in the lines of a reference; 1 if a quantity has none that would show."""
    if not args.reference:
        raise ValueError("--self-test goes with --reference FILE: it plants errors in that file's lines")
    if args.file:
        raise ValueError(f"--self-test is about the reference alone: leave out {args.file}")
    options, model = _options(args), cast(OwnModel, default_model())
    dtypes = options.dtypes or (DTYPES[0],)
    found = {dtype: self_test(model, options, dtype) for dtype in dtypes}
    for dtype, planted in found.items():
        print("\n".join(report.lines(planted, dtype)))
    return int(not all(p.can_fail for planted in found.values() for p in planted))


def _write_new_reference(args: argparse.Namespace) -> int:
    if args.file or args.reference:
        raise ValueError("--new-reference writes a template, and judges nothing: it goes alone")
    path = args.new_reference
    write_reference(path)
    print(
        f"wrote {path}: fill it in; lockstep check --reference {path} --self-test tries it, and "
        f"lockstep check --reference {path} my_port.py judges a port of it"
    )
    return 0


def _write_new(args: argparse.Namespace) -> int:
    if args.json or args.steps or args.dtype or args.partial or args.solution or args.convention:
        raise ValueError("--new writes a template, and judges nothing: it goes with --framework alone")
    framework, model = FRAMEWORKS[args.framework or "numpy"], default_model()
    if isinstance(model, OwnModel):
        write_port(args.file, model, framework)
    else:
        write_template(args.file, framework)
    judge = f"lockstep check --reference {args.reference}" if args.reference else "lockstep check"
    print(f"wrote {args.file}: fill it in, and run {judge} {args.file} whenever you like")
    return 0
