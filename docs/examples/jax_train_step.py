"""A training step as JAX users have it: (params, opt_state, X, y) -> (params, opt_state, loss).

The parameters are a list of layers, the optimizer is optax's, its state goes from step to step, and the
whole step is compiled. The adapter at the end puts the note's names on them.
"""

import jax
import jax.numpy as jnp
import optax


def predict(params, X):
    """The scores of a net with ReLU layers."""
    *hidden, (W, b) = params
    for V, c in hidden:
        X = jax.nn.relu(X @ V + c)
    return X @ W + b


def loss_fn(params, X, y, reg):
    """Cross-entropy and regularization."""
    data = optax.softmax_cross_entropy_with_integer_labels(predict(params, X), y).mean()
    return data + sum(0.5 * reg * jnp.sum(W**2) for W, _ in params)


def make_train_step(optimizer, reg):
    """A compiled step of training."""

    @jax.jit
    def train_step(params, opt_state, X, y):
        loss, grads = jax.value_and_grad(loss_fn)(params, X, y, reg)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return train_step


# The adapter that `lockstep check` reads. Gradients that it took by itself would not be those of the
# compiled step, to the last bit, so they count as hidden.

framework = "jax"
hidden_quantities = dict.fromkeys(
    [
        "hidden_layer",
        "probs",
        "correct_logprobs",
        "data_loss",
        "reg_loss",
        "dscores",
        "dhidden",
        "dW2",
        "db2",
        "dW",
        "db",
    ],
    "the training step keeps it to itself",
)


class two_layer_step:
    """The training step from the given weights, with the optimizer's state of the last step."""

    def __init__(self, compile):
        self.opt_state = None

    def __call__(self, params, X, y, reg, step_size):
        """Make one step, and read off what it returns."""
        layers = [(params["W"], params["b"][0]), (params["W2"], params["b2"][0])]
        if self.opt_state is None:
            optimizer = optax.sgd(step_size)
            self.opt_state, self.train_step = optimizer.init(layers), make_train_step(optimizer, reg)

        ((W, b), (W2, b2)), self.opt_state, loss = self.train_step(layers, self.opt_state, X, y)

        return {
            "scores": predict(layers, X),
            "loss": loss,
            "W_next": W,
            "b_next": b[None],
            "W2_next": W2,
            "b2_next": b2[None],
        }
