"""The multiclass SVM in PyTorch, with its own hinge loss and autograd.

`F.multi_margin_loss` divides the sum over the classes by their number, which CS231n does not.
"""

import torch
import torch.nn.functional as F

framework = "torch"
hidden_quantities = {"margins": "multi_margin_loss hides them"}


def step(params, batch):
    """Evaluate the classifier, backpropagate, update."""
    W, b = (params[name].clone().requires_grad_() for name in ("W", "b"))
    X, y, reg, step_size = batch["X"], batch["y"], batch["reg"], batch["step_size"]

    scores = X @ W + b
    data_loss = F.multi_margin_loss(scores, y, margin=1.0) * scores.shape[1]
    reg_loss = reg * W.square().sum()
    loss = data_loss + reg_loss
    dscores, dW, db = torch.autograd.grad(loss, (scores, W, b))

    return {
        "scores": scores,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
        "dscores": dscores,
        "dW": dW,
        "db": db,
        "W_next": W - step_size * dW,
        "b_next": b - step_size * db,
    }
