"""The Elman network in PyTorch, as a training loop has it: `nn.RNN`, `nn.Linear` and an optimizer.

The module lives as long as the run, and takes the weights of each step. `nn.RNN` has two biases, which
only count together: one of them stays 0.
"""

import torch
import torch.nn.functional as F
from torch import nn

framework = "torch"
hidden_quantities = {f"dh{t}": "nn.RNN hides it" for t in range(1, 8)}


class Net(nn.Module):
    """A recurrent layer, and a linear one on its last state."""

    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.rnn = nn.RNN(inputs, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, classes)

    def forward(self, x, h0):
        """The scores, and the states (N, T, H)."""
        states, _ = self.rnn(x, h0[None])
        return self.linear(states[:, -1]), states

    def load(self, Wx, Wh, b, W2, b2):
        """Take these weights; PyTorch holds them transposed."""
        with torch.no_grad():
            self.rnn.weight_ih_l0.copy_(Wx.T)
            self.rnn.weight_hh_l0.copy_(Wh.T)
            self.rnn.bias_ih_l0.copy_(b[0])
            self.rnn.bias_hh_l0.zero_()
            self.linear.weight.copy_(W2.T)
            self.linear.bias.copy_(b2[0])

    def named(self):
        """Its parameters by the reference's names, in the reference's layout."""
        yield "Wx", self.rnn.weight_ih_l0, lambda weight: weight.T
        yield "Wh", self.rnn.weight_hh_l0, lambda weight: weight.T
        yield "b", self.rnn.bias_ih_l0, lambda bias: bias[None]
        yield "W2", self.linear.weight, lambda weight: weight.T
        yield "b2", self.linear.bias, lambda bias: bias[None]


class step:
    """One step of training from the given weights."""

    def __init__(self, compile):
        self.compile, self.net = compile, None

    def build(self, params, step_size):
        """Make the module and the optimizer, once. The second bias is no parameter of the reference."""
        self.net = Net(*params["Wx"].shape, params["W2"].shape[1]).to(params["Wx"])
        self.forward = self.compile(self.net)
        learned = [parameter for _, parameter, _ in self.net.named()]
        self.optimizer = torch.optim.SGD(learned, lr=step_size)

    def __call__(self, params, batch):
        """Read the sequences, backpropagate, update."""
        if self.net is None:
            self.build(params, batch["step_size"])
        self.net.load(**params)

        scores, states = self.forward(batch["X"], batch["h0"])
        log_probs = F.log_softmax(scores, dim=1)
        loss = F.nll_loss(log_probs, batch["y"])
        scores.retain_grad()
        states.retain_grad()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

        gradients = {f"d{name}": layout(p.grad) for name, p, layout in self.net.named()}
        updated = {f"{name}_next": layout(p) for name, p, layout in self.net.named()}
        return {
            **{f"h{t + 1}": states[:, t] for t in range(states.shape[1])},
            "scores": scores,
            "log_probs": log_probs,
            "loss": loss,
            "dscores": scores.grad,
            "dh8": states.grad[:, -1],
            **gradients,
            **updated,
        }
