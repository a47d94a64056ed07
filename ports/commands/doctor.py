"""`lockstep doctor`: what is here, and what to do about what is not."""

import argparse

from ports.engine.inventory import inventory
from ports.report.doctor import lines

DETAILS = """\
For everything that is absent, it says what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(args: argparse.Namespace) -> int:
    """Print the facts; always 0."""
    for line in lines(inventory()):
        print(line)
    return 0
