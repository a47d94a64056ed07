"""`lockstep check`: right files pass, wrong ones are blamed rightly, bad ones get one sentence."""

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ports.__main__ import main
from ports.check import explain
from ports.check.process import command
from ports.contract import Absent
from ports.registry import FRAMEWORKS
from ports.user_code import UserCodeError
from ports.user_port import find_port, installed_ports, load_port
from reference.models import MODELS

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
SOFTMAX = (EXAMPLES / "my_port_numpy.py").read_text()
TWO_LAYER = """

def two_layer_step(params, X, y, reg, step_size):
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]
    N = X.shape[0]
    hidden_layer = np.maximum(0, X @ W + b)
    scores = hidden_layer @ W2 + b2
    probs = np.exp(scores) / np.sum(np.exp(scores), axis=1, keepdims=True)
    correct_logprobs = -np.log(probs[np.arange(N), y])
    data_loss = np.mean(correct_logprobs)
    reg_loss = 0.5 * reg * np.sum(W * W) + 0.5 * reg * np.sum(W2 * W2)
    loss = data_loss + reg_loss
    dscores = (probs - np.eye(probs.shape[1], dtype=X.dtype)[y]) / N
    dW2 = hidden_layer.T @ dscores + reg * W2
    db2 = np.sum(dscores, axis=0, keepdims=True)
    dhidden = dscores @ W2.T * (hidden_layer > 0)
    dW = X.T @ dhidden + reg * W
    db = np.sum(dhidden, axis=0, keepdims=True)
    W_next, b_next = W - step_size * dW, b - step_size * db
    W2_next, b2_next = W2 - step_size * dW2, b2 - step_size * db2
    names = (
        "hidden_layer scores probs correct_logprobs data_loss reg_loss loss dscores dW2 db2 dhidden "
        "dW db W_next b_next W2_next b2_next"
    ).split()
    return {name: value for name, value in locals().items() if name in names}
"""
QUICK = ("--steps", "2", "--points", "5", "--timeout", "30")


@pytest.fixture
def write(tmp_path):
    """Write my_port.py from a right source with parts replaced; every part must be there."""

    def write(source=SOFTMAX, *changes):
        for old, new in changes:
            assert old in source
            source = source.replace(old, new)
        path = tmp_path / "my_port.py"
        path.write_text(source)
        return path

    return write


@pytest.fixture
def check(capfd):
    """Run the command in this process (the file runs in another); return (status, stdout, stderr)."""

    def check(*arguments):
        status = main(["check", *map(str, arguments)])
        return status, *capfd.readouterr()

    return check


def names(output, label):
    """The quantities listed after a label."""
    found = re.search(rf"^  {label} +((?:.+\n)(?: {{11}}.+\n)*)", output, re.MULTILINE)
    return found[1].partition("(")[0].split() if found else []


def test_right_file(write, check):
    """A right file with both steps: all quantities named as right, exit 0."""
    status, output, _ = check(write(SOFTMAX + TWO_LAYER), *QUICK)
    assert status == 0
    assert "wrong" not in output
    assert "own code, run with your rights" in output
    assert "softmax_step, float64" in output
    assert "ReLU ties" in output
    assert "Right: " in output


def test_default_steps(write, check):
    """Without --steps: the first steps and some of the whole run, and it says so."""
    status, output, _ = check(write(), "--points", "5")
    assert status == 0
    assert "29 of 200 steps" in output
    assert "--steps all judges every step" in output
    assert "Not in the file, so not judged: two_layer_step" in output


def test_float32(write, check):
    """Several dtypes are judged one after the other; code that fits float64 alone is found."""
    status, output, _ = check(
        write(SOFTMAX, ("dtype=X.dtype", "dtype=float")),
        *QUICK,
        "--dtype",
        "float64",
        "--dtype",
        "float32",
    )
    assert status == 1
    assert "softmax_step (float32) disagrees" in output
    assert "dscores has dtype float64, expected float32" in output
    assert "in the dtype of X" in output


def test_first_wrong_quantity(write, check):
    """One wrong operation: it alone is blamed, with index, got, expected, allowed and the note."""
    status, output, _ = check(write(SOFTMAX, ("+ reg * W", "+ 2 * reg * W")), *QUICK)
    assert status == 1
    assert names(output, "wrong") == ["dW"]
    assert names(output, "follows") == ["W_next"]
    assert "db" in names(output, "right")
    assert re.search(r"First wrong: dW\[\d, \d\], at step 0 of the document's run", output)
    for label in ("got", "expected", "allowed", "document  dW = np.dot(X.T, dscores) + reg * W", "why"):
        assert f"\n    {label}" in output


@pytest.mark.parametrize(("factor", "said"), [("1.000000001", "1.000000001"), ("0.9", "0.9")])
def test_factor_is_told(factor, said, write, check):
    """The factor is told, even one that few digits would round to 1."""
    change = (
        "np.sum(dscores, axis=0, keepdims=True)",
        f"{factor} * np.sum(dscores, axis=0, keepdims=True)",
    )
    status, output, _ = check(write(SOFTMAX, change), *QUICK)
    assert status == 1
    assert f"a constant factor of {said}" in output


def test_wrong_only_at_ties(write, check):
    """A gradient of 1 at the ReLU's tie shows."""
    source = SOFTMAX + TWO_LAYER
    status, output, _ = check(write(source, ("(hidden_layer > 0)", "(X @ W + b >= 0)")), *QUICK)
    assert status == 1
    assert names(output, "wrong") == ["dhidden"]


#: What is written into the file, the exit status, and the last lines on where it is right and not.
WRITTEN_IN = {
    "examples": (
        ("N = X.shape[0]", "N = 15"),
        2,
        r"Stops at 7 examples: my_port\.py:\d+ \(`correct_logprobs = .*`\): softmax_step raised Index",
    ),
    "classes": (
        ("np.eye(probs.shape[1]", "np.eye(3"),
        2,
        r"Stops at 4 classes: my_port\.py:\d+ \(`dscores = .*`\): softmax_step raised IndexError",
    ),
    "a divisor": (
        ("np.mean(correct_logprobs)", "np.sum(correct_logprobs) / 15"),
        1,
        "Wrong at 7 examples: data_loss",
    ),
    "regularization": (
        ("+ reg * W", "+ 1e-3 * W"),
        1,
        "Wrong at a regularization of 0.01: dW",
    ),
    "step size": (
        ("W - step_size * dW", "W - dW"),
        1,
        "Wrong at a step size of 0.1: W_next",
    ),
    "zero biases": (("X @ W + b", "X @ W"), 1, "Wrong at biases that are not 0: scores"),
    "order of the labels": (
        ("[np.arange(N), y]", "[np.arange(N), np.arange(N) // 5]"),
        1,
        "Wrong at other points: correct_logprobs",
    ),
}


@pytest.mark.parametrize(("change", "expected", "said"), WRITTEN_IN.values(), ids=WRITTEN_IN)
def test_file_that_is_right_on_the_notes_run_alone(write, check, change, expected, said):
    """Both are said, the good one first: it is right there; which size or constant it is bound to."""
    status, output, _ = check(write(SOFTMAX, change), "--steps", "1", "--points", "5")
    right, alone, *_ = output.partition("\nRight on ")[2].splitlines()
    assert status == expected
    assert right == "the document's run, at 3 classes and 15 points: softmax_step (float64)."
    assert re.match(said, alone)
    assert output.count("\nWrong at") + output.count("\nStops at") == 1


def test_several_sizes_written_in_are_all_told(write, check):
    """A file that holds both the classes and the examples fails at each of them."""
    changes = (("N = X.shape[0]", "N = 15"), ("np.eye(probs.shape[1]", "np.eye(3"))
    status, output, _ = check(write(SOFTMAX, *changes), *QUICK)
    assert status == 2
    assert re.findall(r"^Stops at ([^:]*):", output, re.MULTILINE) == ["7 examples", "4 classes"]


def test_file_wrong_on_the_notes_run_is_not_called_right_there(write, check):
    """Negative control: nothing is right there, and no size is searched for."""
    status, output, _ = check(write(SOFTMAX, ("db = np.sum", "db = 2 * np.sum")), *QUICK)
    assert status == 1
    assert "Right on" not in output
    assert "Wrong at" not in output


def test_crash_at_other_sizes_is_not_repeated(write, check):
    """A file that ends its process there is told what it did, and is not run with one size at a time."""
    crash = ("    N = X.shape[0]", "    N = X.shape[0]\n    if N == 7: __import__('os')._exit(3)")
    status, output, _ = check(write(SOFTMAX, crash), *QUICK)
    assert status == 2
    assert "Right on the document's run" in output
    assert (
        "Stops at 7 examples, 3 dimensions, 4 classes: my_port.py: softmax_step ended the process"
        in output
    )


@pytest.mark.parametrize("source", [SOFTMAX, TWO_LAYER], ids=["softmax", "two_layer"])
def test_clipped_probability(source, write, check):
    """Clipping shows where a right class is almost ruled out, which no step of the note's run has."""
    change = ("-np.log(probs[np.arange(N), y])", "-np.log(np.clip(probs[np.arange(N), y], 1e-10, 1))")
    status, output, _ = check(
        write(source.replace(TWO_LAYER, "import numpy as np\n" + TWO_LAYER), change), *QUICK
    )
    assert status == 1
    assert names(output, "wrong") == ["correct_logprobs"]
    assert "correct_logprobs[0], at step 0 of other sizes" in output


def test_state_across_steps(write, check):
    """Momentum agrees at the first step and is found at the second."""
    source = SOFTMAX.replace("def softmax_step", "VELOCITY = [0]\n\n\ndef softmax_step")
    change = ("W - step_size * dW", "W - step_size * VELOCITY.append(0.9 * VELOCITY[-1] + dW) * 0")
    source = source.replace(change[0], "W - step_size * velocity(dW)")
    source += (
        "\n\ndef velocity(dW):\n    VELOCITY.append(0.9 * VELOCITY[-1] + dW)\n    return VELOCITY[-1]\n"
    )
    status, output, _ = check(write(source), *QUICK)
    assert status == 1
    assert "First wrong: W_next" in output
    assert "at step 1 of the document's run" in output


def test_overwritten_array(write, check):
    """The note's `dscores = probs`: probs is blamed, and the shared memory named."""
    line = "dscores = (probs - np.eye(probs.shape[1], dtype=X.dtype)[y]) / N"
    alias = "dscores = probs; dscores[np.arange(N), y] -= 1; dscores /= N"
    status, output, _ = check(write(SOFTMAX, (line, alias)), *QUICK)
    assert status == 1
    assert names(output, "wrong") == ["probs"]
    assert "probs and dscores are one array" in output


#: The old and the new text in the right file, the exit status, and what is said.
WRONG_FORMS = {
    "number": (
        "data_loss + reg_loss,",
        "float(data_loss + reg_loss),",
        2,
        "leave out float() or .item()",
    ),
    "name": ('"dW": dW', '"dw": dW', 1, "did you mean dW?"),
    "byte_order": ('"dW": dW', '"dW": dW.astype(">f8")', 1, "has dtype >f8, expected float64"),
    "endless": ('"dW": dW', '"dW": np.broadcast_to(0.0, (10**6, 10**6))', 2, "too much to be compared"),
}


@pytest.mark.parametrize(("old", "new", "status", "said"), WRONG_FORMS.values(), ids=WRONG_FORMS)
def test_form_that_is_wrong_says_what_to_do(write, check, old, new, status, said):
    """A value that cannot be read is not judged (2); a wrong name or dtype is wrong (1)."""
    found, output, error = check(write(SOFTMAX, (old, new)), *QUICK)
    assert (found, error) == (status, "")
    assert said in output


def test_shared_array_is_not_always_overwritten(write, check):
    """`loss = data_loss` makes two names for one array, but the mistake is what the loss lacks."""
    mean = "data_loss = np.mean(correct_logprobs)"
    as_array = (mean, "data_loss = np.asarray(np.mean(correct_logprobs))")
    status, output, _ = check(write(SOFTMAX, as_array, ("data_loss + reg_loss", "data_loss")), *QUICK)
    assert status == 1
    assert names(output, "wrong") == ["loss"]
    assert "the regularization missing" in output


def test_changed_input(write, check):
    """A step that changes X in place gets a sentence about it."""
    status, output, _ = check(
        write(SOFTMAX, ("    scores = X @ W + b", "    X *= 1.01\n    scores = X @ W + b")), *QUICK
    )
    assert status == 1
    assert "changes X in place" in output


def test_nan_fails(write, check):
    """NaN does not agree."""
    status, output, _ = check(write(SOFTMAX, ("-np.log(", "np.nan * np.log(")), *QUICK)
    assert status == 1
    assert "correct_logprobs" in names(output, "wrong")


def test_partial(write, check):
    """A file that returns some quantities is judged as far as it goes; --partial accepts that."""
    path = write(SOFTMAX, ('        "dW": dW,\n', ""), ('        "probs": probs,\n', ""))
    status, output, _ = check(path, *QUICK)
    assert status == 1
    assert names(output, "missing") == ["probs", "dW"]
    assert "All that it returns is right" in output
    assert check(path, *QUICK, "--partial")[0] == 0


def test_partial_says_what_to_write_next(write, check):
    """The first missing quantity, its shape, and what it is computed from; its line if asked for."""
    path = write(SOFTMAX, ('        "dscores": dscores,\n', ""), ('        "dW": dW,\n', ""))
    line = "dscores = probs.copy()"
    status, output, _ = check(path, *QUICK, "--partial")
    assert status == 0
    assert (
        "Next in softmax_step: dscores (gradient of the loss with respect to scores), of shape (N, K), "
        "here (15, 3).\n  It is computed from probs and y.\n" in output
    )
    assert line not in output
    assert f"  document  {line}" in check(path, *QUICK, "--partial", "--solution")[1]
    assert "Next in" not in check(path, *QUICK)[1]


def test_next_is_of_each_step_and_once(write, check):
    """A file with two steps has two next quantities, in however many dtypes it is judged."""
    source = write(
        SOFTMAX + TWO_LAYER, ('        "loss": data_loss + reg_loss,\n', ""), ('db2 dhidden "', 'db2 "')
    )
    output = check(source, *QUICK, "--partial", "--dtype", "float64", "--dtype", "float32")[1]
    assert re.findall(r"Next in (.*)", output) == [
        "softmax_step: loss, a single number.",
        "two_layer_step: dhidden (after the ReLU's mask), of shape (N, H), here (15, 100).",
    ]
    assert "  It is computed from dscores, W2 and hidden_layer.\n" in output


def test_next_waits_until_what_is_there_is_right(write, check):
    """While something is wrong, that is what to do; the note's line for it is not given away either."""
    path = write(SOFTMAX, ('        "dW": dW,\n', ""), ("db = np.sum", "db = 2 * np.sum"))
    status, output, _ = check(path, *QUICK, "--partial")
    assert status == 1
    assert "Next in" not in output
    assert "First wrong: db" in output
    assert "document  db" not in output
    assert "document  db" in check(path, *QUICK, "--partial", "--solution")[1]


def test_solution_is_for_exercises(write, check):
    """Elsewhere the note's lines are shown anyway."""
    status, _, error = check(write(), *QUICK, "--solution")
    assert status == 2
    assert "--solution goes with --partial" in error


def test_partial_accepts_a_step_that_is_not_begun(write, check):
    """One step as far as it goes, and nothing of the other: exit 0 with --partial, and 1 without."""
    empty = "\n\ndef two_layer_step(params, X, y, reg, step_size):\n    return {}\n"
    path = write(SOFTMAX + empty)
    status, output, _ = check(path, *QUICK, "--partial")
    assert (status, "Next in two_layer_step: hidden_layer" in output) == (0, True)
    assert "Nothing was compared" not in output
    status, output, _ = check(path, *QUICK)
    assert (status, "Nothing was compared" in output) == (1, True)


def test_partial_still_refuses_what_is_wrong(write, check):
    """--partial accepts absence, not error."""
    path = write(SOFTMAX, ('        "dW": dW,\n', ""), ("db = np.sum", "db = 2 * np.sum"))
    assert check(path, *QUICK, "--partial")[0] == 1


def test_nothing_returned_is_not_right(write, check):
    """An empty dict compares nothing: exit 1, with --partial too."""
    path = write("def softmax_step(params, X, y, reg, step_size):\n    return {}\n")
    status, output, _ = check(path, *QUICK, "--partial")
    assert status == 1
    assert "Nothing was compared" in output


#: The softmax classifier with its layer in float16, and what it declares of that.
MIXED = (
    ("scores = X @ W + b", "scores = half(X) @ half(W) + half(b)"),
    ("np.exp(scores)", "np.exp(scores.astype(X.dtype))"),
    (
        "dscores = (probs - np.eye(probs.shape[1], dtype=X.dtype)[y]) / N",
        "dscores = half((probs - np.eye(3)[y]) / N)",
    ),
    ("X.T @ dscores + reg * W", "(half(X).T @ dscores).astype(X.dtype) + reg * W"),
    ("keepdims=True)\n\n", "keepdims=True).astype(X.dtype)\n\n"),
)
DECLARED = """
half = np.float16
quantity_dtypes = {"scores": "float16", "dscores": "float16"}
"""


def test_mixed_precision(write, check, tmp_path):
    """A file that declares its formats is judged by them, in float32 if no dtype was asked for."""
    file, answer = (
        write(SOFTMAX + DECLARED, *MIXED, ("np.eye(3)", "np.eye(probs.shape[1])")),
        tmp_path / "j",
    )
    status, output, _ = check(file, *QUICK, "--json", answer)
    assert (status, names(output, "wrong")) == (0, [])
    assert "softmax_step, float32" in output
    assert json.loads(answer.read_text())["run"]["dtypes"] == ["float32"]
    status, _, error = check(file, *QUICK, "--dtype", "float64")
    assert status == 2
    assert error.endswith("float16 with float32 parameters: it is judged with --dtype float32 alone\n")


@pytest.mark.parametrize(
    ("old", "new", "wrong", "said"),
    [
        (
            '"dscores": dscores',
            '"dscores": dscores.astype(X.dtype)',
            "dscores",
            "declares it as float16",
        ),
        (
            "W - step_size * dW",
            "half(W).astype(X.dtype) - step_size * dW",
            "W_next",
            "float16 have",
        ),
        (
            "dscores = half((probs",
            "dscores = half(1024 * (probs",
            "dscores",
            "the loss was scaled by that",
        ),
    ],
)
def test_wrong_mixed_precision(old, new, wrong, said, write, check):
    """Another dtype than declared, an update of the rounded copy, a scale that is not divided out."""
    mixed = write(SOFTMAX + DECLARED, *MIXED, ("np.eye(3)", "np.eye(probs.shape[1])")).read_text()
    status, output, _ = check(write(mixed, (old, new)), *QUICK)
    assert status == 1
    assert names(output, "wrong")[0] == wrong
    assert said in " ".join(output.split())


def test_hidden_quantities(write, check):
    """What a file declares hidden, with a reason, is not missing."""
    hidden = 'hidden_quantities = {"dW": "the optimizer adds the regularization inside"}\n'
    status, output, _ = check(write(SOFTMAX + hidden, ('        "dW": dW,\n', "")), *QUICK)
    assert status == 0
    assert names(output, "hidden") == ["dW"]


def test_renamed_quantity(write, check):
    """An unknown name is probably a typo: exit 1, even where --partial allows the absence."""
    status, output, _ = check(write(SOFTMAX, ('"dW":', '"d_W":')), *QUICK, "--partial")
    assert status == 1
    assert "d_W is not a quantity of softmax; did you mean dW?" in output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("axis=0, keepdims=True", "axis=0", r"db has shape \(3,\), expected \(1, 3\).*keepdims=True"),
        ('"dW": dW', '"dW": dW.T', r"dW has shape \(3, 2\), expected \(2, 3\).*transposed"),
        ("np.mean(correct_logprobs)", "correct_logprobs", r"data_loss has shape \(15,\).*average"),
        ('"dW": dW', '"dW": dW.astype("float32")', r"dW has dtype float32, expected float64"),
    ],
)
def test_wrong_shape_or_dtype(write, check, old, new, said):
    """A structural disagreement: exit 1, with what was probably meant."""
    status, output, _ = check(write(SOFTMAX, (old, new)), *QUICK)
    assert status == 1
    assert re.search(said, output, re.DOTALL)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    return {", "    return None and {", "softmax_step returned None, expected a dict"),
        ("    return {", "    return 3, {", "softmax_step returned a tuple, expected a dict"),
        ('        "scores":', "        1:", "softmax_step returned the key 1, expected names"),
        (
            "    scores = X @ W + b",
            "    scores = X @ W + b[7]",
            "my_port.py:11 (`scores = X @ W + b[7]`): softmax_step raised IndexError: index 7 is out",
        ),
        (
            "    scores = X",
            "    exit(0)\n    scores = X",
            "(`exit(0)`): softmax_step called sys.exit(0)",
        ),
        ("    scores = X", "    input()\n    scores = X", "(`input()`): softmax_step raised EOFError"),
        (
            "    scores = X",
            "    __import__('os')._exit(0)\n    scores = X",
            "softmax_step ended the process with status 0",
        ),
    ],
)
def test_step_that_cannot_be_judged(write, check, old, new, said):
    """One sentence with the user's own line, no traceback of ours, exit 2."""
    status, output, error = check(write(SOFTMAX, (old, new)), *QUICK)
    assert status == 2
    assert said in output
    assert "Traceback" not in output + error
    assert "check/worker" not in output + error


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_crash_keeps_the_other_results(write, check):
    """A segmentation fault in one step: named with its line; the other step is still judged."""
    crash = ("    hidden_layer = np", "    import ctypes; ctypes.string_at(0)\n    hidden_layer = np")
    status, output, _ = check(write(SOFTMAX + TWO_LAYER, crash), *QUICK)
    assert status == 2
    assert re.search(r"my_port\.py:\d+ \(`import ctypes.*two_layer_step crashed \(SIGSEGV\)", output)
    assert len(names(output, "right")) == 11


def test_crash_of_the_first_step_keeps_the_second(write, check):
    """The process is started anew for what comes after a crash."""
    crash = ("    scores = X @", "    __import__('os')._exit(3)\n    scores = X @")
    status, output, _ = check(write(SOFTMAX + TWO_LAYER, crash), *QUICK)
    assert status == 2
    assert "softmax_step ended the process with status 3" in output
    assert len(names(output, "right")) == 17


def test_disagreement_outweighs_a_crash(write, check):
    """If anything that was compared is wrong, the exit status is 1, whatever else happened."""
    changes = (("db = np", "db = 2 * np"), ("hidden_layer = np", "hidden_layer = None.x + np"))
    assert check(write(SOFTMAX + TWO_LAYER, *changes), *QUICK)[0] == 1


@pytest.mark.parametrize("body", ["while True: pass", "__import__('time').sleep(99)"])
def test_endless_loop(write, check, body):
    """A step that never returns is ended, and its line named."""
    path = write(SOFTMAX, ("    scores = X", f"    {body}\n    scores = X"))
    status, output, _ = check(path, *QUICK, "--timeout", "2")
    assert status == 2
    assert f"my_port.py:11 (`{body}`): softmax_step did not finish in 2 seconds" in output


def test_prints_are_bounded(write, check):
    """A flood of prints neither drowns the verdict nor blocks it."""
    path = write(SOFTMAX, ("    scores = X", "    print('x' * 10_000_000)\n    scores = X"))
    status, output, error = check(path, *QUICK)
    assert status == 0
    assert "Your file printed:\n  | xxx" in output
    assert "bytes in all" in output
    assert len(output) + len(error) < 5000


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(:\n", r"my_port.py:1 is not Python: invalid syntax: `def f\(:`"),
        ("x = 1\n\0", "my_port.py is not Python|my_port.py:\\d is not Python"),
        ("x = 1\n", "defines neither softmax_step nor two_layer_step: lockstep check --new"),
        ("def softmaxstep(): pass\n", "neither .* softmaxstep is there, did you mean softmax_step"),
        ("softmax_step = 3\n", "my_port.py: softmax_step is of type int, expected a function"),
        ("a = 1\nb = a / 0\n", r"my_port.py:2 \(`b = a / 0`\): its import raised ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", r"my_port.py:2 \(`sys.exit\(3\)`\): its import called sys.exit"),
        ("import nowhere_to_be\n", r"nowhere_to_be is not installed here: pip install nowhere_to_be"),
        ("framework = 'pytorch'\n", "my_port.py:1: framework is 'pytorch', .* did you mean torch"),
        ("framework = 'cupy'\n", 'my_port.py:1: framework is .* expected "numpy", "torch" or "jax"'),
        (SOFTMAX + "hidden_quantities = ['dW']\n", "hidden_quantities is of type list, expected a dict"),
        (SOFTMAX + "hidden_quantities = {'d_W': 'x'}\n", "no quantity: did you mean dW"),
        (SOFTMAX + "hidden_quantities = {'dW': ''}\n", "gives no reason for dW"),
        (SOFTMAX + "quantity_dtypes = {'score': 'float16'}\n", "no quantity: did you mean scores"),
    ],
)
def test_file_that_is_no_port(write, check, source, said):
    """One sentence on stderr, nothing on stdout, exit 2."""
    status, output, error = check(write(source), *QUICK)
    assert status == 2
    assert re.search(said, error)
    assert error.startswith("lockstep: ")
    assert error.count("\n") == 1
    assert output == ""


def test_import_that_never_returns(write, check):
    """The import is timed too."""
    status, _, error = check(write("while True: pass\n"), "--timeout", "1")
    assert status == 2
    assert "my_port.py:1 (`while True: pass`): loading the file did not finish in 1 seconds" in error


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("absent.py", "absent.py does not exist: lockstep check --new"),
        ("my_prot.py", "does not exist: did you mean my_port.py?"),
        (".", "is a folder"),
        ("notes.txt", "is not a .py file"),
    ],
)
def test_path_that_is_no_file(write, check, tmp_path, monkeypatch, file, said):
    """A path that cannot be a port: one sentence, exit 2."""
    write()
    (tmp_path / "notes.txt").write_text("no")
    monkeypatch.chdir(tmp_path)
    status, _, error = check(file)
    assert status == 2
    assert said in error


@pytest.mark.parametrize(
    "options",
    [("--timeout", "nan"), ("--timeout", "0"), ("--steps", "0"), ("--dtype", "float8"), ("--seed", "x")],
)
def test_bad_option(write, check, options):
    """A bad option's value is named: exit 2."""
    status, _, error = check(write(), *options)
    assert status == 2
    assert options[1] in error


def test_json(write, check, tmp_path):
    """The same answer as data."""
    report = tmp_path / "answer.json"
    path = write(SOFTMAX, ("db = np.sum", "db = 2 * np.sum"))
    assert check(path, *QUICK, "--json", report)[0] == 1
    answer = json.loads(report.read_text())
    assert answer["schema"] == "lockstep-check/1"
    assert answer["status"] == 1
    (step,) = answer["steps"]
    assert step["wrong"] == ["db"]
    assert step["first_wrong"]["quantity"] == "db"
    assert step["first_wrong"]["step"] == 0
    assert step["runs"][0]["steps"] == 2
    assert answer["run"] == {"points": 5, "seed": 0, "steps": 2, "dtypes": ["float64"]}


def test_json_of_default_steps_is_null(write, check, tmp_path):
    """What was not asked for is null, not a word."""
    report = tmp_path / "answer.json"
    assert check(write(), "--points", "5", "--json", report)[0] == 0
    assert json.loads(report.read_text())["run"]["steps"] is None


def test_explained_once(write, check, tmp_path, monkeypatch):
    """The diagnosis runs once per step function, and text and JSON tell the same."""
    calls = []

    def counted(case, quantity, others, thorough):
        calls.append(quantity)
        return explain.Diagnosis("planted", "The planted reason.")

    monkeypatch.setattr(explain, "explain", counted)
    report = tmp_path / "answer.json"
    status, output, _ = check(
        write(SOFTMAX, ("db = np.sum", "db = 2 * np.sum")), *QUICK, "--json", report
    )
    assert (status, calls) == (1, ["db"])
    assert "why       The planted reason." in output
    (step,) = json.loads(report.read_text())["steps"]
    expected = {"cause": "planted", "sentence": "The planted reason.", "certain": False, "changes": []}
    assert step["first_wrong"]["explanation"] == expected


def test_every_wrong_line_is_shown(write, check, tmp_path):
    """The first wrong quantity and those after it, each as the line that gives the file's numbers."""
    report = tmp_path / "answer.json"
    changes = (
        ("0.5 * reg * np.sum(W * W)", "reg * np.sum(W * W)"),
        ("db = np.sum(dscores", "db = np.mean(dscores"),
    )
    status, output, _ = check(write(SOFTMAX, *changes), *QUICK, "--json", report)
    assert status == 1
    assert "yours is  reg_loss = reg * np.sum(W * W)" in output
    assert "Also wrong: db" in output
    assert "yours is  db = np.mean(dscores, axis=0, keepdims=True)" in output
    (step,) = json.loads(report.read_text())["steps"]
    assert [other["quantity"] for other in step["also_wrong"]] == ["db"]
    assert step["also_wrong"][0]["explanation"]["certain"]


def test_other_sizes_decide_between_explanations(write, check, tmp_path):
    """With a step size of 1 two lines give the same numbers; the run with 0.1 refutes one of them."""
    report = tmp_path / "answer.json"
    change = ("W - step_size * dW", "W - step_size * (dW - reg * W) + reg * W")
    status, output, _ = check(write(SOFTMAX, change), *QUICK, "--json", report)
    assert status == 1
    assert "yours is  W_next = W + -step_size * (dW - reg * W) + reg * W" in output
    assert "\n    or " not in output


def test_points_and_labels_are_explained(write, check):
    """A generator's wrong points, and wrong labels, are shown as code too."""
    source = SOFTMAX + (
        "\ndef spiral(noise):\n"
        "    K, N = noise.shape\n"
        "    arms = []\n"
        "    for j in range(K):\n"
        "        r = np.arange(N) / N\n"
        "        t = np.linspace(j * 4, (j + 1) * 4, N) + noise[j] * 0.2\n"
        "        arms.append(np.stack([r * np.sin(t), r * np.cos(t)], axis=1))\n"
        "    return np.concatenate(arms), np.repeat(np.arange(K, dtype='uint8'), N) + 1\n"
    )
    status, output, _ = check(write(source), *QUICK)
    assert status == 1
    assert re.search(r"yours is +r = np.arange\(N\) / N", output)
    assert "labels that begin at 1" in output


def test_fault_in_the_explaining_costs_no_verdict(write, check, monkeypatch):
    """The fault is told in place of the reason."""
    monkeypatch.setattr(explain, "explain", lambda case, quantity, others, thorough: {}["nothing"])
    status, output, _ = check(write(SOFTMAX, ("db = np.sum", "db = 2 * np.sum")), *QUICK)
    assert status == 1
    assert names(output, "wrong") == ["db"]
    assert "no explanation (KeyError: 'nothing')" in output


def test_spiral(write, check):
    """A file's own spiral is judged if there is one."""
    spiral = "from ports.in_numpy.reference import spiral\n"
    status, output, _ = check(write(SOFTMAX + spiral), *QUICK)
    assert status == 0
    assert "spiral, float64" in output
    wrong = "from ports.in_numpy import reference as numpy_reference\n\n\ndef spiral(noise):\n"
    wrong += "    X, y = numpy_reference.spiral(noise)\n    return X * 1.001, y\n"
    status, output, _ = check(write(SOFTMAX + wrong), *QUICK)
    assert status == 1
    assert names(output, "wrong") == ["X"]


def test_edit_within_the_second(write, check):
    """A file that is edited at once, to the same size, is judged as it is now: no bytecode is cached."""
    path = write(SOFTMAX, ("0.5 * reg", "0.6 * reg"))
    assert check(path, *QUICK)[0] == 1
    assert check(write(), *QUICK)[0] == 0
    assert not (path.parent / "__pycache__").exists()


def test_neighbours_are_importable(write, check, tmp_path):
    """A file may import the module beside it."""
    (tmp_path / "my_helper_of_check.py").write_text("import numpy as np\n")
    path = write(SOFTMAX, ("import numpy as np", "from my_helper_of_check import np"))
    assert check(path, *QUICK)[0] == 0


def test_current_folder_does_not_hide_the_standard_library(write, check, tmp_path, monkeypatch):
    """A student's folder may hold files named like Python's own modules."""
    for name in ("types", "json", "random"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    assert check(write(), *QUICK)[0] == 0


def test_process_ends_though_its_parent_has_gone(write):
    """An endless loop whose parent was killed ends when its time is up."""
    path = write("while True: pass\n")
    child = subprocess.Popen(command(path, 1.0), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    child.stdout.close()
    assert child.wait(timeout=30) == 1


def test_undeclared_framework_is_pointed_out(write, check):
    """A file that imports torch without declaring it is told that it was given NumPy arrays."""
    pytest.importorskip("torch")
    status, output, _ = check(
        write(
            SOFTMAX, ("import numpy as np", "import numpy as np\nimport torch"), ("np.exp", "torch.exp")
        ),
        *QUICK,
    )
    assert status == 2
    assert 'put framework = "torch" at its top' in output


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_template(check, tmp_path, framework):
    """--new writes a file that is right as far as it goes, and never overwrites."""
    pytest.importorskip(framework)
    path = tmp_path / "new_port.py"
    status, output, _ = check("--new", path, "--framework", framework)
    assert status == 0
    assert "lockstep check" in output
    assert check("--new", path)[0] == 2
    status, output, _ = check(path, *QUICK, "--partial")
    assert status == 0
    assert names(output, "right") == ["scores"]
    assert check(path, "--framework", framework)[0] == 2


def test_new_judges_nothing(check, tmp_path):
    """Options for judging are refused beside --new, and nothing is written."""
    status, _, error = check("--new", tmp_path / "my_port.py", "--steps", "2")
    assert status == 2
    assert "--framework alone" in error
    assert not list(tmp_path.iterdir())


def test_new_refuses_bad_paths(check, tmp_path):
    """A template goes into a new .py file in a folder that exists."""
    for path in (tmp_path / "port.txt", tmp_path / "nowhere" / "port.py"):
        assert check("--new", path)[0] == 2
    assert check("--new", tmp_path / "port.py", "--framework", "tinygrad")[0] == 2


def test_the_command(write):
    """The whole command, as a user runs it: exit status, and nothing on stderr."""
    command = [sys.executable, "-m", "ports", "check", str(write()), *QUICK]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "Right: " in ran.stdout


def test_help_says_whose_rights(capfd):
    """The help says that the file runs with the user's rights."""
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    assert "runs with your rights" in capfd.readouterr().out


def test_find_port_by_name_or_path(write):
    """One way to find a port: registered, or in a file."""
    assert find_port("torch_manual").name == "torch_manual"
    port = find_port(str(write()))
    assert port.name == "my_port.py"
    assert port.absence() is None
    with pytest.raises(
        ValueError, match=r"unknown port 'torch_manul': did you mean torch_manual\? there"
    ):
        find_port("torch_manul")
    with pytest.raises(UserCodeError, match="does not exist"):
        find_port("absent.py")


def test_loaded_port_tells_the_users_line(write):
    """An exception or an exit names the user's line in the caller's own process too."""
    port = load_port(write(SOFTMAX, ("    W, b = params", "    raise SystemExit(0)\n    W, b = params")))
    step = port.make_step(MODELS["softmax"], "eager")
    with pytest.raises(
        UserCodeError, match=r"my_port.py:8 \(`raise SystemExit\(0\)`\): softmax_step called"
    ):
        step({}, None, None, 0.0, 0.0)


def test_loaded_port_goes_to_another_process(write):
    """Cells run in parallel processes: a port is loaded there from its path."""
    port = load_port(write())
    assert pickle.loads(pickle.dumps(port)).path == port.path


def test_framework_not_installed(write, monkeypatch):
    """The file's framework is looked for before the file runs."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Absent, match=r"my_port.py needs torch, not installed here: pip install torch"):
        load_port(write('framework = "torch"\nraise RuntimeError\n'))


def install(folder, name, module):
    """Put a package with an entry point into a folder, as pip would."""
    info = folder / "their_ports-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-ports\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lockstep.ports]\n{name} = {module}\n")


def test_installed_port(tmp_path, monkeypatch):
    """A port from an installed package is found by the name of its entry point, imported when asked."""
    install(tmp_path, "theirs", "their_module_of_ports")
    (tmp_path / "their_module_of_ports.py").write_text(SOFTMAX)
    monkeypatch.syspath_prepend(tmp_path)
    assert "theirs" in installed_ports()
    assert "their_module_of_ports" not in sys.modules
    port = find_port("theirs")
    assert port.name == "theirs"
    assert callable(port.make_step(MODELS["softmax"], "eager"))
    with pytest.raises(ValueError, match="did you mean theirs"):
        find_port("their")


def test_installed_port_that_fails(tmp_path, monkeypatch):
    """An installed port that cannot be imported gives one sentence that names its package."""
    install(tmp_path, "broken", "no_such_module_of_theirs")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ValueError, match=r"installed port broken \(from their-ports\) cannot be imported"
    ):
        find_port("broken")


def test_installed_object_is_no_port(tmp_path, monkeypatch):
    """The entry point names a module; an object inside one is refused in a sentence that says so."""
    install(tmp_path, "inside", "their_module_of_objects:PORT")
    (tmp_path / "their_module_of_objects.py").write_text("PORT = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"inside \(from their-ports\) is a int, expected a module"):
        find_port("inside")
