"""`lockstep record`: write down what a port computes, to be judged elsewhere."""

import argparse

from ports.commands.arguments import add_cell, add_port, add_precision
from ports.commands.inputs import add_written_run, chosen_run
from ports.engine.selection import one_cell
from ports.recordings.record import record_port
from ports.report.progress import Progress
from ports.report.recordings import written

DETAILS = """\
The port runs in lockstep, as in compare, and nothing is judged: lockstep certify does that, on any
machine, with neither the framework nor the device. The file holds numbers and texts alone."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_port(parser, required=True)
    add_cell(parser, "its framework's")
    add_precision(parser)
    add_written_run(parser)


def run(args: argparse.Namespace) -> int:
    """Write the recording; 0, or 2 if the run ended early."""
    cell = one_cell(args.model, args.port, args.mode, args.device, args.dtype)
    run = chosen_run(args, args.port.narrowest(args.dtype))
    with Progress("record", len(run.steps)) as progress:
        found = record_port(args.out, run, cell, args.port, progress.advance, args.precision)
    print(written(cell, args.out, found))
    return 2 if found.error else 0
