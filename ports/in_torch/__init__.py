"""The note in PyTorch."""

from dataclasses import replace

from ports.contract import Framework, PortModule, Template
from reference.agreement.arithmetic import TORCH_SUMS, Arithmetic, by_device


def promises(device: str, dtype: str) -> Arithmetic:
    """What PyTorch promises on a device in a dtype, under its host's exact settings."""
    promised = by_device(device, dtype)
    return replace(promised, partial_sums=TORCH_SUMS) if promised.stores else promised


TORCH = Framework(
    name="torch",
    packages=("torch",),
    host_path="ports.in_torch.host:TorchHost",
    modules={
        "torch_manual": PortModule("ports.in_torch.manual"),
        "torch_autograd": PortModule("ports.in_torch.autograd"),
        "torch_library": PortModule("ports.in_torch.library"),
        "torch_autocast": PortModule("ports.in_torch.autocast"),
        "torch_scaler": PortModule("ports.in_torch.scaler"),
    },
    tensors="torch tensors",
    template=Template(
        to="PyTorch",
        given="X, y and params are torch tensors, without requires_grad.",
        imports="import torch",
        relu="torch.relu(X @ W + b)",
    ),
    promises=promises,
)
