"""A user's file leaves the process that it shares with the judge as it was, or it is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ports.__main__ import main
from ports.contract import ProcessSetting
from ports.in_numpy.host import NumpyHost
from ports.registry import FRAMEWORKS
from ports.shared_process import MODULES, left_alone
from ports.user_code import UserCodeError
from ports.user_port import load_port
from reference.models import SOFTMAX

ROOT = Path(__file__).parents[2]
RIGHT = (ROOT / "docs" / "examples" / "my_port_numpy.py").read_text()
#: What `nnfs.init()` does: float32 from here on, for everybody.
PATCHES = """
def patch(dot=np.dot, zeros=np.zeros):
    np.dot = lambda a, b: dot(np.float32(a), np.float32(b))
    np.zeros = lambda *shape: zeros(*shape, dtype="float32")
    np.random.randn = lambda *shape: np.random.standard_normal(shape).astype("float32")
    np.random.seed(0)
"""
NAMED = "numpy.dot, numpy.zeros and numpy.random.randn for the whole process"
FEW = ("--model", "softmax", "--steps", "2", "--points", "5", "--dtype", "float64")
#: A framework, a line that changes one of its settings, and what the sentence calls it.
SETTINGS = {
    "errors": ("numpy", "np.seterr(all='raise')", "NumPy's error handling"),
    "dtype": ("torch", "torch.set_default_dtype(torch.float64)", "torch's default dtype"),
    "gradients": ("torch", "torch.set_grad_enabled(False)", "torch's gradient mode"),
    "denormals": ("torch", "torch.set_flush_denormal(True)", "the flushing of denormal numbers"),
    "x64": (
        "jax",
        "jax.config.update('jax_enable_x64', not jax.config.jax_enable_x64)",
        "jax_enable_x64",
    ),
}


@pytest.fixture
def write(tmp_path):
    """Write my_port.py: lines before the right step, and lines at its beginning."""

    def write(before="", inside=""):
        path = tmp_path / "my_port.py"
        source = RIGHT.replace("    W, b = params", f"    {inside}\n    W, b = params")
        path.write_text(source.replace("\n\n\ndef softmax", f"\n{before}\n\ndef softmax"))
        return path

    return write


@pytest.fixture(autouse=True)
def _nothing_changed():
    """Whatever a test's file does, NumPy is itself afterwards."""
    before = [(module, dict(vars(module))) for module in MODULES]
    yield
    for module, names in before:
        assert all(vars(module)[name] is value for name, value in names.items())


def test_file_that_patches_numpy_is_refused(write, capsys):
    """One sentence that names what it replaced: exit 2, no traceback, nothing judged."""
    assert main(["compare", "--port", str(write(f"{PATCHES}\n\npatch()\n")), *FEW]) == 2
    output, error = capsys.readouterr()
    assert error.startswith(f"lockstep: my_port.py: its import changes {NAMED}")
    assert error.count("\n") == 1
    assert output == ""


def test_step_that_patches_numpy_is_refused(write, capsys):
    """In the cell that did it; the other ports are judged by the true NumPy."""
    path = write(PATCHES, "patch()")
    assert main(["compare", "--port", str(path), "--port", "numpy", *FEW]) == 2
    output, _ = capsys.readouterr()
    assert f"step 0: my_port.py: softmax_step changes {NAMED}" in output
    assert "2 cells, 2 port steps, 44 certified comparisons" in output
    assert "1 cells disagree" in output


def test_file_that_patches_nothing_is_judged(write, capsys):
    """Negative control: the same file, which does not call its own `patch`."""
    assert main(["compare", "--port", str(write(PATCHES)), *FEW]) == 0
    assert "0 cells disagree" in capsys.readouterr().out


def test_pytest_refuses_it_too(write):
    """The same sentence, as a usage error."""
    path = write(f"{PATCHES}\n\npatch()\n")
    words = [sys.executable, "-m", "pytest", f"--port={path}", "--collect-only"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: my_port.py: its import changes {NAMED}" in done.stderr


def test_check_judges_it_by_the_true_numpy(write, capfd):
    """It has a process of its own there. This step never uses what it replaced, so it is right."""
    assert main(["check", str(write(f"{PATCHES}\n\npatch()\n")), *FEW[2:6]]) == 0
    assert "Right: " in capfd.readouterr().out


@pytest.mark.parametrize(("framework", "line", "name"), SETTINGS.values(), ids=SETTINGS)
def test_setting_that_is_changed_is_refused_and_put_back(write, framework, line, name):
    """At the import, and in a step; the setting has its old value afterwards."""
    if FRAMEWORKS[framework].absence():
        pytest.skip(FRAMEWORKS[framework].absence())
    host = FRAMEWORKS[framework].host
    (setting,) = (s for s in host.process_settings if s.name == name)
    before = setting.get()
    imports = "" if framework == "numpy" else f"import {framework}\n"

    with pytest.raises(UserCodeError, match=f"my_port.py: its import changes {name} for the whole"):
        load_port(write(f"{imports}{line}\n"))
    assert setting.get() == before

    port = load_port(write(imports, line))
    with pytest.raises(UserCodeError, match=f"softmax_step changes {name} for the whole process"):
        port.make_step(SOFTMAX, "eager")(*arguments())
    assert setting.get() == before


def arguments():
    """What a step is given."""
    params = {"W": np.full((2, 3), 0.1), "b": np.zeros((1, 3))}
    return params, np.ones((3, 2)), np.arange(3), 1e-3, 1.0


def test_change_that_is_undone_is_allowed(write):
    """Negative control: a file that sets errors for its own lines alone."""
    load_port(write("\nwith np.errstate(all='raise'):\n    half = np.float64(1) / 2\n"))


def test_precision_that_a_step_sets_is_put_back(tmp_path):
    """Products in TF32 or bfloat16 are for the file's own step alone; the next port's are exact."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "my_port.py"
    line = "torch.set_float32_matmul_precision('medium')"
    path.write_text(
        f"import torch\nframework = 'torch'\n\n\ndef softmax_step(*_):\n    {line}\n    return {{}}\n"
    )
    port = load_port(path)
    with port.host.exact_settings():
        assert port.make_step(SOFTMAX, "eager")(*arguments()) == {}
        assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_step_runs_in_the_precision_asked_for(tmp_path, precision):
    """A file's products are those that its bounds allow for, and not exact in any case."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "my_port.py"
    path.write_text(
        "import torch\nframework = 'torch'\n\n\ndef softmax_step(*_):\n"
        "    return {'precision': torch.get_float32_matmul_precision()}\n"
    )
    port = load_port(path)
    with port.host.settings_with(precision):
        assert port.make_step(SOFTMAX, "eager")(*arguments()) == {"precision": precision}
        assert torch.get_float32_matmul_precision() == precision
    assert torch.get_float32_matmul_precision() == "highest"


def test_error_of_the_file_is_told_first():
    """Code that patches and then raises: its own error goes on, and NumPy is put back."""
    with pytest.raises(KeyError):
        replaced(["dot"], then=KeyError)


def test_long_list_is_cut():
    """A file that replaces everything gets a sentence of bounded length."""
    with pytest.raises(UserCodeError, match=r"numpy\.\w+ and 2 more for the whole process"):
        replaced(["add", "dot", "exp", "log", "sum", "zeros", "ones"])


def replaced(names, then=None):
    """Replace functions of NumPy as a file may do, and then raise what the file may raise."""
    with left_alone(Path("my_port.py"), "its import"):
        for name in names:
            setattr(np, name, None)
        if then:
            raise then


def test_setting_that_stays_is_not_set(monkeypatch):
    """A setting is read before and after; it is set only if it has changed."""
    written = []
    state = [1]
    setting = ProcessSetting("the state", lambda: state[0], written.append)
    monkeypatch.setattr(NumpyHost, "process_settings", (setting,))
    with left_alone(Path("my_port.py"), "its import"):
        pass
    assert written == []
    with pytest.raises(UserCodeError, match="the state"), left_alone(Path("my_port.py"), "its import"):
        state[0] = 2
    assert written == [1]
