"""NumPy as a host: one device, no compiler."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from reference.agreement.arithmetic import ARITHMETICS, Arithmetic
from reference.arrays import Plain

NATURAL_MODE = "eager"
MODES = ("eager",)
IMMUTABLE = False


def devices() -> list[str]:
    """The CPU."""
    return ["cpu"]


def dtypes(device: str) -> tuple[str, ...]:
    """Both."""
    return ("float64", "float32")


def arithmetic(device: str, dtype: str) -> Arithmetic:
    """The number format's own."""
    return ARITHMETICS[dtype]


@contextmanager
def exact_settings() -> Iterator[None]:
    """NumPy has no precision settings."""
    yield


def put(array: Plain, device: str, dtype: str) -> Plain:
    """A copy in that dtype."""
    return np.array(array, dtype=dtype)


def put_labels(y: Plain, device: str) -> Plain:
    """A copy."""
    return np.array(y)


def get(tensor: Any) -> Plain:
    """The array itself; NumPy scalars become arrays of shape ()."""
    if not isinstance(tensor, np.ndarray | np.generic):
        raise TypeError(f"is a {type(tensor).__name__}, expected a NumPy array")
    return np.asarray(tensor)


def compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy runs code as written."""
    return function


def compiler_absence() -> str | None:
    """There is nothing to compile with."""
    return "NumPy has no compiler: use --mode eager"


def settings() -> dict[str, str]:
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
