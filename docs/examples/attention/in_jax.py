"""Self-attention in JAX: `jax.nn.softmax`, with the gradients by hand, as in the reference."""

import jax
import jax.numpy as jnp

framework = "jax"


def step(params, batch):
    """Attend, backpropagate, update."""
    Wq, Wk, Wv, Wo = (params[name] for name in ("Wq", "Wk", "Wv", "Wo"))
    X, target, step_size = batch["X"], batch["target"], batch["step_size"]
    num_sequences, size = X.shape[0], Wq.shape[1] ** 0.5

    q, k, v = X @ Wq, X @ Wk, X @ Wv
    scores = q @ k.swapaxes(1, 2) / size
    probs = jax.nn.softmax(scores, axis=-1)
    attended = probs @ v
    out = attended @ Wo
    loss = 0.5 * jnp.sum((out - target) ** 2) / num_sequences

    dout = (out - target) / num_sequences
    dWo = jnp.einsum("nta,ntd->ad", attended, dout)
    dattended = dout @ Wo.T
    dprobs = dattended @ v.swapaxes(1, 2)
    dv = probs.swapaxes(1, 2) @ dattended
    dscores = probs * (dprobs - jnp.sum(dprobs * probs, axis=-1, keepdims=True))
    dq = dscores @ k / size
    dk = dscores.swapaxes(1, 2) @ q / size
    dWq, dWk, dWv = (jnp.einsum("ntd,nta->da", X, d) for d in (dq, dk, dv))

    return {
        "q": q,
        "k": k,
        "v": v,
        "scores": scores,
        "probs": probs,
        "attended": attended,
        "out": out,
        "loss": loss,
        "dout": dout,
        "dWo": dWo,
        "dattended": dattended,
        "dprobs": dprobs,
        "dv": dv,
        "dscores": dscores,
        "dq": dq,
        "dk": dk,
        "dWq": dWq,
        "dWk": dWk,
        "dWv": dWv,
        "Wq_next": Wq - step_size * dWq,
        "Wk_next": Wk - step_size * dWk,
        "Wv_next": Wv - step_size * dWv,
        "Wo_next": Wo - step_size * dWo,
    }
