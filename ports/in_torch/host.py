"""PyTorch's devices, dtypes, transfer and precision settings."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ports.contract import Host, ProcessSetting
from ports.in_torch import promises
from ports.messages import missing_packages
from reference.agreement.arithmetic import DTYPES, Arithmetic
from reference.arrays import Plain, numpy_dtype, packages_of

#: Whether cuBLAS may sum 16-bit products in 16 bits.
REDUCED_PRECISION = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")


def flushes_denormals() -> bool:
    """Whether this thread takes denormal numbers for 0: torch can set that, for NumPy too."""
    return bool(np.float64(2.0**-1060) * 1.0 == 0)


class TorchHost(Host):
    """The CPU and PyTorch's accelerator; torch.compile."""

    modes = ("eager", "compiled")
    process_settings = (
        ProcessSetting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        ProcessSetting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
        ProcessSetting("the flushing of denormal numbers", flushes_denormals, torch.set_flush_denormal),
    )

    def devices(self) -> list[str]:
        """The CPU, and PyTorch's accelerator (cuda, xpu, mps, ...) where one is found."""
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return ["cpu"] if accelerator is None else ["cpu", accelerator.type]

    def dtypes(self, device: str) -> tuple[str, ...]:
        """The dtypes that PyTorch has and NumPy can be made to know; Apple's mps has no float64."""
        here = (d for d in DTYPES if hasattr(torch, d) and not missing_packages(d, packages_of(d)))
        return tuple(dtype for dtype in here if (device, dtype) != ("mps", "float64"))

    def arithmetic(self, device: str, dtype: str) -> Arithmetic:
        """The number format's own, under `exact_settings`; accelerators divide less exactly."""
        return promises(device, dtype).in_precision(self.precision, device)

    @contextmanager
    def exact_settings(self) -> Iterator[None]:
        """float32 products in float32, not TF32 or bfloat16; 16-bit products summed in float32.

        Since PyTorch 2.9 each backend has a setting of its own. It is set first: if the user has changed
        it, reading the old setting raises until the two agree.
        """
        cuda = torch.backends.cuda.matmul
        reduced_before = {name: getattr(cuda, name) for name in REDUCED_PRECISION}
        for name in REDUCED_PRECISION:
            setattr(cuda, name, False)
        both: list[Any] = [
            getattr(b, "matmul", None) for b in (torch.backends.cuda, torch.backends.mkldnn)
        ]
        backends = [backend for backend in both if hasattr(backend, "fp32_precision")]
        each_before = [backend.fp32_precision for backend in backends]
        for backend in backends:
            backend.fp32_precision = "ieee"
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
            for backend, precision in zip(backends, each_before, strict=True):
                backend.fp32_precision = precision
            for name, allowed in reduced_before.items():
                setattr(cuda, name, allowed)

    @contextmanager
    def products_in(self, precision: str) -> Iterator[None]:
        """torch.set_float32_matmul_precision; on many CPUs, too, 'medium' means bfloat16."""
        torch.set_float32_matmul_precision(precision)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision("highest")

    def put(self, array: Plain, device: str, dtype: str) -> torch.Tensor:
        """A copy on the device (`torch.from_numpy` would share memory with the reference)."""
        known = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        return torch.tensor(known, dtype=getattr(torch, dtype), device=device)

    def put_labels(self, y: Plain, device: str) -> torch.Tensor:
        """Labels as int64: PyTorch takes a uint8 index for a mask."""
        return torch.tensor(y, dtype=torch.int64, device=device)

    def get(self, tensor: Any) -> Plain:
        """The tensor as NumPy sees it, on the CPU without a copy."""
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"is a {type(tensor).__name__}, expected a torch.Tensor")
        if tensor.dtype == torch.bfloat16:  # float32 holds its numbers; NumPy itself has no bfloat16
            return tensor.float().numpy(force=True).astype(numpy_dtype("bfloat16"))  # type: ignore[no-any-return]
        return tensor.numpy(force=True)  # type: ignore[no-any-return]

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile with torch.compile, for fixed shapes."""
        return torch.compile(function, dynamic=False)  # type: ignore[no-any-return]

    def compiler_absence(self) -> str | None:
        """torch.compile generates C++ on the CPU, and needs its compiler."""
        default = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
        compiler = os.environ.get("CXX", default)
        if shutil.which(compiler):
            return None
        return (
            f"torch.compile needs a C++ compiler, and {compiler} is not here: "
            f"install {default} or set CXX"
        )

    def settings(self) -> dict[str, str]:
        """Version, accelerator, threads and precision settings."""
        return {
            "torch": str(torch.__version__),
            "torch devices": ", ".join(_described(device) for device in self.devices()),
            "torch threads": str(torch.get_num_threads()),
            "torch float32 matmul": torch.get_float32_matmul_precision(),
        }


def _described(device: str) -> str:
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
