"""A linear layer and a squared error, with a quantity that cancels."""

import numpy as np

iterations = 100  # how many steps its run has


def init(rng):
    """The parameters, and all other state that a step changes (momentum, running statistics)."""
    return {"W": rng.standard_normal((4, 3)), "b": np.zeros((1, 3))}


def batch(rng):
    """The other inputs: arrays of floats, arrays of integers (labels), numbers; masks as floats."""
    X, target = rng.standard_normal((10, 4)), rng.standard_normal((10, 3))
    return {"X": X, "target": target, "step_size": 0.1}


def step(params, batch, tap):
    """One step. Each quantity that a port shows passes through the tap, which returns it."""
    W, b = params["W"], params["b"]
    X, target, step_size = batch["X"], batch["target"], batch["step_size"]

    tap("lost", (X @ W) * 1e17 + 1 - (X @ W) * 1e17)  # only the rounding of large numbers is left
    out = tap("out", X @ W + b)  # (N, K)
    apart = tap("apart", out - target)  # (N, K)
    tap("loss", 0.5 * np.sum(apart * apart) / X.shape[0])

    dout = tap("dout", apart / X.shape[0])  # (N, K)
    dW = tap("dW", X.T @ dout)  # (D, K)
    db = tap("db", np.sum(dout, axis=0, keepdims=True))  # (1, K)

    return {"W": tap("W_next", W - step_size * dW), "b": tap("b_next", b - step_size * db)}
