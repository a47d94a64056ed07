"""Limits: where bounds that only propagate stop being useful.

A bound follows magnitudes, and cannot know that roundings cancel. From layer to layer it therefore grows
faster than the error. Here both are measured: in deep nets, in a recurrent one, and where two nearly
equal numbers are subtracted. The error is NumPy's float32 against its float64, from the same numbers;
what float64 itself rounds is a billionth of that.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ports.bench.measuring import Effort, Row, row
from reference.agreement.arithmetic import FLOAT32, Arithmetic, Unbounded
from reference.agreement.rounded import Rounded
from reference.arrays import Array, Plain

DEPTH, EXAMPLES, DRAWS = 64, 16, 5
#: The layers at which the bench and docs/limits.md show a figure.
SHOWN = (1, 2, 4, 8, 16, 32, 64)
#: A tap at every layer, at every eighth, and at the end alone.
TAPS = (1, 8, DEPTH)

Activation = Callable[[Array], Array]


def relu(x: Array) -> Array:
    """The larger of 0 and x."""
    return np.maximum(0, x)


class Kind(NamedTuple):
    """A kind of net: its width, and how a layer follows from the one before it.

    `scale` times 1 / sqrt(width) is the weights' standard deviation: it keeps the layers' size.
    """

    width: int
    activation: Activation
    scale: float
    recurrent: bool = False


KINDS = {
    "tanh, width 16": Kind(16, np.tanh, 1.0),
    "tanh, width 32": Kind(32, np.tanh, 1.0),
    "tanh, width 64": Kind(64, np.tanh, 1.0),
    "ReLU, width 16": Kind(16, relu, 2**0.5),
    "ReLU, width 32": Kind(32, relu, 2**0.5),
    "ReLU, width 64": Kind(64, relu, 2**0.5),
    "Elman, width 16": Kind(16, np.tanh, 1.0, recurrent=True),
}
#: The net with which the taps are shown.
TAPPED = "tanh, width 32"


@dataclass(frozen=True)
class Net:
    """A drawn net in float32: h (N, H), and for each layer the weights (H, H) and what is added.

    A recurrent net has the same weights in each layer, and adds what it reads there.
    """

    activation: Activation
    h: Array
    weights: list[Array]
    added: list[Array]

    def layers(self) -> Iterator[Array]:
        """The output of each layer."""
        h = self.h
        for W, b in zip(self.weights, self.added, strict=True):
            h = self.activation(h @ W + b)
            yield h

    def part(self, h: Array, start: int, stop: int) -> "Net":
        """Some of its layers, from another input."""
        return Net(self.activation, h, self.weights[start:stop], self.added[start:stop])

    def of(self, form: Callable[[Any], Any]) -> "Net":
        """The same net with all its arrays in another form."""
        weights, added = ([form(array) for array in arrays] for arrays in (self.weights, self.added))
        return Net(self.activation, form(self.h), weights, added)


def drawn(kind: Kind, seed: int, depth: int = DEPTH) -> Net:
    """Draw a net of that kind."""
    rng = np.random.RandomState(seed)

    def normal(rows: int, scale: float) -> Plain:
        return np.float32(scale) * rng.standard_normal((rows, kind.width)).astype(np.float32)

    scale = kind.scale / kind.width**0.5
    count = 1 if kind.recurrent else depth
    weights = [normal(kind.width, scale) for _ in range(count)] * (depth // count)
    added = [normal(EXAMPLES if kind.recurrent else 1, 0.1) for _ in range(depth)]
    return Net(kind.activation, normal(EXAMPLES, 1.0), weights, added)


class Curve(NamedTuple):
    """The largest numbers of each layer: NaN from where there is no bound. All are (layers,).

    `vacuous` is the share of the layer's numbers that are smaller than their bound.
    """

    bound: Plain
    error: Plain
    value: Plain
    vacuous: Plain


def curve(net: Net, every: int = DEPTH, arithmetic: Arithmetic = FLOAT32) -> Curve:
    """Bound and error of each layer, from what a float32 run recorded at the last tap before it."""
    recorded = [net.h, *net.layers()]
    parts = [
        layer
        for start in range(0, len(net.weights), every)
        for layer in _judged(net.part(recorded[start], start, start + every), arithmetic)
    ]
    return Curve(*np.array(parts).T)


def _judged(net: Net, arithmetic: Arithmetic) -> Iterator[tuple[float, float, float, float]]:
    """Bound, error, value and vacuous share of each layer, from the net's input."""
    bounds = bounded(net, arithmetic)
    for got, expected in zip(net.layers(), net.of(np.float64).layers(), strict=True):
        bound = next(bounds, np.full(expected.shape, np.nan))
        vacuous = np.where(np.isnan(bound), 1, bound > np.abs(expected))
        error = np.abs(got - expected).max()
        yield bound.max(), error, np.abs(expected).max(), vacuous.mean()


def bounded(net: Net, arithmetic: Arithmetic) -> Iterator[Plain]:
    """The bound of each layer. It ends early where there is none."""
    try:
        for layer in net.of(lambda array: Rounded.exact(array, arithmetic)).layers():
            yield layer.errors()
    except Unbounded:
        return


def curves(name: str, every: int = DEPTH, arithmetic: Arithmetic = FLOAT32) -> list[Curve]:
    """One curve for each draw of a kind of net."""
    return [curve(drawn(KINDS[name], seed), every, arithmetic) for seed in range(DRAWS)]


def overestimates(found: list[Curve]) -> Plain:
    """Bound / error (draws, layers)."""
    return np.array([one.bound / one.error for one in found])


def relative(found: list[Curve]) -> Plain:
    """Largest bound / largest value (draws, layers)."""
    return np.array([one.bound / one.value for one in found])


def first_vacuous(found: list[Curve]) -> float:
    """The layer from which most numbers are smaller than their bound: the median of the draws."""
    return float(np.median([1 + np.argmax(one.vacuous > 0.5) for one in found]))


# Cancellation

#: How often larger than their spread the numbers are.
MEANS = (1, 10, 100, 1_000, 10_000)


def centred(x: Array) -> Array:
    """What layer normalization begins with."""
    return x - np.mean(x)


def in_two_passes(x: Array) -> Array:
    """The variance as the mean square of what is centred."""
    return np.mean(centred(x) ** 2)


def in_one_pass(x: Array) -> Array:
    """The variance as a difference of two large numbers."""
    return np.mean(x * x) - np.mean(x) ** 2


CANCELLING = {
    "x - mean": centred,
    "variance, two passes": in_two_passes,
    "variance, one pass": in_one_pass,
}


def cancelled(name: str, mean: float, seed: int) -> tuple[float, float]:
    """Bound / value and bound / error of a formula, of 100 numbers of spread 1 around that mean."""
    formula = CANCELLING[name]
    x = (mean + np.random.RandomState(seed).standard_normal(100)).astype(np.float32)
    expected = np.abs(formula(x.astype(np.float64)))
    error = np.max(np.abs(formula(x) - formula(x.astype(np.float64))))
    bound = formula(Rounded.exact(x, FLOAT32)).errors().max()
    return float(bound / expected.max()), float(bound / error)


# Rows


def limits(effort: Effort) -> Iterator[Row]:
    """How far bounds are from errors, by depth; how taps reset them; cancellation."""
    for name in KINDS:
        yield from _depth_rows(name)
    for every in TAPS:
        worst = np.nanmax(relative(curves(TAPPED, every)), axis=1)
        what = f"{TAPPED}, {DEPTH} layers, a tap at every {every}: largest bound / value"
        yield row("limits", what, "x", None, worst.tolist())
    for name in CANCELLING:
        for mean in MEANS:
            figures = [cancelled(name, mean, seed)[0] for seed in range(DRAWS)]
            yield row("limits", f"{name}, mean {mean:,}: bound / value", "x", None, figures)


def _depth_rows(name: str) -> Iterator[Row]:
    """Bound / observed error at some depths, as far as there is a bound."""
    found = overestimates(curves(name))
    for layer in SHOWN:
        what = f"{name}, {layer} layers after the last tap: bound / error"
        figures = found[:, layer - 1]
        if np.isnan(figures).any():
            yield Row("limits", what, "x", skipped="no finite bound: it leaves float32's range")
        else:
            yield row("limits", what, "x", None, figures.tolist())
