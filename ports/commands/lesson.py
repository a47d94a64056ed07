"""`lockstep lesson`: the note in three frameworks side by side, as one HTML file."""

import argparse
from pathlib import Path

from ports.commands.arguments import page_path, typed
from ports.contract import Absent
from ports.messages import missing_packages
from ports.report.progress import Progress

DETAILS = """\
Every number in the page comes from a run on this machine, and is certified. Every line of code is
cut from the files that ran. The page needs no network: open it from the disk.

Exit status: 0 all certified; 1 something disagrees, and the page says so; 2 bad usage or input."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--out",
        type=typed(page_path),
        default=Path("lesson.html"),
        metavar="FILE",
        help="where to write the page (default lesson.html)",
    )


def run(args: argparse.Namespace) -> int:
    """Make the page; 0 if everything in it is certified."""
    absence = missing_packages("lockstep lesson", ["jinja2", "latex2mathml"])
    if absence:
        raise Absent(absence)
    from ports.lesson.lesson import made_lesson, work
    from ports.report.lesson.page import render

    with Progress("lesson", work()) as progress:
        lesson = made_lesson(progress.advance)
    args.out.write_text(render(lesson), encoding="utf-8")
    print(f"wrote {args.out}: open it in a browser")
    for sentence in [*lesson.absent.values(), *lesson.disagreements]:
        print(sentence)
    return 0 if lesson.agrees else 1
