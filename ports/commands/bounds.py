"""`lockstep bounds`: how accurate each quantity is certified to be."""

import argparse

import numpy as np

from ports.commands.arguments import (
    SEVERAL,
    add_json,
    add_ports,
    add_precision,
    add_reference,
    add_run,
    default_model,
    model,
    step_of,
    typed,
    whole,
    word,
)
from ports.engine.accuracy import accuracy_table
from ports.engine.matrix import exact_settings_of
from ports.engine.provenance import provenance
from ports.engine.selection import natural_cells
from ports.messages import either
from ports.report import as_json
from ports.report.bounds import tables
from reference.agreement.arithmetic import DTYPES
from reference.models import MODELS
from reference.runs import draw

DETAILS = """\
How tight the bounds are, mid-training, on the CPU: the largest allowed error beside the largest error
that a port makes, and beside what rounding probably does. It judges nothing: the exit status is 0."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--model",
        type=typed(model),
        default=default_model(),
        help=f"{either(MODELS)} (default {default_model().name})",
    )
    parser.add_argument(
        "--step",
        type=typed(whole("step", least=0)),
        help="a step of the run; may be repeated (default: a tenth of the run and half of it, as far as "
        "the dtype can follow it)",
        **SEVERAL,
    )
    parser.add_argument(
        "--dtype",
        type=typed(word("dtype", DTYPES)),
        help=f"{either(DTYPES)}; may be repeated (default: all)",
        **SEVERAL,
    )
    add_ports(parser)
    add_reference(parser)
    add_precision(parser)
    add_run(parser)
    add_json(parser, "figures")


def run(args: argparse.Namespace) -> int:
    """Print the tables; always 0."""
    steps = [step_of(args.model, i) for i in args.step]
    cells = natural_cells(args.model, args.port, args.dtype)
    problem = draw(np.random.RandomState(args.seed), args.points).problem(args.model)
    ports = list({port.name: port for _, port in cells}.values())
    with exact_settings_of(ports, args.precision):
        table, facts = list(accuracy_table(problem, cells, steps)), provenance(ports)
    if args.json:  # first: printing fails if nobody reads it
        run = {"model": args.model.name, "points": args.points, "seed": args.seed}
        as_json.write(args.json, as_json.of_bounds(run | {"precision": args.precision}, table, facts))
    for line in tables(table):
        print(line)
    return 0
