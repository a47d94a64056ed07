"""The note's three parts in boxes."""

import boxed


def spiral(noise):
    """noise (K, N) -> X (N*K, 2), y (N*K,)."""
    import numpy as np

    K, N = noise.shape
    r = np.tile(np.linspace(0.0, 1, N, dtype=noise.array.dtype), K)
    t = [np.linspace(j * 4, (j + 1) * 4, N, dtype=noise.array.dtype) for j in range(K)]
    t = np.concatenate(t) + noise.array.ravel() * 0.2
    return boxed.Box(np.c_[r * np.sin(t), r * np.cos(t)]), boxed.Box(np.repeat(np.arange(K), N))


def softmax_step(params, X, y, reg, step_size):
    """One step of the linear classifier."""
    W, b = params["W"], params["b"]
    made = loss_and_gradient(X @ W + b, y, [W], reg)
    made |= {"dW": X.T @ made["dscores"] + reg * W, "db": boxed.total(made["dscores"], axis=0)}
    return made | updated(params, made, step_size)


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer net."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    hidden_layer = boxed.relu(X @ W + b)
    made = {"hidden_layer": hidden_layer}
    made |= loss_and_gradient(hidden_layer @ W2 + b2, y, [W, W2], reg)
    made |= {"dW2": hidden_layer.T @ made["dscores"] + reg * W2}
    made |= {"db2": boxed.total(made["dscores"], axis=0)}
    dhidden = boxed.where_positive(hidden_layer, made["dscores"] @ W2.T)
    made |= {"dhidden": dhidden, "dW": X.T @ dhidden + reg * W, "db": boxed.total(dhidden, axis=0)}
    return made | updated(params, made, step_size)


def loss_and_gradient(scores, y, weights, reg):
    """Everything from the scores to their gradient."""
    N = scores.shape[0]
    exp_scores = boxed.exp(scores)
    probs = exp_scores / boxed.total(exp_scores, axis=1)
    correct_logprobs = -boxed.log(boxed.pick(probs, y))
    data_loss = boxed.total(correct_logprobs) / N
    first, *others = [0.5 * reg * boxed.total(W * W) for W in weights]
    reg_loss = first
    for other in others:
        reg_loss = reg_loss + other
    dscores = (probs - boxed.one_hot(y, like=probs)) / N
    return {
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
        "dscores": dscores,
    }


def updated(params, made, step_size):
    """The parameters after the update."""
    return {f"{name}_next": value - step_size * made[f"d{name}"] for name, value in params.items()}
