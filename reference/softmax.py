"""The linear softmax classifier (the note, section 2): one step of gradient descent.

Shapes: N examples, D dimensions, K classes. Straight-line on purpose: the same
lines run on plain arrays (the note's numbers, bit for bit) and on `Rounded`
arrays (the numbers and how far rounding may move them).
"""

import numpy as np

from reference.arrays import Array, Params, Plain, Rng, Tap


def init(rng: Rng, D: int, K: int) -> dict[str, Plain]:
    """Draw the note's first weights: W (D, K) of standard deviation 0.01, b (1, K) of zeros.

    `rng` is anything with NumPy's `standard_normal`; `RandomState` gives the note's stream.
    """
    return {"W": 0.01 * rng.standard_normal((D, K)), "b": np.zeros((1, K))}


def step(params: Params, X: Array, y: Plain, reg: float, step_size: float, tap: Tap) -> dict[str, Array]:
    """Evaluate the classifier, backpropagate, update.

    Args:
        params: {"W": (D, K), "b": (1, K)}.
        X: (N, D) points; y: (N,) integer labels in 0..K-1.
        reg, step_size: floats.
        tap: called as tap(name, value) for each quantity; what it returns is used from there on.

    Returns:
        The parameters after the update, same shapes as `params`.
    """
    W, b = params["W"], params["b"]
    num_examples = X.shape[0]

    # evaluate class scores
    scores = tap("scores", np.dot(X, W) + b)  # (N, K)

    # compute the class probabilities
    exp_scores = np.exp(scores)
    probs = tap("probs", exp_scores / np.sum(exp_scores, axis=1, keepdims=True))  # (N, K)

    # compute the loss: average cross-entropy loss and regularization
    correct_logprobs = tap("correct_logprobs", -np.log(probs[range(num_examples), y]))  # (N,)
    data_loss = tap("data_loss", np.sum(correct_logprobs) / num_examples)
    reg_loss = tap("reg_loss", 0.5 * reg * np.sum(W * W))
    tap("loss", data_loss + reg_loss)

    # compute the gradient on scores (a copy: the note's `dscores = probs` overwrites probs)
    dscores = probs.copy()
    dscores[range(num_examples), y] -= 1
    dscores /= num_examples
    dscores = tap("dscores", dscores)  # (N, K)

    # backpropagate the gradient to the parameters (W, b), with the regularization gradient
    dW = tap("dW", np.dot(X.T, dscores) + reg * W)  # (D, K)
    db = tap("db", np.sum(dscores, axis=0, keepdims=True))  # (1, K)

    # perform a parameter update
    return {
        "W": tap("W_next", W + -step_size * dW),
        "b": tap("b_next", b + -step_size * db),
    }
