"""The autoencoder in PyTorch: `F.linear`, `F.binary_cross_entropy_with_logits` and autograd."""

import torch
import torch.nn.functional as F

framework = "torch"


def step(params, batch):
    """Encode, draw, decode, backpropagate, update."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    X, num_examples = batch["X"], len(batch["X"])

    def linear(name, x):
        return F.linear(x, leaves[f"W{name}"].T, leaves[f"b{name}"][0])

    h1 = torch.tanh(linear("1", X))
    mu, logvar = linear("_mu", h1), linear("_logvar", h1)
    std = torch.exp(0.5 * logvar)
    latent = mu + std * batch["noise"]
    h2 = torch.tanh(linear("2", latent))
    logits = linear("3", h2)

    reconstruction = F.binary_cross_entropy_with_logits(logits, X, reduction="sum") / num_examples
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / num_examples
    loss = reconstruction + kl

    inner = {
        "h1": h1,
        "mu": mu,
        "logvar": logvar,
        "std": std,
        "latent": latent,
        "h2": h2,
        "logits": logits,
    }
    for tensor in inner.values():
        tensor.retain_grad()
    loss.backward()
    gradients = {f"d{name}": tensor.grad for name, tensor in (inner | leaves).items()}

    with torch.no_grad():
        updated = {f"{name}_next": W - batch["step_size"] * W.grad for name, W in leaves.items()}
    return {**inner, "reconstruction": reconstruction, "kl": kl, "loss": loss, **gradients, **updated}
