"""`lockstep plot`: pictures of the data, the decision boundaries, the losses and the drift."""

import argparse
from typing import TYPE_CHECKING

from ports.commands.drift import add_free_runs, free_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reference.runs import Draws

HELP = """draw the data, the decision boundaries, the loss curves and the drift

Writes PNG and SVG. Losses and drift come from free runs: every port trains by itself."""

PICTURES = ("data", "boundaries", "losses", "drift")
FORMATS = ("png", "svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "what", nargs="*", metavar="what", help=f"{', '.join(PICTURES)} (default: all of them)"
    )
    parser.add_argument("--output", default="plots", metavar="DIR", help="where to (default plots)")
    parser.add_argument(
        "--format", action="append", default=[], help="png, svg or png,svg (default both)"
    )
    add_free_runs(parser)


def run(args: argparse.Namespace) -> int:
    """Draw, write, and print the names of the files; 0."""
    from ports.engine.selection import named, positive, seed_number
    from ports.report import plots

    what = [named("picture", word, PICTURES) for word in args.what or PICTURES]
    words = [word for text in args.format or FORMATS for word in text.split(",")]
    formats = [named("format", word, FORMATS) for word in words]
    positive("points", args.points)
    seed_number(args.seed)
    plots.require_matplotlib()
    plots.refuse_unwritable(args.output)
    for path in plots.save(draw_all(args, what), args.output, formats):
        print(path)
    return 0


def draw_all(args: argparse.Namespace, what: list[str]) -> "dict[str, Figure]":
    """The pictures by the name of their file."""
    import numpy as np

    from ports.report import plots
    from reference.models import MODELS
    from reference.runs import draw

    draws = draw(np.random.RandomState(int(args.seed)), int(args.points))
    figures: dict[str, Figure] = {}
    if "data" in what:
        figures["data"] = plots.data(draws.X, draws.y)
    if "boundaries" in what:
        figures["boundaries"] = plots.boundaries(draws.X, draws.y, trained(draws))
    if {"losses", "drift"} & {*what}:
        drifts, absences = free_runs(args, list(MODELS))
        for absence in absences:
            print(f"skipped: {absence}")
        if "losses" in what:
            figures["losses"] = plots.losses(drifts)
        if "drift" in what:
            figures |= {f"drift_{model}": plots.drift(runs) for model, runs in drifts.items()}
    return figures


def trained(draws: "Draws") -> dict[str, dict[str, object]]:
    """The reference's parameters after the document's runs, by model."""
    from reference.models import MODELS
    from reference.runs import trajectory

    ends = {}
    for name, model in MODELS.items():
        for _, _, trace in trajectory(draws.problem(model), model.iterations):
            last = trace
        ends[name] = model.next_params(last)
    return ends
