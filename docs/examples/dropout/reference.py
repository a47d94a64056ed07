"""A three-layer ReLU net with inverted dropout, whose masks are given.

Dropout draws random numbers, and no two frameworks draw the same. So the masks are data: 0 where a unit
is dropped, 1 / keep where it stays. The backward pass needs the same masks again. The softmax is the
note's. A library goes from the scores to the loss and its gradient in another way: that is a route.

Shapes: N examples, D dimensions, H and J hidden units, K classes. `d` + name is the gradient of the
loss with respect to that name. Source: Srivastava et al. (2014), Dropout; CS231n, Neural Networks Part
2.
"""

import numpy as np


def init(rng):
    """Draw the first weights, of standard deviation sqrt(2 / inputs), and zero biases."""
    W1 = rng.standard_normal((8, 16)) * np.sqrt(2 / 8)
    W2 = rng.standard_normal((16, 12)) * np.sqrt(2 / 16)
    W3 = rng.standard_normal((12, 4)) * np.sqrt(2 / 12)
    b1, b2, b3 = np.zeros((1, 16)), np.zeros((1, 12)), np.zeros((1, 4))
    return {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "W3": W3, "b3": b3}


def batch(rng):
    """Draw the points and the masks; four units of five stay."""
    keep = 0.8
    return {
        "X": rng.standard_normal((20, 8)),
        "y": np.arange(20) % 4,
        "mask1": (rng.uniform(size=(20, 16)) < keep) / keep,
        "mask2": (rng.uniform(size=(20, 12)) < keep) / keep,
        "step_size": 0.1,
    }


def step(params, batch, tap):
    """Evaluate the net, backpropagate, update."""
    W1, b1 = params["W1"], params["b1"]
    W2, b2 = params["W2"], params["b2"]
    W3, b3 = params["W3"], params["b3"]
    X, y, step_size = batch["X"], batch["y"], batch["step_size"]
    mask1, mask2 = batch["mask1"], batch["mask2"]
    num_examples = X.shape[0]

    # forward: each hidden layer is rectified, then dropped out
    z1 = tap("z1", X @ W1 + b1)  # (N, H)
    h1 = tap("h1", np.maximum(0, z1) * mask1)  # (N, H)
    z2 = tap("z2", h1 @ W2 + b2)  # (N, J)
    h2 = tap("h2", np.maximum(0, z2) * mask2)  # (N, J)
    scores = tap("scores", h2 @ W3 + b3)  # (N, K)

    # softmax and cross-entropy
    exp_scores = np.exp(scores)
    probs = tap("probs", exp_scores / np.sum(exp_scores, axis=1, keepdims=True))  # (N, K)
    correct_logprobs = tap("correct_logprobs", -np.log(probs[np.arange(num_examples), y]))  # (N,)
    tap("loss", np.mean(correct_logprobs))

    # backward
    dscores = probs.copy()
    dscores[np.arange(num_examples), y] -= 1
    dscores = tap("dscores", dscores / num_examples)  # (N, K)
    dW3 = tap("dW3", h2.T @ dscores)  # (J, K)
    db3 = tap("db3", np.sum(dscores, axis=0, keepdims=True))  # (1, K)
    dh2 = tap("dh2", dscores @ W3.T)  # (N, J)
    dz2 = tap("dz2", dh2 * mask2 * (z2 > 0))  # (N, J)
    dW2 = tap("dW2", h1.T @ dz2)  # (H, J)
    db2 = tap("db2", np.sum(dz2, axis=0, keepdims=True))  # (1, J)
    dh1 = tap("dh1", dz2 @ W2.T)  # (N, H)
    dz1 = tap("dz1", dh1 * mask1 * (z1 > 0))  # (N, H)
    dW1 = tap("dW1", X.T @ dz1)  # (D, H)
    db1 = tap("db1", np.sum(dz1, axis=0, keepdims=True))  # (1, H)

    # update
    return {
        "W1": tap("W1_next", W1 - step_size * dW1),
        "b1": tap("b1_next", b1 - step_size * db1),
        "W2": tap("W2_next", W2 - step_size * dW2),
        "b2": tap("b2_next", b2 - step_size * db2),
        "W3": tap("W3_next", W3 - step_size * dW3),
        "b3": tap("b3_next", b3 - step_size * db3),
    }


# The routes of a fused cross-entropy: other legitimate ways to two of the quantities


def fused_log_probs(q):
    """The logarithms of the probabilities, from the scores shifted by the largest of each row."""
    shifted = q["scores"] - np.max(q["scores"], axis=1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def fused_correct_logprobs(q):
    """Without the probabilities."""
    return -fused_log_probs(q)[np.arange(len(q["y"])), q["y"]]


def fused_dscores(q):
    """p / N - 1 / N at the right class, from logarithms."""
    num_examples = len(q["y"])
    dscores = np.exp(fused_log_probs(q)) / num_examples
    dscores[np.arange(num_examples), q["y"]] -= 1 / num_examples
    return dscores


routes = {"correct_logprobs": [fused_correct_logprobs], "dscores": [fused_dscores]}
