"""NumPy arrays in, anything that NumPy can read out: one device, no compiler.

A port in a framework without a host of its own is given NumPy arrays. It makes its tensors from them
and returns its own tensors as they are: NumPy reads them through `__array__`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ports.contract import Host, ProcessSetting
from ports.in_numpy import promises
from reference.agreement.arithmetic import ARITHMETICS, DTYPES, Arithmetic
from reference.arrays import Plain, numpy_dtype
from reference.tensors import array_of


class NumpyHost(Host):
    """The CPU; code runs as written."""

    process_settings = (
        ProcessSetting("NumPy's error handling", np.geterr, lambda kinds: np.seterr(**kinds)),
    )

    def devices(self) -> list[str]:
        """The CPU."""
        return ["cpu"]

    def dtypes(self, device: str) -> tuple[str, ...]:
        """The dtypes that NumPy has and computes in as others do.

        Not float16: NumPy adds in float16 (`np.sum` along the first axis), and its functions may be off
        by 4 ulps of float16. The bounds of that would be a hundred times those of the other ports.
        """
        return tuple(d for d in DTYPES if d in np.sctypeDict and not ARITHMETICS[d].stores)

    def arithmetic(self, device: str, dtype: str) -> Arithmetic:
        """The number format's own: each operation rounds to it."""
        return promises(device, dtype)

    @contextmanager
    def exact_settings(self) -> Iterator[None]:
        """NumPy has no precision settings."""
        yield

    @contextmanager
    def settings_with(self, precision: str) -> Iterator[None]:
        """The same: float32 products are as precise in any case, and `precision` goes on to say so."""
        with self.exact_settings():
            yield

    def put(self, array: Plain, device: str, dtype: str) -> Plain:
        """A copy in that dtype."""
        return np.array(array, dtype=numpy_dtype(dtype))

    def put_labels(self, y: Plain, device: str) -> Plain:
        """A copy."""
        return np.array(y)

    def get(self, tensor: Any) -> Plain:
        """The tensor as NumPy reads it: an array, or another framework's tensor that has `__array__`.

        Plain Python numbers and lists are refused: they have no dtype.
        """
        return array_of(tensor)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """NumPy runs code as written."""
        return function

    def compiler_absence(self) -> str | None:
        """There is nothing to compile with."""
        return "NumPy has no compiler: use --mode eager"

    def settings(self) -> dict[str, str]:
        """NumPy's version, BLAS and the CPU features it uses."""
        config: Any = np.show_config(mode="dicts")
        blas = config["Build Dependencies"]["blas"]
        simd = config["SIMD Extensions"]
        return {
            "numpy": np.__version__,
            "BLAS": f"{blas['name']} {blas['version']}",
            "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE", ""),
            "CPU features": " ".join(simd.get("baseline", []) + simd.get("found", [])),
        }
