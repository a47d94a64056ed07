"""A class as the CS231n assignment has it: `loss(X, y, reg)` returns the loss and the gradients.

The assignment regularizes by reg * sum(W * W), without the note's half. The adapter at the end passes
reg / 2, which is the same number, and shows what the class gives out.
"""

import numpy as np


class TwoLayerNet:
    """A net with one hidden ReLU layer and a softmax loss. Its parameters are in `self.params`."""

    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.params = {
            "W1": std * np.random.randn(input_size, hidden_size),
            "b1": np.zeros(hidden_size),
            "W2": std * np.random.randn(hidden_size, output_size),
            "b2": np.zeros(output_size),
        }

    def loss(self, X, y=None, reg=0.0):
        """The scores; or with labels the loss, and the gradients by the names of the parameters."""
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        N = X.shape[0]

        h1 = np.maximum(0, X.dot(W1) + b1)
        scores = h1.dot(W2) + b2
        if y is None:
            return scores

        shifted = scores - np.max(scores, axis=1, keepdims=True)
        exp = np.exp(shifted)
        probs = exp / np.sum(exp, axis=1, keepdims=True)
        loss = np.mean(-np.log(probs[np.arange(N), y]))
        loss += reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

        dscores = probs
        dscores[np.arange(N), y] -= 1
        dscores /= N
        grads = {"W2": h1.T.dot(dscores) + 2 * reg * W2, "b2": np.sum(dscores, axis=0)}
        dh1 = dscores.dot(W2.T)
        dh1[h1 <= 0] = 0
        grads["W1"] = X.T.dot(dh1) + 2 * reg * W1
        grads["b1"] = np.sum(dh1, axis=0)
        return loss, grads

    def train(self, X, y, learning_rate=1e-3, reg=5e-6, num_iters=100, batch_size=200):
        """Stochastic gradient descent."""
        for _ in range(num_iters):
            batch = np.random.choice(X.shape[0], batch_size)
            _, grads = self.loss(X[batch], y[batch], reg)
            for name in self.params:
                self.params[name] -= learning_rate * grads[name]


# The adapter that `lockstep check` reads.

hidden_quantities = dict.fromkeys(
    ["hidden_layer", "probs", "correct_logprobs", "data_loss", "reg_loss", "dscores", "dhidden"],
    "loss() keeps it to itself",
) | dict.fromkeys(["W_next", "b_next", "W2_next", "b2_next"], "train() draws its own batches")


def two_layer_step(params, X, y, reg, step_size):
    """What the class says about the given weights."""
    net = TwoLayerNet(*params["W"].shape, params["W2"].shape[1])
    net.params = {"W1": params["W"], "b1": params["b"][0], "W2": params["W2"], "b2": params["b2"][0]}
    loss, grads = net.loss(X, y, reg / 2)
    return {
        "scores": net.loss(X),
        "loss": loss,
        "dW2": grads["W2"],
        "db2": grads["b2"][None],
        "dW": grads["W1"],
        "db": grads["b1"][None],
    }
