"""A small convolutional net, whose convolution is one matrix product (im2col).

Each window of the picture becomes a row of `cols`, so the filters, as columns, meet all windows at
once. The backward pass adds each row back to where its window stood. As in every framework, the
"convolution" is a correlation: the filters are not flipped.

Shapes: N pictures, C channels, R rows and S columns of pixels, F filters of 3 by 3, K classes. `d` +
name is the gradient of the loss with respect to that name. Source: CS231n, Convolutional Networks;
Chellapilla, Puri and Simard (2006), High Performance Convolutional Neural Networks for Document
Processing.
"""

import numpy as np


def init(rng):
    """Draw the first weights, of standard deviation sqrt(2 / inputs), and zero biases."""
    return {
        "W1": rng.standard_normal((3, 2, 3, 3)) * np.sqrt(2 / 18),
        "b1": np.zeros((1, 3)),
        "W2": rng.standard_normal((108, 4)) * np.sqrt(2 / 108),
        "b2": np.zeros((1, 4)),
    }


def batch(rng):
    """Draw the pictures."""
    return {"X": rng.standard_normal((8, 2, 6, 6)), "y": np.arange(8) % 4, "step_size": 0.1}


def step(params, batch, tap):
    """Evaluate the net, backpropagate, update."""
    W1, b1, W2, b2 = params["W1"], params["b1"], params["W2"], params["b2"]
    X, y, step_size = batch["X"], batch["y"], batch["step_size"]
    N, C, R, S = X.shape
    F = W1.shape[0]

    # im2col: a frame of zeros, then a row for each pixel's window
    padded = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = [padded[:, :, i : i + R, j : j + S] for i in range(3) for j in range(3)]
    cols = np.stack(windows, axis=2).transpose(0, 3, 4, 1, 2).reshape(N * R * S, C * 9)

    # forward: the convolution, a ReLU, and a linear layer
    filters = W1.reshape(F, C * 9)
    z = tap("z", (cols @ filters.T + b1).reshape(N, R, S, F).transpose(0, 3, 1, 2))  # (N, F, R, S)
    h = tap("h", np.maximum(0, z))  # (N, F, R, S)
    flat = h.reshape(N, F * R * S)
    scores = tap("scores", flat @ W2 + b2)  # (N, K)

    # log-softmax, shifted by the largest score of each row, and cross-entropy
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_sums = np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    log_probs = tap("log_probs", shifted - log_sums)  # (N, K)
    tap("loss", -np.mean(log_probs[np.arange(N), y]))

    # backward
    dscores = np.exp(log_probs)
    dscores[np.arange(N), y] -= 1
    dscores = tap("dscores", dscores / N)  # (N, K)
    dW2 = tap("dW2", flat.T @ dscores)  # (F R S, K)
    db2 = tap("db2", np.sum(dscores, axis=0, keepdims=True))  # (1, K)
    dh = tap("dh", (dscores @ W2.T).reshape(N, F, R, S))  # (N, F, R, S)
    dz = tap("dz", dh * (z > 0))  # (N, F, R, S)
    # back through the convolution
    dz_rows = dz.transpose(0, 2, 3, 1).reshape(N * R * S, F)
    dW1 = tap("dW1", (dz_rows.T @ cols).reshape(F, C, 3, 3))  # (F, C, 3, 3)
    db1 = tap("db1", np.sum(dz_rows, axis=0, keepdims=True))  # (1, F)
    # col2im: each window back to where it stood
    dcols = (dz_rows @ filters).reshape(N, R, S, C, 9)
    dpadded = np.zeros_like(padded)
    for i in range(3):
        for j in range(3):
            dpadded[:, :, i : i + R, j : j + S] += dcols[:, :, :, :, 3 * i + j].transpose(0, 3, 1, 2)
    tap("dX", dpadded[:, :, 1:-1, 1:-1])  # (N, C, R, S)

    # update
    return {
        "W1": tap("W1_next", W1 - step_size * dW1),
        "b1": tap("b1_next", b1 - step_size * db1),
        "W2": tap("W2_next", W2 - step_size * dW2),
        "b2": tap("b2_next", b2 - step_size * db2),
    }
