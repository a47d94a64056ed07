"""Tensors are read from any framework, and what is none is refused in a sentence."""

import sys

import numpy as np
import pytest

from reference.tensors import Read, name_of, read

NUMBERS = np.array([[0.5, -1.25], [3.0, 0.0]])


class OnGpu:
    """A tensor that lies on a GPU and copies itself for NumPy, as JAX's do."""

    dtype = np.dtype("float32")

    def __array__(self, dtype=None, copy=None):
        return NUMBERS.astype("float32")

    def __dlpack_device__(self):
        return 2, 0


class Spread(OnGpu):
    """A tensor that is spread over several devices."""

    def __dlpack_device__(self):
        raise BufferError("not one device")


class Pinned(OnGpu):
    """A tensor in that main memory which a GPU also reads."""

    def __dlpack_device__(self):
        return 3, 0


class OfDlpack:
    """A tensor that has nothing but DLPack."""

    def __dlpack__(self, **how):
        return NUMBERS.__dlpack__(**how)

    def __dlpack_device__(self):
        return NUMBERS.__dlpack_device__()


class Detachable(OnGpu):
    """A tensor of another framework that has PyTorch's methods, with other arguments."""

    def detach(self):
        """It is not asked for its own."""
        raise AssertionError("this is not PyTorch")

    numpy = detach


class Unwilling:
    """A tensor that does not convert silently, as CuPy's do not."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("use .get()")


def assert_read(got, dtype, device="cpu"):
    """The numbers, and what is known of them."""
    assert isinstance(got, Read)
    assert (got.dtype, got.device) == (dtype, device)
    np.testing.assert_array_equal(got.array.astype(np.float64), NUMBERS)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_numpy_is_read(dtype):
    """An array is what it is; and so is a scalar."""
    assert_read(read(NUMBERS.astype(dtype)), dtype)
    assert read(np.float32(2)).array == 2


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_torch_is_read(dtype):
    """With a gradient, transposed, conjugated or in bfloat16, which NumPy does not know."""
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(NUMBERS.T, dtype=getattr(torch, dtype), requires_grad=True)
    assert_read(read(tensor.T), dtype)
    assert_read(read(tensor.T * 1), dtype)
    negated = torch.complex(torch.zeros(2, 2), -torch.tensor(NUMBERS, dtype=torch.float32)).conj().imag
    assert negated.is_neg()
    assert_read(read(negated), "float32")


def test_bfloat16_is_read_without_its_package(monkeypatch):
    """PyTorch does not bring ml_dtypes: its numbers are then held in float32."""
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    got = read(torch.tensor(NUMBERS).bfloat16())
    assert_read(got, "bfloat16")
    assert got.array.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_jax_is_read(dtype):
    """Also in bfloat16."""
    jnp = pytest.importorskip("jax.numpy")
    assert_read(read(jnp.asarray(NUMBERS, dtype=dtype)), dtype)


def test_tensors_of_other_frameworks_are_read():
    """By `__array__` or by DLPack, whichever they have."""
    assert_read(read(OnGpu()), "float32", "accelerator")
    assert_read(read(Spread()), "float32", "accelerator")
    assert_read(read(Pinned()), "float32")
    assert_read(read(Detachable()), "float32", "accelerator")
    assert_read(read(OfDlpack()), "float64")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (1.5, "is a float, expected an array or a tensor"),
        ([1.5], "is a list, expected an array or a tensor"),
        (None, "is a NoneType, expected an array or a tensor"),
        (Unwilling(), "is a Unwilling that NumPy cannot read: use .get()"),
        (np.array(["a"]), "is a ndarray of <U1, expected an array of numbers"),
        (np.array([None]), "is a ndarray of object, expected an array of numbers"),
    ],
    ids=["float", "list", "none", "unwilling", "text", "object"],
)
def test_what_is_no_tensor_is_refused(what, told):
    """The sentence lacks its subject: the caller knows the name."""
    with pytest.raises(TypeError) as caught:
        read(what)
    assert str(caught.value) == told


def test_torch_tensor_without_numbers_is_refused():
    """PyTorch's own sentence says what to do."""
    torch = pytest.importorskip("torch")
    for tensor in (torch.ones(2).to_sparse(), torch.ones(2, device="meta")):
        with pytest.raises(
            TypeError, match=r"^is a Tensor that NumPy cannot read: .*(to_dense|no data)"
        ):
            read(tensor)


def test_dtypes_of_all_frameworks_have_one_name():
    """A name, NumPy's dtype, its type, PyTorch's and JAX's."""
    assert {name_of(d) for d in ("float32", np.dtype("float32"), np.float32)} == {"float32"}
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    assert name_of(torch.bfloat16) == name_of(jnp.bfloat16) == name_of(jnp.ones(1, "bfloat16").dtype)
    assert name_of(torch.bfloat16) == "bfloat16"
