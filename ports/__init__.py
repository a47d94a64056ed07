"""The document's networks in other frameworks, and the engines that hold them against the reference.

The registry below is explicit and lazy: a framework is imported when one of its ports runs.
"""

from ports.contract import Port

PORTS = {
    port.name: port
    for port in (
        Port("numpy", "ports.in_numpy.reference", "ports.in_numpy.host"),
        Port("torch_manual", "ports.in_torch.manual", "ports.in_torch.host", ("torch",)),
        Port("torch_autograd", "ports.in_torch.autograd", "ports.in_torch.host", ("torch",)),
        Port("torch_library", "ports.in_torch.library", "ports.in_torch.host", ("torch",)),
        Port("jax_manual", "ports.in_jax.manual", "ports.in_jax.host", ("jax",)),
        Port("jax_grad", "ports.in_jax.grad", "ports.in_jax.host", ("jax",)),
        Port("jax_library", "ports.in_jax.library", "ports.in_jax.host", ("jax", "optax")),
    )
}
