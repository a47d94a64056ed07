"""`lockstep show`: one quantity of one step, side by side."""

import argparse

import numpy as np

from ports.commands.arguments import (
    add_cell,
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
from ports.engine.selection import one_cell, ports_of
from ports.engine.side_by_side import side_by_side
from ports.messages import either
from ports.report import side_by_side as report
from reference.models import MODELS
from reference.runs import draw

DETAILS = """\
Elements that use most of their bound come first. Every port starts from the reference's weights."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("quantity", help="a quantity's name, for example dhidden")
    parser.add_argument(
        "--model",
        type=typed(model),
        default=default_model(),
        help=f"{either(MODELS)} (default {default_model().name})",
    )
    parser.add_argument(
        "--step",
        type=typed(whole("step", least=0)),
        default=0,
        help="which step of the run (default 0)",
    )
    add_ports(parser)
    add_reference(parser)
    add_cell(parser, "each framework's")
    add_precision(parser)
    parser.add_argument(
        "--most",
        type=typed(whole("most")),
        default=10,
        help="how many elements to print (default 10)",
    )
    add_run(parser, points=5)


def run(args: argparse.Namespace) -> int:
    """Print the table; 0 if all ports agree, else 1."""
    quantity = word(f"quantity of {args.model.name}", args.model.quantities)(args.quantity)
    step = step_of(args.model, args.step)
    problem = draw(np.random.RandomState(args.seed), args.points).problem(args.model)
    ports = args.port or ports_of(args.model, args.device, args.dtype)
    cells = [(one_cell(args.model, port, args.mode, args.device, args.dtype), port) for port in ports]
    found = side_by_side(problem, cells, quantity, step, args.precision)
    for line in report.lines(found, args.most):
        print(line)
    return 0 if found.agrees else 1
