"""The note's three parts in boxes, and the three-layer net."""

import boxed


def spiral(noise):
    """noise (K, N) -> X (N*K, 2), y (N*K,)."""
    K, N = noise.shape
    r = boxed.rows([boxed.linspace(0.0, 1, N, noise)] * K)
    t = boxed.rows([boxed.linspace(j * 4, (j + 1) * 4, N, noise) for j in range(K)]) + noise * 0.2
    return boxed.points(r * boxed.sin(t), r * boxed.cos(t)), boxed.labels(K, N)


def softmax_step(params, X, y, reg, step_size):
    """One step of the linear classifier."""
    W, b = params["W"], params["b"]
    N = X.shape[0]

    scores = X @ W + b
    exp_scores = boxed.exp(scores)
    probs = exp_scores / boxed.total(exp_scores, axis=1)
    correct_logprobs = -boxed.log(boxed.pick(probs, y))
    data_loss = boxed.total(correct_logprobs) / N
    reg_loss = 0.5 * reg * boxed.total(W * W)

    dscores = (probs - boxed.one_hot(y, probs)) / N
    dW = X.T @ dscores + reg * W
    db = boxed.total(dscores, axis=0)

    return {
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
        "dscores": dscores,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
    }


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer net."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    N = X.shape[0]

    hidden_layer = boxed.relu(X @ W + b)
    scores = hidden_layer @ W2 + b2
    exp_scores = boxed.exp(scores)
    probs = exp_scores / boxed.total(exp_scores, axis=1)
    correct_logprobs = -boxed.log(boxed.pick(probs, y))
    data_loss = boxed.total(correct_logprobs) / N
    reg_loss = 0.5 * reg * boxed.total(W * W) + 0.5 * reg * boxed.total(W2 * W2)

    dscores = (probs - boxed.one_hot(y, probs)) / N
    dW2 = hidden_layer.T @ dscores + reg * W2
    db2 = boxed.total(dscores, axis=0)
    dhidden = boxed.where_positive(hidden_layer, dscores @ W2.T)
    dW = X.T @ dhidden + reg * W
    db = boxed.total(dhidden, axis=0)

    return {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        "dhidden": dhidden,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
    }


def three_layer_step(params, X, y, reg, step_size):
    """One step of the three-layer net."""
    W, b, W2, b2, W3, b3 = (params[name] for name in ("W", "b", "W2", "b2", "W3", "b3"))
    N = X.shape[0]

    hidden_layer = boxed.relu(X @ W + b)
    hidden_layer2 = boxed.relu(hidden_layer @ W2 + b2)
    scores = hidden_layer2 @ W3 + b3
    exp_scores = boxed.exp(scores)
    probs = exp_scores / boxed.total(exp_scores, axis=1)
    correct_logprobs = -boxed.log(boxed.pick(probs, y))
    data_loss = boxed.total(correct_logprobs) / N
    reg_loss = 0.5 * reg * boxed.total(W * W) + 0.5 * reg * boxed.total(W2 * W2)
    reg_loss = reg_loss + 0.5 * reg * boxed.total(W3 * W3)

    dscores = (probs - boxed.one_hot(y, probs)) / N
    dW3 = hidden_layer2.T @ dscores + reg * W3
    db3 = boxed.total(dscores, axis=0)
    dhidden2 = boxed.where_positive(hidden_layer2, dscores @ W3.T)
    dW2 = hidden_layer.T @ dhidden2 + reg * W2
    db2 = boxed.total(dhidden2, axis=0)
    dhidden = boxed.where_positive(hidden_layer, dhidden2 @ W2.T)
    dW = X.T @ dhidden + reg * W
    db = boxed.total(dhidden, axis=0)

    return {
        "hidden_layer": hidden_layer,
        "hidden_layer2": hidden_layer2,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
        "dscores": dscores,
        "dW3": dW3,
        "db3": db3,
        "dhidden2": dhidden2,
        "dW2": dW2,
        "db2": db2,
        "dhidden": dhidden,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
        "W3_next": W3 - step_size * dW3,
        "b3_next": b3 - step_size * db3,
    }
