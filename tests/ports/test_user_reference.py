"""user_reference, and the commands that take --reference: a network of one's own, from end to end."""

import json
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports.__main__ import main
from ports.check.own_template import REFERENCE
from ports.check.results import Options
from ports.check.self_test import CAUGHT, SAME, self_test
from ports.registry import FRAMEWORKS
from ports.user_code import UserCodeError
from ports.user_reference import load_reference, reference, reference_here
from reference.models import MODELS

DATA = Path(__file__).parents[1] / "data"
TEMPLATE = REFERENCE.format(file="net.py")
#: A port of the template's network.
PORT = (DATA / "own_port.py").read_text()


@pytest.fixture
def files(tmp_path):
    """The template, a right port of it, and one whose gradient is transposed twice over."""
    (tmp_path / "net.py").write_text(TEMPLATE)
    (tmp_path / "port.py").write_text(PORT)
    (tmp_path / "wrong.py").write_text(PORT.replace("dout = apart / len(X)", "dout = apart / 9"))
    return tmp_path


def run(*words):
    """Run the command line."""
    return main([str(word) for word in words])


# The commands


def test_right_port_is_right(files, capsys):
    """Every quantity, under both certificates, on the run and on another draw."""
    assert run("check", "--reference", files / "net.py", files / "port.py") == 0
    said = capsys.readouterr().out
    assert "Right: " in said
    assert "another draw (seed 1)" in said
    assert "document" not in said


def test_wrong_line_is_named(files, capsys):
    """The reference's line, and the edit that gives the port's numbers; what follows is not blamed."""
    assert run("check", "--reference", files / "net.py", files / "wrong.py", "--steps", 3) == 1
    said = capsys.readouterr().out
    assert re.search(r"wrong +dout\n", said)
    assert re.search(r"follows +dW db W_next b_next", said)
    assert "reference dout = apart / X.shape[0]" in said
    assert "a division by 9" in said or "a factor of" in said


def test_matrix_of_ones_own_network(files, capsys, tmp_path):
    """compare has its quantities as columns, and the report its name."""
    words = ["--reference", files / "net.py", "--port", files / "port.py", "--json", tmp_path / "r.json"]
    assert run("compare", *words, "--steps", 2) == 0
    assert "dout" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert {cell["model"] for cell in report["cells"]} == {"net"}


def test_show_and_drift(files, capsys):
    """One quantity side by side; and a free run, held against the reference's own noise."""
    words = ["--reference", files / "net.py", "--port", files / "port.py"]
    wrong = ["--reference", files / "net.py", "--port", files / "wrong.py"]
    assert run("show", "dW", *words) == 0
    assert "net dW at step 0" in capsys.readouterr().out
    assert run("drift", *words, "--steps", 20) == 0
    assert "agrees" in capsys.readouterr().out
    assert run("drift", *wrong, "--steps", 20) == 1


def test_notes_networks_are_back_afterwards(files):
    """A reference takes their place for one command."""
    before = list(MODELS)
    run("show", "dW", "--reference", files / "net.py", "--port", files / "port.py")
    assert list(MODELS) == before
    assert reference_here() == ""


# Its self-test


@contextmanager
def tried(tmp_path, text):
    """The self-test of a reference's text, by quantity."""
    path = tmp_path / "tried.py"
    path.write_text(text)
    with reference(str(path)):
        (model,) = MODELS.values()
        yield {planted.quantity: planted for planted in self_test(model, Options(), "float64")}


def test_self_test_plants_errors_in_every_line(files, capsys):
    """Most are caught. Those that no number of the run shows are listed."""
    assert run("check", "--reference", files / "net.py", "--self-test") == 0
    assert re.search(r"\d+ of \d+ wrong lines caught", capsys.readouterr().out)
    with tried(files, TEMPLATE) as found:
        assert found["out"].edits["out = X @ W - b"] == CAUGHT
        assert all(planted.count(CAUGHT) and planted.can_fail for planted in found.values())
        assert max(planted.sure for planted in found.values()) < 1e-12


def test_self_test_knows_what_the_numbers_of_the_run_do_not_show(files):
    """No number is exactly 0, so a mask that is wrong there looks right."""
    line = '    tap("loss"'
    with tried(files, TEMPLATE.replace(line, '    tap("on", apart * (apart > 0))\n' + line)) as found:
        assert found["on"].edits["on = apart * (apart >= 0)"] == SAME
        assert found["on"].edits["on = apart * (apart < 0)"] == CAUGHT


def test_self_test_says_where_no_error_would_show(files, capsys):
    """Where terms cancel, bounds exceed the numbers; without lines to edit, the check cannot fail."""
    line, lost = "    out = tap(", "(X @ W) * 1e17 + 1 - (X @ W) * 1e17"
    for tapped, status, says in (
        (f"    tap('lost', {lost})\n", 0, "Most bounds exceed the numbers themselves in lost"),
        (
            f"    for i in range(2):\n        tap(f'lost{{i}}', {lost})\n",
            1,
            "No error would show in lost0",
        ),
    ):
        (files / "hopeless.py").write_text(TEMPLATE.replace(line, tapped + line))
        assert run("check", "--reference", files / "hopeless.py", "--self-test") == status
        assert says in capsys.readouterr().out


# Bad input


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "def step(",
            "def stop(",
            r"net.py is no reference: it has no function step\(params",
        ),
        (
            "    out",
            "    if X[0, 0] > 0:\n        X = X\n    out",
            r"net.py:\d+ \(`if X\[0, 0\] > 0:`\): data",
        ),
        ('"apart", out', '"out", out', r"net.py:\d+ \(`apart = tap.*the name out is tapped twice"),
        ("X @ W + b", "np.fft.fft(X @ W).real + b", r"net.py:\d+ \(`out = tap\(.* known for np.fft"),
        (
            "out - t",
            "np.random.rand() + out - t",
            r"net.py:\d+ \(`apart = .* run again",
        ),
        ("iterations = 100", "iterations = 0", "net.py: iterations is 0, expected a positive number"),
        ("def init(rng):", "def init(rng:", "net.py:.*is not Python"),
        (
            "import numpy as np",
            "import numpy as np\nraise KeyError(1)",
            r"net.py:\d+ \(`raise KeyError\(1\)`",
        ),
    ],
)
def test_bad_reference_is_refused_with_its_line(files, capsys, old, new, says):
    """One sentence, exit status 2."""
    assert old in TEMPLATE
    (files / "net.py").write_text(TEMPLATE.replace(old, new, 1))
    assert run("check", "--reference", files / "net.py", files / "port.py") == 2
    said = capsys.readouterr().err
    assert re.search(says, said)
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--reference", "nowhere.py", "port.py"], "nowhere.py does not exist"),
        (["--self-test"], "--self-test goes with --reference FILE"),
        (["--self-test", "--reference", "net.py", "port.py"], "leave out port.py"),
        (["--new-reference", "net.py"], "net.py exists already"),
        (["--new-reference", "new.py", "port.py"], "--new-reference writes a template"),
        (["--reference", "net.py"], "give the path of the .py file to judge"),
        (["--reference", "net.py", "net.py"], "step() missing 1 required positional argument: 'tap'"),
        (["port.py"], "--reference FILE names the reference"),
    ],
)
def test_bad_words_are_refused(files, capsys, monkeypatch, words, says):
    """Each in one sentence that says what to do."""
    monkeypatch.chdir(files)
    assert run("check", *words) == 2
    captured = capsys.readouterr()
    assert says in captured.err + captured.out


def test_new_reference_is_a_network_that_runs(files, capsys, monkeypatch):
    """It can be judged as it is written."""
    monkeypatch.chdir(files)
    assert run("check", "--new-reference", "fresh.py") == 0
    assert "wrote fresh.py" in capsys.readouterr().out
    assert run("check", "--reference", "fresh.py", "port.py", "--steps", 1) == 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_new_port_names_every_quantity(files, capsys, monkeypatch, framework):
    """It is a frame: it runs, and says what to write next."""
    monkeypatch.chdir(files)
    if FRAMEWORKS[framework].absence():
        pytest.skip(FRAMEWORKS[framework].absence())
    words = ["--reference", "net.py", "--new", "mine.py", "--framework", framework]
    assert run("check", *words) == 0
    assert "run lockstep check --reference net.py mine.py" in capsys.readouterr().out
    text = (files / "mine.py").read_text()
    assert all(f'# "{name}": ...' in text for name in load_reference("net.py").quantities)
    written = text.replace('# "out": ...', '"out": X @ W + b')
    (files / "mine.py").write_text(written)
    assert run("check", "--reference", "net.py", "mine.py", "--partial", "--steps", 1) == 0
    assert "Next in step: apart, of shape (10, 3)." in capsys.readouterr().out


def test_reference_without_a_name_of_its_own_is_called_after_its_folder(files):
    """docs/examples/dropout/reference.py is dropout."""
    path = files / "reference.py"
    path.write_text(TEMPLATE)
    assert load_reference(path).name == files.name
    with pytest.raises(UserCodeError, match="is a folder"):
        load_reference(files)


def test_vacuous_bounds_are_told(capsys):
    """Beside what is right: the share of the numbers whose bound exceeds them."""
    words = ["--reference", DATA / "own_network.py", DATA / "own_port.py", "--partial"]
    assert run("check", *words, "--steps", 1) == 0
    said = capsys.readouterr().out
    assert re.search(r"vacuous +lost \(\d+%, \d+%\)", said)
    assert "Next in step: lost, of shape (10, 3)." in said
