"""`lockstep bounds`: how accurate each quantity is certified to be."""

import argparse

HELP = """print the derived bounds of each quantity, local and end to end, mid-training

Norm-wise: the largest allowed error over the largest value, on the document's 300-point run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--step", action="append", default=[], help="a step of the run; may be repeated (1000 and 5000)"
    )


def run(args: argparse.Namespace) -> int:
    """Print the table; always 0."""
    from ports.engine.accuracy import accuracy_table
    from ports.engine.selection import step_of_run
    from ports.report.accuracy import print_accuracy
    from reference.models import TWO_LAYER

    steps = [step_of_run(text, TWO_LAYER) for text in args.step] or [1000, 5000]
    print_accuracy(accuracy_table(steps))
    return 0
