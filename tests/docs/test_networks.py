"""docs/examples: the networks with a reference of their own.

The gradients of each reference are its loss's, and each port computes what its reference computes. The
errors of `example_bugs.py` are found, and blamed on the quantity that they spoil first.
"""

import math
import re
from functools import cache

import numpy as np
import pytest
from example_bugs import BUGS
from networks import (
    EXAMPLES,
    NETWORKS,
    PORTS,
    drawn,
    is_float,
    loaded,
    recomputed,
    recorded,
    replaced,
    rounding,
    runner,
    source,
    updated,
    wrong,
)

from ports.registry import FRAMEWORKS

STEPS = 3

each_network = pytest.mark.parametrize("network", NETWORKS)
each_port = pytest.mark.parametrize("file", PORTS)


@cache
def problem(network):
    """A reference, parameters and a batch. No scale is 1 and no bias is 0, so that both show."""
    reference, rng = loaded(network, "reference"), np.random.RandomState(1)
    params, batch = drawn(reference)
    moved = {
        name: np.asarray(value + rng.uniform(0.1, 0.2, value.shape)) for name, value in params.items()
    }
    return reference, moved, batch


@cache
def gradients(network):
    """The gradients that the reference taps, by name: "W" for `dW`, the gradient with respect to `W`."""
    reference, params, batch = problem(network)
    trace = recorded(reference, params, batch)
    return {name: trace[f"d{name}"] for name in trace | params | batch if f"d{name}" in trace}


GRADIENTS = [(network, of) for network in NETWORKS for of in gradients(network)]
each_gradient = pytest.mark.parametrize(
    ("network", "of"), GRADIENTS, ids=[f"{network}-d{of}" for network, of in GRADIENTS]
)


def slope(network, of, direction):
    """The slope of the loss as `of` moves, by a complex step (see tests/reference/test_gradients.py)."""
    h = 1e-100
    reference, *given = problem(network)
    trace = {}

    def moved(name, value):
        if name == of:
            assert value.shape == direction.shape
            return value + 1j * h * direction
        return value.astype(complex) if is_float(value) else value

    def tap(name, value):
        trace[name] = moved(name, value)
        return trace[name]

    reference.step(*({name: moved(name, value) for name, value in g.items()} for g in given), tap)
    return trace["loss"].imag / h


@cache
def bounds(network):
    """How far rounding may move each quantity of `problem`."""
    return rounding(*problem(network))


@cache
def expected_along(network, of):
    """A random direction, the slope of the loss in it, and how far a right gradient may be from that.

    A complex operation rounds at most 4 times where a real one rounds once, so both sides together are
    allowed 1 + 4 shares of the gradient's bound.
    """
    direction = np.random.RandomState(2).standard_normal(gradients(network)[of].shape)
    allowed = 5 * np.sum(bounds(network)[f"d{of}"] * np.abs(direction))
    return direction, slope(network, of, direction), allowed


def is_the_slope(network, of, gradient):
    """Whether a gradient gives the slope of the loss in a random direction, but for rounding."""
    direction, expected, allowed = expected_along(network, of)
    return abs(math.fsum((gradient * direction).flat) - expected) <= allowed


@each_gradient
def test_gradient_of_the_reference_is_the_slope_of_its_loss(network, of):
    """Each one, inner ones too."""
    assert is_the_slope(network, of, gradients(network)[of])


@each_gradient
def test_wrong_gradient_is_not_the_slope(network, of):
    """Negative control: not with a factor of 2.001/2, not with one entry changed, never with a NaN."""
    right = gradients(network)[of]
    one_entry = right.copy()
    one_entry.flat[np.abs(right).argmax()] *= 2.001 / 2
    for gradient in (right * (2.001 / 2), one_entry, right * np.nan):
        assert not is_the_slope(network, of, gradient)


@each_network
def test_what_a_reference_taps(network):
    """Every quantity called `d...` is a gradient that is checked; every parameter is updated."""
    reference, params, batch = problem(network)
    trace = recorded(reference, params, batch)
    checked = {f"d{of}" for of in gradients(network)}
    assert checked == {name for name in trace if name.startswith("d")} - {"data_loss"}
    assert {name for name in trace if name.endswith("_next")} == {f"{name}_next" for name in params}
    assert all(np.isfinite(value).all() for value in trace.values())


@each_network
def test_reference_draws_from_either_source(network):
    """NumPy's RandomState and its Generator give the same names and shapes."""
    reference = loaded(network, "reference")
    old, new = np.random.RandomState(0), np.random.default_rng(0)
    for draw in (reference.init, reference.batch):
        assert shapes(draw(old)) == shapes(draw(new))


def shapes(given):
    """The shapes of arrays and numbers by name."""
    return {name: np.shape(value) for name, value in given.items()}


def port_module(network, file, text=None):
    """A port of a network, where its framework is installed."""
    absence = FRAMEWORKS[PORTS[file]].absence()
    if absence:
        pytest.skip(absence)
    return loaded(network, file, text)


def steps_of(network, port):
    """What a port computes at each step, from the reference's parameters, and what is expected of it."""
    reference, run = loaded(network, "reference"), runner(port)
    params, batch = drawn(reference)
    for _ in range(STEPS):
        trace, made = recorded(reference, params, batch), run(params, batch)
        yield made, recomputed(reference, params, batch, made), trace
        params = updated(params, trace)


@each_port
@each_network
def test_port_agrees_with_its_reference(network, file):
    """At every step, locally and end to end, in every quantity that it does not declare hidden."""
    port = port_module(network, file)
    hidden = getattr(port, "hidden_quantities", {})
    for made, from_its_own, trace in steps_of(network, port):
        assert {*made} == {*trace} - {*hidden}
        assert {*hidden} <= {*trace}
        assert wrong(made, from_its_own) == []
        assert wrong(made, trace) == []


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_planted_error_is_blamed(bug):
    """Negative control: the quantity that it spoils is wrong in itself, and no quantity before it is."""
    text = replaced(source(bug.network, bug.file), bug.old, bug.new)
    steps = steps_of(bug.network, port_module(bug.network, bug.file, text))
    wrong_in_itself = (wrong(made, from_its_own) for made, from_its_own, _ in steps)
    assert next(filter(None, wrong_in_itself), [None])[0] == bug.blames


def test_every_network_is_here():
    """Each folder of docs/examples is a network with its files, and has two planted errors."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*NETWORKS}
    for network in NETWORKS:
        assert {path.stem for path in (EXAMPLES / network).glob("*.py")} == {"reference", *PORTS}
        assert sum(bug.network == network for bug in BUGS) >= 2


def test_the_page_names_every_network():
    """And whatever else it links to is there."""
    links = re.findall(r"\]\(([^)#]+)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert [link for link in links if link.endswith("/reference.py")] == [
        f"{n}/reference.py" for n in NETWORKS
    ]
    assert all((EXAMPLES / link).exists() for link in links)
