"""Adam in PyTorch: `torch.optim.Adam`, whose state is loaded as from a checkpoint, and autograd."""

import torch
import torch.nn.functional as F

framework = "torch"


def step(params, batch):
    """Evaluate the classifier, backpropagate, update by Adam."""
    W, b = (params[name].clone().requires_grad_() for name in ("W", "b"))
    optimizer = torch.optim.Adam(
        [{"params": [W], "weight_decay": batch["weight_decay"]}, {"params": [b]}],
        lr=batch["step_size"],
        betas=(batch["beta1"], batch["beta2"]),
        eps=batch["eps"],
    )
    for name, parameter in {"W": W, "b": b}.items():
        optimizer.state[parameter] = {
            "step": params["t"].clone(),
            "exp_avg": params[f"m_{name}"].clone(),
            "exp_avg_sq": params[f"v_{name}"].clone(),
        }

    scores = batch["X"] @ W + b
    log_probs = F.log_softmax(scores, dim=1)
    loss = F.nll_loss(log_probs, batch["y"])
    scores.retain_grad()
    loss.backward()
    optimizer.step()

    return {
        "scores": scores,
        "log_probs": log_probs,
        "loss": loss,
        "dscores": scores.grad,
        "dW": W.grad,
        "db": b.grad,
        "m_W_next": optimizer.state[W]["exp_avg"],
        "v_W_next": optimizer.state[W]["exp_avg_sq"],
        "m_b_next": optimizer.state[b]["exp_avg"],
        "v_b_next": optimizer.state[b]["exp_avg_sq"],
        "t_next": optimizer.state[W]["step"],
        "W_next": W,
        "b_next": b,
    }
