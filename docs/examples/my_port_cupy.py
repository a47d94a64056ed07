"""The note's two-layer net in CuPy: NumPy's functions on a GPU.

    pip install cupy-cuda12x
    lockstep check docs/examples/my_port_cupy.py

A step is given NumPy arrays, and returns NumPy arrays: CuPy's do not leave the GPU by themselves.
"""

import cupy as cp


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer net."""
    W, b, W2, b2 = (cp.asarray(params[name]) for name in ("W", "b", "W2", "b2"))
    X, y = cp.asarray(X), cp.asarray(y)
    N = X.shape[0]

    hidden_layer = cp.maximum(0, X @ W + b)
    scores = hidden_layer @ W2 + b2
    exp_scores = cp.exp(scores)
    probs = exp_scores / cp.sum(exp_scores, axis=1, keepdims=True)
    correct_logprobs = -cp.log(probs[cp.arange(N), y])
    data_loss = cp.mean(correct_logprobs)
    reg_loss = 0.5 * reg * cp.sum(W * W) + 0.5 * reg * cp.sum(W2 * W2)

    dscores = probs.copy()
    dscores[cp.arange(N), y] -= 1
    dscores /= N
    dW2 = hidden_layer.T @ dscores + reg * W2
    db2 = cp.sum(dscores, axis=0, keepdims=True)
    dhidden = dscores @ W2.T * (hidden_layer > 0)
    dW = X.T @ dhidden + reg * W
    db = cp.sum(dhidden, axis=0, keepdims=True)

    trace = {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        "dhidden": dhidden,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
    }
    return {name: cp.asnumpy(array) for name, array in trace.items()}
