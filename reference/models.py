"""The models: one record per network holds all that the project knows about it.

The note has two, a softmax classifier and a two-layer ReLU net. The engine, the reports and the tests
read these records; nothing else names a model. `register` adds another.

Names are the contract between reference, ports, tests and readers. They are the note's own, in the
note's order. The gradient of a parameter `W` is the quantity `dW`; the parameter after the update is
`W_next`.

Shapes are spelled in letters: N examples, D dimensions, K classes, 1, and the model's own letters, such
as H for hidden units. `Model.sizes` says what its own letters stand for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np

from reference import softmax, two_layer
from reference.agreement.routes import Route, classifier_routes
from reference.arrays import Array, Batch, Params, Plain, Rng, Tap, held_as, is_floats

WEIGHTS, BIAS = "weights", "bias"

REG = 1e-3  #: the note's regularization strength
STEP_SIZE = 1e-0  #: the note's step size


class Parameter(NamedTuple):
    """A parameter: its shape in letters, the layer it belongs to, and whether it is regularized.

    `role` is WEIGHTS (regularized) or BIAS (not).
    """

    shape: str
    layer: int
    role: str


class Relu(NamedTuple):
    """A ReLU, described by the names of what surrounds it.

    Its pre-activation is inputs @ weights + bias; `gradient` is the loss's gradient with respect to it.
    """

    inputs: str
    weights: str
    bias: str
    gradient: str


@dataclass(frozen=True, eq=False)
class Model:
    """A network: one step of gradient descent, and the names and shapes of what it computes.

    Attributes:
        name: its key. A port's function for it is called `{name}_step`.
        title: its name for readers.
        init: init(rng, D=..., H=..., ...) draws the first parameters in these sizes.
        step: step(params, X, y, reg, step_size, tap) -> the parameters after the update (see `softmax`).
        parameters: by name, in the order in which `init` makes them.
        quantities: the shape of each quantity, in the order in which the step computes them.
        sizes: what its own letters stand for in the note's run.
        routes: the other legitimate ways to compute a quantity, by its name (see `agreement.routes`).
        relus: the ReLUs, each by the quantity that is its output.
        iterations: how many steps the note trains it for.
        print_every: how often the note prints its loss.
        prints_tensors: whether the note prints its first scores, probabilities and parameters.
    """

    name: str
    title: str
    init: Callable[..., dict[str, Plain]]
    step: Callable[..., dict[str, Array]]
    parameters: Mapping[str, Parameter]
    quantities: Mapping[str, str]
    sizes: Mapping[str, int]
    routes: Mapping[str, tuple[Route, ...]]
    relus: Mapping[str, Relu] = field(default_factory=dict)
    iterations: int = 1000
    print_every: int = 100
    prints_tensors: bool = False

    def __reduce__(self) -> tuple[Callable[[str], "Model"], tuple[str]]:
        """Pickle the name: another process looks the model up by it."""
        return registered, (self.name,)

    #: What a port is held against, in words: its code is shown under this name.
    source = "document"

    @property
    def step_name(self) -> str:
        """The name of a port's step for this model."""
        return f"{self.name}_step"

    @property
    def weights(self) -> list[str]:
        """The names of the regularized parameters, layer by layer."""
        return [name for name, parameter in self.parameters.items() if parameter.role == WEIGHTS]

    @property
    def biases(self) -> list[str]:
        """The names of the other parameters."""
        return [name for name, parameter in self.parameters.items() if parameter.role == BIAS]

    @cached_property
    def layers(self) -> list[tuple[str, ...]]:
        """The names of the parameters, grouped by layer."""
        numbers = sorted({parameter.layer for parameter in self.parameters.values()})
        return [tuple(n for n, p in self.parameters.items() if p.layer == number) for number in numbers]

    def problem(
        self, X: Array, y: Plain, params: Params, reg: float = REG, step_size: float = STEP_SIZE
    ) -> "Problem":
        """One step's inputs: X (N, D) points, y (N,) integer labels in 0..K-1."""
        return Problem(self, params, {"X": X, "y": y, "reg": reg, "step_size": step_size})

    def sizes_of(self, problem: "Problem") -> dict[str, int]:
        """The number that each letter of a shape stands for in a problem."""
        sizes = {"1": 1, "N": problem.X.shape[0]}
        for name, parameter in self.parameters.items():
            sizes |= dict(zip(parameter.shape, problem.params[name].shape, strict=True))
        return sizes

    def labels_of(self, batch: Batch) -> Plain | None:
        """The labels of the examples, if that is what the network's batch has."""
        return cast(Plain, batch["y"])

    def shapes_of(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """The shape of each quantity in these sizes."""
        return {
            name: tuple(sizes[letter] for letter in letters) for name, letters in self.quantities.items()
        }

    def arguments(self, params: Mapping[str, Any], batch: Mapping[str, Any]) -> tuple[Any, ...]:
        """What a step, the reference's or a port's, is called with: (params, X, y, reg, step_size)."""
        return (params, *batch.values())

    def flaws(self) -> Iterator[str]:
        """Say what is wrong with a record. Each check assumes that those before it found nothing."""
        missing = [name for name in _wanted(self) if name not in self.quantities]
        if missing:
            yield f"has no quantity {', '.join(missing)}"
        shapes = [*self.quantities.values(), *(p.shape for p in self.parameters.values())]
        unknown = sorted(set("".join(shapes)) - {*"1NDK", *self.sizes})
        if unknown:
            yield f"has no size for the letter {', '.join(unknown)}"
        start, tapped = _small_problem(self), dict[str, Plain]()
        if list(start.params) != list(self.parameters):
            yield f"draws the parameters {', '.join(start.params)}: its record has others"
        after = start.step(lambda name, value: tapped.setdefault(name, value))
        if list(tapped) != list(self.quantities):
            yield f"computes {', '.join(tapped)}, in this order: its record says otherwise"
        if list(after) != list(self.parameters):
            yield f"updates the parameters {', '.join(after)}: its record has others"
        for name, shape in start.shapes.items():
            if np.shape(tapped[name]) != shape:
                yield f"computes {name} of shape {np.shape(tapped[name])}: its record says {shape}"

    def draw(self, rng: Rng, sizes: Mapping[str, int]) -> dict[str, Plain]:
        """Draw the first parameters; a letter of their shapes stands for sizes[letter]."""
        letters = dict.fromkeys("".join(p.shape for p in self.parameters.values()).replace("1", ""))
        return self.init(rng, **{letter: sizes[letter] for letter in letters})

    def next_params(self, trace: Mapping[str, Array]) -> dict[str, Array]:
        """The parameters after the update, from a trace."""
        return {name: trace[f"{name}_next"] for name in self.parameters}


@dataclass(frozen=True, eq=False)
class Problem:
    """The inputs of one step. Its arrays are given to ports and are never mutated.

    Attributes:
        model: the network.
        params: by name, in the shapes of `model.parameters`.
        batch: the other inputs by name: arrays of floats, integer arrays such as labels, and numbers.
    """

    model: Model
    params: Params
    batch: Batch

    @property
    def X(self) -> Array:  # noqa: N802 (the note's name)
        """The points."""
        return self.batch["X"]

    @property
    def y(self) -> Plain:
        """The labels."""
        return cast(Plain, self.batch["y"])

    @property
    def labels(self) -> Plain | None:
        """The labels of one of the note's problems; None for a network of one's own."""
        return self.model.labels_of(self.batch)

    @property
    def reg(self) -> float:
        """The regularization strength."""
        return cast(float, self.batch["reg"])

    @property
    def step_size(self) -> float:
        """The step size."""
        return cast(float, self.batch["step_size"])

    def step(self, tap: Tap) -> dict[str, Array]:
        """Run the model's step on it; returns the parameters after the update."""
        return self.model.step(*self.model.arguments(self.params, self.batch), tap)

    def starting_from(self, params: Params) -> "Problem":
        """The same problem with other parameters."""
        return Problem(self.model, params, self.batch)

    def changed(self, params: Params | None = None, **batch: Any) -> "Problem":
        """The same problem with some of its inputs changed."""
        return Problem(self.model, self.params if params is None else params, {**self.batch, **batch})

    @property
    def examples(self) -> int:
        """How many examples may come in any order; 1 for a network of one's own, which may have none."""
        return 1 if self.labels is None else len(self.labels)

    def reordered(self, order: Plain) -> "Problem":
        """The same problem with its examples in another order."""
        if self.labels is None:
            return self
        return self.changed(X=self.X[order], y=self.y[order])

    def held_as(self, dtype: str) -> "Problem":
        """The same problem with the numbers that a port of that dtype holds, as float64."""
        if dtype == "float64":
            return self
        params = {name: held_as(dtype, value) for name, value in self.params.items()}
        floats = {name: held_as(dtype, x) for name, x in self.batch.items() if is_floats(x)}
        return self.changed(params, **floats)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The number that each letter of a shape stands for."""
        return self.model.sizes_of(self)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each quantity."""
        return self.model.shapes_of(self.sizes)


#: The quantities that both of the note's networks compute, from the scores on.
_CLASSIFIER = {
    "scores": "NK",
    "probs": "NK",
    "correct_logprobs": "N",
    "data_loss": "",
    "reg_loss": "",
    "loss": "",
    "dscores": "NK",
}

SOFTMAX = Model(
    name="softmax",
    title="Softmax classifier",
    init=softmax.init,
    step=softmax.step,
    parameters={"W": Parameter("DK", 1, WEIGHTS), "b": Parameter("1K", 1, BIAS)},
    quantities=_CLASSIFIER | {"dW": "DK", "db": "1K", "W_next": "DK", "b_next": "1K"},
    sizes={},
    routes=classifier_routes({"dscores": ("W", "b")}),
    iterations=200,
    print_every=10,
    prints_tensors=True,
)

TWO_LAYER = Model(
    name="two_layer",
    title="Two-layer net",
    init=two_layer.init,
    step=two_layer.step,
    parameters={
        "W": Parameter("DH", 1, WEIGHTS),
        "b": Parameter("1H", 1, BIAS),
        "W2": Parameter("HK", 2, WEIGHTS),
        "b2": Parameter("1K", 2, BIAS),
    },
    quantities={"hidden_layer": "NH"}
    | _CLASSIFIER
    | {"dW2": "HK", "db2": "1K", "dhidden": "NH", "dW": "DH", "db": "1H"}
    | {"W_next": "DH", "b_next": "1H", "W2_next": "HK", "b2_next": "1K"},
    sizes={"H": 100},
    routes=classifier_routes({"dhidden": ("W", "b"), "dscores": ("W2", "b2")}),
    relus={"hidden_layer": Relu("X", "W", "b", gradient="dhidden")},
    iterations=10_000,
    print_every=1000,
)

MODELS: dict[str, Model] = {}


def registered(name: str) -> Model:
    """The model of that name. Raises KeyError if there is none."""
    return MODELS[name]


def register(model: Model) -> Model:
    """Add a model to `MODELS`, from which the engine, the command and the tests take theirs.

    Raises ValueError, in one sentence, if the name is taken, if the record lacks what the contract asks
    for, or if the step does not compute what the record says. One small step is run to find out.
    """
    if model.name in MODELS:
        raise ValueError(f"there is a model called {model.name} already: give this one another name")
    problem = next(model.flaws(), None)
    if problem:
        raise ValueError(f"the model {model.name} {problem}")
    MODELS[model.name] = model
    return model


def _small_problem(model: Model) -> Problem:
    """A problem of a few random points, in which no two letters stand for the same size."""
    sizes = {"N": 5, "D": 2, "K": 3} | {letter: 7 + i for i, letter in enumerate(model.sizes)}
    rng = np.random.RandomState(0)
    params = model.draw(rng, sizes)
    return model.problem(rng.standard_normal((sizes["N"], sizes["D"])), np.arange(5) % 3, params)


def _wanted(model: Model) -> Iterable[str]:
    """The quantities that the engines and reports rely on."""
    gradients = [f"d{name}" for name in model.parameters]
    after = [f"{name}_next" for name in model.parameters]
    behind_relus = [relu.gradient for relu in model.relus.values()]
    named = [*model.routes, *model.relus, *behind_relus]
    return dict.fromkeys(["scores", "loss", *gradients, *after, *named])


register(SOFTMAX)
register(TWO_LAYER)

#: The note's own models: every process knows them.
OWN_MODELS = frozenset(MODELS)
