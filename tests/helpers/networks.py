"""The networks of docs/examples, each a folder with a reference and its ports: loaded, run, compared.

A patched source is loaded as a right one is: errors are planted by `replaced`.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ports.contract import Host, in_mode
from ports.registry import FRAMEWORKS
from reference.agreement.arithmetic import FLOAT64
from reference.agreement.rounded import Rounded

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

Values = Mapping[str, Any]
Run = Callable[[Values, Values], Values]


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


def drawn(reference: ModuleType) -> tuple[dict[str, Any], dict[str, Any]]:
    """First parameters and a batch, always the same."""
    rng = np.random.RandomState(0)
    return reference.init(rng), reference.batch(rng)


def recorded(reference: ModuleType, params: Values, batch: Values) -> dict[str, Any]:
    """What a reference taps in one step, in its order. Nothing may be tapped twice."""
    trace: dict[str, Any] = {}

    def tap(name: str, value: Any) -> Any:
        assert name not in trace, f"{name} is tapped twice"
        trace[name] = value
        return value

    reference.step(params, batch, tap)
    return trace


def rounding(reference: ModuleType, params: Values, batch: Values) -> dict[str, Any]:
    """How far rounding in float64 may move each quantity of one step, elementwise."""
    carrying = ({name: _carrying(value) for name, value in given.items()} for given in (params, batch))
    return {name: value.errors() for name, value in recorded(reference, *carrying).items()}


def _carrying(value: Any) -> Any:
    return Rounded.exact(value, FLOAT64) if is_float(value) else value


def recomputed(reference: ModuleType, params: Values, batch: Values, port: Values) -> dict[str, Any]:
    """Each quantity of one step, from the port's own quantities before it."""
    values: dict[str, Any] = {}

    def tap(name: str, value: Any) -> Any:
        values[name] = value
        return port.get(name, value)

    reference.step(params, batch, tap)
    return values


def updated(params: Values, trace: Values) -> dict[str, Any]:
    """The parameters after the step, as arrays: NumPy makes a number of the sum of a scalar array."""
    return {name: np.asarray(trace[f"{name}_next"]) for name in params}


def runner(port: ModuleType) -> Run:
    """A port's step from plain arrays to plain arrays, in its framework's natural mode."""
    host = FRAMEWORKS[port.framework].host
    step = in_mode(host.natural_mode, port.step, host)

    def run(params: Values, batch: Values) -> dict[str, Any]:
        with host.exact_settings():
            made = step(_put(host, params), _put(host, batch))
            return {name: host.get(tensor) for name, tensor in made.items()}

    return run


def _put(host: Host, values: Values) -> dict[str, Any]:
    return {name: _tensor(host, value) for name, value in values.items()}


def _tensor(host: Host, value: Any) -> Any:
    """Floats and indices as tensors; a number stays a number."""
    if not isinstance(value, np.ndarray):
        return value
    return host.put(value, "cpu", "float64") if is_float(value) else host.put_labels(value, "cpu")


def is_float(value: Any) -> bool:
    """Whether it is an array of floats, and not of indices, and no number."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def agrees(got: Any, expected: Any) -> bool:
    """Whether shapes are the same, and values to half the digits of the largest. A NaN never agrees."""
    if np.shape(got) != np.shape(expected):
        return False
    allowed = math.sqrt(np.finfo(np.float64).eps) * np.max(np.abs(expected))
    return bool((np.abs(got - expected) <= allowed).all())


def wrong(got: Values, expected: Values) -> list[str]:
    """The quantities of both that do not agree, in the reference's order."""
    return [name for name in expected if name in got and not agrees(got[name], expected[name])]
