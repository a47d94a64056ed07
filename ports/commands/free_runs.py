"""The free runs that `lockstep drift` prints and `lockstep plot` draws."""

import argparse
from collections.abc import Sequence

import numpy as np

from ports.commands.arguments import add_cell, add_ports, add_run, typed, whole
from ports.engine.free_run import Drift, run_free
from ports.engine.lockstep import ITERATIONS_IN_16_BITS, iterations_within
from ports.engine.matrix import exact_settings_of
from ports.engine.selection import one_cell, ports_here, ports_of
from ports.registry import PORTS
from ports.report.progress import Progress
from reference.models import MODELS, Model
from reference.runs import draw


def add_free_runs(parser: argparse.ArgumentParser) -> None:
    """Declare the options that set up free runs."""
    add_ports(parser)
    add_cell(parser, "each framework's")
    iterations = " and ".join(f"{model.iterations:,}" for model in MODELS.values())
    in_16_bits = f"in 16 bits {ITERATIONS_IN_16_BITS}"
    parser.add_argument(
        "--steps",
        type=typed(whole("steps")),
        help=f"how many updates at most (default: the document's {iterations}, {in_16_bits})",
    )
    add_run(parser)


def free_runs(args: argparse.Namespace, models: Sequence[Model]) -> dict[str, list[Drift]]:
    """The free runs that the options ask for, by the name of the model."""
    draws = draw(np.random.RandomState(args.seed), args.points)
    followed = {model.name: iterations_within(args.dtype, model.iterations) for model in models}
    steps = {m.name: min(m.iterations, args.steps or followed[m.name]) for m in models}
    cells = {
        model.name: [
            (one_cell(model, port, args.mode, args.device, args.dtype), port)
            for port in args.port or ports_of(model, args.device, args.dtype)
        ]
        for model in models
    }
    with (
        exact_settings_of(args.port or ports_here()),
        Progress("free run", sum(steps.values())) as progress,
    ):
        return {
            model.name: run_free(
                draws.problem(model),
                cells[model.name],
                steps[model.name],
                progress=lambda step: progress.advance(),
            )
            for model in models
        }


def print_skipped(args: argparse.Namespace) -> None:
    """Say which registered ports are not here, or lack the dtype, unless ports were chosen."""
    for port in PORTS.values() if not args.port else ():
        absence = port.absence()
        if absence:
            print(f"skipped: {absence}")
        elif args.dtype not in port.host.dtypes(args.device):
            print(f"skipped: {port.name}: {args.device} has no {args.dtype}")
