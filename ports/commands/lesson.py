"""`lockstep lesson`: the note in three frameworks side by side, as one HTML file."""

import argparse
from pathlib import Path

from ports.commands.arguments import page_path, typed, word
from ports.contract import Absent
from ports.lesson.exercise import write_exercise
from ports.messages import either, missing_packages
from ports.registry import FRAMEWORKS
from ports.report.progress import Progress

#: Where the page is written by default.
PAGE = Path("lesson.html")

DETAILS = """\
Every number in the page comes from a run on this machine, and is certified. Every line of code is
cut from the files that ran. The page needs no network: open it from the disk.

--exercise writes no page, but a file for a student to fill in, which lockstep check --partial judges.

Exit status: 0 all certified; 1 something disagrees, and the page says so; 2 bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--out",
        type=typed(page_path),
        metavar="FILE",
        help=f"where to write the page (default {PAGE})",
    )
    parser.add_argument(
        "--exercise", type=Path, metavar="FILE", help="write an exercise there instead: a .py file"
    )
    parser.add_argument(
        "--framework",
        type=typed(word("framework", FRAMEWORKS)),
        help=f"with --exercise: {either(FRAMEWORKS)} (default numpy)",
    )


def run(args: argparse.Namespace) -> int:
    """Make the page, or the exercise; 0 if everything in the page is certified."""
    if args.exercise:
        return _write_exercise(args)
    if args.framework:
        raise ValueError("--framework goes with --exercise: the page has all frameworks")
    path = args.out or page_path(str(PAGE))
    absence = missing_packages("lockstep lesson", ["jinja2", "latex2mathml"])
    if absence:
        raise Absent(absence)
    from ports.lesson.lesson import made_lesson, work
    from ports.report.lesson.page import render

    with Progress("lesson", work()) as progress:
        lesson = made_lesson(progress.advance)
    path.write_text(render(lesson), encoding="utf-8")
    print(f"wrote {path}: open it in a browser")
    for sentence in [*lesson.absent.values(), *lesson.disagreements]:
        print(sentence)
    if not lesson.run.elements:
        print("nothing was compared: install PyTorch or JAX")
    return 0 if lesson.agrees else 1


def _write_exercise(args: argparse.Namespace) -> int:
    if args.out:
        raise ValueError("--exercise writes no page: it goes with --framework alone")
    write_exercise(args.exercise, FRAMEWORKS[args.framework or "numpy"])
    print(f"wrote {args.exercise}: fill it in, and run lockstep check --partial {args.exercise}")
    return 0
