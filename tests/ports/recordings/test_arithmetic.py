"""The arithmetic of a recording is what its port keeps to, looked up without its framework."""

from dataclasses import replace

import pytest

from ports.engine.results import Cell
from ports.recordings.certify import promised
from ports.registry import PORTS
from reference.agreement.arithmetic import ARITHMETICS, DTYPES, PRODUCT_PRECISIONS, by_device

#: NumPy is on the CPU, and not compiled; other ports run everywhere.
CELLS = [("numpy", "eager", "cpu")] + [
    (name, mode, device)
    for name in PORTS
    if name != "numpy"
    for mode in ("eager", "compiled")
    for device in ("cpu", "cuda")
]


@pytest.mark.parametrize("precision", PRODUCT_PRECISIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "mode", "device"), CELLS)
def test_promise_is_that_of_the_port(name, mode, device, dtype, precision):
    """The port is asked what it keeps to on a device that need not be here.

    What it mixes in mixed precision is not looked up: the recording says it.
    """
    port = PORTS[name]
    if port.absence():
        pytest.skip(port.absence())
    cell = Cell("softmax", name, mode, device, dtype)
    with port.host.settings_with(precision):
        promise = replace(port.arithmetic(mode, device, dtype), mixture=None)
        assert promised(port.framework.name, cell, port.host.precision) == promise


@pytest.mark.parametrize("dtype", DTYPES)
def test_unknown_framework_keeps_to_the_number_format(dtype):
    """An accelerator of its own keeps to what accelerators promise; a port's name alone says nothing."""
    for port in ("mine", "torch_manual"):
        here, there = (
            promised("Rust", Cell("softmax", port, "eager", d, dtype), "highest")
            for d in ("cpu", "vulkan")
        )
        assert here == by_device("cpu", dtype) == ARITHMETICS[dtype]
        assert there == ARITHMETICS[dtype].on_accelerator()
