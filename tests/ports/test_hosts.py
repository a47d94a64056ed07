"""The hosts: they restore precision settings, copy what they transfer, and explain an absence."""

import importlib.util
import sys

import numpy as np
import pytest
from cells import parametrize

from ports.commands.arguments import select
from ports.contract import Absent
from ports.engine.selection import plan
from ports.messages import missing_packages
from ports.registry import FRAMEWORKS, PORTS
from reference.agreement.rounded import Rounded
from reference.arrays import numpy_dtype

DTYPES = ("float64", "float32")
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def pytest_generate_tests(metafunc):
    """Every host of the ports that are here."""
    if "host" in metafunc.fixturenames:
        hosts = {p.port.framework.name: p.port.host for p in metafunc.config.lockstep_planned}
        parametrize(metafunc, "host", [pytest.param(host, id=name) for name, host in hosts.items()])


# Precision settings


class Torch:
    """PyTorch's precision setting: its report under exact settings, and its other values."""

    exact = (("torch float32 matmul", "highest"),)
    careless = ("medium", "high")

    def __init__(self):
        self.torch = pytest.importorskip("torch", reason="torch is not installed")
        self.host = FRAMEWORKS["torch"].host

    def read(self):
        """The user's setting."""
        return self.torch.get_float32_matmul_precision()

    def write(self, precision):
        """Set it, as a user does."""
        self.torch.set_float32_matmul_precision(precision)


class Jax:
    """JAX's two settings: whether float64 is allowed, and the precision of products."""

    exact = (("jax x64", "True"), ("jax matmul precision", "highest"))
    careless = ((False, None), (False, "bfloat16"), (True, "tensorfloat32"))

    def __init__(self):
        self.jax = pytest.importorskip("jax", reason="jax is not installed")
        self.host = FRAMEWORKS["jax"].host

    def read(self):
        """The user's settings."""
        return self.jax.config.jax_enable_x64, self.jax.config.jax_default_matmul_precision

    def write(self, settings):
        """Set them, as a user does."""
        self.jax.config.update("jax_enable_x64", settings[0])
        self.jax.config.update("jax_default_matmul_precision", settings[1])


@pytest.fixture(params=[Torch, Jax], ids=["torch", "jax"])
def framework(request):
    """A framework that has precision settings, which are put back afterwards."""
    framework = request.param()
    before = framework.read()
    yield framework
    framework.write(before)


def test_exact_settings_are_reported(framework):
    """While exact settings hold, the record of a run says so, whatever was set before."""
    for settings in framework.careless:
        framework.write(settings)
        with framework.host.exact_settings():
            assert set(framework.exact) <= set(framework.host.settings().items())


def test_settings_are_restored(framework):
    """The user's own settings are there again afterwards, and reported as they are."""
    for settings in framework.careless:
        framework.write(settings)
        reported = framework.host.settings()
        with framework.host.exact_settings():
            pass
        assert framework.read() == settings
        assert framework.host.settings() == reported


def test_settings_are_restored_after_an_exception(framework):
    """A run that raises an exception leaves no settings behind."""
    settings = framework.careless[0]
    framework.write(settings)
    with pytest.raises(ZeroDivisionError), framework.host.exact_settings():
        raise ZeroDivisionError
    assert framework.read() == settings


def test_exact_settings_nest(framework):
    """The end of an inner run does not end the outer one's exact settings."""
    framework.write(framework.careless[0])
    with framework.host.exact_settings():
        exact = framework.read()
        with framework.host.exact_settings():
            pass
        assert framework.read() == exact


def test_careless_settings_do_not_leak_in(framework):
    """A float32 product under exact settings has the same bits, whatever was set before."""
    host = framework.host
    a = np.random.default_rng(0).standard_normal((200, 200))
    products = []
    for settings in (framework.careless[0], *framework.careless):
        with host.exact_settings():
            products.append(host.get(host.put(a, "cpu", "float32") @ host.put(a.T, "cpu", "float32")))
        framework.write(settings)
    assert all(np.array_equal(product, products[0]) for product in products)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_newer_settings_of_torch(torch_host, precision):
    """PyTorch's newer, per-backend setting does not leak in either, and is not lost."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    backend = getattr(torch.backends.mkldnn, "matmul", None)
    if not hasattr(backend, "fp32_precision"):
        pytest.skip("this PyTorch has no per-backend precision")
    before, backend.fp32_precision = backend.fp32_precision, precision
    try:
        with torch_host.exact_settings():
            assert torch_host.settings()["torch float32 matmul"] == "highest"
            assert backend.fp32_precision == "ieee"
        assert backend.fp32_precision == precision
    finally:
        backend.fp32_precision = before


def test_every_host_reports_its_version(host):
    """The record of a run names the framework and its version, in plain strings."""
    settings = host.settings()
    assert all(isinstance(text, str) for text in settings.values())
    assert any(text[:1].isdigit() for text in settings.values())


def test_float64_stays_float64(host):
    """Without x64, JAX would silently turn float64 into float32."""
    assert host.get(host.put(np.array([0.1]), "cpu", "float64"))[0] == 0.1


# Transfer


def aligned(array, offset):
    """The array at a number of bytes past a multiple of 64: JAX shares memory that it finds aligned."""
    memory = np.zeros(array.nbytes + 128, dtype=np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("offset", [0, 8])
@each_dtype
def test_put_copies(host, dtype, offset):
    """A later change to the NumPy array does not change the tensor."""
    numbers = np.arange(1000.0).reshape(10, 100).astype(dtype)
    source = aligned(numbers, offset)
    tensor = host.put(source, "cpu", dtype)
    source[:] = -1
    got = host.get(tensor)
    assert got.dtype == dtype
    assert np.array_equal(got, numbers)


def test_what_jax_returned_stays_as_it_is():
    """A later step may be given the buffer to write into, since the engine does not copy it."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    host = FRAMEWORKS["jax"].host
    assert host.immutable
    into_its_own = jax.jit(lambda x: x * 2, donate_argnums=0)
    unseen, seen = (host.put(np.arange(1000.0), "cpu", "float32") + 1 for _ in range(2))
    got = host.get(seen)
    assert not got.flags.writeable
    for tensor in (unseen, seen):
        into_its_own(tensor).block_until_ready()
    assert unseen.is_deleted()  # donation works here, so the next line tests something
    assert np.array_equal(got, np.arange(1000.0) + 1)


@pytest.mark.parametrize("offset", [0, 8])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_put_labels_copies(host, dtype, offset):
    """Labels are copied too, even those that have the framework's index dtype already."""
    labels = np.arange(200).astype(dtype)
    source = aligned(labels, offset)
    tensor = host.put_labels(source, "cpu")
    source[:] = 1
    assert np.array_equal(host.get(tensor), labels)


@pytest.mark.parametrize(("name", "dtype"), [("torch", "int64"), ("jax", "int32")])
def test_labels_have_the_index_dtype(name, dtype):
    """The note's uint8 labels would be a mask to PyTorch, and y - 1 would wrap to 255."""
    pytest.importorskip(name, reason="its framework is not installed")
    host = FRAMEWORKS[name].host
    assert host.get(host.put_labels(np.array([0, 2, 1], dtype="uint8"), "cpu")).dtype == dtype


@pytest.mark.parametrize("number", [0.1, 1 / 3, 1e-30, -0.0])
@each_dtype
def test_put_rounds_once(host, number, dtype):
    """A tensor holds the nearest number of the dtype, as the certificate assumes."""
    got = host.get(host.put(np.array([number]), "cpu", dtype))
    assert got.tobytes() == np.array([number], dtype=dtype).tobytes()


@pytest.mark.parametrize("what", [1.0, [1.0], None, "scores"], ids=["float", "list", "None", "str"])
def test_get_refuses_what_is_no_tensor(host, what):
    """A port that returns a plain number or a list is told what it returned, and what to return."""
    with pytest.raises(
        TypeError, match=rf"(?i)^is a {type(what).__name__}, expected an? .*(array|tensor)"
    ):
        host.get(what)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_get_refuses_another_frameworks_array(name):
    """A port of another framework that returns a NumPy array has left its framework on the way."""
    pytest.importorskip(name, reason="its framework is not installed")
    with pytest.raises(TypeError, match=r"^is a ndarray, expected a (torch\.Tensor|jax\.Array)$"):
        FRAMEWORKS[name].host.get(np.zeros(3))


@pytest.mark.parametrize("scalar", [np.float32(1.5), np.array(1.5)], ids=["scalar", "array"])
def test_numpy_scalars_are_arrays(scalar):
    """np.sum returns a scalar: it has a dtype, and becomes an array of shape ()."""
    got = FRAMEWORKS["numpy"].host.get(scalar)
    assert (got.shape, got.dtype) == ((), scalar.dtype)


def test_get_takes_what_autograd_tracks():
    """A tensor that requires gradients is read without them."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor = torch.ones(2, dtype=torch.float64, requires_grad=True) * 2
    assert np.array_equal(FRAMEWORKS["torch"].host.get(tensor), [2, 2])


# Absences


@pytest.fixture
def without(monkeypatch):
    """Make packages look as if they were not installed."""
    found = importlib.util.find_spec

    def remove(*packages):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name in packages else found(name)
        )

    return remove


@pytest.mark.parametrize(
    ("name", "missing", "sentence"),
    [
        ("torch_manual", ["torch"], "torch_manual needs torch, not installed here: pip install torch"),
        ("jax_grad", ["jax"], "jax_grad needs jax, not installed here: pip install jax"),
        (
            "jax_library",
            ["jax", "optax"],
            "jax_library needs jax and optax, not installed here: pip install jax optax",
        ),
    ],
)
def test_missing_package_is_told_in_a_sentence(without, name, missing, sentence):
    """It says what is missing and what to do; the matrix skips the port with these words."""
    without(*missing)
    assert PORTS[name].absence() == sentence
    planned, skipped = plan(select(ports=[name, "numpy"]))
    assert {p.port.name for p in planned} == {"numpy"}
    assert [(s.what, s.reason) for s in skipped if s.what == name] == [(name, sentence)]


def test_required_port_without_its_package_is_refused(without):
    """`--require` turns the skip into an error, in the same words."""
    without("torch")
    with pytest.raises(Absent, match="torch_manual needs torch, not installed here"):
        plan(select(ports=["torch_manual", "numpy"], require=["torch_manual"]))


def test_one_of_two_packages_missing():
    """Only the missing one is named."""
    sentence = missing_packages("my_port", ["numpy", "no_such_package"])
    assert sentence == "my_port needs no_such_package, not installed here: pip install no_such_package"


def test_nothing_missing():
    """NumPy's own port is always here."""
    assert PORTS["numpy"].absence() is None


#: The compilers that torch.compile looks for if CXX names none.
DEFAULT_COMPILER = "clang++" if sys.platform == "darwin" else "g++"


@pytest.fixture
def torch_host():
    """PyTorch's host, if PyTorch is here."""
    pytest.importorskip("torch", reason="torch is not installed")
    return FRAMEWORKS["torch"].host


@pytest.mark.parametrize("compiler", [None, "no-such-compiler"])
def test_no_compiler_is_told_in_a_sentence(torch_host, monkeypatch, compiler):
    """Without a C++ compiler torch.compile is absent, and the sentence says how to get one."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    if compiler:
        monkeypatch.setenv("CXX", compiler)
    absence = torch_host.compiler_absence()
    assert f"needs a C++ compiler, and {compiler or DEFAULT_COMPILER} is not here: install " in absence
    planned, skipped = plan(select(ports=["torch_manual"], devices=["cpu"]))
    assert {p.cell.mode for p in planned} == {"eager"}
    assert [(s.what, s.reason) for s in skipped] == [("torch_manual compiled", absence)]


def test_another_compiler_is_not_used(torch_host, monkeypatch, tmp_path):
    """torch.compile takes CXX, or the platform's own compiler, and no other that may be here."""
    other = tmp_path / "clang++"
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler is not here" in torch_host.compiler_absence()


def test_compiler_named_by_cxx_is_found(torch_host, monkeypatch):
    """CXX may name a compiler that is not on the PATH."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", sys.executable)
    assert torch_host.compiler_absence() is None


def test_jax_brings_its_compiler():
    """XLA comes with JAX: no compiler has to be here."""
    pytest.importorskip("jax", reason="jax is not installed")
    assert FRAMEWORKS["jax"].host.compiler_absence() is None


# Promises that can be tried on every number

SIXTEEN_BITS = ("bfloat16", "float16")


def every_number(dtype):
    """All finite numbers of a 16-bit dtype."""
    with np.errstate(invalid="ignore"):  # some are NaN
        numbers = np.arange(2**16, dtype=np.uint16).view(numpy_dtype(dtype)).astype(np.float64)
    return numbers[np.isfinite(numbers)]


def applied(host, dtype, function, numbers):
    """A framework's function, one of these numbers at a time."""
    namespace = importlib.import_module({"torch": "torch", "jax": "jax.numpy"}[type_of(host)])
    with host.exact_settings():
        return host.get(getattr(namespace, function)(host.put(numbers, "cpu", dtype))).astype(np.float64)


def type_of(host):
    """The name of a host's framework."""
    return next(name for name, framework in FRAMEWORKS.items() if type(framework.host) is type(host))


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
@pytest.mark.parametrize("function", ["exp", "log", "sin", "cos"])
def test_function_keeps_its_promise_for_every_number(host, dtype, function):
    """It is computed in float32 and rounded once. One rounding of half the size would not do."""
    if type_of(host) == "numpy" or dtype not in host.dtypes("cpu"):
        pytest.skip("no function of its own in that dtype")
    arithmetic, numbers = host.arithmetic("cpu", dtype), every_number(dtype)
    if function == "log":
        numbers = numbers[numbers >= arithmetic.smallest_normal]
    if function == "exp":
        numbers = numbers[numbers < np.log(arithmetic.largest) - 0.1]
    expected = getattr(np, function)(Rounded.exact(numbers, arithmetic))
    off = np.abs(applied(host, dtype, function, numbers) - expected.value)
    assert (off <= expected.error).all()
    assert (off > expected.error / 2).any()


@pytest.mark.parametrize("dtype", SIXTEEN_BITS)
def test_sum_keeps_its_promise_where_each_addition_would_be_lost(host, dtype):
    """1 and 299 numbers of half an ulp: added one by one in 16 bits, none of them would count."""
    if type_of(host) == "numpy" or dtype not in host.dtypes("cpu"):
        pytest.skip("no sum of its own in that dtype")
    arithmetic = host.arithmetic("cpu", dtype)
    terms = np.full(300, arithmetic.roundoff)
    terms[0] = 1
    expected = np.sum(Rounded.exact(terms, arithmetic))
    got = applied(host, dtype, "sum", terms)
    assert abs(got - expected.value) <= expected.error
    assert abs(got - 1) > arithmetic.roundoff * 250
