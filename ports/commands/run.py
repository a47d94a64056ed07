"""`lockstep run`: print what the note prints, from any framework."""

import argparse
from collections.abc import Mapping

import numpy as np

from ports.commands.arguments import add_cell, add_models, add_port, add_run
from ports.contract import Host, Port, Tensor
from ports.engine.lockstep import prepare
from ports.engine.results import Cell
from ports.engine.selection import models_of, one_cell
from ports.engine.training import train
from reference.models import Problem
from reference.runs import draw

DETAILS = """\
In the document's order: data, labels, first weights, first scores and probabilities, losses every
10 and every 1000 iterations, weights after the first update. Here a port trains by itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_port(parser, default="numpy")
    add_cell(parser, "the framework's")
    add_models(parser)
    add_run(parser, points=5)


def run(args: argparse.Namespace) -> int:
    """Print the run; 0."""
    models = args.model or models_of([args.port])
    cells = [one_cell(model, args.port, args.mode, args.device, args.dtype) for model in models]
    draws = draw(np.random.RandomState(args.seed), args.points)
    print(draws.X)
    print(draws.y)
    with args.port.host.exact_settings():
        for model, cell in zip(models, cells, strict=True):
            print_run(args.port, cell, draws.problem(model))
    return 0


def print_run(port: Port, cell: Cell, problem: Problem) -> None:
    """Print what the note prints of one model. Raises ValueError if the port cannot go on."""
    host, model = port.host, problem.model
    first = model.prints_tensors
    needed = ["scores", "probs", "loss"] if first else ["loss"]
    contestant = prepare(cell, port, problem, ())
    if first:
        print_tensors(host, {n: host.put(p, cell.device, cell.dtype) for n, p in problem.params.items()})
    for update in train(contestant, problem, model.iterations, needed):
        first_now = first and update.step == 0
        if first_now:
            print_tensors(host, {name: update.trace[name] for name in ("scores", "probs")})
        if update.step % model.print_every == 0:
            print_loss(update.step, host.get(update.trace["loss"]).item(), cell.dtype)
        if first_now:
            print_tensors(host, update.after)


def print_tensors(host: Host, tensors: Mapping[str, Tensor]) -> None:
    """Print tensors one after the other, as NumPy does."""
    for tensor in tensors.values():
        print(host.get(tensor))


def print_loss(step: int, loss: float, dtype: str) -> None:
    """Print a loss. Raises ValueError if it is not finite."""
    print(f"iteration {step}: loss {loss:f}")
    if not np.isfinite(loss):
        raise ValueError(f"iteration {step}: the loss is {loss}: the run has left {dtype}'s range")
