"""The two-layer ReLU net (the note, section 3): one step of gradient descent.

Shapes: N examples, D dimensions, H hidden units, K classes. Straight-line on
purpose, like `softmax.py`; the middle of the two files is the note's own repetition.
"""

import numpy as np

from reference.arrays import Array, Params, Plain, Rng, Tap


def init(rng: Rng, D: int, H: int, K: int) -> dict[str, Plain]:
    """Draw the note's first weights: W (D, H), W2 (H, K) of standard deviation 0.01, zero biases.

    `rng` is anything with NumPy's `standard_normal`; `RandomState` gives the note's stream.
    """
    W = 0.01 * rng.standard_normal((D, H))
    W2 = 0.01 * rng.standard_normal((H, K))
    return {"W": W, "b": np.zeros((1, H)), "W2": W2, "b2": np.zeros((1, K))}


def step(params: Params, X: Array, y: Plain, reg: float, step_size: float, tap: Tap) -> dict[str, Array]:
    """Evaluate the net, backpropagate, update.

    Args:
        params: {"W": (D, H), "b": (1, H), "W2": (H, K), "b2": (1, K)}.
        X: (N, D) points; y: (N,) integer labels in 0..K-1.
        reg, step_size: floats.
        tap: called as tap(name, value) for each quantity; what it returns is used from there on.

    Returns:
        The parameters after the update, same shapes as `params`.
    """
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    num_examples = X.shape[0]

    # evaluate class scores
    hidden_layer = tap("hidden_layer", np.maximum(0, np.dot(X, W) + b))  # (N, H), ReLU
    scores = tap("scores", np.dot(hidden_layer, W2) + b2)  # (N, K)

    # compute the class probabilities
    exp_scores = np.exp(scores)
    probs = tap("probs", exp_scores / np.sum(exp_scores, axis=1, keepdims=True))  # (N, K)

    # compute the loss: average cross-entropy loss and regularization
    correct_logprobs = tap("correct_logprobs", -np.log(probs[range(num_examples), y]))  # (N,)
    data_loss = tap("data_loss", np.sum(correct_logprobs) / num_examples)
    reg_loss = tap("reg_loss", 0.5 * reg * np.sum(W * W) + 0.5 * reg * np.sum(W2 * W2))
    tap("loss", data_loss + reg_loss)

    # compute the gradient on scores (a copy: the note's `dscores = probs` overwrites probs)
    dscores = probs.copy()
    dscores[range(num_examples), y] -= 1
    dscores /= num_examples
    dscores = tap("dscores", dscores)  # (N, K)

    # backpropagate the gradient to the parameters: first into W2 and b2
    dW2 = tap("dW2", np.dot(hidden_layer.T, dscores) + reg * W2)  # (H, K)
    db2 = tap("db2", np.sum(dscores, axis=0, keepdims=True))  # (1, K)
    # next into the hidden layer
    dhidden = np.dot(dscores, W2.T)
    # backprop the ReLU non-linearity
    dhidden[hidden_layer <= 0] = 0
    dhidden = tap("dhidden", dhidden)  # (N, H)
    # finally into W and b
    dW = tap("dW", np.dot(X.T, dhidden) + reg * W)  # (D, H)
    db = tap("db", np.sum(dhidden, axis=0, keepdims=True))  # (1, H)

    # perform a parameter update
    return {
        "W": tap("W_next", W + -step_size * dW),
        "b": tap("b_next", b + -step_size * db),
        "W2": tap("W2_next", W2 + -step_size * dW2),
        "b2": tap("b2_next", b2 + -step_size * db2),
    }
