"""A training step as PyTorch users have it: an nn.Module, an optimizer, and a loss that is regularized.

The adapter at the end keeps the module and the optimizer for the whole run, as a training loop does, and
sets the weights of each step.
"""

import torch
from torch import nn


class Net(nn.Module):
    """A net with one hidden ReLU layer."""

    def __init__(self, inputs=2, hidden=100, classes=3):
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x):
        """The scores."""
        return self.fc2(torch.relu(self.fc1(x)))


def train_step(model, optimizer, X, y, reg):
    """One step of training; returns the loss."""
    loss = nn.functional.cross_entropy(model(X), y)
    for layer in (model.fc1, model.fc2):
        loss = loss + 0.5 * reg * layer.weight.square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# The adapter that `lockstep check` reads.

framework = "torch"
hidden_quantities = dict.fromkeys(
    ["hidden_layer", "probs", "correct_logprobs", "data_loss", "reg_loss", "dscores", "dhidden"],
    "the training step keeps it to itself",
)


class two_layer_step:
    """The training step from the given weights. nn.Linear holds W transposed, and b flat."""

    def __init__(self, compile):
        self.model = None

    def __call__(self, params, X, y, reg, step_size):
        """Set the weights, make one step, and read off what it did."""
        if self.model is None:
            self.model = Net(*params["W"].shape, params["W2"].shape[1]).to(X.dtype)
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=step_size)
        fc1, fc2 = self.model.fc1, self.model.fc2
        with torch.no_grad():
            fc1.weight.copy_(params["W"].T)
            fc1.bias.copy_(params["b"][0])
            fc2.weight.copy_(params["W2"].T)
            fc2.bias.copy_(params["b2"][0])
            scores = self.model(X)

        loss = train_step(self.model, self.optimizer, X, y, reg)

        return {
            "scores": scores,
            "loss": loss,
            "dW2": fc2.weight.grad.T,
            "db2": fc2.bias.grad[None],
            "dW": fc1.weight.grad.T,
            "db": fc1.bias.grad[None],
            "W_next": fc1.weight.T,
            "b_next": fc1.bias[None],
            "W2_next": fc2.weight.T,
            "b2_next": fc2.bias[None],
        }
