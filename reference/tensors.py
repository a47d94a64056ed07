"""Tensors of any framework as NumPy arrays. No framework is imported: tensors say what they are."""

import sys
from typing import Any, NamedTuple

import numpy as np

from reference.arrays import Plain, holder

#: DLPack's numbers for main memory, and for that part of it which a GPU also reads.
CPU = (1, 3)


class Read(NamedTuple):
    """A tensor's numbers, its dtype's name, and where it lies: "cpu", or "accelerator" for all else."""

    array: Plain
    dtype: str
    device: str


def is_tensor(value: Any) -> bool:
    """Whether NumPy may be able to read it. A plain Python number is no tensor: it has no dtype."""
    return hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def read(tensor: Any) -> Read:
    """A tensor of any framework.

    It may lie on any device and require a gradient. Raises TypeError, in a sentence that lacks its
    subject ("is a float, expected ..."), if it is no tensor of numbers.
    """
    array = array_of(tensor)
    is_bfloat16 = name_of(getattr(tensor, "dtype", array.dtype)) == "bfloat16"
    return Read(array, "bfloat16" if is_bfloat16 else array.dtype.name, _device_of(tensor))


def array_of(tensor: Any) -> Plain:
    """A NumPy view or copy of a tensor's numbers; raises TypeError as `read` does."""
    kind = type(tensor).__name__
    if not is_tensor(tensor):
        raise TypeError(f"is a {kind}, expected an array or a tensor")
    try:
        array = _converted(tensor)
    except Exception as why:
        raise TypeError(f"is a {kind} that NumPy cannot read: {why}") from None
    if array.dtype.kind not in "biufc" and array.dtype.name != "bfloat16":
        raise TypeError(f"is a {kind} of {array.dtype}, expected an array of numbers")
    return array


def name_of(dtype: Any) -> str:
    """The name of a dtype of any framework: "float32" for np.float32, torch.float32 and "float32"."""
    named = getattr(dtype, "__name__", getattr(dtype, "name", dtype))
    return str(named).rpartition(".")[2]


def _converted(tensor: Any) -> Plain:
    torch = sys.modules.get("torch")  # who has made a tensor with it has imported it
    if torch and isinstance(tensor, torch.Tensor):
        return _from_torch(tensor)
    if hasattr(tensor, "__array__"):
        return np.asarray(tensor)
    return np.from_dlpack(tensor, device="cpu")


def _from_torch(tensor: Any) -> Plain:
    """`force` detaches and copies to the CPU. PyTorch's bfloat16 has no way to NumPy but by float32."""
    if name_of(tensor.dtype) != "bfloat16":
        return np.asarray(tensor.numpy(force=True))
    return np.asarray(tensor.float().numpy(force=True)).astype(holder("bfloat16"))


def _device_of(tensor: Any) -> str:
    if not hasattr(tensor, "__dlpack_device__"):
        return "cpu"
    try:
        return "cpu" if int(tensor.__dlpack_device__()[0]) in CPU else "accelerator"
    except BufferError:  # JAX: an array that is spread over several devices
        return "accelerator"
