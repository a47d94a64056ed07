"""The networks of docs/examples, each a folder with a reference and its ports: loaded, run, judged.

A patched source is loaded as a right one is: errors are planted by `replaced`.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np

from ports.contract import in_mode
from ports.engine.lockstep import put_batch
from ports.registry import FRAMEWORKS
from reference.agreement.judge import Finding, certify
from reference.models import Problem
from reference.own import own_model
from reference.trace import record

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NETWORKS = (
    "dropout",
    "svm_hinge",
    "batch_norm",
    "layer_norm_gelu",
    "attention",
    "convolution",
    "rnn",
    "adam",
    "adamw",
    "vae",
)
PORTS = {"in_torch": "torch", "in_jax": "jax"}


def source(network: str, file: str) -> str:
    """The text of a network's file, such as "reference" or "in_torch"."""
    return (EXAMPLES / network / f"{file}.py").read_text()


def replaced(text: str, old: str, new: str) -> str:
    """The text with a piece replaced, which must stand in it once."""
    assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
    return text.replace(old, new)


def loaded(network: str, file: str, text: str | None = None) -> ModuleType:
    """The module of a network's file, or of a changed text of it."""
    module = ModuleType(f"{network}.{file}")
    exec(compile(text or source(network, file), f"{network}/{file}.py", "exec"), vars(module))
    return module


def start(network: str) -> Problem:
    """What the network's run starts from, always the same: its model is made of its reference."""
    reference = loaded(network, "reference")
    title, routes = reference.__doc__ or "", getattr(reference, "routes", None)
    model = own_model(network, title, reference.init, reference.batch, reference.step, routes)
    return model.start(np.random.RandomState(0))


def judged(network: str, port: ModuleType, steps: int) -> Iterator[list[Finding]]:
    """The findings on a port, step by step from the reference's parameters, in float64 on the CPU."""
    host, problem = FRAMEWORKS[port.framework].host, start(network)
    step = in_mode(host.natural_mode, port.step, host)
    where, hidden = ("cpu", "float64"), getattr(port, "hidden_quantities", {})
    with host.exact_settings():
        for _ in range(steps):
            params = {name: host.put(value, *where) for name, value in problem.params.items()}
            made = step(params, put_batch(host, problem, *where))
            trace = {name: host.get(tensor) for name, tensor in made.items()}
            yield certify(problem, trace, host.arithmetic(*where), hidden=hidden)
            problem = problem.starting_from(problem.model.next_params(record(problem)))
