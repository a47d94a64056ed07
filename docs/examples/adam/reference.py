"""Adam on a softmax classifier, with weight decay as a term of the gradient (L2 regularization).

The decay passes through both moments. `adamw`, beside it, differs in those lines alone. The moments and
the step count are state across the steps. The biases do not decay.

Shapes: N examples, D dimensions, K classes. `d` + name is the gradient of the loss, without the decay,
with respect to that name. Source: Kingma and Ba (2015), Adam, algorithm 1; Loshchilov and Hutter
(2019), Decoupled Weight Decay Regularization, algorithm 2.
"""

import numpy as np


def init(rng):
    """Draw the first weights; zero biases and moments, before the first step."""
    W, b = 0.1 * rng.standard_normal((10, 4)), np.zeros((1, 4))
    return {
        "W": W,
        "b": b,
        "m_W": np.zeros_like(W),
        "v_W": np.zeros_like(W),
        "m_b": np.zeros_like(b),
        "v_b": np.zeros_like(b),
        "t": np.array(0.0),
    }


def batch(rng):
    """Draw the points; the paper's settings."""
    return {
        "X": rng.standard_normal((30, 10)),
        "y": np.arange(30) % 4,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "weight_decay": 1e-2,
        "step_size": 1e-2,
    }


def step(params, batch, tap):
    """Evaluate the classifier, backpropagate, update by Adam."""
    W, b, t = params["W"], params["b"], params["t"]
    m_W, v_W, m_b, v_b = params["m_W"], params["v_W"], params["m_b"], params["v_b"]
    X, y = batch["X"], batch["y"]
    beta1, beta2, eps = batch["beta1"], batch["beta2"], batch["eps"]
    weight_decay, step_size = batch["weight_decay"], batch["step_size"]
    num_examples = X.shape[0]

    # forward
    scores = tap("scores", X @ W + b)  # (N, K)
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_sums = np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    log_probs = tap("log_probs", shifted - log_sums)  # (N, K)
    tap("loss", -np.mean(log_probs[np.arange(num_examples), y]))

    # backward
    dscores = np.exp(log_probs)
    dscores[np.arange(num_examples), y] -= 1
    dscores = tap("dscores", dscores / num_examples)  # (N, K)
    dW = tap("dW", X.T @ dscores)  # (D, K)
    db = tap("db", np.sum(dscores, axis=0, keepdims=True))  # (1, K)

    # the moments, of the gradient with its decay
    decayed_dW = dW + weight_decay * W
    m_W = tap("m_W_next", beta1 * m_W + (1 - beta1) * decayed_dW)  # (D, K)
    v_W = tap("v_W_next", beta2 * v_W + (1 - beta2) * decayed_dW * decayed_dW)  # (D, K)
    m_b = tap("m_b_next", beta1 * m_b + (1 - beta1) * db)  # (1, K)
    v_b = tap("v_b_next", beta2 * v_b + (1 - beta2) * db * db)  # (1, K)

    # the moments began at 0: divide by how much of them has been averaged so far
    t = tap("t_next", t + 1)
    m_hat_W, v_hat_W = m_W / (1 - beta1**t), v_W / (1 - beta2**t)
    m_hat_b, v_hat_b = m_b / (1 - beta1**t), v_b / (1 - beta2**t)

    # update
    return {
        "W": tap("W_next", W - step_size * m_hat_W / (np.sqrt(v_hat_W) + eps)),
        "b": tap("b_next", b - step_size * m_hat_b / (np.sqrt(v_hat_b) + eps)),
        "m_W": m_W,
        "v_W": v_W,
        "m_b": m_b,
        "v_b": v_b,
        "t": t,
    }
