"""JAX's devices, dtypes, transfer and precision settings."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ports.contract import Host, ProcessSetting
from reference.agreement.arithmetic import DTYPES, Arithmetic, by_device
from reference.arrays import Plain, numpy_dtype

#: JAX's name for the platform that the rest of the project calls cuda.
_PLATFORM = {"cuda": "gpu"}


class JaxHost(Host):
    """The CPU and the default backend; jax.jit."""

    natural_mode = "compiled"
    modes = ("eager", "compiled")
    process_settings = (
        ProcessSetting(
            "jax_enable_x64",
            lambda: jax.config.jax_enable_x64,
            lambda allowed: jax.config.update("jax_enable_x64", allowed),
        ),
    )
    immutable = True  # not even a later step is donated a buffer that NumPy sees

    def devices(self) -> list[str]:
        """The CPU, and the default backend (cuda, tpu, ...) where it is another one."""
        backend = jax.default_backend()
        return ["cpu"] if backend == "cpu" else ["cpu", {"gpu": "cuda"}.get(backend, backend)]

    def dtypes(self, device: str) -> tuple[str, ...]:
        """The dtypes that JAX has; TPUs emulate float64, so it is left out there."""
        here = (dtype for dtype in DTYPES if hasattr(jnp, dtype))
        return tuple(dtype for dtype in here if (device, dtype) != ("tpu", "float64"))

    def arithmetic(self, device: str, dtype: str) -> Arithmetic:
        """The number format's own, under `exact_settings`; accelerators divide less exactly."""
        return by_device(device, dtype).in_precision(self.precision, device)

    @contextmanager
    def exact_settings(self) -> Iterator[None]:
        """float64 allowed (without x64, JAX makes it float32 silently), no TF32 or bfloat16 products."""
        before = jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest")
        try:
            yield
        finally:
            jax.config.update("jax_enable_x64", before[0])
            jax.config.update("jax_default_matmul_precision", before[1])

    @contextmanager
    def products_in(self, precision: str) -> Iterator[None]:
        """jax_default_matmul_precision, which calls the least precise one "default"."""
        before = jax.config.jax_default_matmul_precision
        by_jax = {"medium": "default"}.get(precision, precision)
        jax.config.update("jax_default_matmul_precision", by_jax)
        try:
            yield
        finally:
            jax.config.update("jax_default_matmul_precision", before)

    def put(self, array: Plain, device: str, dtype: str) -> jax.Array:
        """A copy on the device (JAX may share a NumPy array's memory, so copy first)."""
        return _taken_to(device)(np.array(array, dtype=numpy_dtype(dtype)))

    def put_labels(self, y: Plain, device: str) -> jax.Array:
        """Labels as int32."""
        return _taken_to(device)(np.array(y, dtype=np.int32))

    def get(self, tensor: Any) -> Plain:
        """The array as NumPy sees it, once computed."""
        if not isinstance(tensor, jax.Array):
            raise TypeError(f"is a {type(tensor).__name__}, expected a jax.Array")
        return np.asarray(tensor)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile with jax.jit."""
        return jax.jit(function)  # type: ignore[no-any-return]

    def compiler_absence(self) -> str | None:
        """XLA comes with JAX."""
        return None

    def settings(self) -> dict[str, str]:
        """Version, devices and precision settings."""
        return {
            "jax": jax.__version__,
            "jax devices": ", ".join(self.devices()),
            "jax x64": str(jax.config.jax_enable_x64),
            "jax matmul precision": str(jax.config.jax_default_matmul_precision),
        }


@functools.cache
def _taken_to(device: str) -> Callable[[Plain], jax.Array]:
    """A compiled function that returns its argument: it costs a fifth of `device_put`."""
    sharding = jax.sharding.SingleDeviceSharding(jax.devices(_PLATFORM.get(device, device))[0])
    return jax.jit(lambda array: array, out_shardings=sharding)  # type: ignore[no-any-return]
