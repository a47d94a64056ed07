"""An Elman network over 8 time steps, which classifies sequences: backpropagation through time.

The same weights act at every time step, so their gradients add up over time. The first hidden state is
given, and is not 0: an error in the first time step would not show otherwise.

Shapes: N sequences, T time steps, D dimensions, H hidden units, K classes. `d` + name is the gradient
of the loss with respect to that name. Source: Elman (1990), Finding Structure in Time; Werbos (1990),
Backpropagation Through Time: What It Does and How to Do It.
"""

import numpy as np


def init(rng):
    """Draw the first weights, of standard deviation sqrt(1 / inputs), and zero biases."""
    return {
        "Wx": rng.standard_normal((5, 12)) / np.sqrt(5),
        "Wh": rng.standard_normal((12, 12)) / np.sqrt(12),
        "b": np.zeros((1, 12)),
        "W2": rng.standard_normal((12, 3)) / np.sqrt(12),
        "b2": np.zeros((1, 3)),
    }


def batch(rng):
    """Draw the sequences and their first hidden states."""
    return {
        "X": rng.standard_normal((10, 8, 5)),
        "h0": 0.5 * rng.standard_normal((10, 12)),
        "y": np.arange(10) % 3,
        "step_size": 0.1,
    }


def step(params, batch, tap):
    """Read the sequences, backpropagate through time, update."""
    Wx, Wh, b = params["Wx"], params["Wh"], params["b"]
    W2, b2 = params["W2"], params["b2"]
    X, h0, y, step_size = batch["X"], batch["h0"], batch["y"], batch["step_size"]
    N, T, _ = X.shape

    # forward: h[t] is the state after t time steps
    h = [h0]
    for t in range(1, T + 1):
        h.append(tap(f"h{t}", np.tanh(X[:, t - 1] @ Wx + h[t - 1] @ Wh + b)))  # (N, H)
    scores = tap("scores", h[T] @ W2 + b2)  # (N, K)

    # log-softmax, shifted by the largest score of each row, and cross-entropy
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_sums = np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    log_probs = tap("log_probs", shifted - log_sums)  # (N, K)
    tap("loss", -np.mean(log_probs[np.arange(N), y]))

    # backward
    dscores = np.exp(log_probs)
    dscores[np.arange(N), y] -= 1
    dscores = tap("dscores", dscores / N)  # (N, K)
    dW2 = tap("dW2", h[T].T @ dscores)  # (H, K)
    db2 = tap("db2", np.sum(dscores, axis=0, keepdims=True))  # (1, K)
    # through time: each step adds to the gradients of the shared weights
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = dscores @ W2.T
    for t in range(T, 0, -1):
        dh = tap(f"dh{t}", dh)  # (N, H)
        da = dh * (1 - h[t] * h[t])  # (N, H)
        dWx = dWx + X[:, t - 1].T @ da
        dWh = dWh + h[t - 1].T @ da
        db = db + np.sum(da, axis=0, keepdims=True)
        dh = da @ Wh.T
    dWx = tap("dWx", dWx)  # (D, H)
    dWh = tap("dWh", dWh)  # (H, H)
    db = tap("db", db)  # (1, H)

    # update
    return {
        "Wx": tap("Wx_next", Wx - step_size * dWx),
        "Wh": tap("Wh_next", Wh - step_size * dWh),
        "b": tap("b_next", b - step_size * db),
        "W2": tap("W2_next", W2 - step_size * dW2),
        "b2": tap("b2_next", b2 - step_size * db2),
    }
