"""The note in JAX, formula by formula. Gradients are computed by hand, without jax.grad.

Read it beside `reference/softmax.py` and `reference/two_layer.py`.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array


def spiral(noise: Array) -> tuple[Array, Array]:
    """noise (K, N) -> X (N*K, 2), y (N*K,)."""
    K, N = noise.shape
    arms = []
    for j in range(K):
        r = jnp.linspace(0.0, 1, N, dtype=noise.dtype)  # radius
        t = jnp.linspace(j * 4, (j + 1) * 4, N, dtype=noise.dtype) + noise[j] * 0.2  # theta
        arms.append(jnp.stack([r * jnp.sin(t), r * jnp.cos(t)], axis=1))
    return jnp.concatenate(arms), jnp.repeat(jnp.arange(K), N)


def softmax_step(
    params: Mapping[str, Array], X: Array, y: Array, reg: float, step_size: float
) -> dict[str, Array]:
    """One step of the linear classifier."""
    W, b = params["W"], params["b"]
    num_examples = X.shape[0]
    rows = jnp.arange(num_examples)

    scores = jnp.dot(X, W) + b  # (N, K)

    exp_scores = jnp.exp(scores)
    probs = exp_scores / jnp.sum(exp_scores, axis=1, keepdims=True)  # (N, K)

    correct_logprobs = -jnp.log(probs[rows, y])  # (N,)
    data_loss = jnp.sum(correct_logprobs) / num_examples
    reg_loss = 0.5 * reg * jnp.sum(W * W)
    loss = data_loss + reg_loss

    dscores = probs.at[rows, y].add(-1)
    dscores /= num_examples  # (N, K)

    dW = jnp.dot(X.T, dscores) + reg * W  # (D, K)
    db = jnp.sum(dscores, axis=0, keepdims=True)  # (1, K)

    return {
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
        "dscores": dscores,
        "dW": dW,
        "db": db,
        "W_next": W + -step_size * dW,
        "b_next": b + -step_size * db,
    }


def two_layer_step(
    params: Mapping[str, Array], X: Array, y: Array, reg: float, step_size: float
) -> dict[str, Array]:
    """One step of the two-layer net."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    num_examples = X.shape[0]
    rows = jnp.arange(num_examples)

    hidden_layer = jnp.maximum(0, jnp.dot(X, W) + b)  # (N, H)
    scores = jnp.dot(hidden_layer, W2) + b2  # (N, K)

    exp_scores = jnp.exp(scores)
    probs = exp_scores / jnp.sum(exp_scores, axis=1, keepdims=True)  # (N, K)

    correct_logprobs = -jnp.log(probs[rows, y])  # (N,)
    data_loss = jnp.sum(correct_logprobs) / num_examples
    reg_loss = 0.5 * reg * jnp.sum(W * W) + 0.5 * reg * jnp.sum(W2 * W2)
    loss = data_loss + reg_loss

    dscores = probs.at[rows, y].add(-1)
    dscores /= num_examples  # (N, K)

    dW2 = jnp.dot(hidden_layer.T, dscores) + reg * W2  # (H, K)
    db2 = jnp.sum(dscores, axis=0, keepdims=True)  # (1, K)
    dhidden = jnp.dot(dscores, W2.T)  # (N, H)
    dhidden = jnp.where(hidden_layer <= 0, 0, dhidden)
    dW = jnp.dot(X.T, dhidden) + reg * W  # (D, H)
    db = jnp.sum(dhidden, axis=0, keepdims=True)  # (1, H)

    return {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        "dhidden": dhidden,
        "dW": dW,
        "db": db,
        "W_next": W + -step_size * dW,
        "b_next": b + -step_size * db,
        "W2_next": W2 + -step_size * dW2,
        "b2_next": b2 + -step_size * db2,
    }
