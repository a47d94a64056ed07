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
from networks import EXAMPLES, NETWORKS, PORTS, judged, loaded, replaced, source, start

from ports.registry import FRAMEWORKS
from reference.agreement.arithmetic import FLOAT64
from reference.agreement.bounds import end_to_end
from reference.agreement.judge import LOCAL
from reference.arrays import is_floats
from reference.trace import record

STEPS = 3

each_network = pytest.mark.parametrize("network", NETWORKS)
each_port = pytest.mark.parametrize("file", PORTS)


@cache
def problem(network):
    """A network's first step, from where no scale is 1 and no bias is 0, so that both show."""
    first, rng = start(network), np.random.RandomState(1)
    params = {name: value + rng.uniform(0.1, 0.2, value.shape) for name, value in first.params.items()}
    return first.starting_from({name: np.asarray(value) for name, value in params.items()})


@cache
def gradients(network):
    """The gradients that the reference taps, by name: "W" for `dW`, the gradient with respect to `W`."""
    trace, given = record(problem(network)), problem(network)
    named = trace | given.params | given.batch
    return {name: trace[f"d{name}"] for name in named if f"d{name}" in trace}


GRADIENTS = [(network, of) for network in NETWORKS for of in gradients(network)]
each_gradient = pytest.mark.parametrize(
    ("network", "of"), GRADIENTS, ids=[f"{network}-d{of}" for network, of in GRADIENTS]
)


def slope(network, of, direction):
    """The slope of the loss as `of` moves, by a complex step (see tests/reference/test_gradients.py)."""
    h = 1e-100
    given, trace = problem(network), {}

    def moved(name, value):
        if name == of:
            assert value.shape == direction.shape
            return value + 1j * h * direction
        return value.astype(complex) if is_floats(value) else value

    def tap(name, value):
        trace[name] = moved(name, value)
        return trace[name]

    inputs = (
        {name: moved(name, value) for name, value in g.items()} for g in (given.params, given.batch)
    )
    given.model.step(*inputs, tap)
    return trace["loss"].imag / h


@cache
def bounds(network):
    """How far rounding may move each quantity of `problem`."""
    return {name: bound.errors() for name, bound in end_to_end(problem(network), FLOAT64).items()}


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
def test_every_gradient_is_checked(network):
    """A quantity called `d...` is a gradient, and among those that are checked."""
    names = {name for name in record(problem(network)) if name.startswith("d")}
    assert {f"d{of}" for of in gradients(network)} == names - {"data_loss"}


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


@each_port
@each_network
def test_port_agrees_with_its_reference(network, file):
    """At every step, locally and end to end, in every quantity that it does not declare hidden."""
    port = port_module(network, file)
    compared = {*start(network).shapes} - {*getattr(port, "hidden_quantities", {})}
    for findings in judged(network, port, STEPS):
        assert [finding for finding in findings if not finding.agrees] == []
        assert {finding.quantity for finding in findings} == compared


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_planted_error_is_blamed(bug):
    """Negative control: the quantity that it spoils is wrong in itself, and no quantity before it is."""
    text = replaced(source(bug.network, bug.file), bug.old, bug.new)
    steps = judged(bug.network, port_module(bug.network, bug.file, text), STEPS)
    wrong = (
        f.quantity for findings in steps for f in findings if f.certificate == LOCAL and not f.agrees
    )
    assert next(wrong, None) == bug.blames


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
