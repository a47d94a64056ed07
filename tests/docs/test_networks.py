"""docs/examples: the networks with a reference of their own.

The gradients of each reference are its loss's, and each port computes what its reference computes. The
errors of `example_bugs.py` are found, and blamed on the quantity that they spoil first.
"""

import numpy as np
import pytest
from example_bugs import BUGS
from networks import (
    EXAMPLES,
    NETWORKS,
    PORTS,
    drawn,
    loaded,
    recomputed,
    recorded,
    replaced,
    runner,
    source,
    updated,
    wrong,
)

from ports.registry import FRAMEWORKS

STEPS = 3

each_network = pytest.mark.parametrize("network", NETWORKS)
each_port = pytest.mark.parametrize("file", PORTS)


def quantities(network):
    """The quantities of the network's first step, and what its step is given."""
    reference = loaded(network, "reference")
    params, batch = drawn(reference)
    return recorded(reference, params, batch), params | batch


def gradients(network):
    """The names whose gradient the reference taps: `dW` is the gradient with respect to `W`."""
    trace, given = quantities(network)
    named = [name[1:] for name in trace if name.startswith("d")]
    return [name for name in named if name in trace or name in given]


GRADIENTS = [(network, of) for network in NETWORKS for of in gradients(network)]
each_gradient = pytest.mark.parametrize(
    ("network", "of"), GRADIENTS, ids=[f"{network}-d{of}" for network, of in GRADIENTS]
)


def slope(reference, of, direction):
    """The slope of the loss as `of` moves, by a complex step (see tests/reference/test_gradients.py)."""
    h = 1e-100
    params, batch = ({name: as_complex(value) for name, value in g.items()} for g in drawn(reference))
    given = params if of in params else batch
    if of in given:
        given[of] = given[of] + 1j * h * direction
    trace = {}

    def tap(name, value):
        trace[name] = value + 1j * h * direction if name == of else value
        return trace[name]

    reference.step(params, batch, tap)
    return trace["loss"].imag / h


def as_complex(value):
    """Floats as complex numbers; labels and numbers stay."""
    is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(complex) if is_float else value


def is_the_slope(network, of, gradient):
    """Whether a gradient gives the slope of the loss in a random direction."""
    direction = np.random.RandomState(1).standard_normal(gradient.shape)
    expected = slope(loaded(network, "reference"), of, direction)
    allowed = np.sqrt(np.finfo(float).eps) * np.sum(np.abs(gradient * direction))
    return abs(np.sum(gradient * direction) - expected) <= allowed


@each_gradient
def test_gradient_of_the_reference_is_the_slope_of_its_loss(network, of):
    """Each one, inner ones too."""
    trace, _ = quantities(network)
    assert is_the_slope(network, of, trace[f"d{of}"])


@each_gradient
def test_wrong_gradient_is_not_the_slope(network, of):
    """Negative control: not with a factor of 2.001/2, not with one entry changed, never with a NaN."""
    right = quantities(network)[0][f"d{of}"]
    one_entry = right.copy()
    one_entry.flat[np.abs(right).argmax()] *= 2.001 / 2
    for gradient in (right * (2.001 / 2), one_entry, right * np.nan):
        assert not is_the_slope(network, of, gradient)


@each_network
def test_what_a_reference_taps(network):
    """Every quantity called `d...` is a gradient that is checked; every parameter is updated."""
    trace, _ = quantities(network)
    params, _ = drawn(loaded(network, "reference"))
    checked = [f"d{of}" for where, of in GRADIENTS if where == network]
    assert checked == [name for name in trace if name.startswith("d") and name != "data_loss"]
    assert {name for name in trace if name.endswith("_next")} == {f"{name}_next" for name in params}
    assert all(np.isfinite(value).all() for value in trace.values())


def port_module(network, file, text=None):
    """A port of a network, where its framework is installed."""
    absence = FRAMEWORKS[PORTS[file]].absence()
    if absence:
        pytest.skip(absence)
    return loaded(network, file, text)


def steps_of(network, port):
    """Step by step from the reference's parameters: what the port computes, and what both references do."""
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
