"""The multiclass SVM in JAX, with the gradients by hand, as in the reference."""

import jax.numpy as jnp

framework = "jax"


def step(params, batch):
    """Evaluate the classifier, backpropagate, update."""
    W, b = params["W"], params["b"]
    X, y, reg, step_size = batch["X"], batch["y"], batch["reg"], batch["step_size"]
    num_examples = X.shape[0]
    right = (jnp.arange(num_examples), y)

    scores = X @ W + b
    margins = jnp.maximum(scores - scores[right][:, None] + 1, 0).at[right].set(0)
    data_loss = jnp.sum(margins) / num_examples
    reg_loss = reg * jnp.sum(W * W)

    counted = (margins > 0).astype(X.dtype)
    dscores = counted.at[right].set(-jnp.sum(counted, axis=1)) / num_examples
    dW = X.T @ dscores + 2 * reg * W
    db = jnp.sum(dscores, axis=0, keepdims=True)

    return {
        "scores": scores,
        "margins": margins,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
        "dscores": dscores,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
    }
