"""The note in PyTorch."""

from ports.contract import Framework, PortModule, Template

TORCH = Framework(
    name="torch",
    packages=("torch",),
    host_path="ports.in_torch.host:TorchHost",
    modules={
        "torch_manual": PortModule("ports.in_torch.manual"),
        "torch_autograd": PortModule("ports.in_torch.autograd"),
        "torch_library": PortModule("ports.in_torch.library"),
    },
    tensors="torch tensors",
    template=Template(
        to="PyTorch",
        given="X, y and params are torch tensors, without requires_grad.",
        imports="import torch",
        relu="torch.relu(X @ W + b)",
    ),
)
