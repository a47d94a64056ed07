"""The net in PyTorch: `F.conv2d` and autograd."""

import torch
import torch.nn.functional as F

framework = "torch"


def step(params, batch):
    """Evaluate the net, backpropagate, update."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    W1, b1, W2, b2 = (leaves[name] for name in ("W1", "b1", "W2", "b2"))
    X = batch["X"].clone().requires_grad_()

    z = F.conv2d(X, W1, b1[0], padding=1)
    h = F.relu(z)
    scores = h.flatten(1) @ W2 + b2
    log_probs = F.log_softmax(scores, dim=1)
    loss = F.nll_loss(log_probs, batch["y"])

    inner = {"z": z, "h": h, "scores": scores}
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
        "dX": X.grad,
        **updated,
    }
