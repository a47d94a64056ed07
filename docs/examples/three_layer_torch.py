"""A port of the three-layer net to PyTorch, which differentiates it.

The gradient at a place inside the graph is the gradient of a probe: zeros that are added there.
"""

import torch

framework = "torch"


def forward(params, probes, X, y, reg):
    """Everything up to the loss."""
    W, b, W2, b2, W3, b3 = params
    hidden_layer = torch.relu(X @ W + b + probes[0])
    hidden_layer2 = torch.relu(hidden_layer @ W2 + b2 + probes[1])
    scores = hidden_layer2 @ W3 + b3 + probes[2]
    log_probs = torch.log_softmax(scores, dim=1)
    correct_logprobs = -log_probs[torch.arange(len(y)), y]
    data_loss = correct_logprobs.mean()
    reg_loss = sum(0.5 * reg * (weights * weights).sum() for weights in (W, W2, W3))
    return {
        "hidden_layer": hidden_layer,
        "hidden_layer2": hidden_layer2,
        "scores": scores,
        "probs": log_probs.exp(),
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
    }


class three_layer_step:
    """One step of the three-layer net; the compiled mode compiles the forward pass."""

    def __init__(self, compile):
        self.forward = compile(forward)

    def __call__(self, params, X, y, reg, step_size):
        """Forward, backward, update: every quantity by its name."""
        leaves = [value.clone().requires_grad_() for value in params.values()]
        widths = [params[name].shape[1] for name in ("b", "b2", "b3")]
        probes = [X.new_zeros(len(X), width, requires_grad=True) for width in widths]
        made = self.forward(leaves, probes, X, y, reg)
        d = torch.autograd.grad(made["loss"], [*probes, *leaves])
        made |= zip(("dhidden", "dhidden2", "dscores"), d, strict=False)
        for (name, value), gradient in zip(params.items(), d[3:], strict=True):
            made |= {f"d{name}": gradient, f"{name}_next": value - step_size * gradient}
        return {name: tensor.detach() for name, tensor in made.items()}
