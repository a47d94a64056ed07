"""A student's port with one bug: the ReLU lets half the gradient through where it is exactly 0."""

import torch

framework = "torch"


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer net, with gradients by autograd."""
    W, b, W2, b2 = (params[name].detach().requires_grad_() for name in ("W", "b", "W2", "b2"))
    before_relu = X @ W + b
    hidden_layer = torch.maximum(torch.zeros_like(before_relu), before_relu)
    scores = hidden_layer @ W2 + b2
    probs = torch.softmax(scores, dim=1)
    correct_logprobs = torch.nn.functional.cross_entropy(scores, y, reduction="none")
    data_loss = correct_logprobs.mean()
    reg_loss = 0.5 * reg * (W.square().sum() + W2.square().sum())
    loss = data_loss + reg_loss

    at = W, b, W2, b2, scores, before_relu
    dW, db, dW2, db2, dscores, dhidden = torch.autograd.grad(loss, at)

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
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
        "W2_next": W2 - step_size * dW2,
        "b2_next": b2 - step_size * db2,
    }
