"""The note's two loop bodies as they stand: no functions, no trace, updates in place.

The reference step is timed against these. They must not be improved: a test compares them with
the reference bit for bit.
"""

import numpy as np

from reference.arrays import Plain
from reference.models import SOFTMAX, TWO_LAYER


def softmax(params: dict[str, Plain], X: Plain, y: Plain, reg: float, step_size: float) -> None:
    """One iteration of the note's softmax classifier; `params` are updated in place."""
    W, b = params["W"], params["b"]
    num_examples = X.shape[0]

    scores = np.dot(X, W) + b

    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

    correct_logprobs = -np.log(probs[range(num_examples), y])
    data_loss = np.sum(correct_logprobs) / num_examples
    reg_loss = 0.5 * reg * np.sum(W * W)
    loss = data_loss + reg_loss  # noqa: F841

    dscores = probs
    dscores[range(num_examples), y] -= 1
    dscores /= num_examples

    dW = np.dot(X.T, dscores)
    db = np.sum(dscores, axis=0, keepdims=True)
    dW += reg * W

    W += -step_size * dW
    b += -step_size * db


def two_layer(params: dict[str, Plain], X: Plain, y: Plain, reg: float, step_size: float) -> None:
    """One iteration of the note's two-layer net; `params` are updated in place."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    num_examples = X.shape[0]

    hidden_layer = np.maximum(0, np.dot(X, W) + b)
    scores = np.dot(hidden_layer, W2) + b2

    exp_scores = np.exp(scores)
    probs = exp_scores / np.sum(exp_scores, axis=1, keepdims=True)

    correct_logprobs = -np.log(probs[range(num_examples), y])
    data_loss = np.sum(correct_logprobs) / num_examples
    reg_loss = 0.5 * reg * np.sum(W * W) + 0.5 * reg * np.sum(W2 * W2)
    loss = data_loss + reg_loss  # noqa: F841

    dscores = probs
    dscores[range(num_examples), y] -= 1
    dscores /= num_examples

    dW2 = np.dot(hidden_layer.T, dscores)
    db2 = np.sum(dscores, axis=0, keepdims=True)
    dhidden = np.dot(dscores, W2.T)
    dhidden[hidden_layer <= 0] = 0
    dW = np.dot(X.T, dhidden)
    db = np.sum(dhidden, axis=0, keepdims=True)

    dW2 += reg * W2
    dW += reg * W

    W += -step_size * dW
    b += -step_size * db
    W2 += -step_size * dW2
    b2 += -step_size * db2


#: The listings that the bench times, by model. A model that is registered from outside has none.
LISTINGS = {SOFTMAX: softmax, TWO_LAYER: two_layer}
