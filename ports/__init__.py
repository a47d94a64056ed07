"""The document's networks in other frameworks, and the engines that hold them against the reference.

The registry below is explicit and lazy: a framework is imported when one of its ports runs.
"""

from ports.port import Port

_TORCH = {"host_name": "ports.torch_host", "requires": ("torch",)}
_JAX = {"host_name": "ports.jax_host", "requires": ("jax",)}

PORTS = {
    port.name: port
    for port in (
        Port("numpy", "ports.numpy_reference", "ports.numpy_host"),
        Port("torch_manual", "ports.torch_manual", **_TORCH),
        Port("torch_autograd", "ports.torch_autograd", **_TORCH),
        Port("torch_library", "ports.torch_library", **_TORCH),
        Port("jax_manual", "ports.jax_manual", **_JAX),
        Port("jax_grad", "ports.jax_grad", **_JAX),
        Port("jax_library", "ports.jax_library", "ports.jax_host", ("jax", "optax")),
    )
}
