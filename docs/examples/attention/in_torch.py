"""Self-attention in PyTorch: `F.scaled_dot_product_attention`, `F.linear` and autograd."""

import torch
import torch.nn.functional as F

framework = "torch"
hidden_quantities = dict.fromkeys(
    ["scores", "probs", "dscores", "dprobs"], "scaled_dot_product_attention hides it"
)


def step(params, batch):
    """Attend, backpropagate, update."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    Wq, Wk, Wv, Wo = (leaves[name] for name in ("Wq", "Wk", "Wv", "Wo"))
    X = batch["X"]

    q, k, v = (F.linear(X, W.T) for W in (Wq, Wk, Wv))
    attended = F.scaled_dot_product_attention(q, k, v)
    out = F.linear(attended, Wo.T)
    loss = 0.5 * F.mse_loss(out, batch["target"], reduction="sum") / len(X)

    inner = {"q": q, "k": k, "v": v, "attended": attended, "out": out}
    for tensor in inner.values():
        tensor.retain_grad()
    loss.backward()
    gradients = {f"d{name}": tensor.grad for name, tensor in (inner | leaves).items()}

    with torch.no_grad():
        updated = {f"{name}_next": W - batch["step_size"] * W.grad for name, W in leaves.items()}
    return {**inner, "loss": loss, **gradients, **updated}
