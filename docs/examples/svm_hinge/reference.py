"""A linear multiclass SVM: the hinge loss of CS231n's first assignment.

The loss of an example is the sum of max(0, score - right score + 1) over the wrong classes. The right
class has no margin of its own. The regularization is reg times the squares, without a half.

Shapes: N examples, D dimensions, K classes. `d` + name is the gradient of the loss with respect to that
name. Source: CS231n, Linear Classification, and its assignment 1, linear_svm.py; the loss is that of
Weston and Watkins (1999).
"""

import numpy as np


def init(rng):
    """Draw weights so large that some margins are positive and some are not, and zero biases."""
    return {"W": 0.5 * rng.standard_normal((12, 5)), "b": np.zeros((1, 5))}


def batch(rng):
    """Draw the points."""
    return {
        "X": rng.standard_normal((30, 12)),
        "y": np.arange(30) % 5,
        "reg": 1e-2,
        "step_size": 0.1,
    }


def step(params, batch, tap):
    """Evaluate the classifier, backpropagate, update."""
    W, b = params["W"], params["b"]
    X, y, reg, step_size = batch["X"], batch["y"], batch["reg"], batch["step_size"]
    num_examples = X.shape[0]
    right = (np.arange(num_examples), y)

    # forward: how far each wrong class comes within 1 of the right one
    scores = tap("scores", X @ W + b)  # (N, K)
    margins = np.maximum(0, scores - scores[right].reshape(-1, 1) + 1)
    margins[right] = 0
    margins = tap("margins", margins)  # (N, K)
    data_loss = tap("data_loss", np.sum(margins) / num_examples)
    reg_loss = tap("reg_loss", reg * np.sum(W * W))
    tap("loss", data_loss + reg_loss)

    # backward: 1 for each positive margin, and their number, negative, for the right class
    dscores = np.where(margins > 0, 1.0, 0.0)
    dscores[right] = -np.sum(dscores, axis=1)
    dscores = tap("dscores", dscores / num_examples)  # (N, K)
    dW = tap("dW", X.T @ dscores + 2 * reg * W)  # (D, K)
    db = tap("db", np.sum(dscores, axis=0, keepdims=True))  # (1, K)

    # update
    return {
        "W": tap("W_next", W - step_size * dW),
        "b": tap("b_next", b - step_size * db),
    }
