"""The note's forward pass in PyTorch, with gradients by autograd.

Softmax is shifted by the row maximum, the usual way where scores may be large. To read the
gradient at a place inside the graph, eager or compiled, a *probe* of zeros is added there:
its gradient is the gradient at that place.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ports.in_torch.manual import spiral

__all__ = ["softmax_step", "spiral", "two_layer_step"]


def softmax_forward(
    W: Tensor, b: Tensor, probe: Tensor, X: Tensor, y: Tensor, reg: float
) -> dict[str, Tensor]:
    """The classifier's forward pass; `probe` (N, K) sits at the scores."""
    scores = X @ W + b + probe
    probs, correct_logprobs = softmax_loss(scores, y)
    data_loss = torch.mean(correct_logprobs)
    reg_loss = 0.5 * reg * torch.sum(W * W)
    return {
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
    }


def two_layer_forward(
    W: Tensor,
    b: Tensor,
    W2: Tensor,
    b2: Tensor,
    hidden_probe: Tensor,
    probe: Tensor,
    X: Tensor,
    y: Tensor,
    reg: float,
) -> dict[str, Tensor]:
    """The net's forward pass; probes sit before the ReLU (N, H) and at the scores (N, K)."""
    hidden_layer = torch.relu(X @ W + b + hidden_probe)
    scores = hidden_layer @ W2 + b2 + probe
    probs, correct_logprobs = softmax_loss(scores, y)
    data_loss = torch.mean(correct_logprobs)
    reg_loss = 0.5 * reg * torch.sum(W * W) + 0.5 * reg * torch.sum(W2 * W2)
    return {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
    }


def softmax_loss(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (N, K) and -log of the right class's (N,)."""
    rows = torch.arange(scores.shape[0], device=scores.device)
    exp_scores = torch.exp(scores - torch.amax(scores, dim=1, keepdim=True).detach())
    probs = exp_scores / torch.sum(exp_scores, dim=1, keepdim=True)
    return probs, -torch.log(probs[rows, y])


class softmax_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the linear classifier; the compiled mode compiles the forward pass."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.forward = compile(softmax_forward)

    def __call__(
        self, params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
    ) -> dict[str, Tensor]:
        """Forward, backward, update."""
        W, b = (params[name].detach().requires_grad_() for name in ("W", "b"))
        probe = X.new_zeros(X.shape[0], b.shape[1], requires_grad=True)

        forward: dict[str, Tensor] = self.forward(W, b, probe, X, y, reg)
        dW, db, dscores = torch.autograd.grad(forward["loss"], (W, b, probe))

        with torch.no_grad():
            return forward | {
                "dscores": dscores,
                "dW": dW,
                "db": db,
                "W_next": W - step_size * dW,
                "b_next": b - step_size * db,
            }


class two_layer_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the two-layer net; the compiled mode compiles the forward pass."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.forward = compile(two_layer_forward)

    def __call__(
        self, params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
    ) -> dict[str, Tensor]:
        """Forward, backward, update."""
        W, b, W2, b2 = (params[name].detach().requires_grad_() for name in ("W", "b", "W2", "b2"))
        hidden_probe = X.new_zeros(X.shape[0], b.shape[1], requires_grad=True)
        probe = X.new_zeros(X.shape[0], b2.shape[1], requires_grad=True)

        forward: dict[str, Tensor] = self.forward(W, b, W2, b2, hidden_probe, probe, X, y, reg)
        dW, db, dW2, db2, dhidden, dscores = torch.autograd.grad(
            forward["loss"], (W, b, W2, b2, hidden_probe, probe)
        )

        with torch.no_grad():
            return forward | {
                "dscores": dscores,
                "dW2": dW2,
                "db2": db2,
                "dhidden": dhidden,
                "dW": dW,
                "db": db,
                "W_next": W - step_size * dW,
                "b_next": b - step_size * db,
                "W2_next": W2 - step_size * dW2,
                "b2_next": b2 - step_size * db2,
            }
