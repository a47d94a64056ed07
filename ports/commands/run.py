"""`lockstep run`: the document's own printout, from any framework."""

import argparse
from typing import TYPE_CHECKING, Any

from ports.commands.compare import add_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ports.contract import Port, Step
    from ports.engine.results import Cell
    from reference.models import Problem

HELP = """train like the document, in any framework, and print what the document prints

In its order: data, labels, first weights, first scores and probabilities, losses every 10 and
every 1000 iterations, weights after the first update. Here a port trains by itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--port", default="numpy", help="a port's name, or a path to a .py file")
    parser.add_argument("--mode", help="eager or compiled (default: the framework's natural mode)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default cpu)")
    parser.add_argument("--dtype", default="float64", help="float64 or float32 (default float64)")
    parser.add_argument(
        "--model", action="append", default=[], help="softmax or two_layer (default both)"
    )
    add_run(parser, points="5")


def run(args: argparse.Namespace) -> int:
    """Print the run; 0."""
    import numpy as np

    from ports.engine.selection import named, one_cell, positive, seed_number
    from reference.models import MODELS
    from reference.runs import draw

    models = [MODELS[named("model", name, tuple(MODELS))] for name in args.model or MODELS]
    cells = [one_cell(model, args.port, args.mode, args.device, args.dtype) for model in models]
    draws = draw(np.random.RandomState(seed_number(args.seed)), positive("points", args.points))
    print(draws.X)
    print(draws.y)
    for port, cell in cells:
        with port.host.exact_settings():
            _train(port, cell, draws.problem(MODELS[cell.model]))
    return 0


def _train(port: "Port", cell: "Cell", problem: "Problem") -> None:
    """Print what the document prints of one model. Raises ValueError where the port cannot go on."""
    import numpy as np

    from ports.contract import prepared_step

    host, model = port.host, problem.model
    step = prepared_step(port, model, cell.mode)
    X, y = host.put(problem.X, cell.device, cell.dtype), host.put_labels(problem.y, cell.device)
    params = {name: host.put(value, cell.device, cell.dtype) for name, value in problem.params.items()}
    first = model.prints_tensors
    needed = [*(["scores", "probs"] if first else []), "loss", *(f"{n}_next" for n in model.parameters)]
    if first:
        for name in model.parameters:
            print(host.get(params[name]))
    for i in range(model.iterations):
        trace = _made(step, (params, X, y, problem.reg, problem.step_size), needed, f"{cell}: step {i}")
        params = model.next_params(trace)
        if i == 0 and first:
            print(host.get(trace["scores"]))
            print(host.get(trace["probs"]))
        if i % model.print_every == 0:
            loss = host.get(trace["loss"]).item()
            print(f"iteration {i}: loss {loss:f}")
            if not np.isfinite(loss):
                raise ValueError(
                    f"iteration {i}: the loss is {loss}: the run has left {cell.dtype}'s range"
                )
        if i == 0 and first:
            for name in model.parameters:
                print(host.get(params[name]))


def _made(step: "Step", inputs: tuple[Any, ...], needed: list[str], at: str) -> "Mapping[str, Any]":
    """What a step makes of its inputs. Raises ValueError where it raises, or lacks what is needed."""
    from ports.returned import named_tensors, what_went_wrong

    try:
        trace = named_tensors(step(*inputs), "its step")
    except (Exception, SystemExit) as error:
        raise ValueError(f"{at}: {what_went_wrong(error)}") from error
    missing = [name for name in needed if name not in trace]
    if missing:
        raise ValueError(f"{at}: {', '.join(missing)} missing from the port's trace")
    return trace
