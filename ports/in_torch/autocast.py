"""The note in PyTorch's mixed precision: float32 parameters, layers in bfloat16 under torch.autocast.

Within the region, `torch.addmm` and its like cast their operands to bfloat16, and what follows them
stays in that. The loss is computed in float32, outside of it. The gradients of a layer are computed in
bfloat16. The gradient of the cast brings them to float32, in which the regularization's part is added
and the parameters are updated.

Softmax and probes are those of `torch_autograd`. A probe is bfloat16 where the layer's output is.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ports.in_torch.autograd import softmax_loss
from ports.in_torch.manual import spiral

__all__ = ["quantity_dtypes", "softmax_step", "spiral", "two_layer_step"]

#: What is stored in bfloat16. All other quantities are float32.
quantity_dtypes = dict.fromkeys(["hidden_layer", "scores", "dscores", "dhidden"], "bfloat16")


def softmax_forward(
    W: Tensor, b: Tensor, probe: Tensor, X: Tensor, y: Tensor, reg: float
) -> dict[str, Tensor]:
    """The classifier's forward pass; `probe` (N, K) sits at the scores."""
    with torch.autocast(X.device.type, dtype=probe.dtype):
        scores = torch.addmm(b, X, W) + probe  # X @ W + b

    probs, correct_logprobs = softmax_loss(scores.float(), y)
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
    with torch.autocast(X.device.type, dtype=probe.dtype):
        hidden_layer = torch.relu(torch.addmm(b, X, W) + hidden_probe)  # X @ W + b
        scores = torch.addmm(b2, hidden_layer, W2) + probe  # hidden_layer @ W2 + b2

    probs, correct_logprobs = softmax_loss(scores.float(), y)
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


def zeros(rows: Tensor, columns: Tensor, dtype: torch.dtype) -> Tensor:
    """A probe with as many rows and columns as these have."""
    shape = rows.shape[0], columns.shape[1]
    return torch.zeros(shape, dtype=dtype, device=rows.device, requires_grad=True)


class softmax_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the linear classifier; the compiled mode compiles the forward pass."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.forward = compile(softmax_forward)

    def __call__(
        self, params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
    ) -> dict[str, Tensor]:
        """Forward, backward, update."""
        W, b = (params[name].detach().requires_grad_() for name in ("W", "b"))
        probe = zeros(X, b, torch.bfloat16)

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
        hidden_probe, probe = zeros(X, b, torch.bfloat16), zeros(X, b2, torch.bfloat16)

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
