"""The note in PyTorch, formula by formula. Gradients are computed by hand, without autograd.

Read it beside `reference/softmax.py` and `reference/two_layer.py`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


def spiral(noise: Tensor) -> tuple[Tensor, Tensor]:
    """noise (K, N) -> X (N*K, 2), y (N*K,)."""
    K, N = noise.shape
    like = {"dtype": noise.dtype, "device": noise.device}
    arms = []
    for j in range(K):
        r = torch.linspace(0.0, 1, N, **like)  # radius
        t = torch.linspace(j * 4, (j + 1) * 4, N, **like) + noise[j] * 0.2  # theta
        arms.append(torch.stack([r * torch.sin(t), r * torch.cos(t)], dim=1))
    return torch.cat(arms), torch.arange(K, device=noise.device).repeat_interleave(N)


def softmax_step(
    params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
) -> dict[str, Tensor]:
    """One step of the linear classifier."""
    W, b = params["W"], params["b"]
    num_examples = X.shape[0]
    rows = torch.arange(num_examples, device=X.device)

    scores = X @ W + b  # (N, K)

    exp_scores = torch.exp(scores)
    probs = exp_scores / torch.sum(exp_scores, dim=1, keepdim=True)  # (N, K)

    correct_logprobs = -torch.log(probs[rows, y])  # (N,)
    data_loss = torch.sum(correct_logprobs) / num_examples
    reg_loss = 0.5 * reg * torch.sum(W * W)
    loss = data_loss + reg_loss

    dscores = probs.clone()
    dscores[rows, y] -= 1
    dscores /= num_examples  # (N, K)

    dW = X.T @ dscores + reg * W  # (D, K)
    db = torch.sum(dscores, dim=0, keepdim=True)  # (1, K)

    return {
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
        "dscores": dscores,
        "dW": dW,
        "db": db,
        "W_next": W + -step_size * dW,
        "b_next": b + -step_size * db,
    }


def two_layer_step(
    params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
) -> dict[str, Tensor]:
    """One step of the two-layer net."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    num_examples = X.shape[0]
    rows = torch.arange(num_examples, device=X.device)

    hidden_layer = torch.relu(X @ W + b)  # (N, H)
    scores = hidden_layer @ W2 + b2  # (N, K)

    exp_scores = torch.exp(scores)
    probs = exp_scores / torch.sum(exp_scores, dim=1, keepdim=True)  # (N, K)

    correct_logprobs = -torch.log(probs[rows, y])  # (N,)
    data_loss = torch.sum(correct_logprobs) / num_examples
    reg_loss = 0.5 * reg * torch.sum(W * W) + 0.5 * reg * torch.sum(W2 * W2)
    loss = data_loss + reg_loss

    dscores = probs.clone()
    dscores[rows, y] -= 1
    dscores /= num_examples  # (N, K)

    dW2 = hidden_layer.T @ dscores + reg * W2  # (H, K)
    db2 = torch.sum(dscores, dim=0, keepdim=True)  # (1, K)
    dhidden = dscores @ W2.T  # (N, H)
    dhidden[hidden_layer <= 0] = 0
    dW = X.T @ dhidden + reg * W  # (D, H)
    db = torch.sum(dhidden, dim=0, keepdim=True)  # (1, H)

    return {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
        "dscores": dscores,
        "dW2": dW2,
        "db2": db2,
        "dhidden": dhidden,
        "dW": dW,
        "db": db,
        "W_next": W + -step_size * dW,
        "b_next": b + -step_size * db,
        "W2_next": W2 + -step_size * dW2,
        "b2_next": b2 + -step_size * db2,
    }
