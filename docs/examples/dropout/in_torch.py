"""The net with dropout in PyTorch, which differentiates it; `retain_grad` keeps the inner gradients."""

import torch
import torch.nn.functional as F

framework = "torch"


def step(params, batch):
    """Evaluate the net, backpropagate, update."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    W1, b1, W2, b2, W3, b3 = (leaves[name] for name in ("W1", "b1", "W2", "b2", "W3", "b3"))
    X, y = batch["X"], batch["y"]

    z1 = X @ W1 + b1
    h1 = F.relu(z1) * batch["mask1"]
    z2 = h1 @ W2 + b2
    h2 = F.relu(z2) * batch["mask2"]
    scores = h2 @ W3 + b3
    correct_logprobs = F.cross_entropy(scores, y, reduction="none")
    loss = correct_logprobs.mean()

    inner = {"z1": z1, "h1": h1, "z2": z2, "h2": h2, "scores": scores}
    for tensor in inner.values():
        tensor.retain_grad()
    loss.backward()
    gradients = {f"d{name}": tensor.grad for name, tensor in (inner | leaves).items()}

    with torch.no_grad():
        updated = {f"{name}_next": W - batch["step_size"] * W.grad for name, W in leaves.items()}
    return {
        **inner,
        "probs": F.softmax(scores, dim=1),
        "correct_logprobs": correct_logprobs,
        "loss": loss,
        **gradients,
        **updated,
    }
