"""The Elman network in JAX, with backpropagation through time by hand, as in the reference."""

import jax
import jax.numpy as jnp

framework = "jax"


def step(params, batch):
    """Read the sequences, backpropagate through time, update."""
    Wx, Wh, b, W2, b2 = (params[name] for name in ("Wx", "Wh", "b", "W2", "b2"))
    X, y, step_size = batch["X"], batch["y"], batch["step_size"]
    N, T, _ = X.shape
    times = range(1, T + 1)

    h = [batch["h0"]]
    for t in times:
        h.append(jnp.tanh(X[:, t - 1] @ Wx + h[t - 1] @ Wh + b))
    scores = h[T] @ W2 + b2
    log_probs = jax.nn.log_softmax(scores, axis=1)
    loss = -jnp.mean(log_probs[jnp.arange(N), y])

    dscores = jnp.exp(log_probs).at[jnp.arange(N), y].add(-1) / N
    dW2, db2 = h[T].T @ dscores, jnp.sum(dscores, axis=0, keepdims=True)
    dh, da = {T: dscores @ W2.T}, {}
    for t in reversed(times):
        da[t] = dh[t] * (1 - h[t] ** 2)
        dh[t - 1] = da[t] @ Wh.T
    dWx = sum(X[:, t - 1].T @ da[t] for t in times)
    dWh = sum(h[t - 1].T @ da[t] for t in times)
    db = sum(jnp.sum(da[t], axis=0, keepdims=True) for t in times)

    return {
        **{f"h{t}": h[t] for t in times},
        "scores": scores,
        "log_probs": log_probs,
        "loss": loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        **{f"dh{t}": dh[t] for t in times},
        "dWx": dWx,
        "dWh": dWh,
        "db": db,
        "Wx_next": Wx - step_size * dWx,
        "Wh_next": Wh - step_size * dWh,
        "b_next": b - step_size * db,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
    }
