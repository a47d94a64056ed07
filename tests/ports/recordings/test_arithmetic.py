"""The arithmetic of a recording is what its framework's host promises, looked up without the host."""

import pytest

from ports.recordings.certify import promised
from ports.registry import FRAMEWORKS
from reference.agreement.arithmetic import ARITHMETICS, DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_promise_is_that_of_the_host(name, device, dtype):
    """The host is asked what it promises on a device that need not be here."""
    framework = FRAMEWORKS[name]
    if framework.absence():
        pytest.skip(framework.absence())
    if not framework.packages and device != "cpu":
        pytest.skip("NumPy is on the CPU")
    assert promised(name, device, dtype) == framework.host.arithmetic(device, dtype)


def test_unknown_framework_keeps_to_the_number_format():
    """And an accelerator of its own to what accelerators promise."""
    assert promised("Rust", "cpu", "float32") == ARITHMETICS["float32"]
    assert promised("Rust", "vulkan", "float32") == ARITHMETICS["float32"].on_accelerator()
