"""AdamW in JAX: `jax.value_and_grad` for the classifier; the optimizer is by hand, as in the reference.

The gradient at the scores is that of a probe: zeros that are added there.
"""

import jax
import jax.numpy as jnp

framework = "jax"


def forward(learned, probe, X, y):
    """The loss, and what leads to it."""
    scores = X @ learned["W"] + learned["b"] + probe
    log_probs = jax.nn.log_softmax(scores, axis=1)
    loss = -jnp.mean(log_probs[jnp.arange(X.shape[0]), y])
    return loss, {"scores": scores, "log_probs": log_probs}


def step(params, batch):
    """Evaluate the classifier, backpropagate, update by AdamW."""
    W, b, t = params["W"], params["b"], params["t"] + 1
    beta1, beta2, step_size = batch["beta1"], batch["beta2"], batch["step_size"]
    probe = jnp.zeros((batch["X"].shape[0], b.shape[1]), W.dtype)

    differentiated = jax.value_and_grad(forward, argnums=(0, 1), has_aux=True)
    (loss, inner), (d, dscores) = differentiated({"W": W, "b": b}, probe, batch["X"], batch["y"])
    decayed_W = (1 - step_size * batch["weight_decay"]) * W

    def moments(name, gradient):
        m = beta1 * params[f"m_{name}"] + (1 - beta1) * gradient
        v = beta2 * params[f"v_{name}"] + (1 - beta2) * gradient**2
        return m, v

    def direction(m, v):
        return m / (1 - beta1**t) / (jnp.sqrt(v / (1 - beta2**t)) + batch["eps"])

    m_W, v_W = moments("W", d["W"])
    m_b, v_b = moments("b", d["b"])
    return {
        **inner,
        "loss": loss,
        "dscores": dscores,
        "dW": d["W"],
        "db": d["b"],
        "m_W_next": m_W,
        "v_W_next": v_W,
        "m_b_next": m_b,
        "v_b_next": v_b,
        "t_next": t,
        "W_next": decayed_W - step_size * direction(m_W, v_W),
        "b_next": b - step_size * direction(m_b, v_b),
    }
