"""The note's forward pass in JAX, with gradients by jax.grad.

Softmax is shifted by the row maximum, the usual way where scores may be large. To read the
gradient at a place inside the graph, a *probe* of zeros is added there: its gradient is the
gradient at that place. The ReLU is jax.nn.relu, whose gradient at 0 is 0 like the note's;
that of jnp.maximum would be 1/2.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import Array

from ports.in_jax.manual import spiral

__all__ = ["softmax_step", "spiral", "two_layer_step"]


def softmax_forward(
    params: Mapping[str, Array], probes: Mapping[str, Array], X: Array, y: Array, reg: float
) -> tuple[Array, dict[str, Array]]:
    """Return the classifier's loss, and every quantity up to it."""
    W, b = params["W"], params["b"]
    scores = jnp.dot(X, W) + b + probes["scores"]
    probs, correct_logprobs = softmax_loss(scores, y)
    data_loss = jnp.mean(correct_logprobs)
    reg_loss = 0.5 * reg * jnp.sum(W * W)
    loss = data_loss + reg_loss
    return loss, {
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
    }


def two_layer_forward(
    params: Mapping[str, Array], probes: Mapping[str, Array], X: Array, y: Array, reg: float
) -> tuple[Array, dict[str, Array]]:
    """Return the net's loss, and every quantity up to it."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    hidden_layer = jax.nn.relu(jnp.dot(X, W) + b + probes["hidden"])
    scores = jnp.dot(hidden_layer, W2) + b2 + probes["scores"]
    probs, correct_logprobs = softmax_loss(scores, y)
    data_loss = jnp.mean(correct_logprobs)
    reg_loss = 0.5 * reg * jnp.sum(W * W) + 0.5 * reg * jnp.sum(W2 * W2)
    loss = data_loss + reg_loss
    return loss, {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
    }


def softmax_loss(scores: Array, y: Array) -> tuple[Array, Array]:
    """Probabilities (N, K) and -log of the right class's (N,)."""
    rows = jnp.arange(scores.shape[0])
    exp_scores = jnp.exp(scores - jax.lax.stop_gradient(jnp.max(scores, axis=1, keepdims=True)))
    probs = exp_scores / jnp.sum(exp_scores, axis=1, keepdims=True)
    return probs, -jnp.log(probs[rows, y])


def softmax_step(
    params: Mapping[str, Array], X: Array, y: Array, reg: float, step_size: float
) -> dict[str, Array]:
    """One step of the linear classifier."""
    W, b = params["W"], params["b"]
    probes = {"scores": jnp.zeros((X.shape[0], b.shape[1]), X.dtype)}

    gradient = jax.grad(softmax_forward, argnums=(0, 1), has_aux=True)
    forward: dict[str, Array]
    (d, at), forward = gradient({"W": W, "b": b}, probes, X, y, reg)

    return forward | {
        "dscores": at["scores"],
        "dW": d["W"],
        "db": d["b"],
        "W_next": W - step_size * d["W"],
        "b_next": b - step_size * d["b"],
    }


def two_layer_step(
    params: Mapping[str, Array], X: Array, y: Array, reg: float, step_size: float
) -> dict[str, Array]:
    """One step of the two-layer net."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    num_examples = X.shape[0]
    probes = {
        "hidden": jnp.zeros((num_examples, b.shape[1]), X.dtype),
        "scores": jnp.zeros((num_examples, b2.shape[1]), X.dtype),
    }

    gradient = jax.grad(two_layer_forward, argnums=(0, 1), has_aux=True)
    forward: dict[str, Array]
    (d, at), forward = gradient({"W": W, "b": b, "W2": W2, "b2": b2}, probes, X, y, reg)

    return forward | {
        "dscores": at["scores"],
        "dW2": d["W2"],
        "db2": d["b2"],
        "dhidden": at["hidden"],
        "dW": d["W"],
        "db": d["b"],
        "W_next": W - step_size * d["W"],
        "b_next": b - step_size * d["b"],
        "W2_next": W2 - step_size * d["W2"],
        "b2_next": b2 - step_size * d["b2"],
    }
