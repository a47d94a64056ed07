"""The net in JAX: `lax.conv_general_dilated` and its own gradients; the rest is by hand."""

import jax
import jax.numpy as jnp

framework = "jax"


def convolution(X, W1, b1):
    """A correlation with a frame of zeros: pictures (N, C, R, S), filters (F, C, 3, 3)."""
    return (
        jax.lax.conv_general_dilated(X, W1, window_strides=(1, 1), padding="SAME") + b1[:, :, None, None]
    )


def step(params, batch):
    """Evaluate the net, backpropagate, update."""
    W1, b1, W2, b2 = (params[name] for name in ("W1", "b1", "W2", "b2"))
    X, y, step_size = batch["X"], batch["y"], batch["step_size"]
    N = X.shape[0]

    z, pull_back = jax.vjp(convolution, X, W1, b1)
    h = jax.nn.relu(z)
    flat = h.reshape(N, -1)
    scores = flat @ W2 + b2
    log_probs = jax.nn.log_softmax(scores, axis=1)
    loss = -jnp.mean(log_probs[jnp.arange(N), y])

    dscores = jnp.exp(log_probs).at[jnp.arange(N), y].add(-1) / N
    dW2, db2 = flat.T @ dscores, jnp.sum(dscores, axis=0, keepdims=True)
    dh = (dscores @ W2.T).reshape(h.shape)
    dz = jnp.where(z > 0, dh, 0)
    dX, dW1, db1 = pull_back(dz)

    return {
        "z": z,
        "h": h,
        "scores": scores,
        "log_probs": log_probs,
        "loss": loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        "dh": dh,
        "dz": dz,
        "dW1": dW1,
        "db1": db1,
        "dX": dX,
        "W1_next": W1 - step_size * dW1,
        "b1_next": b1 - step_size * db1,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
    }
