"""`lockstep plot`: pictures of the data, the boundaries, the losses, the drift and the limits."""

import argparse
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from ports.commands.arguments import typed, word
from ports.commands.free_runs import add_free_runs, free_runs, print_skipped
from ports.engine.boundaries import decision_maps
from ports.engine.selection import models_of
from ports.messages import either
from ports.report import limits, plots
from reference.runs import draw

if TYPE_CHECKING:  # matplotlib may not be installed
    from matplotlib.figure import Figure

DETAILS = """\
Writes PNG and SVG. Losses and drift come from free runs: every port trains by itself.
Limits show how far bounds are from errors, in any network (docs/limits.md)."""

#: Of the note's runs, and of bounds in general.
RUNS = ("data", "boundaries", "losses", "drift")
PICTURES = (*RUNS, "limits")
FORMATS = ("png", "svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "what",
        nargs="*",
        type=typed(word("picture", PICTURES)),
        metavar="what",
        help=f"{', '.join(PICTURES)} (default: all but limits)",
    )
    parser.add_argument("--output", default="plots", metavar="DIR", help="where to (default plots)")
    parser.add_argument(
        "--format",
        type=typed(formats),
        action="extend",
        default=[],
        help=f"{either([*FORMATS, ','.join(FORMATS)])} (default both)",
    )
    add_free_runs(parser)


def formats(text: str) -> list[str]:
    """Formats, with commas between them."""
    return [word("format", FORMATS)(name) for name in text.split(",")]


def run(args: argparse.Namespace) -> int:
    """Draw, write, and print the names of the files; 0."""
    plots.require_matplotlib()
    plots.refuse_unwritable(args.output)
    figures = draw_all(args, args.what or RUNS)
    for path in plots.save(figures, args.output, args.format or FORMATS):
        print(path)
    return 0


def draw_all(args: argparse.Namespace, what: Collection[str]) -> "dict[str, Figure]":
    """The pictures by the name of their file."""
    draws = draw(np.random.RandomState(args.seed), args.points)
    figures: dict[str, Figure] = {}
    if "data" in what:
        figures["data"] = plots.data(draws.X, draws.y)
    if "boundaries" in what:
        figures["boundaries"] = plots.boundaries(draws.X, draws.y, decision_maps(draws))
    if "limits" in what:
        figures["limits"] = limits.limits()
    if {"losses", "drift"} & {*what}:
        drifts = free_runs(args, models_of(args.port))
        print_skipped(args)
        if "losses" in what:
            figures["losses"] = plots.losses(drifts)
        if "drift" in what:
            figures |= {f"drift_{model}": plots.drift(runs) for model, runs in drifts.items()}
    return figures
