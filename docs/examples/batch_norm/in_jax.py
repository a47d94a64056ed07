"""The net with batch normalization in JAX, with the gradients by hand, as in the reference."""

import jax
import jax.numpy as jnp

framework = "jax"


def step(params, batch):
    """Evaluate the net, backpropagate, update."""
    W1, gamma, beta, W2, b2 = (params[name] for name in ("W1", "gamma", "beta", "W2", "b2"))
    X, y, step_size = batch["X"], batch["y"], batch["step_size"]
    eps, momentum = batch["eps"], batch["momentum"]
    N = X.shape[0]

    z = X @ W1
    mean = jnp.mean(z, axis=0, keepdims=True)
    var = jnp.var(z, axis=0, keepdims=True)
    std = jnp.sqrt(var + eps)
    normalized = (z - mean) / std
    a = gamma * normalized + beta
    h = jnp.maximum(a, 0)
    scores = h @ W2 + b2

    log_probs = jax.nn.log_softmax(scores, axis=1)
    loss = -jnp.mean(log_probs[jnp.arange(N), y])

    dscores = jnp.exp(log_probs).at[jnp.arange(N), y].add(-1) / N
    dW2, db2 = h.T @ dscores, jnp.sum(dscores, axis=0, keepdims=True)
    dh = dscores @ W2.T
    da = dh * (a > 0)
    dgamma = jnp.sum(da * normalized, axis=0, keepdims=True)
    dbeta = jnp.sum(da, axis=0, keepdims=True)
    dnormalized = da * gamma
    through_mean = jnp.mean(dnormalized, axis=0, keepdims=True)
    through_var = normalized * jnp.mean(dnormalized * normalized, axis=0, keepdims=True)
    dz = (dnormalized - through_mean - through_var) / std
    dW1 = X.T @ dz

    keep = 1 - momentum
    return {
        "z": z,
        "mean": mean,
        "var": var,
        "normalized": normalized,
        "a": a,
        "h": h,
        "scores": scores,
        "log_probs": log_probs,
        "loss": loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        "dh": dh,
        "da": da,
        "dgamma": dgamma,
        "dbeta": dbeta,
        "dnormalized": dnormalized,
        "dz": dz,
        "dW1": dW1,
        "W1_next": W1 - step_size * dW1,
        "gamma_next": gamma - step_size * dgamma,
        "beta_next": beta - step_size * dbeta,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
        "running_mean_next": keep * params["running_mean"] + momentum * mean,
        "running_var_next": keep * params["running_var"] + momentum * var * N / (N - 1),
    }
