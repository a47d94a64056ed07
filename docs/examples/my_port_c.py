"""The note's softmax classifier in C, called through ctypes.

    lockstep check docs/examples/my_port_c.py

my_port_c.c is compiled when this file is imported, with $CC or cc. C++ goes the same way, where the
function is declared extern "C".
"""

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("my_port_c.c")
REALS = {"float64": ("double", ctypes.c_double), "float32": ("float", ctypes.c_float)}


def compiled(real):
    """The C function on that kind of number."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "my_port.so"
        compiler = os.environ.get("CC", "cc")
        flags = ["-O2", "-shared", "-fPIC", f"-Dreal={real}"]
        subprocess.run([compiler, *flags, "-o", library, SOURCE, "-lm"], check=True)
        return ctypes.CDLL(str(library)).softmax_step


STEPS = {dtype: compiled(real) for dtype, (real, _) in REALS.items()}


def softmax_step(params, X, y, reg, step_size):
    """One step of the linear classifier."""
    (N, D), K = X.shape, params["b"].shape[1]
    real = REALS[X.dtype.name][1]
    given = [np.ascontiguousarray(a) for a in (X, y.astype("int64"), params["W"], params["b"])]
    shapes = {
        "scores": (N, K),
        "probs": (N, K),
        "correct_logprobs": (N,),
        "losses": (3,),
        "dscores": (N, K),
        "dW": (D, K),
        "db": (1, K),
        "W_next": (D, K),
        "b_next": (1, K),
    }
    made = {name: np.empty(shape, X.dtype) for name, shape in shapes.items()}

    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*given, *made.values())]
    STEPS[X.dtype.name](N, D, K, *pointers[:4], real(reg), real(step_size), *pointers[4:])

    data_loss, reg_loss, loss = made.pop("losses")
    return made | {"data_loss": data_loss, "reg_loss": reg_loss, "loss": loss}
