"""The net with dropout in JAX, with the gradients by hand, as in the reference."""

import jax.numpy as jnp

framework = "jax"


def step(params, batch):
    """Evaluate the net, backpropagate, update."""
    W1, b1, W2, b2, W3, b3 = (params[name] for name in ("W1", "b1", "W2", "b2", "W3", "b3"))
    X, y, step_size = batch["X"], batch["y"], batch["step_size"]
    mask1, mask2 = batch["mask1"], batch["mask2"]
    examples = jnp.arange(X.shape[0])

    z1 = X @ W1 + b1
    h1 = jnp.maximum(z1, 0) * mask1
    z2 = h1 @ W2 + b2
    h2 = jnp.maximum(z2, 0) * mask2
    scores = h2 @ W3 + b3

    exp_scores = jnp.exp(scores)
    probs = exp_scores / jnp.sum(exp_scores, axis=1, keepdims=True)
    correct_logprobs = -jnp.log(probs[examples, y])

    dscores = probs.at[examples, y].add(-1) / X.shape[0]
    dW3, db3 = h2.T @ dscores, jnp.sum(dscores, axis=0, keepdims=True)
    dh2 = dscores @ W3.T
    dz2 = dh2 * mask2 * (z2 > 0)
    dW2, db2 = h1.T @ dz2, jnp.sum(dz2, axis=0, keepdims=True)
    dh1 = dz2 @ W2.T
    dz1 = dh1 * mask1 * (z1 > 0)
    dW1, db1 = X.T @ dz1, jnp.sum(dz1, axis=0, keepdims=True)

    return {
        "z1": z1,
        "h1": h1,
        "z2": z2,
        "h2": h2,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "loss": jnp.mean(correct_logprobs),
        "dscores": dscores,
        "dW3": dW3,
        "db3": db3,
        "dh2": dh2,
        "dz2": dz2,
        "dW2": dW2,
        "db2": db2,
        "dh1": dh1,
        "dz1": dz1,
        "dW1": dW1,
        "db1": db1,
        "W1_next": W1 - step_size * dW1,
        "b1_next": b1 - step_size * db1,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
        "W3_next": W3 - step_size * dW3,
        "b3_next": b3 - step_size * db3,
    }
