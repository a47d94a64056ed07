"""docs/examples: `lockstep check` finds each file right, and one planted error in it where it is.

There are two kinds: the shapes in which people have their code, and ports to other frameworks.
"""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from ports.__main__ import main

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
QUICK = ("--steps", "2", "--points", "5")

#: A file, the packages and programs that it needs, the dtypes that it is judged in, and an error: the
#: line that is changed, what it becomes, and the quantities that are then wrong.
FILES = {
    "class_with_loss": ((), ["float64"], "+ 2 * reg * W1", "+ reg * W1", ["dW"]),
    "estimator_with_fit": (
        (),
        ["float64", "float32"],
        "(error.T @ X + self.alpha * self.coef_)",
        "(error.T @ X)",
        ["W_next"],
    ),
    "module_and_optimizer": (
        ("torch",),
        ["float64", "float32"],
        "    optimizer.zero_grad()\n",
        "",
        ["dW2", "db2", "dW", "db"],
    ),
    "jax_train_step": (
        ("jax", "optax"),
        ["float64"],
        "for W, _ in params)",
        "for W, _ in params[:-1])",
        ["loss", "W2_next"],
    ),
    "my_port_numpy": ((), ["float64", "float32"], "axis=1, keepdims", "axis=0, keepdims", ["probs"]),
    "my_port_c": (("cc",), ["float64", "float32"], "*= reg / 2;", "*= reg;", ["reg_loss"]),
    "my_port_autograd": (
        ("autograd",),
        ["float64", "float32"],
        "before_relu * (before_relu > 0)",
        "np.maximum(before_relu, 0)",
        ["dhidden"],
    ),
    "my_port_keras": (
        ("keras", "jax"),
        ["float64"],
        "L2(0.5 * reg)",
        "L2(reg)",
        ["reg_loss", "dW"],
    ),
    "my_port_tinygrad": (
        ("tinygrad", "clang"),
        ["float64"],
        "before_relu.relu()",
        "before_relu.maximum(0)",
        ["dhidden"],
    ),
    "my_port_tensorflow": (
        ("tensorflow",),
        ["float64", "float32"],
        "tf.nn.relu(hidden)",
        "tf.maximum(hidden, 0)",
        ["dhidden"],
    ),
    "my_port_cupy": (
        ("cupy",),
        ["float64", "float32"],
        "(hidden_layer > 0)",
        "(hidden_layer >= 0)",
        ["dhidden"],
    ),
}
PROGRAMS = ("cc", "clang")
#: Files that say something else by themselves: other tests are about them.
OTHERS = {"my_port_wrong", "three_layer_net", "three_layer_numpy", "three_layer_torch"}


@pytest.fixture(params=FILES)
def example(request):
    """A file's name and record, where what it needs is here."""
    needs, *record = FILES[request.param]
    for name in needs:
        here = shutil.which(name) if name in PROGRAMS else importlib.util.find_spec(name)
        if not here:
            pytest.skip(f"{request.param} needs {name}, not installed here")
    if "cupy" in needs and not importlib.import_module("cupy").cuda.is_available():
        pytest.skip(f"{request.param} needs a GPU")
    return request.param, *record


def check(path, capfd, *options):
    """The exit status and the answer of the command."""
    return main(["check", str(path), *QUICK, *options]), capfd.readouterr().out


def test_every_example_is_here():
    """A new file in docs/examples comes with a record, or with a test of its own."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*FILES, *OTHERS}


def test_example_is_right(example, capfd):
    """In each of its dtypes."""
    name, dtypes, *_ = example
    options = [word for dtype in dtypes for word in ("--dtype", dtype)]
    status, output = check(EXAMPLES / f"{name}.py", capfd, *options)
    assert status == 0, output
    assert all(f"_step, {dtype}" in output for dtype in dtypes)


def test_error_in_an_example_is_blamed(example, capfd, tmp_path):
    """Negative control: the planted error is found, and the quantity that it spoils named first."""
    name, dtypes, old, new, wrong = example
    planted = 0
    for path in EXAMPLES.glob(f"{name}.*"):
        source = path.read_text()
        planted += source.count(old)
        (tmp_path / path.name).write_text(source.replace(old, new))
    assert planted == 1
    status, output = check(tmp_path / f"{name}.py", capfd, "--dtype", dtypes[0])
    assert status == 1, output
    assert re.search(r"^  wrong +(.*)$", output, re.MULTILINE)[1].split() == wrong
    assert f"First wrong: {wrong[0]}" in output
