"""certify says of a recording what compare says of the port, and needs neither framework nor device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recorded import recorded, taken_apart

from ports.__main__ import main
from ports.contract import Absent
from ports.engine.selection import one_cell
from ports.recordings.certify import certify, provenance_of
from ports.recordings.recording import open_recording
from ports.registry import PORTS
from ports.report.from_json import read_report
from reference.agreement.judge import LOCAL
from reference.models import MODELS, SOFTMAX

ROOT = Path(__file__).parents[3]
#: Ports of each framework: one that shows everything, and two that hide something.
SAME = [
    ("numpy", "softmax", "eager", "float64", "highest", "all"),
    ("numpy", "two_layer", "eager", "float32", "highest", "1"),
    ("torch_library", "two_layer", "eager", "float64", "highest", "1"),
    ("torch_library", "softmax", "eager", "float32", "highest", "30"),
    ("torch_manual", "two_layer", "eager", "float32", "medium", "1"),
    ("jax_manual", "softmax", "compiled", "float32", "high", "2"),
    ("jax_library", "softmax", "compiled", "float64", "highest", "5"),
    ("jax_grad", "softmax", "compiled", "bfloat16", "highest", "3"),
    ("torch_manual", "softmax", "eager", "float16", "highest", "3"),
    ("torch_scaler", "two_layer", "eager", "float32", "highest", "3"),
]


@pytest.mark.parametrize(("name", "model", "mode", "dtype", "precision", "steps"), SAME)
def test_recording_is_judged_as_the_port(name, model, mode, dtype, precision, steps, tmp_path, capsys):
    """The JSON is the same, number by number, but for settings without a value."""
    if PORTS[name].absence():
        pytest.skip(PORTS[name].absence())
    cell = ["--port", name, "--model", model, "--mode", mode, "--dtype", dtype, "--device", "cpu"]
    cell += ["--precision", precision]
    run, there, here = (str(tmp_path / file) for file in ("run.safetensors", "there", "here"))
    assert main(["compare", *cell, "--steps", steps, "--jobs", "1", "--json", there]) == 0
    table = capsys.readouterr().out
    assert main(["record", *cell, "--steps", steps, "--out", run]) == 0
    capsys.readouterr()
    assert main(["certify", run, "--json", here]) == 0
    assert capsys.readouterr().out == table
    compared, certified = (json.loads(Path(path).read_text()) for path in (there, here))
    compared["provenance"] = {what: fact for what, fact in compared["provenance"].items() if fact}
    machine, changed = compared["provenance"]["platform"], {"run", "machine"}
    count = MODELS[model].iterations if steps == "all" else int(steps)
    assert certified["run"] == compared["run"] | {"steps": str(count)}
    assert certified["machine"] == machine
    assert all(certified[field] == compared[field] for field in compared if field not in changed)
    assert read_report(Path(here)).machine == machine


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """The bytes of a right recording of three steps."""
    return recorded(tmp_path_factory.mktemp("right") / "run.safetensors").read_bytes()


@pytest.fixture
def changed(right, tmp_path):
    """A function that writes the recording with one number changed, and opens it."""

    def write(name, index, change):
        parts = taken_apart(right)
        numbers = parts.numbers(name)
        numbers[index] = change(numbers[index])
        path = tmp_path / "changed.safetensors"
        path.write_bytes(parts.bytes())
        return path

    return write


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("name", SOFTMAX.quantities)
def test_changed_number_is_found(name, row, changed, monkeypatch):
    """Negative control: more than its bound is found wrong, at its step and in its quantity."""
    index = (row, *[0] * len(SOFTMAX.quantities[name]))
    path = changed(name, index, lambda value: value * (1 + 1e-9) + 1e-12)
    monkeypatch.setattr("ports.recordings.certify.diagnose", lambda *_: None)  # it searches for a second
    step, finding = certify(open_recording(path)).result.first_failures()[0]
    assert (step, finding.quantity, finding.certificate) == ([0, 100, 199][row], name, LOCAL)
    assert finding.index == index[1:]


def test_number_within_its_bound_is_right(changed):
    """The other way round: a score that is off by its last bit may have been rounded otherwise."""
    path = changed("scores", (1, 0, 0), lambda value: np.nextafter(value, 1))
    assert certify(open_recording(path)).result.agrees


def test_disagreement_is_shown_and_explained(changed, capsys):
    """Status 1; the quantity is blamed, the note's line shown, and the cause named."""
    path = changed("loss", 2, lambda value: value * 2)
    assert main(["certify", str(path)]) == 1
    out = capsys.readouterr().out
    assert "step 199: loss[] is" in out
    assert "document  loss = data_loss + reg_loss" in out
    assert "why       loss" in out
    assert "1 cells disagree" in out


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_number_that_is_none_is_a_disagreement(value, changed, capsys):
    """As for a port: status 1."""
    assert main(["certify", str(changed("scores", (1, 2, 0), lambda _: value))]) == 1
    assert "step 100: scores[2, 0] is" in capsys.readouterr().out


def test_weights_out_of_range_are_a_sentence(changed, capsys):
    """A step whose scores overflow has no bound: status 2, and the steps before are kept."""
    assert main(["certify", str(changed("W", (1, 0, 0), lambda _: 1e300))]) == 2
    out = capsys.readouterr().out
    assert "step 100: score" in out
    assert "overflows float64" in out
    assert "1 port steps" in out


def test_run_that_ended_early_keeps_its_steps(tmp_path, capsys):
    """What a port raised is recorded: the steps before are judged, and the status is 2."""
    port = tmp_path / "raises.py"
    port.write_text(
        "from ports.in_numpy.reference import softmax_step as right\n"
        "class softmax_step:\n"
        "    def __init__(self, compile):\n"
        "        self.left = 2\n"
        "    def __call__(self, *inputs):\n"
        "        self.left -= 1\n"
        "        assert self.left >= 0, 'worn out'\n"
        "        return right(*inputs)\n"
    )
    out = str(tmp_path / "run.safetensors")
    options = ["--port", str(port), "--model", "softmax", "--points", "5", "--steps", "9"]
    assert main(["record", *options, "--out", out]) == 2
    assert "wrote 2 steps" in capsys.readouterr().out
    assert main(["certify", out]) == 2
    shown = capsys.readouterr().out
    assert "softmax-raises.py-eager-cpu-float64: step 50: raises.py:7" in shown
    assert "2 port steps, 44 certified comparisons" in shown


WITHOUT_FRAMEWORKS = """
import sys
for name in ("torch", "jax", "jaxlib", "optax", "ml_dtypes", "safetensors"):
    sys.modules[name] = None  # to import it raises ImportError
from ports.__main__ import main
sys.exit(main(["certify", *sys.argv[1:]]))
"""


def certified_without_frameworks(path):
    """Run certify in a process that cannot import them."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", WITHOUT_FRAMEWORKS, path]
    return subprocess.run(words, env=environment, capture_output=True, text=True)


def test_bfloat16_needs_no_package(tmp_path):
    """NumPy has no bfloat16: a recording is judged all the same, and a changed bit in it found."""
    port = PORTS["jax_manual"]
    if port.absence():
        pytest.skip(port.absence())
    with port.host.exact_settings():
        path = recorded(tmp_path / "run.safetensors", dtype="bfloat16", steps=2, port=port)
    done = certified_without_frameworks(path)
    assert done.returncode == 0, done.stderr
    parts = taken_apart(path.read_bytes())
    parts.numbers("probs")[1, 4, 2] ^= 1 << 4
    path.write_bytes(parts.bytes())
    done = certified_without_frameworks(path)
    assert done.returncode == 1, done.stderr
    assert "probs[4, 2] is" in done.stdout


def test_bounds_follow_the_precision(tmp_path, capsys):
    """A product that is off by 1e-3 is right where the file says bfloat16 products, and else wrong."""
    path = recorded(tmp_path / "run.safetensors", dtype="float32", steps=1)
    parts = taken_apart(path.read_bytes())
    parts.texts |= {"framework": "C++", "port": "mine"}
    parts.numbers("scores")[:] *= 1 + 1e-3
    for precision, status in (("highest", 1), ("medium", 0)):
        parts.texts["precision"] = precision
        path.write_bytes(parts.bytes())
        main(["certify", str(path), "--json", str(tmp_path / "report.json")])
        report = read_report(tmp_path / "report.json")
        assert report.run.precision == precision
        scores = [v for (name, _), v in report.results[0].verdicts.items() if name == "scores"]
        assert [v.failures for v in scores] == [status] * 2
        assert ("products in medium precision" in capsys.readouterr().out) == (precision == "medium")


def test_framework_and_device_need_not_be_here(tmp_path):
    """A recording of torch on a GPU, as its texts say, is judged where no framework can be imported."""
    path = recorded(tmp_path / "run.safetensors", dtype="float32")
    parts = taken_apart(path.read_bytes())
    parts.texts |= {"port": "torch_library", "framework": "torch", "device": "cuda"}
    path.write_bytes(parts.bytes())
    done = certified_without_frameworks(path)
    assert done.returncode == 0, done.stderr
    assert "torch_library  eager    cuda float32" in done.stdout
    if PORTS["torch_library"].absence() or "cuda" in PORTS["torch_library"].host.devices():
        return
    with pytest.raises(Absent):
        one_cell(SOFTMAX, PORTS["torch_library"], None, "cuda", "float32")


def test_recordings_that_could_not_be_told_apart_are_refused(tmp_path, capsys):
    """The same cell twice, or another seed; two cells of one run are one table."""
    same = [str(recorded(tmp_path / name)) for name in ("a", "b")]
    other_seed = str(recorded(tmp_path / "c", seed=1, dtype="float32"))
    other_cell = str(recorded(tmp_path / "d", dtype="float32"))
    assert main(["certify", *same]) == 2
    assert "are both of softmax-numpy-eager-cpu-float64" in capsys.readouterr().err
    assert main(["certify", same[0], other_seed]) == 2
    assert "another seed" in capsys.readouterr().err
    parts = taken_apart(Path(other_cell).read_bytes())
    parts.texts["precision"] = "high"
    other_precision = tmp_path / "e"
    other_precision.write_bytes(parts.bytes())
    assert main(["certify", same[0], str(other_precision)]) == 2
    assert "another precision: certify them one at a time" in capsys.readouterr().err
    assert main(["certify", same[0], other_cell]) == 0
    assert "2 cells, 6 port steps" in capsys.readouterr().out


def test_provenance_is_that_of_the_recordings(tmp_path):
    """What differs between them is told per recording."""
    paths = [recorded(tmp_path / "a"), recorded(tmp_path / "b", dtype="float32")]
    parts = taken_apart(paths[1].read_bytes())
    parts.texts |= {"provenance/python": "3.99", "provenance/card": "A100"}
    paths[1].write_bytes(parts.bytes())
    facts = provenance_of([open_recording(path) for path in paths])
    assert facts["numpy"] == np.__version__
    assert facts["b: python"] == "3.99"
    assert facts["a: python"].startswith("3.")
    assert (facts["a: card"], facts["b: card"]) == ("", "A100")
