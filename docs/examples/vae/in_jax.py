"""The variational autoencoder in JAX, with the gradients by hand, as in the reference."""

import jax
import jax.numpy as jnp

framework = "jax"


def step(params, batch):
    """Encode, draw, decode, backpropagate, update."""
    X, noise, num_examples = batch["X"], batch["noise"], batch["X"].shape[0]

    h1 = jnp.tanh(X @ params["W1"] + params["b1"])
    mu = h1 @ params["W_mu"] + params["b_mu"]
    logvar = h1 @ params["W_logvar"] + params["b_logvar"]
    std = jnp.exp(0.5 * logvar)
    latent = mu + std * noise
    h2 = jnp.tanh(latent @ params["W2"] + params["b2"])
    logits = h2 @ params["W3"] + params["b3"]

    reconstruction = jnp.sum(jax.nn.softplus(logits) - X * logits) / num_examples
    kl = 0.5 * jnp.sum(mu**2 + jnp.exp(logvar) - 1 - logvar) / num_examples

    dlogits = (jax.nn.sigmoid(logits) - X) / num_examples
    dh2 = dlogits @ params["W3"].T
    da2 = dh2 * (1 - h2**2)
    dlatent = da2 @ params["W2"].T
    dmu = dlatent + mu / num_examples
    dstd = dlatent * noise
    dlogvar = 0.5 * dstd * std + 0.5 * (jnp.exp(logvar) - 1) / num_examples
    dh1 = dmu @ params["W_mu"].T + dlogvar @ params["W_logvar"].T
    da1 = dh1 * (1 - h1**2)

    layers = {
        "1": (X, da1),
        "_mu": (h1, dmu),
        "_logvar": (h1, dlogvar),
        "2": (latent, da2),
        "3": (h2, dlogits),
    }
    gradients = {}
    for layer, (below, above) in layers.items():
        gradients[f"W{layer}"] = below.T @ above
        gradients[f"b{layer}"] = jnp.sum(above, axis=0, keepdims=True)

    return {
        "h1": h1,
        "mu": mu,
        "logvar": logvar,
        "std": std,
        "latent": latent,
        "h2": h2,
        "logits": logits,
        "reconstruction": reconstruction,
        "kl": kl,
        "loss": reconstruction + kl,
        "dlogits": dlogits,
        "dh2": dh2,
        "dlatent": dlatent,
        "dmu": dmu,
        "dstd": dstd,
        "dlogvar": dlogvar,
        "dh1": dh1,
        **{f"d{name}": gradient for name, gradient in gradients.items()},
        **{f"{name}_next": params[name] - batch["step_size"] * gradients[name] for name in gradients},
    }
