"""The feed-forward block in JAX, with the gradients by hand, as in the reference."""

import jax.numpy as jnp

framework = "jax"
SLOPE, CUBIC = (2 / jnp.pi) ** 0.5, 0.044715


def step(params, batch):
    """Evaluate the block, backpropagate, update."""
    gamma, beta, W1, b1, W2, b2 = (params[n] for n in ("gamma", "beta", "W1", "b1", "W2", "b2"))
    X, target, step_size = batch["X"], batch["target"], batch["step_size"]
    num_examples = X.shape[0]

    mean = jnp.mean(X, axis=1, keepdims=True)
    var = jnp.var(X, axis=1, keepdims=True)
    std = jnp.sqrt(var + batch["eps"])
    normalized = (X - mean) / std
    a = gamma * normalized + beta
    z = a @ W1 + b1
    bend = jnp.tanh(SLOPE * (z + CUBIC * z**3))
    h = 0.5 * z * (1 + bend)
    out = X + (h @ W2 + b2)
    loss = 0.5 * jnp.sum((out - target) ** 2) / num_examples

    dout = (out - target) / num_examples
    dW2, db2 = h.T @ dout, jnp.sum(dout, axis=0, keepdims=True)
    dh = dout @ W2.T
    dbend = dh * 0.5 * z
    dz = dh * 0.5 * (1 + bend) + dbend * (1 - bend**2) * SLOPE * (1 + 3 * CUBIC * z**2)
    dW1, db1 = a.T @ dz, jnp.sum(dz, axis=0, keepdims=True)
    da = dz @ W1.T
    dgamma = jnp.sum(da * normalized, axis=0, keepdims=True)
    dbeta = jnp.sum(da, axis=0, keepdims=True)
    dnormalized = da * gamma
    through_mean = jnp.mean(dnormalized, axis=1, keepdims=True)
    through_var = normalized * jnp.mean(dnormalized * normalized, axis=1, keepdims=True)
    dX = dout + (dnormalized - through_mean - through_var) / std

    return {
        "mean": mean,
        "var": var,
        "normalized": normalized,
        "a": a,
        "z": z,
        "bend": bend,
        "h": h,
        "out": out,
        "loss": loss,
        "dout": dout,
        "dW2": dW2,
        "db2": db2,
        "dh": dh,
        "dbend": dbend,
        "dz": dz,
        "dW1": dW1,
        "db1": db1,
        "da": da,
        "dgamma": dgamma,
        "dbeta": dbeta,
        "dnormalized": dnormalized,
        "dX": dX,
        "gamma_next": gamma - step_size * dgamma,
        "beta_next": beta - step_size * dbeta,
        "W1_next": W1 - step_size * dW1,
        "b1_next": b1 - step_size * db1,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
    }
