"""A net with batch normalization, whose running statistics are state across the steps.

In training, each unit is normalized by the mean and the variance of the batch. The variance divides by
N; the running variance, which is for inference, divides by N - 1. Both averages enter the backward
pass.

Shapes: N examples, D dimensions, H hidden units, K classes. `d` + name is the gradient of the loss with
respect to that name. Source: Ioffe and Szegedy (2015), Batch Normalization: algorithms 1 and 2, section
3.
"""

import numpy as np


def init(rng):
    """Draw the first weights, of standard deviation sqrt(2 / inputs); no statistics yet."""
    return {
        "W1": rng.standard_normal((8, 16)) * np.sqrt(2 / 8),
        "gamma": np.ones((1, 16)),
        "beta": np.zeros((1, 16)),
        "W2": rng.standard_normal((16, 4)) * np.sqrt(2 / 16),
        "b2": np.zeros((1, 4)),
        "running_mean": np.zeros((1, 16)),
        "running_var": np.ones((1, 16)),
    }


def batch(rng):
    """Draw the points."""
    return {
        "X": rng.standard_normal((24, 8)),
        "y": np.arange(24) % 4,
        "eps": 1e-5,
        "momentum": 0.1,
        "step_size": 0.1,
    }


def step(params, batch, tap):
    """Evaluate the net, backpropagate, update."""
    W1, gamma, beta = params["W1"], params["gamma"], params["beta"]
    W2, b2 = params["W2"], params["b2"]
    running_mean, running_var = params["running_mean"], params["running_var"]
    X, y, step_size = batch["X"], batch["y"], batch["step_size"]
    eps, momentum = batch["eps"], batch["momentum"]
    num_examples = X.shape[0]

    # forward: a linear layer (the shift is its bias), normalized over the examples
    z = tap("z", X @ W1)  # (N, H)
    mean = tap("mean", np.mean(z, axis=0, keepdims=True))  # (1, H)
    centered = z - mean
    var = tap("var", np.mean(centered * centered, axis=0, keepdims=True))  # (1, H)
    normalized = tap("normalized", centered / np.sqrt(var + eps))  # (N, H)
    a = tap("a", gamma * normalized + beta)  # (N, H)
    h = tap("h", np.maximum(0, a))  # (N, H)
    scores = tap("scores", h @ W2 + b2)  # (N, K)

    # log-softmax, shifted by the largest score of each row, and cross-entropy
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_sums = np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    log_probs = tap("log_probs", shifted - log_sums)  # (N, K)
    tap("loss", -np.mean(log_probs[np.arange(num_examples), y]))

    # backward
    dscores = np.exp(log_probs)
    dscores[np.arange(num_examples), y] -= 1
    dscores = tap("dscores", dscores / num_examples)  # (N, K)
    dW2 = tap("dW2", h.T @ dscores)  # (H, K)
    db2 = tap("db2", np.sum(dscores, axis=0, keepdims=True))  # (1, K)
    dh = tap("dh", dscores @ W2.T)  # (N, H)
    da = tap("da", dh * (a > 0))  # (N, H)
    dgamma = tap("dgamma", np.sum(da * normalized, axis=0, keepdims=True))  # (1, H)
    dbeta = tap("dbeta", np.sum(da, axis=0, keepdims=True))  # (1, H)
    dnormalized = tap("dnormalized", da * gamma)  # (N, H)
    # the mean and the variance depend on every example: what they pass back is taken away
    through_mean = np.mean(dnormalized, axis=0, keepdims=True)
    through_var = normalized * np.mean(dnormalized * normalized, axis=0, keepdims=True)
    dz = tap("dz", (dnormalized - through_mean - through_var) / np.sqrt(var + eps))  # (N, H)
    dW1 = tap("dW1", X.T @ dz)  # (D, H)

    # update, and the statistics for inference
    unbiased_var = var * num_examples / (num_examples - 1)
    return {
        "W1": tap("W1_next", W1 - step_size * dW1),
        "gamma": tap("gamma_next", gamma - step_size * dgamma),
        "beta": tap("beta_next", beta - step_size * dbeta),
        "W2": tap("W2_next", W2 - step_size * dW2),
        "b2": tap("b2_next", b2 - step_size * db2),
        "running_mean": tap("running_mean_next", (1 - momentum) * running_mean + momentum * mean),
        "running_var": tap("running_var_next", (1 - momentum) * running_var + momentum * unbiased_var),
    }
