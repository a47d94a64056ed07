"""A port of the three-layer net to NumPy. `three_layer_net.py`, beside it, says what it must compute."""

import numpy as np


def three_layer_step(params, X, y, reg, step_size):
    """One step of the three-layer net: every quantity by its name."""
    W, b, W2, b2, W3, b3 = (params[name] for name in ("W", "b", "W2", "b2", "W3", "b3"))
    N = X.shape[0]

    hidden_layer = np.maximum(X @ W + b, 0)
    hidden_layer2 = np.maximum(hidden_layer @ W2 + b2, 0)
    scores = hidden_layer2 @ W3 + b3
    probs = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    correct_logprobs = -np.log(probs[np.arange(N), y])
    data_loss = np.mean(correct_logprobs)
    regularization = [0.5 * reg * np.sum(weights * weights) for weights in (W, W2, W3)]
    loss = ((data_loss + regularization[0]) + regularization[1]) + regularization[2]

    dscores = (probs - np.eye(probs.shape[1], dtype=X.dtype)[y]) / N
    dW3, db3 = hidden_layer2.T @ dscores + reg * W3, np.sum(dscores, axis=0, keepdims=True)
    dhidden2 = (dscores @ W3.T) * (hidden_layer2 > 0)
    dW2, db2 = hidden_layer.T @ dhidden2 + reg * W2, np.sum(dhidden2, axis=0, keepdims=True)
    dhidden = (dhidden2 @ W2.T) * (hidden_layer > 0)
    dW, db = X.T @ dhidden + reg * W, np.sum(dhidden, axis=0, keepdims=True)

    return {
        "hidden_layer": hidden_layer,
        "hidden_layer2": hidden_layer2,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": regularization[0] + regularization[1] + regularization[2],
        "loss": loss,
        "dscores": dscores,
        "dW3": dW3,
        "db3": db3,
        "dhidden2": dhidden2,
        "dW2": dW2,
        "db2": db2,
        "dhidden": dhidden,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
        "W3_next": W3 - step_size * dW3,
        "b3_next": b3 - step_size * db3,
    }
