"""NumPy's functions in the frameworks: each lies within the bound that its promises give."""

import importlib

import numpy as np
import pytest

from reference.agreement.arithmetic import ARITHMETICS
from reference.agreement.judge import LOCAL, compare
from reference.agreement.rounded import Rounded


def positive(x):
    """Numbers above 0."""
    return abs(x) + 0.1


#: The same code in NumPy, PyTorch and JAX: `f` is the framework's module.
SAME = {
    "tanh": lambda f, x: f.tanh(x),
    "expm1": lambda f, x: f.expm1(x),
    "log1p": lambda f, x: f.log1p(abs(x)),
    "log2": lambda f, x: f.log2(positive(x)),
    "logaddexp": lambda f, x: f.logaddexp(x, 0.5 * x),
    "sqrt": lambda f, x: f.sqrt(abs(x)),
    "reciprocal root": lambda f, x: 1 / f.sqrt(positive(x)),
    "square": lambda f, x: f.square(x),
    "cube": lambda f, x: x**3,
    "fifth power": lambda f, x: x**5,
    "negative power": lambda f, x: positive(x) ** -2,
    "fractional power": lambda f, x: positive(x) ** 0.3,
    "power of a constant": lambda f, x: 0.9**x,
    "sigmoid": lambda f, x: 1 / (1 + f.exp(-x)),
    "cumsum": lambda f, x: f.cumsum(x, 1),
    "mean": lambda f, x: f.mean(x, 1),
    "var": lambda f, x: f.var(x, 1, **({"correction": 0} if f.__name__ == "torch" else {})),
    "norm": lambda f, x: f.linalg.norm(x, axis=1),
    "matrix and vector": lambda f, x: x @ x[0],
    "einsum": lambda f, x: f.einsum("ij,ij->j", x, x),
    "outer": lambda f, x: f.outer(x[0], x[1]),
}


def softmax(x):
    """Shifted, as code."""
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def layer_norm(x):
    """Two passes, as code."""
    apart = x - np.mean(x, axis=1, keepdims=True)
    return apart / np.sqrt(np.var(x, axis=1, keepdims=True) + 1e-5)


def gelu(x):
    """By a tanh, as code."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


#: Code in NumPy, and what a framework has for it.
LIBRARY = {
    "torch softmax": (softmax, lambda torch, x: torch.softmax(x, 1)),
    "torch layer_norm": (layer_norm, lambda torch, x: torch.nn.functional.layer_norm(x, x.shape[1:])),
    "torch gelu": (gelu, lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh")),
    "torch rsqrt": (lambda x: 1 / np.sqrt(positive(x)), lambda torch, x: torch.rsqrt(positive(x))),
    "jax.nn softmax": (softmax, lambda nn, x: nn.softmax(x, 1)),
    "jax.nn gelu": (gelu, lambda nn, x: nn.gelu(x, approximate=True)),
    "jax.nn softplus": (lambda x: np.logaddexp(x, 0.0), lambda nn, x: nn.softplus(x)),
}


def module_of(name):
    """The framework's module."""
    return pytest.importorskip(name, reason=f"{name} is not installed")


def share(code, got, x, dtype):
    """The largest share of its bound that a result uses."""
    bound = code(Rounded.exact(x.astype(np.float64), ARITHMETICS[dtype]))
    return compare("", LOCAL, np.asarray(got, dtype=np.float64), bound).share


def tensor(name, x):
    """Numbers in a framework."""
    if name == "torch":
        return importlib.import_module("torch").from_numpy(x)
    return importlib.import_module("jax.numpy").asarray(x)


def drawn(dtype, shift=0.0):
    """A hundred rows of numbers of different sizes, large enough for what only vectors do."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal((100, 64)) * np.logspace(-2, 0.7, 64) + shift).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", SAME)
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax.numpy"])
def test_framework_keeps_its_promise(framework, function, dtype):
    """The documented errors are not exceeded."""
    f, code, x = module_of(framework), SAME[function], drawn(dtype)
    got = code(f, x if framework == "numpy" else tensor(framework, x))
    assert share(lambda z: code(np, z), got, x, dtype) <= 1


@pytest.mark.parametrize("case", LIBRARY)
def test_librarys_own_function_is_within_the_bound_of_the_code(case):
    """A library may fuse it, or compute it in another order."""
    framework, _ = case.split()
    code, library = LIBRARY[case]
    x = drawn("float32")
    got = library(module_of(framework), tensor(framework, x))
    assert 0 < share(code, got, x, "float32") <= 1


def test_variance_of_one_pass_is_caught():
    """mean(x**2) - mean(x)**2, as in jax.nn.standardize, cancels where the mean is large."""
    nn = module_of("jax.nn")
    x = (drawn("float32") * 0.01 + 10).astype(np.float32)
    got = nn.standardize(tensor("jax.numpy", x), axis=1, epsilon=1e-5)
    assert share(layer_norm, got, x, "float32") > 1


def test_softplus_that_is_cut_off_is_caught():
    """PyTorch's is x itself beyond 20, which is not log(1 + exp(x))."""
    torch = module_of("torch")
    x = drawn("float64", shift=21.0)
    got = torch.nn.functional.softplus(tensor("torch", x))
    assert share(lambda z: np.logaddexp(z, 0.0), got, x, "float64") > 1
