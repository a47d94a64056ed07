"""The note's networks as JAX users write them: jax.nn, optax's cross-entropy and optimizer.

The optimizer's state lives across steps, as in a training script. A probe of zeros marks
where a gradient is read (see `jax_grad`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ports.in_jax.manual import spiral

__all__ = ["hidden_quantities", "softmax_step", "spiral", "two_layer_step"]

hidden_quantities = {
    "dW": "weight decay adds reg*W inside the optimizer",
    "dW2": "weight decay adds reg*W2 inside the optimizer",
}


def sgd(reg: float, step_size: float) -> optax.GradientTransformation:
    """Plain SGD, with decay of the weights only. It precedes the step: after it, they would grow."""
    decay = optax.add_decayed_weights(reg, mask=lambda params: {n: n.startswith("W") for n in params})
    return optax.chain(decay, optax.sgd(step_size))


def softmax_forward(
    params: Mapping[str, Array], probes: Mapping[str, Array], X: Array, y: Array
) -> tuple[Array, dict[str, Array]]:
    """Return the classifier's data loss, and the quantities that lead to it."""
    scores = X @ params["W"] + params["b"] + probes["scores"]
    return cross_entropy(scores, y)


def two_layer_forward(
    params: Mapping[str, Array], probes: Mapping[str, Array], X: Array, y: Array
) -> tuple[Array, dict[str, Array]]:
    """Return the net's data loss, and the quantities that lead to it."""
    hidden_layer = jax.nn.relu(X @ params["W"] + params["b"] + probes["hidden"])
    scores = hidden_layer @ params["W2"] + params["b2"] + probes["scores"]
    data_loss, trace = cross_entropy(scores, y)
    return data_loss, {"hidden_layer": hidden_layer} | trace


def cross_entropy(scores: Array, y: Array) -> tuple[Array, dict[str, Array]]:
    """Return the mean cross-entropy, with scores, probabilities and per-example losses."""
    correct_logprobs = optax.softmax_cross_entropy_with_integer_labels(scores, y)
    data_loss = jnp.mean(correct_logprobs)
    return data_loss, {
        "scores": scores,
        "probs": jax.nn.softmax(scores, axis=1),
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
    }


def gradients(
    forward: Callable[..., Any],
    params: Mapping[str, Array],
    probes: Mapping[str, Array],
    X: Array,
    y: Array,
    reg: float,
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Gradients of the data loss at parameters and probes, and the trace with the note's losses.

    Weight decay regularises in the optimizer, so `loss` is for reading only.
    """
    (d, at), trace = jax.grad(forward, argnums=(0, 1), has_aux=True)(params, probes, X, y)
    reg_loss = sum(0.5 * reg * jnp.sum(params[name] ** 2) for name in params if name.startswith("W"))
    return d, at, trace | {"reg_loss": reg_loss, "loss": trace["data_loss"] + reg_loss}


class softmax_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the linear classifier; the compiled mode compiles the whole update."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.update = compile(self.update_from)
        self.state: optax.OptState | None = None

    def __call__(
        self, params: Mapping[str, Array], X: Array, y: Array, reg: float, step_size: float
    ) -> dict[str, Array]:
        """Make one step; the optimizer's state goes on to the next."""
        if self.state is None:
            self.state = sgd(reg, step_size).init(dict(params))
        trace: dict[str, Array]
        self.state, trace = self.update(self.state, dict(params), X, y, reg, step_size)
        return trace

    @staticmethod
    def update_from(
        state: optax.OptState,
        params: dict[str, Array],
        X: Array,
        y: Array,
        reg: float,
        step_size: float,
    ) -> tuple[optax.OptState, dict[str, Array]]:
        """Forward, backward, update."""
        probes = {"scores": jnp.zeros((X.shape[0], params["b"].shape[1]), X.dtype)}
        d, at, trace = gradients(softmax_forward, params, probes, X, y, reg)

        updates, state = sgd(reg, step_size).update(d, state, params)
        after = optax.apply_updates(params, updates)

        return state, trace | {
            "dscores": at["scores"],
            "db": d["b"],
            "W_next": after["W"],
            "b_next": after["b"],
        }


class two_layer_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the two-layer net; the compiled mode compiles the whole update."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.update = compile(self.update_from)
        self.state: optax.OptState | None = None

    def __call__(
        self, params: Mapping[str, Array], X: Array, y: Array, reg: float, step_size: float
    ) -> dict[str, Array]:
        """Make one step; the optimizer's state goes on to the next."""
        if self.state is None:
            self.state = sgd(reg, step_size).init(dict(params))
        trace: dict[str, Array]
        self.state, trace = self.update(self.state, dict(params), X, y, reg, step_size)
        return trace

    @staticmethod
    def update_from(
        state: optax.OptState,
        params: dict[str, Array],
        X: Array,
        y: Array,
        reg: float,
        step_size: float,
    ) -> tuple[optax.OptState, dict[str, Array]]:
        """Forward, backward, update."""
        num_examples = X.shape[0]
        probes = {
            "hidden": jnp.zeros((num_examples, params["b"].shape[1]), X.dtype),
            "scores": jnp.zeros((num_examples, params["b2"].shape[1]), X.dtype),
        }
        d, at, trace = gradients(two_layer_forward, params, probes, X, y, reg)

        updates, state = sgd(reg, step_size).update(d, state, params)
        after = optax.apply_updates(params, updates)

        return state, trace | {
            "dscores": at["scores"],
            "db2": d["b2"],
            "dhidden": at["hidden"],
            "db": d["b"],
            "W_next": after["W"],
            "b_next": after["b"],
            "W2_next": after["W2"],
            "b2_next": after["b2"],
        }
