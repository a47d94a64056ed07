"""The note in JAX's mixed precision: float32 parameters, layers in bfloat16.

Points and parameters are cast for the layers, and the scores are cast back for the loss. So the
gradients of a layer are computed in bfloat16, and the transpose of the cast brings them to float32, in
which the regularization's part is added and the parameters are updated.

Softmax and probes are those of `jax_grad`. A probe is bfloat16 where the layer's output is.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import Array

from ports.in_jax.grad import softmax_loss
from ports.in_jax.manual import spiral

__all__ = ["quantity_dtypes", "softmax_step", "spiral", "two_layer_step"]

#: What is stored in bfloat16. All other quantities are float32.
quantity_dtypes = dict.fromkeys(["hidden_layer", "scores", "dscores", "dhidden"], "bfloat16")


def layer(X: Array, W: Array, b: Array) -> Array:
    """X W + b in bfloat16."""
    X, W, b = (array.astype(jnp.bfloat16) for array in (X, W, b))
    return jnp.dot(X, W) + b


def softmax_forward(
    params: Mapping[str, Array], probes: Mapping[str, Array], X: Array, y: Array, reg: float
) -> tuple[Array, dict[str, Array]]:
    """Return the classifier's loss, and every quantity up to it."""
    W, b = params["W"], params["b"]
    scores = layer(X, W, b) + probes["scores"]
    probs, correct_logprobs = softmax_loss(scores.astype(jnp.float32), y)
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
    hidden_layer = jax.nn.relu(layer(X, W, b) + probes["hidden"])
    scores = layer(hidden_layer, W2, b2) + probes["scores"]
    probs, correct_logprobs = softmax_loss(scores.astype(jnp.float32), y)
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


def softmax_step(
    params: Mapping[str, Array], X: Array, y: Array, reg: float, step_size: float
) -> dict[str, Array]:
    """One step of the linear classifier."""
    W, b = params["W"], params["b"]
    probes = {"scores": jnp.zeros((X.shape[0], b.shape[1]), jnp.bfloat16)}

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
        "hidden": jnp.zeros((num_examples, b.shape[1]), jnp.bfloat16),
        "scores": jnp.zeros((num_examples, b2.shape[1]), jnp.bfloat16),
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
