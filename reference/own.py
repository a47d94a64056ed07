"""A network of one's own: a reference that somebody else wrote, made into a model.

A reference is a file (or any object) with

    init(rng) -> {name: array of floats}       the parameters, and what else a step changes
    batch(rng) -> {name: array or number}      the other inputs: points, labels, masks, the step size
    step(params, batch, tap) -> the parameters after the step

and optionally `routes` and `iterations`. Every quantity that a port shows passes through the tap, which
returns it: `h = tap("h", np.maximum(0, x @ W + b))`. The parameters after the step are tapped as
`W_next`. State across steps (momentum, Adam's moments, running statistics) is a parameter like others.

A route is another legitimate way to compute a quantity, as a function of the inputs and of the
quantities before it, by name: `routes = {"probs": [shifted_softmax]}`, where `shifted_softmax(q)` uses
q["scores"].
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from reference.agreement.arithmetic import FLOAT64, Unbounded
from reference.agreement.bounds import end_to_end_of_all, stacked
from reference.agreement.rounded import Rounded
from reference.agreement.routes import Quantities, Route, hull
from reference.arrays import Array, Batch, Params, Plain, Rng, Tap
from reference.models import Model, Parameter, Problem

#: How many steps a reference is run for where it does not say so.
ITERATIONS = 100


class ReferenceError(ValueError):
    """A reference does not keep to the contract; the message says what to change."""


@dataclass(frozen=True, eq=False)
class OwnModel(Model):
    """A network from a reference of one's own.

    Attributes:
        batch: batch(rng) draws the inputs beside the parameters.
        shapes: the shape of each quantity; no letters stand for its sizes.
        file: the path of the file that it is from, or an empty string.
    """

    source = "reference"

    batch: Callable[[Rng], Mapping[str, Any]] = field(kw_only=True)
    shapes: Mapping[str, tuple[int, ...]] = field(kw_only=True)
    file: str = field(default="", kw_only=True)

    @property
    def step_name(self) -> str:
        """The name of a port's step."""
        return "step"

    def start(self, rng: Rng) -> Problem:
        """Draw what its run starts from."""
        return Problem(self, *drawn(self.init, self.batch, rng))

    def arguments(self, params: Mapping[str, Any], batch: Mapping[str, Any]) -> tuple[Any, ...]:
        """A step is called with (params, batch)."""
        return params, batch

    def sizes_of(self, problem: Problem) -> dict[str, int]:
        """No letter stands for a size."""
        return {}

    def shapes_of(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """The shape of each quantity, the same in each step."""
        return dict(self.shapes)

    def labels_of(self, batch: Batch) -> Plain | None:
        """None: its batch may have labels, but not under a name that is known."""
        return None


def own_model(
    name: str,
    title: str,
    init: Callable[[Rng], Mapping[str, Any]],
    batch: Callable[[Rng], Mapping[str, Any]],
    step: Callable[[Params, Mapping[str, Any], Tap], Mapping[str, Array]],
    routes: Mapping[str, Sequence[Callable[..., Any]]] | None = None,
    iterations: int = ITERATIONS,
) -> OwnModel:
    """Make a model of a reference, once it has been run on plain arrays and on `Rounded` ones.

    Raises ReferenceError, in one sentence, if the reference does not keep to the contract. Where a line
    is at fault, it is raised from that line. What the reference itself raises passes through.
    """
    params, inputs = drawn(init, batch, np.random.RandomState(0))
    tapped = recorded(step, params, inputs)
    after = {name: tapped[f"{name}_next"] for name in params}
    recorded(step, params, inputs, like=tapped)
    recorded(step, after, inputs, shaped=tapped)
    model = OwnModel(
        name=name,
        title=title,
        init=lambda rng: drawn(init, batch, rng)[0],
        step=cast(Callable[..., dict[str, Array]], step),
        parameters={name: Parameter("", layer, "") for layer, name in enumerate(params)},
        quantities=dict.fromkeys(tapped, ""),
        sizes={},
        routes=checked_routes(routes or {}, tapped),
        iterations=iterations,
        batch=batch,
        shapes={name: value.shape for name, value in tapped.items()},
    )
    require_same_numbers(Problem(model, params, inputs), tapped)
    return model


# What it draws


def drawn(
    init: Callable[[Rng], Mapping[str, Any]], batch: Callable[[Rng], Mapping[str, Any]], rng: Rng
) -> tuple[dict[str, Plain], dict[str, Any]]:
    """Draw the parameters and the batch, each in the form that a `Problem` has."""
    params = checked("init", init(rng), parameter_of)
    inputs = checked("batch", batch(rng), input_of)
    twice = sorted(params.keys() & inputs.keys())
    if twice:
        raise ReferenceError(f"both init and batch return {', '.join(twice)}: give them different names")
    return params, inputs


def checked(function: str, made: Mapping[str, Any], form: Callable[[str, Any], Any]) -> dict[str, Any]:
    """What `init` or `batch` has returned, each value in its form. Raises ReferenceError."""
    if not isinstance(made, Mapping):
        raise ReferenceError(f"{function} returned {_kind(made)}, expected a dict from names to values")
    if function == "init" and not made:
        raise ReferenceError("init returned no parameter: a step has to have something to start from")
    for name in made:
        if not (isinstance(name, str) and name.isidentifier()):
            raise ReferenceError(f"{function} returned the name {name!r}, expected one like W or W1")
    return {name: form(f"{function} returned {name}", value) for name, value in made.items()}


def parameter_of(what: str, value: Any) -> Plain:
    """A parameter: an array of float64."""
    array = np.array(value)
    if array.dtype.kind != "f":
        raise ReferenceError(f"{what} as {_kind(value)}, expected an array of floats")
    return cast(Plain, _finite(what, array.astype(np.float64)))


def input_of(what: str, value: Any) -> Any:
    """An input of the batch: an array of float64 or of integers, or a number."""
    if isinstance(value, bool | np.bool_):
        raise ReferenceError(f"{what} as a truth value, expected a number or an array")
    if isinstance(value, int | float):
        return _finite(what, value)
    array = np.array(value)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "f":
        return _finite(what, array.astype(np.float64))
    raise ReferenceError(
        f"{what} as {_kind(value)}, expected a number or an array of floats or integers "
        "(write a mask as floats, 0.0 and 1.0)"
    )


def _finite(what: str, value: Any) -> Any:
    if not np.all(np.isfinite(value)):
        raise ReferenceError(f"{what} with NaN or infinity in it: draw finite numbers")
    return value


def _kind(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return f"an array of {dtype}" if dtype is not None and np.ndim(value) else type(value).__name__


# What it computes


def recorded(
    step: Callable[..., Mapping[str, Array]],
    params: Mapping[str, Plain],
    batch: Mapping[str, Any],
    like: Mapping[str, Plain] | None = None,
    shaped: Mapping[str, Plain] | None = None,
) -> dict[str, Plain]:
    """Run a reference's step on plain arrays; returns what passed through the tap, by name.

    `like` is what it tapped before from the same inputs, `shaped` what it tapped from others. Raises
    ReferenceError, from the line of the tap where there is one.
    """
    given = {**params, **{n: x for n, x in batch.items() if isinstance(x, np.ndarray)}}
    before = {name: array.copy() for name, array in given.items()}
    seen, copies = dict[str, Any](), dict[str, Plain]()

    def tap(name: str, value: Any) -> Any:
        if name in params or name in batch:
            raise ReferenceError(f"the name {name} is that of an input: give the quantity another name")
        if name in copies:
            raise ReferenceError(
                f"the name {name} is tapped twice: give each quantity a name of its own"
            )
        copies[name] = tapped_value(name, value)
        if like is not None and not np.array_equal(copies[name], like.get(name, np.nan)):
            raise ReferenceError(
                f"{name} has other numbers when the step is run again: it depends on something beside "
                "params and batch (a random draw, or a variable that the step changes)"
            )
        known = shaped if shaped is not None else like
        if known is not None and (name not in known or known[name].shape != copies[name].shape):
            raise ReferenceError(f"{name} {_misshapen(name, copies[name], known)}")
        seen[name] = value
        return value

    with np.errstate(all="ignore"):
        after = step(params, batch, tap)
    require_untouched(given, before, "its input")
    require_untouched({n: np.asarray(x) for n, x in seen.items()}, copies, "the tapped")
    require_parameters(after, params, copies)
    return copies


def tapped_value(name: str, value: Any) -> Plain:
    """A copy of what was tapped. Raises ReferenceError if it is no finite array of floats."""
    if not (isinstance(name, str) and name.isidentifier()):
        raise ReferenceError(f"the tap was given the name {name!r}, expected one like h or dW1")
    array = np.array(value)
    if array.dtype.kind != "f":
        raise ReferenceError(f"{name} is {_kind(value)}, expected floats")
    if not np.all(np.isfinite(array)):
        raise ReferenceError(f"{name} is not finite in the first steps: use smaller numbers")
    return array.astype(np.float64)


def _misshapen(name: str, array: Plain, known: Mapping[str, Plain]) -> str:
    if name not in known:
        return "is tapped in one step and not in another: a step taps the same names each time"
    return (
        f"has shape {array.shape} in one step and {known[name].shape} in another: "
        "a quantity has one shape in all steps"
    )


def require_untouched(arrays: Mapping[str, Plain], before: Mapping[str, Plain], which: str) -> None:
    """Raise ReferenceError if one of the arrays was changed in place."""
    for name, array in arrays.items():
        if not np.array_equal(array, before[name]):
            raise ReferenceError(f"the step changes {which} {name} in place: make a new array instead")


def require_parameters(after: Any, params: Mapping[str, Plain], tapped: Mapping[str, Plain]) -> None:
    """Raise ReferenceError unless a step returned every parameter as it was tapped."""
    if not isinstance(after, Mapping) or set(after) != set(params):
        returned = ", ".join(map(str, after)) if isinstance(after, Mapping) else _kind(after)
        raise ReferenceError(
            f"the step returned {returned or 'nothing'}, expected the parameters after it: "
            f"a dict with {', '.join(params)} (what a step does not change belongs in the batch)"
        )
    for name, value in params.items():
        got = tapped.get(f"{name}_next")
        if got is None or not np.array_equal(got, after[name]):
            raise ReferenceError(
                f'the step returned {name} untapped: return "{name}": tap("{name}_next", ...)'
            )
        if got.shape != value.shape:
            raise ReferenceError(
                f"the step returned {name} of shape {got.shape}, expected its own shape {value.shape}"
            )


def require_same_numbers(problem: Problem, tapped: Mapping[str, Plain]) -> None:
    """Raise ReferenceError unless the step computes the same on `Rounded` arrays, within its bounds."""

    def see(name: str, bound: Rounded) -> None:
        expected = bound.at((0, 0))
        apart = np.abs(tapped[name] - expected.value) if name in tapped else np.inf
        if np.shape(apart) != tapped[name].shape or np.any(apart > expected.errors()):
            raise ReferenceError(
                f"{name} has other numbers when the step is run with error bounds: it may convert an "
                "array, or ask for its type"
            )

    try:
        end_to_end_of_all(stacked([problem], FLOAT64), "the first step", see)
    except Unbounded as why:
        raise ReferenceError(f"the step has no finite error bound: {why}") from None


# Other ways to compute its quantities


def checked_routes(
    routes: Mapping[str, Sequence[Callable[..., Any]]], tapped: Mapping[str, Plain]
) -> dict[str, tuple[Route, ...]]:
    """The routes by quantity. Raises ReferenceError for a name that is not tapped."""
    for name in routes:
        if name not in tapped:
            raise ReferenceError(
                f"routes names {name}, which is not tapped: there are {', '.join(tapped)}"
            )
    return {name: tuple(map(route_of, functions)) for name, functions in routes.items()}


def route_of(function: Callable[..., Any]) -> Route:
    """A route from a formula of the quantities before. The project's own routes are routes already."""
    if len(inspect.signature(function).parameters) == 2:
        return cast(Route, function)

    def route(computed: Rounded, q: Quantities) -> Rounded:
        return hull(computed, function(q))

    return route
