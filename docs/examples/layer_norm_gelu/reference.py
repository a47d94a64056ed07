"""A transformer's feed-forward block: layer normalization, a GELU layer, and the way around them.

out = X + gelu(norm(X) W1 + b1) W2 + b2. Each example is normalized by its own mean and variance, which
the backward pass must respect. GELU is the form with tanh, not the one with erf.

Shapes: N examples, D dimensions, H hidden units. `d` + name is the gradient of the loss with respect to
that name. Source: Ba, Kiros and Hinton (2016), Layer Normalization; Hendrycks and Gimpel (2016),
Gaussian Error Linear Units; Xiong et al. (2020), On Layer Normalization in the Transformer
Architecture.
"""

import numpy as np


def init(rng):
    """Draw the first weights, of standard deviation sqrt(1 / inputs); scale near 1, shift near 0."""
    return {
        "gamma": 1 + 0.1 * rng.standard_normal((1, 8)),
        "beta": 0.1 * rng.standard_normal((1, 8)),
        "W1": rng.standard_normal((8, 32)) / np.sqrt(8),
        "b1": np.zeros((1, 32)),
        "W2": rng.standard_normal((32, 8)) / np.sqrt(32),
        "b2": np.zeros((1, 8)),
    }


def batch(rng):
    """Draw the points and their targets."""
    return {
        "X": rng.standard_normal((16, 8)),
        "target": rng.standard_normal((16, 8)),
        "eps": 1e-5,
        "step_size": 0.1,
    }


def step(params, batch, tap):
    """Evaluate the block, backpropagate, update."""
    gamma, beta = params["gamma"], params["beta"]
    W1, b1, W2, b2 = params["W1"], params["b1"], params["W2"], params["b2"]
    X, target, eps, step_size = batch["X"], batch["target"], batch["eps"], batch["step_size"]
    num_examples = X.shape[0]
    slope = np.sqrt(2 / np.pi)

    # forward: normalize over the dimensions
    mean = tap("mean", np.mean(X, axis=1, keepdims=True))  # (N, 1)
    centered = X - mean
    var = tap("var", np.mean(centered * centered, axis=1, keepdims=True))  # (N, 1)
    normalized = tap("normalized", centered / np.sqrt(var + eps))  # (N, D)
    a = tap("a", gamma * normalized + beta)  # (N, D)
    # the hidden layer and its GELU
    z = tap("z", a @ W1 + b1)  # (N, H)
    bend = tap("bend", np.tanh(slope * (z + 0.044715 * z**3)))  # (N, H)
    h = tap("h", 0.5 * z * (1 + bend))  # (N, H)
    # the way around
    out = tap("out", X + (h @ W2 + b2))  # (N, D)
    missed = out - target
    tap("loss", 0.5 * np.sum(missed * missed) / num_examples)

    # backward
    dout = tap("dout", missed / num_examples)  # (N, D)
    dW2 = tap("dW2", h.T @ dout)  # (H, D)
    db2 = tap("db2", np.sum(dout, axis=0, keepdims=True))  # (1, D)
    dh = tap("dh", dout @ W2.T)  # (N, H)
    dbend = tap("dbend", dh * (0.5 * z))  # (N, H)
    through_bend = dbend * (1 - bend * bend) * (slope * (1 + 3 * 0.044715 * z**2))
    dz = tap("dz", dh * (0.5 * (1 + bend)) + through_bend)  # (N, H)
    dW1 = tap("dW1", a.T @ dz)  # (D, H)
    db1 = tap("db1", np.sum(dz, axis=0, keepdims=True))  # (1, H)
    da = tap("da", dz @ W1.T)  # (N, D)
    dgamma = tap("dgamma", np.sum(da * normalized, axis=0, keepdims=True))  # (1, D)
    dbeta = tap("dbeta", np.sum(da, axis=0, keepdims=True))  # (1, D)
    dnormalized = tap("dnormalized", da * gamma)  # (N, D)
    through_mean = np.mean(dnormalized, axis=1, keepdims=True)
    through_var = normalized * np.mean(dnormalized * normalized, axis=1, keepdims=True)
    tap("dX", dout + (dnormalized - through_mean - through_var) / np.sqrt(var + eps))  # (N, D)

    # update
    return {
        "gamma": tap("gamma_next", gamma - step_size * dgamma),
        "beta": tap("beta_next", beta - step_size * dbeta),
        "W1": tap("W1_next", W1 - step_size * dW1),
        "b1": tap("b1_next", b1 - step_size * db1),
        "W2": tap("W2_next", W2 - step_size * dW2),
        "b2": tap("b2_next", b2 - step_size * db2),
    }
