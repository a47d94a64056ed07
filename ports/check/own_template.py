"""The files that `lockstep check` writes for a network of one's own: a reference, and a port of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ports.check.template import write_new
from ports.contract import Framework
from reference.own import OwnModel

#: A network that runs, to be changed into one's own.
REFERENCE = '''\
"""My network: a linear layer and a squared error.

lockstep check --reference {file} --self-test       tries it: which errors would a run miss?
lockstep check --reference {file} my_port.py        judges a port of it at every step

A port is a file with step(params, batch) -> {{quantity: tensor}}, and framework = "torch" or "jax".
"""

import numpy as np

iterations = 100  # how many steps its run has


def init(rng):
    """The parameters, and all other state that a step changes (momentum, running statistics)."""
    return {{"W": rng.standard_normal((4, 3)), "b": np.zeros((1, 3))}}


def batch(rng):
    """The other inputs: arrays of floats, arrays of integers (labels), numbers; masks as floats."""
    X, target = rng.standard_normal((10, 4)), rng.standard_normal((10, 3))
    return {{"X": X, "target": target, "step_size": 0.1}}


def step(params, batch, tap):
    """One step. Each quantity that a port shows passes through the tap, which returns it."""
    W, b = params["W"], params["b"]
    X, target, step_size = batch["X"], batch["target"], batch["step_size"]

    out = tap("out", X @ W + b)  # (N, K)
    apart = tap("apart", out - target)  # (N, K)
    tap("loss", 0.5 * np.sum(apart * apart) / X.shape[0])

    dout = tap("dout", apart / X.shape[0])  # (N, K)
    dW = tap("dW", X.T @ dout)  # (D, K)
    db = tap("db", np.sum(dout, axis=0, keepdims=True))  # (1, K)

    return {{"W": tap("W_next", W - step_size * dW), "b": tap("b_next", b - step_size * db)}}
'''

_PORT = '''\
"""{model}: my port to {to}.

    lockstep check --reference {reference} {file}             judges it at every step
    lockstep check --reference {reference} --partial {file}   accepts it as far as it goes

{given}
"""

{imports}

framework = "{framework}"


def step(params, batch):
    """One step: the quantities by name."""
{inputs}

    return {{
{quantities}
    }}

# What your library does not show may be left out, if you say why:
# hidden_quantities = {{"{last}": "the optimizer updates it inside"}}
'''


def write_reference(path: Path) -> None:
    """Write a reference that runs to a new file. Raises as `write_new` does."""
    write_new(path, REFERENCE.format(file=path.name))


def write_port(path: Path, model: OwnModel, framework: Framework) -> None:
    """Write the frame of a port to a new file. Raises as `write_new` does."""
    write_new(path, port(path.name, model, framework))


def port(file: str, model: OwnModel, framework: Framework) -> str:
    """The text of a port that names every quantity, and computes none yet."""
    start, fields = model.start(np.random.RandomState(0)), framework.template
    inputs = [*_taken("params", start.params), *_taken("batch", start.batch)]
    shapes = start.shapes.items()
    return _PORT.format(
        file=file,
        reference=Path(model.file).name,
        model=model.title,
        framework=framework.name,
        to=fields.to,
        given=f"params and batch hold {framework.tensors}; numbers are numbers.",
        imports=fields.imports,
        inputs="\n".join(inputs),
        quantities="\n".join(f'        # "{name}": ...,  # {shape}' for name, shape in shapes),
        last=list(model.quantities)[-1],
    )


def _taken(argument: str, values: Mapping[str, Any]) -> Iterator[str]:
    """The lines that give the inputs their names, each with its shape."""
    for name, value in values.items():
        shape = f"  # {value.shape}" if isinstance(value, np.ndarray) else ""
        yield f'    {name} = {argument}["{name}"]{shape}'
