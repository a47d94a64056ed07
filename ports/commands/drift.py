"""`lockstep drift`: free runs, every step against the noise floor."""

import argparse

from ports.commands.arguments import add_models, add_reference
from ports.commands.free_runs import add_free_runs, free_runs, print_skipped
from ports.engine.selection import models_of
from ports.report.drift import table

DETAILS = """\
The floor is the reference run again in the ports' dtype, with the examples in another order and
with the first weights one ulp away. A port may stray farther by a derived factor: the certified
bound of one step over the floor's observed error in one step. The first ReLU that flips is named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_models(parser)
    add_reference(parser)
    add_free_runs(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tables; 0 if every port agrees, 1 if not."""
    drifts = free_runs(args, args.model or models_of(args.port))
    for of_model in drifts.values():
        print("\n".join(table(of_model, args.points)), end="\n\n")
    print_skipped(args)
    return 0 if all(drift.agrees for of_model in drifts.values() for drift in of_model) else 1
