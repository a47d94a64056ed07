"""The document's networks in other frameworks, and the engines that hold them against the reference.

The registry below is explicit and lazy: a framework is imported when one of its ports runs.
"""

from ports.port import Port

PORTS = {
    port.name: port
    for port in (
        Port("numpy", "ports.numpy_reference", "ports.numpy_host"),
        Port("torch_manual", "ports.torch_manual", "ports.torch_host", ("torch",)),
        Port("torch_autograd", "ports.torch_autograd", "ports.torch_host", ("torch",)),
        Port("torch_library", "ports.torch_library", "ports.torch_host", ("torch",)),
        Port("jax_manual", "ports.jax_manual", "ports.jax_host", ("jax",)),
        Port("jax_grad", "ports.jax_grad", "ports.jax_host", ("jax",)),
        Port("jax_library", "ports.jax_library", "ports.jax_host", ("jax", "optax")),
    )
}
