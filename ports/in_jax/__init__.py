"""The note in JAX."""

from ports.contract import Framework, PortModule, Template

JAX = Framework(
    name="jax",
    packages=("jax",),
    host_path="ports.in_jax.host:JaxHost",
    modules={
        "jax_manual": PortModule("ports.in_jax.manual"),
        "jax_grad": PortModule("ports.in_jax.grad"),
        "jax_library": PortModule("ports.in_jax.library", packages=("optax",)),
        "jax_mixed": PortModule("ports.in_jax.mixed"),
    },
    tensors="JAX arrays",
    template=Template(
        to="JAX",
        given="X, y and params are JAX arrays.",
        imports="import jax\nimport jax.numpy as jnp",
        relu="jax.nn.relu(X @ W + b)",
    ),
)
