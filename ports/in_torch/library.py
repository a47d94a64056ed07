"""The note's networks as PyTorch users write them: nn.Module, CrossEntropyLoss, optim.SGD.

Module and optimizer live across steps, as in a training script, so that a stale gradient or
a wrong optimizer state can show. nn.Linear keeps its weight transposed (out, in) and its bias
flat; the trace has the note's shapes. A probe of zeros marks where a gradient is read
(see `torch_autograd`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ports.in_torch.manual import spiral

__all__ = ["hidden_quantities", "softmax_step", "spiral", "two_layer_step"]

hidden_quantities = {
    "dW": "weight decay adds reg*W inside the optimizer",
    "dW2": "weight decay adds reg*W2 inside the optimizer",
}


class SoftmaxClassifier(nn.Module):  # type: ignore[misc]
    """scores = X W + b."""

    def __init__(self, W: Tensor) -> None:
        super().__init__()
        self.linear = linear_like(W)

    def forward(self, X: Tensor, probe: Tensor) -> dict[str, Tensor]:
        """Return the scores (N, K), where `probe` sits."""
        return {"scores": self.linear(X) + probe}


class TwoLayerNet(nn.Module):  # type: ignore[misc]
    """scores = relu(X W + b) W2 + b2."""

    def __init__(self, W: Tensor, W2: Tensor) -> None:
        super().__init__()
        self.linear = linear_like(W)
        self.linear2 = linear_like(W2)
        self.relu = nn.ReLU()

    def forward(self, X: Tensor, hidden_probe: Tensor, probe: Tensor) -> dict[str, Tensor]:
        """Return hidden layer (N, H) and scores (N, K); probes sit before the ReLU and at the scores."""
        hidden_layer = self.relu(self.linear(X) + hidden_probe)
        return {"hidden_layer": hidden_layer, "scores": self.linear2(hidden_layer) + probe}


def linear_like(W: Tensor) -> nn.Linear:
    """An nn.Linear of W's shape, dtype and device."""
    return nn.Linear(*W.shape, dtype=W.dtype, device=W.device)


@torch.no_grad()  # type: ignore[untyped-decorator]
def load(linear: nn.Linear, W: Tensor, b: Tensor) -> None:
    """Set a layer to the note's W (in, out) and b (1, out)."""
    linear.weight.copy_(W.T)
    linear.bias.copy_(b[0])


def losses(scores: Tensor, y: Tensor, weights: list[Tensor], reg: float) -> dict[str, Tensor]:
    """The loss that is differentiated, and what the note prints beside it.

    Weight decay regularises in the optimizer, so `loss` is for reading only.
    """
    data_loss = nn.CrossEntropyLoss()(scores, y)
    with torch.no_grad():
        reg_loss = sum(0.5 * reg * torch.sum(W * W) for W in weights)
        return {
            "scores": scores,
            "probs": torch.softmax(scores, dim=1),
            "correct_logprobs": nn.CrossEntropyLoss(reduction="none")(scores, y),
            "data_loss": data_loss,
            "reg_loss": reg_loss,
            "loss": data_loss + reg_loss,
        }


def sgd(model: nn.Module, reg: float, step_size: float) -> torch.optim.SGD:
    """Plain SGD, with decay of the weights only, never of the biases."""
    weights = [p for name, p in model.named_parameters() if name.endswith("weight")]
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    return torch.optim.SGD(
        [{"params": weights, "weight_decay": reg}, {"params": biases, "weight_decay": 0.0}],
        lr=step_size,
    )


class softmax_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the linear classifier; the compiled mode compiles the module."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.compile = compile
        self.model: SoftmaxClassifier | None = None

    def build(self, params: Mapping[str, Tensor], reg: float, step_size: float) -> SoftmaxClassifier:
        """Make module and optimizer, once."""
        self.model = SoftmaxClassifier(params["W"])
        self.forward = self.compile(self.model)
        self.optimizer = sgd(self.model, reg, step_size)
        return self.model

    def __call__(
        self, params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
    ) -> dict[str, Tensor]:
        """Forward, backward, update."""
        model = self.model or self.build(params, reg, step_size)
        load(model.linear, params["W"], params["b"])
        probe = X.new_zeros(X.shape[0], params["b"].shape[1], requires_grad=True)

        trace: dict[str, Tensor] = self.forward(X, probe)
        trace |= losses(trace["scores"], y, [model.linear.weight], reg)

        self.optimizer.zero_grad()
        trace["data_loss"].backward()
        self.optimizer.step()

        return trace | {
            "dscores": probe.grad,
            "db": model.linear.bias.grad[None, :],
            "W_next": model.linear.weight.T,
            "b_next": model.linear.bias[None, :],
        }


class two_layer_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the two-layer net; the compiled mode compiles the module."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.compile = compile
        self.model: TwoLayerNet | None = None

    def build(self, params: Mapping[str, Tensor], reg: float, step_size: float) -> TwoLayerNet:
        """Make module and optimizer, once."""
        self.model = TwoLayerNet(params["W"], params["W2"])
        self.forward = self.compile(self.model)
        self.optimizer = sgd(self.model, reg, step_size)
        return self.model

    def __call__(
        self, params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
    ) -> dict[str, Tensor]:
        """Forward, backward, update."""
        model = self.model or self.build(params, reg, step_size)
        load(model.linear, params["W"], params["b"])
        load(model.linear2, params["W2"], params["b2"])
        hidden_probe = X.new_zeros(X.shape[0], params["b"].shape[1], requires_grad=True)
        probe = X.new_zeros(X.shape[0], params["b2"].shape[1], requires_grad=True)

        trace: dict[str, Tensor] = self.forward(X, hidden_probe, probe)
        trace |= losses(trace["scores"], y, [model.linear.weight, model.linear2.weight], reg)

        self.optimizer.zero_grad()
        trace["data_loss"].backward()
        self.optimizer.step()

        return trace | {
            "dscores": probe.grad,
            "db2": model.linear2.bias.grad[None, :],
            "dhidden": hidden_probe.grad,
            "db": model.linear.bias.grad[None, :],
            "W_next": model.linear.weight.T,
            "b_next": model.linear.bias[None, :],
            "W2_next": model.linear2.weight.T,
            "b2_next": model.linear2.bias[None, :],
        }
