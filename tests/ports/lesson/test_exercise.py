"""The exercise: judged as it stands, and after each quantity that is filled in, until all is right."""

import importlib
import re

import numpy as np
import pytest

from ports.__main__ import main
from ports.lesson.excerpts import Source
from ports.lesson.exercise import exercise, write_exercise
from ports.registry import FRAMEWORKS
from reference.line import formula
from reference.models import MODELS
from reference.runs import draw

QUICK = ("--steps", "2", "--points", "5", "--partial")
#: The modules whose lines fill the exercise in; for NumPy they are the reference's.
MANUAL = {"torch": "ports.in_torch.manual", "jax": "ports.in_jax.manual"}


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    """Each framework whose packages are here."""
    framework = FRAMEWORKS[request.param]
    if absence := framework.absence():
        pytest.skip(absence)
    return framework


@pytest.fixture
def check(capfd):
    """Judge a file; return (status, output)."""

    def check(path):
        status = main(["check", str(path), *QUICK])
        return status, capfd.readouterr().out

    return check


def solution(framework, model):
    """The lines of the framework's own port for each quantity of a model."""
    if framework.name not in MANUAL:
        return {name: formula(model.name, name) for name in model.quantities}
    source = Source(importlib.import_module(MANUAL[framework.name]), model.step_name)
    found = source.excerpts(model.quantities)
    entry = r'^"(\w+)": (.*),$'  # an entry of the dictionary that the step returns
    return {
        name: [re.sub(entry, r"\1 = \2", line.text.partition("  #")[0]) for line in lines]
        for name, lines in found.items()
    }


def filled(text, model, name, lines):
    """The exercise with one quantity of one step written."""
    before, step, rest = text.partition(f"def {model.step_name}")
    todo = re.search(rf"^    {name} = TODO.*$", rest, re.MULTILINE)
    written = "\n".join(f"    {line}" for line in lines)
    return before + step + rest[: todo.start()] + written + rest[todo.end() :]


def step_by_step(framework):
    """(model, quantity, text) after each quantity that is filled in."""
    text = exercise("exercise.py", framework)
    for model in MODELS.values():
        for name, lines in solution(framework, model).items():
            text = filled(text, model, name, lines)
            yield model, name, text


def test_nothing_is_given_away(framework):
    """As written, every quantity is to do, with its shape and what it is computed from."""
    text = exercise("exercise.py", framework)
    assert text.count(" = TODO  # ") == sum(len(model.quantities) for model in MODELS.values())
    assert "scores = TODO  # (N, K), from X, W and b\n" in text
    assert "data_loss = TODO  # a number, from correct_logprobs: their mean\n" in text
    assert f'framework = "{framework.name}"' in text
    assert "lockstep check --partial exercise.py" in text


def test_from_nothing_to_right(framework, check, tmp_path):
    """The untouched file compares nothing and is told what comes first; the whole one is right."""
    path = tmp_path / "exercise.py"
    write_exercise(path, framework)
    status, output = check(path)
    assert status == 1
    assert "Nothing was compared" in output
    assert "Next in softmax_step: scores, of shape (N, K)" in output
    *_, (_, _, text) = step_by_step(framework)
    path.write_text(text)
    status, output = check(path)
    assert status == 0
    assert "Right: " in output
    assert "TODO  #" not in text


def test_one_quantity_after_another(check, tmp_path):
    """In NumPy, after every third quantity: what is there is right, and the one after it comes next."""
    path, names = tmp_path / "exercise.py", list(MODELS["softmax"].quantities)
    texts = [text for model, _, text in step_by_step(FRAMEWORKS["numpy"]) if model.name == "softmax"]
    for i in range(0, len(names) - 1, 3):
        path.write_text(texts[i])
        status, output = check(path)
        assert status == 0, output
        assert f"Next in softmax_step: {names[i + 1]}" in output
        assert "Next in two_layer_step: hidden_layer" in output


def test_what_is_written_is_returned(framework):
    """After each quantity, the step returns those that are written, and no other."""
    host, draws = framework.host, draw(np.random.RandomState(0), 5)
    for model, name, text in step_by_step(framework):
        module, start = {}, draws.problem(model)
        exec(compile(text, "exercise.py", "exec"), module)
        with host.exact_settings():
            params = {key: host.put(value, "cpu", "float64") for key, value in start.params.items()}
            X, y = host.put(start.X, "cpu", "float64"), host.put_labels(start.y, "cpu")
            returned = module[model.step_name](params, X, y, start.reg, start.step_size)
        names = list(model.quantities)
        assert list(returned) == names[: names.index(name) + 1]


def test_a_wrong_quantity_is_told(check, tmp_path):
    """The exercise does not pass whatever is filled in."""
    path, numpy = tmp_path / "exercise.py", FRAMEWORKS["numpy"]
    text = exercise(path.name, numpy)
    path.write_text(filled(text, MODELS["softmax"], "scores", ["scores = X @ W - b + 1e-9"]))
    status, output = check(path)
    assert status == 1
    assert "First wrong: scores" in output


def test_a_file_that_exists_is_kept(tmp_path):
    """Work is never overwritten, and a folder that does not exist is named."""
    path = tmp_path / "exercise.py"
    path.write_text("my work")
    with pytest.raises(ValueError, match=r"exercise\.py exists already"):
        write_exercise(path, FRAMEWORKS["numpy"])
    assert path.read_text() == "my work"
    with pytest.raises(ValueError, match=r"is not a \.py file"):
        write_exercise(tmp_path / "exercise.txt", FRAMEWORKS["numpy"])
    with pytest.raises(OSError, match="cannot write"):
        write_exercise(tmp_path / "absent" / "exercise.py", FRAMEWORKS["numpy"])


def test_command(tmp_path, capsys):
    """The command writes the exercise of a framework, and says what to do with it."""
    path = tmp_path / "exercise.py"
    assert main(["lesson", "--exercise", str(path), "--framework", "jax"]) == 0
    assert f"lockstep check --partial {path}" in capsys.readouterr().out
    assert path.read_text() == exercise("exercise.py", FRAMEWORKS["jax"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--framework", "jax"], "--framework goes with --exercise"),
        (["--exercise", "here.py"], "here.py exists already"),
        (["--exercise", "new.txt"], "new.txt is not a .py file"),
        (["--exercise", "new.py", "--out", "page.html"], "--exercise writes no page"),
        (["--exercise", "new.py", "--framework", "jaxx"], "did you mean jax?"),
    ],
)
def test_command_refuses(tmp_path, monkeypatch, capsys, arguments, sentence):
    """Options that do not go together, and paths that cannot be written: one sentence, exit 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.py").write_text("my work")
    assert main(["lesson", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["here.py"]
