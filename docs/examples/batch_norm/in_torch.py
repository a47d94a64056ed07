"""The net in PyTorch: `F.batch_norm`, which updates the running statistics in place, and autograd."""

import torch
import torch.nn.functional as F

framework = "torch"
hidden_quantities = dict.fromkeys(["mean", "var", "normalized", "dnormalized"], "batch_norm hides it")
LEARNED = ("W1", "gamma", "beta", "W2", "b2")


def step(params, batch):
    """Evaluate the net, backpropagate, update."""
    leaves = {name: params[name].clone().requires_grad_() for name in LEARNED}
    W1, gamma, beta, W2, b2 = leaves.values()
    running_mean, running_var = params["running_mean"].clone(), params["running_var"].clone()

    z = batch["X"] @ W1
    a = F.batch_norm(
        z,
        running_mean[0],
        running_var[0],
        weight=gamma[0],
        bias=beta[0],
        training=True,
        momentum=batch["momentum"],
        eps=batch["eps"],
    )
    h = F.relu(a)
    scores = h @ W2 + b2
    log_probs = F.log_softmax(scores, dim=1)
    loss = F.nll_loss(log_probs, batch["y"])

    inner = {"z": z, "a": a, "h": h, "scores": scores}
    for tensor in inner.values():
        tensor.retain_grad()
    loss.backward()
    gradients = {f"d{name}": tensor.grad for name, tensor in (inner | leaves).items()}

    with torch.no_grad():
        updated = {f"{name}_next": W - batch["step_size"] * W.grad for name, W in leaves.items()}
    return {
        **inner,
        "log_probs": log_probs,
        "loss": loss,
        **gradients,
        **updated,
        "running_mean_next": running_mean,
        "running_var_next": running_var,
    }
