"""What is recorded is what the port was given and computed; what cannot be recorded is a sentence."""

import os

import numpy as np
import pytest
from recorded import inputs, recorded

from ports.__main__ import main
from ports.recordings.container import open_container
from ports.recordings.format import kinds
from ports.recordings.recording import open_recording
from ports.registry import PORTS
from reference.models import MODELS, SOFTMAX
from reference.runs import draw, trajectory
from reference.trace import record

#: The dtypes in which the NumPy port runs.
HERE = PORTS["numpy"].host.dtypes("cpu")


@pytest.mark.parametrize("dtype", HERE)
def test_recording_holds_the_steps(dtype, tmp_path):
    """Each step starts from the reference's parameters, as the dtype holds them, and has its numbers."""
    found = open_recording(recorded(tmp_path / "run", dtype=dtype, points=5, steps=3))
    assert found.steps == (0, 100, 199)
    start = draw(np.random.RandomState(0), 5).problem(SOFTMAX)
    starts = {i: at for i, at, _ in trajectory(start, 200) if i in found.steps}
    for j, i in enumerate(found.steps):
        held = starts[i].held_as(dtype)
        for name, value in held.params.items():
            assert np.array_equal(found.params(j)[name], value)
        trace, expected = found.trace(j), record(held)
        assert list(trace) == list(SOFTMAX.quantities)
        for name, tensor in trace.items():
            assert tensor.dtype == dtype
            assert np.allclose(tensor, expected[name], rtol=1e-5, atol=1e-6)


def test_recording_says_where_it_comes_from(tmp_path):
    """Port, framework, device, hidden quantities and the machine's versions."""
    if PORTS["torch_library"].absence():
        pytest.skip(PORTS["torch_library"].absence())
    found = open_recording(recorded(tmp_path / "run", port=PORTS["torch_library"]))
    assert (found.cell.port, found.framework, found.cell.device) == ("torch_library", "torch", "cpu")
    assert "dW" in found.hidden
    assert {"python", "numpy", "torch", "torch float32 matmul"} <= set(found.provenance)
    assert "dW" not in found.trace(0)


@pytest.mark.parametrize("dtype", HERE)
@pytest.mark.parametrize("model", MODELS)
def test_inputs_are_those_of_a_recording(model, dtype, tmp_path):
    """The same tensors, byte for byte; and the shapes of all that is expected back."""
    problem = draw(np.random.RandomState(0), 5).problem(MODELS[model])
    start = open_container(inputs(tmp_path / "start", model, dtype, steps=1))
    run = open_container(recorded(tmp_path / "run", model, dtype, steps=1))
    for name, formats, shape in kinds(problem, dtype, 1):
        if name in problem.shapes:
            assert start.metadata[f"shape/{name}"] == " ".join(map(str, shape))
        else:
            assert start.entries[name].format in formats
            assert start.entries[name].shape == shape
            assert start.checksum(name) == start.metadata[f"crc32/{name}"] == run.checksum(name)


PORT = """
from ports.in_numpy.reference import softmax_step as right
def softmax_step(*inputs):
    trace = right(*inputs)
    {change}
    return trace
"""
REFUSED = {
    "missing": ("del trace['probs']", "step 0: probs is missing from the port's trace"),
    "shape": ("trace['db'] = trace['db'][0]", "step 0: db has shape (3,), expected (1, 3)"),
    "dtype": ("trace['loss'] = trace['loss'].astype('f4')", "step 0: loss has dtype float32"),
    "name": ("trace['dw'] = trace.pop('dW')", "step 0: dW is missing"),
    "raises": ("1 / 0", "there is no step to record"),
}


@pytest.mark.parametrize(("change", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_recorded_is_a_sentence(change, said, tmp_path, capsys):
    """Status 2, and no file."""
    port, out = tmp_path / "port.py", tmp_path / "run.safetensors"
    port.write_text(PORT.format(change=change))
    options = ["--port", str(port), "--model", "softmax", "--points", "5", "--steps", "2"]
    assert main(["record", *options, "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert not told.out
    assert not out.exists()


def test_quantity_that_comes_and_goes_is_refused(tmp_path, capsys):
    """A hidden quantity is hidden at every step, or at none."""
    port = tmp_path / "port.py"
    change = "if abs(inputs[0]['W']).max() > 0.1: trace.pop('dW')"
    port.write_text(PORT.format(change=change) + "hidden_quantities = {'dW': 'late'}\n")
    options = ["--port", str(port), "--model", "softmax", "--points", "5", "--steps", "2"]
    assert main(["record", *options, "--out", str(tmp_path / "run")]) == 2
    assert "step 199: dW is shown at some steps and not at others" in capsys.readouterr().err


OUT = ["--port", "numpy", "--model", "softmax", "--points", "5", "--out"]
BAD_INPUT = {
    "no_port": (["record", "--out", "x"], "required: --port"),
    "no_out": (["record", "--port", "numpy"], "required: --out"),
    "no_device": (["record", *OUT, "x", "--device", "cuda"], "finds the device 'cuda'"),
    "unwritable": (["record", *OUT, "no/such/folder/run"], "cannot write 'no/such/folder/run'"),
    "over_a_port": (["record", *OUT, "ports/registry.py"], "a .py file is a port"),
    "over_a_device": (["record", *OUT, os.devnull], f"cannot write {os.devnull!r}: it is no file"),
    "inputs_unwritable": (["inputs", "--out", "no/such/folder/run"], "give --out a path"),
    "no_file": (["certify"], "required: file"),
    "certify_a_folder": (["certify", "ports"], "ports is not a file"),
    "certify_nothing": (["certify", "no.safetensors"], "no.safetensors does not exist"),
    "certify_a_port": (["certify", "docs/examples/my_port_numpy.py"], "my_port_numpy.py: "),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_sentence_and_status_2(arguments, said, capsys):
    """As for every command."""
    if os.devnull in said and os.name != "posix":
        pytest.skip("a device has another name here")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("lockstep: ")
    assert err.count("\n") == 1
    assert said in err


def test_commands_say_what_they_wrote(tmp_path, capsys):
    """And what to do with it."""
    out = str(tmp_path / "my run.safetensors")
    assert main(["inputs", "--model", "softmax", "--points", "5", "--steps", "1", "--out", out]) == 0
    assert f"wrote 1 step to {out} (" in capsys.readouterr().out
    assert main(["record", *OUT, out, "--steps", "2"]) == 0
    told = capsys.readouterr().out
    assert f"softmax-numpy-eager-cpu-float64: wrote 2 steps to {out} (" in told
    assert f"lockstep certify '{out}' judges it" in told
