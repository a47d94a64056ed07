"""`lockstep drift`: free runs, every step against the noise floor."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ports.commands.compare import add_run

if TYPE_CHECKING:
    from ports.contract import Port
    from ports.engine.free_run import Drift
    from ports.engine.noise_floor import NoiseFloor
    from ports.engine.results import Cell
    from reference.runs import Draws

HELP = """let every port train by itself and hold its drift against the noise floor

The floor is the reference run again in the ports' dtype, with the examples in another order and
with the first weights one ulp away. A port may stray as many times as far as one certified step
may stray from one observed step. Names the first ReLU that flips."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--model", action="append", default=[], help="softmax or two_layer (default both)"
    )
    add_free_runs(parser)


def add_free_runs(parser: argparse.ArgumentParser) -> None:
    """Declare the options that set up free runs."""
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        help="a port's name, or a path to a .py file; may be repeated (default: all here)",
    )
    parser.add_argument("--mode", help="eager or compiled (default: each framework's natural mode)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default cpu)")
    parser.add_argument("--dtype", default="float64", help="float64 or float32 (default float64)")
    parser.add_argument("--steps", help="how many updates (default: the document's 200 and 10,000)")
    add_run(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tables; 0 if every port agrees, 1 if not."""
    from ports.engine.selection import named
    from reference.models import MODELS

    models = [named("model", name, tuple(MODELS)) for name in args.model or MODELS]
    drifts, absences = free_runs(args, models)
    for model in models:
        print("\n".join(table(drifts[model], int(args.points))), end="\n\n")
    for absence in absences:
        print(f"skipped: {absence}")
    return 0 if all(drift.agrees for model in models for drift in drifts[model]) else 1


def free_runs(
    args: argparse.Namespace, models: Sequence[str]
) -> "tuple[dict[str, list[Drift]], list[str]]":
    """The free runs that the options ask for, by model, and why ports are left out."""
    import numpy as np

    from ports.engine.selection import one_cell, positive, seed_number
    from ports.registry import PORTS
    from ports.report.progress import Progress
    from reference.models import MODELS
    from reference.runs import draw

    draws = draw(np.random.RandomState(seed_number(args.seed)), positive("points", args.points))
    longest = (
        positive("steps", args.steps)
        if args.steps
        else max(model.iterations for model in MODELS.values())
    )
    steps = {model: min(MODELS[model].iterations, longest) for model in models}
    names = args.port or [name for name, port in PORTS.items() if not port.absence()]
    cells = {
        model: [one_cell(MODELS[model], name, args.mode, args.device, args.dtype) for name in names]
        for model in models
    }
    progress = Progress("free run", sum(steps.values()))
    try:
        drifts = train(cells, draws, steps, lambda step: progress.advance())
    finally:
        progress.close()
    absences = [] if args.port else [port.absence() for port in PORTS.values()]
    return drifts, [absence for absence in absences if absence]


def train(
    cells: "dict[str, list[tuple[Port, Cell]]]",
    draws: "Draws",
    steps: dict[str, int],
    progress: Callable[[int], None] = lambda step: None,
) -> "dict[str, list[Drift]]":
    """Free runs of each model, under every host's exact settings."""
    from ports.engine.free_run import run_free
    from ports.engine.matrix import exact_settings_of
    from reference.models import MODELS

    with exact_settings_of([port for pairs in cells.values() for port, _ in pairs]):
        return {
            model: run_free(
                draws.problem(MODELS[model]),
                [(cell, port) for port, cell in pairs],
                steps[model],
                progress=progress,
            )
            for model, pairs in cells.items()
        }


def table(drifts: "Sequence[Drift]", points: int) -> Iterable[str]:
    """One model's free runs as lines: distances after 1, 10, 100, ... updates, verdicts, flips."""
    cell, floor, steps = drifts[0].cell, drifts[0].floor, len(drifts[0].distances)
    decades = [10**k for k in range(len(str(steps))) if 10**k <= steps]
    columns = decades + ([steps] if steps not in decades else [])

    def line(name: str, cells: Iterable[str], *rest: str) -> str:
        return "".join([f"{name:<16}", *(f"{text:>9}" for text in cells), *rest]).rstrip()

    def numbers(curve: object, form: str = ".1e") -> list[str]:
        values = [float(curve[n - 1]) for n in columns]  # type: ignore[index]
        return ["0" if value == 0 else f"{value:{form}}" for value in values]

    yield f"{cell.model}, {cell.dtype}, {3 * points} points: distance from the reference"
    yield line("after updates", map(str, columns), "    most of allowed")
    yield line("noise floor", numbers(floor.distances))
    headrooms = {tuple(drift.headroom): drift for drift in drifts}
    for drift in headrooms.values():
        yield line("headroom", numbers(drift.headroom, ".0f"))
        yield line("allowed", numbers(drift.allowed))
    for drift in drifts:
        yield line(drift.cell.port, numbers(drift.distances), f"{drift.share:>10.2g}", verdict(drift))
    yield from flips(drifts, floor)
    yield told_apart(drifts)


def verdict(drift: "Drift") -> str:
    """What became of one port, in words."""
    if drift.agrees:
        return "         agrees"
    if drift.error:
        return f"         FAILS: {drift.error}"
    if drift.first_excess is None:
        return "         FAILS: no step can be told from noise"
    flip = drift.first_flip
    flipped = flip and flip.step < drift.first_excess
    after = f", after its first ReLU flip at step {flip.step}" if flip and flipped else ""
    return f"         FAILS at step {drift.first_excess}{after}"


def flips(drifts: "Sequence[Drift]", floor: "NoiseFloor") -> Iterable[str]:
    """The first ReLU flip of each port, and of the floor."""
    if any(drift.first_flip for drift in drifts):
        yield "first ReLU flip"
    for drift in drifts:
        flip = drift.first_flip
        if flip:
            more = f" (and {flip.count - 1} more)" if flip.count > 1 else ""
            yield (
                f"{drift.cell.port:<16} step {flip.step}, unit {flip.unit}, example {flip.example}: "
                f"pre-activation {flip.reference:.2g} in the reference, {flip.port:.2g} here{more}"
            )
    if floor.first_flip is not None:
        yield f"{'noise floor':<16} step {floor.first_flip}"


def told_apart(drifts: "Sequence[Drift]") -> str:
    """Up to where the comparison means something."""
    horizon, steps = min(drift.horizon for drift in drifts), len(drifts[0].distances)
    if horizon == steps:
        return f"A bug could be told from noise at every one of the {steps} steps."
    return (
        f"A bug could be told from noise for {horizon} of the {steps} steps; "
        "after that anything finite passes."
    )
