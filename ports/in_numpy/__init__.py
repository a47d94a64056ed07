"""The note in NumPy: the reference as a port of itself, and the host of ports that have no other."""

from ports.contract import Framework, PortModule, Template
from reference.agreement.arithmetic import ARITHMETICS, Arithmetic


def promises(device: str, dtype: str) -> Arithmetic:
    """The number format's own: each operation of NumPy rounds to it."""
    return ARITHMETICS[dtype].computing()


NUMPY = Framework(
    name="numpy",
    packages=(),
    host_path="ports.in_numpy.host:NumpyHost",
    modules={"numpy": PortModule("ports.in_numpy.reference")},
    tensors="NumPy arrays",
    template=Template(
        to="NumPy, or to any other framework",
        given="X, y and params are NumPy arrays. Another framework makes its tensors from them,\n"
        "and returns them as they are, if NumPy can read them.",
        imports="import numpy as np",
        relu="np.maximum(0, X @ W + b)",
    ),
    promises=promises,
)
