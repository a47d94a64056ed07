"""A softmax classifier as far as the loss, for three classes alone."""

import numpy as np


def softmax_step(params, X, y, reg, step_size):
    """The forward pass."""
    scores = X @ params["W"] + params["b"]
    exp = np.exp(scores)
    probs = exp / np.sum(exp, axis=1, keepdims=True)
    correct_logprobs = -np.log(np.sum(probs * np.eye(3)[y], axis=1))
    return {"scores": scores, "probs": probs, "correct_logprobs": correct_logprobs}
