"""The note in PyTorch's mixed precision with float16: torch.autocast and torch.amp.GradScaler.

The smallest float16 numbers are 2**-24 apart, so small gradients lose their digits. The scaler
multiplies the loss by a power of 2, and with it every gradient. `unscale_` divides the parameters'
gradients by it before the update, which is left out if one has overflowed. The trace shows all gradients
divided by it.

The forward pass is that of `torch_autocast`, and the probes' dtype says in what its layers are computed.
Optimizer and scaler live across steps, as in a training script.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ports.in_torch.autocast import softmax_forward, two_layer_forward, zeros
from ports.in_torch.manual import spiral

__all__ = ["quantity_dtypes", "quantity_scales", "softmax_step", "spiral", "two_layer_step"]

#: A gradient of 64 would overflow. (PyTorch's default, 65536, leaves room for gradients below 1.)
LOSS_SCALE = 2.0**10

#: What is stored in float16. All other quantities are float32.
quantity_dtypes = dict.fromkeys(["hidden_layer", "scores", "dscores", "dhidden"], "float16")
#: Gradients are stored times the loss scale.
quantity_scales = dict.fromkeys(["dscores", "dhidden"], LOSS_SCALE)


class Training:
    """Float32 parameters, their optimizer, and the scaler of their gradients."""

    def __init__(self, params: Mapping[str, Tensor], step_size: float) -> None:
        self.params = {name: nn.Parameter(value.clone()) for name, value in params.items()}
        self.optimizer = torch.optim.SGD(self.params.values(), lr=step_size)
        # The scale stays what was declared: it would double after so many steps without an overflow.
        device = next(iter(params.values())).device.type
        self.scaler = torch.amp.GradScaler(device, init_scale=LOSS_SCALE, growth_interval=2**30)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def load(self, params: Mapping[str, Tensor]) -> None:
        """Start from these parameters."""
        for name, parameter in self.params.items():
            parameter.copy_(params[name])

    def unscaled(self, probe: Tensor) -> Tensor:
        """The gradient at a probe, divided by the scale in float32, where that is exact."""
        return probe.grad.float() / self.scaler.get_scale()


class softmax_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the linear classifier; the compiled mode compiles the forward pass."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.forward = compile(softmax_forward)
        self.training: Training | None = None

    def __call__(
        self, params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
    ) -> dict[str, Tensor]:
        """Forward, backward, update."""
        training = self.training = self.training or Training(params, step_size)
        training.load(params)
        W, b = (training.params[name] for name in ("W", "b"))
        probe = zeros(X, b, torch.float16)

        forward: dict[str, Tensor] = self.forward(W, b, probe, X, y, reg)
        training.optimizer.zero_grad()
        training.scaler.scale(forward["loss"]).backward()
        training.scaler.unscale_(training.optimizer)
        training.scaler.step(training.optimizer)
        training.scaler.update()

        return forward | {
            "dscores": training.unscaled(probe),
            "dW": W.grad,
            "db": b.grad,
            "W_next": W.detach(),
            "b_next": b.detach(),
        }


class two_layer_step:  # noqa: N801 (a step, like the functions of other ports)
    """One step of the two-layer net; the compiled mode compiles the forward pass."""

    def __init__(self, compile: Callable[..., Any]) -> None:
        self.forward = compile(two_layer_forward)
        self.training: Training | None = None

    def __call__(
        self, params: Mapping[str, Tensor], X: Tensor, y: Tensor, reg: float, step_size: float
    ) -> dict[str, Tensor]:
        """Forward, backward, update."""
        training = self.training = self.training or Training(params, step_size)
        training.load(params)
        W, b, W2, b2 = (training.params[name] for name in ("W", "b", "W2", "b2"))
        hidden_probe, probe = zeros(X, b, torch.float16), zeros(X, b2, torch.float16)

        forward: dict[str, Tensor] = self.forward(W, b, W2, b2, hidden_probe, probe, X, y, reg)
        training.optimizer.zero_grad()
        training.scaler.scale(forward["loss"]).backward()
        training.scaler.unscale_(training.optimizer)
        training.scaler.step(training.optimizer)
        training.scaler.update()

        return forward | {
            "dscores": training.unscaled(probe),
            "dW2": W2.grad,
            "db2": b2.grad,
            "dhidden": training.unscaled(hidden_probe),
            "dW": W.grad,
            "db": b.grad,
            "W_next": W.detach(),
            "b_next": b.detach(),
            "W2_next": W2.detach(),
            "b2_next": b2.detach(),
        }
