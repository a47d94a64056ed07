"""The feed-forward block in PyTorch: `F.layer_norm`, `F.gelu`, `F.linear` and autograd."""

import torch
import torch.nn.functional as F

framework = "torch"
hidden_quantities = dict.fromkeys(["mean", "var", "normalized", "dnormalized"], "layer_norm hides it")
hidden_quantities |= dict.fromkeys(["bend", "dbend"], "gelu hides it")


def step(params, batch):
    """Evaluate the block, backpropagate, update."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    gamma, beta, W1, b1, W2, b2 = (leaves[n] for n in ("gamma", "beta", "W1", "b1", "W2", "b2"))
    X = batch["X"].clone().requires_grad_()

    a = F.layer_norm(X, X.shape[1:], weight=gamma[0], bias=beta[0], eps=batch["eps"])
    z = F.linear(a, W1.T, b1[0])
    h = F.gelu(z, approximate="tanh")
    out = X + F.linear(h, W2.T, b2[0])
    loss = 0.5 * F.mse_loss(out, batch["target"], reduction="sum") / len(X)

    inner = {"a": a, "z": z, "h": h, "out": out}
    for tensor in inner.values():
        tensor.retain_grad()
    loss.backward()
    gradients = {f"d{name}": tensor.grad for name, tensor in (inner | leaves).items()}

    with torch.no_grad():
        updated = {f"{name}_next": W - batch["step_size"] * W.grad for name, W in leaves.items()}
    return {**inner, "loss": loss, **gradients, "dX": X.grad, **updated}
