"""A variational autoencoder, whose noise is given.

The encoder gives the mean and the log-variance of a hidden vector; the vector is drawn with the noise,
so that gradients pass through the drawing (the reparametrization trick). The decoder gives the logits
of the pixels. The loss is minus the evidence lower bound: reconstruction, and divergence from the prior
N(0, 1).

Shapes: N examples, D pixels, H hidden units, L latent dimensions. `d` + name is the gradient of the
loss with respect to that name. Source: Kingma and Welling (2014), Auto-Encoding Variational Bayes:
equation 10, appendices B and C.
"""

import numpy as np


def init(rng):
    """Draw the first weights, of standard deviation sqrt(1 / inputs), and zero biases."""
    return {
        "W1": rng.standard_normal((12, 10)) / np.sqrt(12),
        "b1": np.zeros((1, 10)),
        "W_mu": rng.standard_normal((10, 3)) / np.sqrt(10),
        "b_mu": np.zeros((1, 3)),
        "W_logvar": rng.standard_normal((10, 3)) / np.sqrt(10),
        "b_logvar": np.zeros((1, 3)),
        "W2": rng.standard_normal((3, 10)) / np.sqrt(3),
        "b2": np.zeros((1, 10)),
        "W3": rng.standard_normal((10, 12)) / np.sqrt(10),
        "b3": np.zeros((1, 12)),
    }


def batch(rng):
    """Draw black and white pixels, and the noise."""
    return {
        "X": (rng.uniform(size=(20, 12)) < 0.4) * 1.0,
        "noise": rng.standard_normal((20, 3)),
        "step_size": 0.05,
    }


def step(params, batch, tap):
    """Encode, draw, decode, backpropagate, update."""
    W1, b1 = params["W1"], params["b1"]
    W_mu, b_mu, W_logvar, b_logvar = (params[n] for n in ("W_mu", "b_mu", "W_logvar", "b_logvar"))
    W2, b2, W3, b3 = params["W2"], params["b2"], params["W3"], params["b3"]
    X, noise, step_size = batch["X"], batch["noise"], batch["step_size"]
    num_examples = X.shape[0]

    # the encoder, and a draw from what it says
    h1 = tap("h1", np.tanh(X @ W1 + b1))  # (N, H)
    mu = tap("mu", h1 @ W_mu + b_mu)  # (N, L)
    logvar = tap("logvar", h1 @ W_logvar + b_logvar)  # (N, L)
    std = tap("std", np.exp(0.5 * logvar))  # (N, L)
    latent = tap("latent", mu + std * noise)  # (N, L)
    # the decoder
    h2 = tap("h2", np.tanh(latent @ W2 + b2))  # (N, H)
    logits = tap("logits", h2 @ W3 + b3)  # (N, D)

    # the loss: -log p(X | latent) = log(1 + exp(logits)) - X logits, and the divergence from the prior
    exp_logits = np.exp(logits)
    reconstruction = tap("reconstruction", np.sum(np.log1p(exp_logits) - X * logits) / num_examples)
    variance = np.exp(logvar)
    kl = tap("kl", 0.5 * np.sum(mu * mu + variance - 1 - logvar) / num_examples)
    tap("loss", reconstruction + kl)

    # backward through the decoder
    dlogits = tap("dlogits", (exp_logits / (1 + exp_logits) - X) / num_examples)  # (N, D)
    dW3 = tap("dW3", h2.T @ dlogits)  # (H, D)
    db3 = tap("db3", np.sum(dlogits, axis=0, keepdims=True))  # (1, D)
    dh2 = tap("dh2", dlogits @ W3.T)  # (N, H)
    da2 = dh2 * (1 - h2 * h2)
    dW2 = tap("dW2", latent.T @ da2)  # (L, H)
    db2 = tap("db2", np.sum(da2, axis=0, keepdims=True))  # (1, H)
    # through the draw, where the divergence joins
    dlatent = tap("dlatent", da2 @ W2.T)  # (N, L)
    dmu = tap("dmu", dlatent + mu / num_examples)  # (N, L)
    dstd = tap("dstd", dlatent * noise)  # (N, L)
    dlogvar = tap("dlogvar", 0.5 * dstd * std + 0.5 * (variance - 1) / num_examples)  # (N, L)
    # through the encoder
    dW_mu = tap("dW_mu", h1.T @ dmu)  # (H, L)
    db_mu = tap("db_mu", np.sum(dmu, axis=0, keepdims=True))  # (1, L)
    dW_logvar = tap("dW_logvar", h1.T @ dlogvar)  # (H, L)
    db_logvar = tap("db_logvar", np.sum(dlogvar, axis=0, keepdims=True))  # (1, L)
    dh1 = tap("dh1", dmu @ W_mu.T + dlogvar @ W_logvar.T)  # (N, H)
    da1 = dh1 * (1 - h1 * h1)
    dW1 = tap("dW1", X.T @ da1)  # (D, H)
    db1 = tap("db1", np.sum(da1, axis=0, keepdims=True))  # (1, H)

    # update
    return {
        "W1": tap("W1_next", W1 - step_size * dW1),
        "b1": tap("b1_next", b1 - step_size * db1),
        "W_mu": tap("W_mu_next", W_mu - step_size * dW_mu),
        "b_mu": tap("b_mu_next", b_mu - step_size * db_mu),
        "W_logvar": tap("W_logvar_next", W_logvar - step_size * dW_logvar),
        "b_logvar": tap("b_logvar_next", b_logvar - step_size * db_logvar),
        "W2": tap("W2_next", W2 - step_size * dW2),
        "b2": tap("b2_next", b2 - step_size * db2),
        "W3": tap("W3_next", W3 - step_size * dW3),
        "b3": tap("b3_next", b3 - step_size * db3),
    }
