"""The note's softmax classifier in Keras 3 on the JAX backend: a layer, a loss and a regularizer.

    pip install keras
    lockstep check docs/examples/my_port_keras.py

JAX differentiates the layer's stateless call. Two of Keras's own parts are float32 inside where all else
is float64: `keras.ops.mean`, and the step size of `keras.optimizers.SGD` (Keras 3.15). A sum and an
update by hand take their places.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras

framework = "jax"
hidden_quantities = {"dscores": "the gradient is taken at the layer's variables only"}


def losses(weights, layer, X, y, reg):
    """The loss, and the quantities that lead to it."""
    scores, _ = layer.stateless_call(weights, [], X)
    right = keras.ops.one_hot(y, scores.shape[1], dtype=X.dtype)
    correct_logprobs = keras.losses.categorical_crossentropy(right, scores, from_logits=True)
    data_loss = keras.ops.sum(correct_logprobs) / len(y)
    reg_loss = keras.regularizers.L2(0.5 * reg)(weights[0])
    return data_loss + reg_loss, {
        "scores": scores,
        "probs": keras.ops.softmax(scores),
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
    }


class softmax_step:
    """One step of the linear classifier; layer and gradient are made once per run."""

    def __init__(self, compile):
        self.layer = None

    def __call__(self, params, X, y, reg, step_size):
        """Make one step."""
        W, b = params["W"], params["b"][0]
        if self.layer is None:
            self.layer = keras.layers.Dense(len(b), dtype=X.dtype.name)
            self.layer.build(X.shape)
            self.gradient = jax.jit(jax.grad(losses, has_aux=True), static_argnums=(1, 4))

        (dW, db), trace = self.gradient([W, b], self.layer, X, y, reg)

        after = {"W_next": W - step_size * dW, "b_next": (b - step_size * db)[None]}
        return trace | {"dW": dW, "db": db[None]} | after
