"""`lockstep bounds`: how accurate each quantity is certified to be."""

import argparse

from ports.commands.arguments import step_of, typed, whole
from ports.engine.accuracy import accuracy_table
from ports.report.bounds import tables
from reference.models import TWO_LAYER

DETAILS = """\
Norm-wise: the largest allowed error over the largest value, on the document's 300-point run."""

STEPS = (1000, 5000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--step",
        type=typed(step),
        action="append",
        default=[],
        help=f"a step of the run; may be repeated (default {' and '.join(map(str, STEPS))})",
    )


def step(text: str) -> int:
    """A step of the run."""
    return step_of(TWO_LAYER, whole("step", least=0)(text))


def run(args: argparse.Namespace) -> int:
    """Print the table; always 0."""
    for line in tables(accuracy_table(args.step or STEPS)):
        print(line)
    return 0
