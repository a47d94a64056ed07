"""The note's two-layer net with HIPS autograd: NumPy code, and its gradients for nothing.

    pip install autograd
    lockstep check docs/examples/my_port_autograd.py

`grad` of a sum over probes of zeros gives the gradients inside the graph too: `dscores` at the scores,
`dhidden` before the ReLU.
"""

import autograd.numpy as np
from autograd import grad


def forward(params, probes, X, y, reg):
    """Every quantity up to the loss. The ReLU is a product: np.maximum passes 1/2 of a gradient at 0."""
    before_relu = np.dot(X, params["W"]) + params["b"] + probes["dhidden"]
    hidden_layer = before_relu * (before_relu > 0)
    scores = np.dot(hidden_layer, params["W2"]) + params["b2"] + probes["dscores"]
    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)
    correct_logprobs = -np.log(probs[np.arange(len(y)), y])
    data_loss = np.mean(correct_logprobs)
    reg_loss = 0.5 * reg * np.sum(params["W"] ** 2) + 0.5 * reg * np.sum(params["W2"] ** 2)
    return {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
    }


def loss(params, probes, X, y, reg):
    """What is differentiated."""
    return forward(params, probes, X, y, reg)["loss"]


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer net."""
    N, H, K = len(X), *params["W2"].shape
    probes = {"dhidden": np.zeros((N, H), X.dtype), "dscores": np.zeros((N, K), X.dtype)}
    at = params, probes, X, y, reg
    d = {f"d{name}": value for name, value in grad(loss, 0)(*at).items()}
    after = {f"{name}_next": params[name] - step_size * d[f"d{name}"] for name in params}
    return forward(*at) | d | grad(loss, 1)(*at) | after
