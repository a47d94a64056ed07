"""What CONTRIBUTING says about extensions is true: each is registered from outside and certified.

The modules that are registered are those that CONTRIBUTING shows: `docs/examples/three_layer_net.py` and
`tests/data/extension/`. What a test has registered is forgotten when it ends.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from outside import FOLDERS, ROOT, forgotten_afterwards, load

from ports.__main__ import main
from ports.commands.arguments import select
from ports.engine import matrix
from ports.engine.lockstep import prepare, run_lockstep
from ports.engine.matrix import run_matrix
from ports.engine.results import Cell
from ports.engine.selection import plan
from ports.registry import FRAMEWORKS, PORTS, register
from ports.traps import GALLERY
from ports.traps import register as register_trap
from ports.user_port import load_port
from reference import softmax
from reference.agreement.arithmetic import ARITHMETICS, DTYPES, FLOAT32, FLOAT64, register_dtype
from reference.agreement.bounds import local
from reference.agreement.judge import LOCAL, compare
from reference.models import MODELS, SOFTMAX
from reference.models import register as register_model
from reference.runs import draw
from reference.trace import record

EXAMPLES, TOYS = FOLDERS
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)
CONSOLE = [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
NET = EXAMPLES / "three_layer_numpy.py"
NET_PORTS = {"numpy": NET, "torch": EXAMPLES / "three_layer_torch.py"}


def commands():
    """The commands that CONTRIBUTING shows, each with the extensions that it has exported by then."""
    exported = {}
    for line in CONSOLE:
        if line.startswith("export "):
            exported |= dict([line.removeprefix("export ").split("=")])
        else:
            yield line, exported["PYTHONPATH"].split(":"), exported["LOCKSTEP_EXTENSIONS"].split(",")


@pytest.fixture(autouse=True)
def _forgotten():
    with forgotten_afterwards():
        yield


@pytest.fixture
def extended(monkeypatch):
    """Load extensions by the names of their modules."""
    return lambda *modules: load(monkeypatch, *modules)


@pytest.fixture
def three_layer(extended):
    """The model, registered."""
    extended("three_layer_net")
    return MODELS["three_layer"]


def certified(points=20, **words):
    """The results of a run of the matrix, all of which agree, and the ids of its cells."""
    planned, _ = plan(select(**words))
    results, _ = run_matrix(planned, points, seed=0)
    for result in results:
        assert result.agrees, (result.cell, result.error, result.first_failures())
    return {str(result.cell): result for result in results}


# What CONTRIBUTING shows


@pytest.mark.parametrize(("command", "folders", "modules"), list(commands()))
def test_command_of_contributing_runs(command, folders, modules, extended, capsys):
    """Each command that it shows ends with status 0, under the extensions that it names."""
    assert [ROOT / folder for folder in folders] == [*FOLDERS]
    extended(*modules)
    assert main(shlex.split(command)[1:]) == 0, capsys.readouterr()
    assert capsys.readouterr().out


def test_code_of_contributing_is_what_the_commands_use():
    """Each piece of Python is cut from one of the files in the folders that it names."""
    used = {module for _, _, modules in commands() for module in modules}
    files = [p.read_text() for folder in FOLDERS for p in folder.glob("*.py") if p.stem in used]
    assert len(files) == len(used) == 4
    pieces = [text for kind, text in BLOCKS if kind == "python"]
    assert len(pieces) == 5
    for piece in pieces:
        assert any(piece in file for file in files), piece


def test_installed_port_of_contributing(tmp_path, monkeypatch):
    """The entry point that it shows makes a module a port, by that name, in the matrix."""
    (toml,) = [text for kind, text in BLOCKS if kind == "toml"]
    points = tomllib.loads(toml)["project"]["entry-points"]["lockstep.ports"]
    (name, module), info = *points.items(), tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lockstep.ports]\n{name} = {module}\n")
    (tmp_path / f"{module}.py").write_text((EXAMPLES / "my_port_numpy.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert list(certified(ports=[name], dtypes=["float64"], steps="3")) == [
            f"softmax-{name}-eager-cpu-float64"
        ]
    finally:
        sys.modules.pop(module, None)


# A framework


def test_framework_from_outside_is_certified(extended):
    """One call of `register`: its port is in the matrix in each part and dtype, beside the project's."""
    extended("boxed")
    results = certified(ports=["boxed_manual", "numpy"], steps="1")
    assert len(results) == 2 * 3 * len(PORTS["numpy"].host.dtypes("cpu"))
    assert {r.cell.port for r in results.values()} == {"boxed_manual", "numpy"}


def test_boxes_do_not_mix_with_arrays(extended, tmp_path, capsys):
    """A port that leaves its framework is told so: the host hands over boxes, and takes only boxes."""
    extended("boxed")
    file = tmp_path / "my_port.py"
    file.write_text('framework = "boxed"\n\n' + (EXAMPLES / "my_port_numpy.py").read_text())
    assert main(["check", str(file), "--steps", "2"]) == 2
    assert "`exp_scores" not in (out := capsys.readouterr().out)
    assert "my_port.py" in out
    assert "softmax_step raised" in out


def test_file_in_a_framework_from_outside_is_checked(extended, tmp_path, capsys):
    """`framework = "boxed"` at the top of a file: the process that runs it knows the framework too."""
    extended("boxed")
    file = tmp_path / "my_port.py"
    file.write_text('framework = "boxed"\n\n' + (TOYS / "boxed_port.py").read_text())
    assert main(["check", str(file), "--steps", "2", "--points", "5"]) == 0
    assert "on boxes" in capsys.readouterr().out


def test_template_of_a_framework_from_outside(extended, tmp_path):
    """`--new` writes its template, with a step for each model that there is."""
    extended("boxed", "three_layer_net")
    file = tmp_path / "mine.py"
    assert main(["check", "--new", "--framework", "boxed", str(file)]) == 0
    port = load_port(file)
    assert port.framework is FRAMEWORKS["boxed"]
    assert all(port.has(model) for model in MODELS.values())


# A model


@pytest.mark.parametrize("framework", NET_PORTS)
def test_model_from_outside_is_certified(framework, three_layer):
    """Ports of the three-layer net agree at several steps, in each dtype, in every quantity."""
    pytest.importorskip(framework)
    words = {"ports": [str(NET_PORTS[framework])], "modes": ["eager"]}
    results = certified(**words, dtypes=["float64", "float32"], steps="4")
    assert {r.cell.model for r in results.values()} == {three_layer.name}
    assert {(r.cell.dtype, r.steps) for r in results.values()} == {("float64", 4), ("float32", 4)}
    sixteen_bits = certified(**words, dtypes=["bfloat16", "float16"], steps="1")
    assert len(sixteen_bits) == (0 if framework == "numpy" else 2)
    for result in [*results.values(), *sixteen_bits.values()]:
        assert {name for name, _ in result.verdicts} == set(three_layer.quantities)


def test_sum_of_the_loss_in_another_order_is_certified(extended):
    """((d + a) + b) + c, where the reference adds d + ((a + b) + c), rounds three times.

    In float16 these four numbers exceed the bound of a net of two layers. The next number is outside
    that of three.
    """
    extended("three_layer_net", "half")
    d, a, b, c = np.array([3.742, 0.2598, 0.10333, 0.2361], dtype="float16")
    problem = draw(np.random.RandomState(0), 5).problem(MODELS["three_layer"]).held_as("half")
    recorded = {"data_loss": d, "reg_loss": (a + b) + c}
    expected = local(problem, record(problem) | recorded, ARITHMETICS["half"])["loss"]
    loss = ((d + a) + b) + c
    assert compare("loss", LOCAL, loss, expected).agrees
    assert not compare("loss", LOCAL, np.nextafter(loss, np.float16(0)), expected).agrees


#: A line of the port, what is written in its place, and the quantity that is wrong then.
WRONG = {
    "mask missing": ("(dscores @ W3.T) * (hidden_layer2 > 0)", "dscores @ W3.T", "dhidden2"),
    "mask of no layer": ("* (hidden_layer > 0)", "* (dhidden2 @ W2.T > 0)", "dhidden"),
    "regularization missing": ("dhidden2 + reg * W2", "dhidden2", "dW2"),
    "weights not regularized": (
        "for weights in (W, W2, W3)",
        "for weights in (W, W2, 0 * W3)",
        "reg_loss",
    ),
    "bias not updated": ('"b3_next": b3 - step_size * db3', '"b3_next": b3', "b3_next"),
    "input of another layer": ("hidden_layer.T @ dhidden2", "abs(X @ W + b).T @ dhidden2", "dW2"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_port_of_a_model_from_outside_is_blamed(what, three_layer, tmp_path):
    """Negative control: one line wrong, and the first wrong quantity is the one that the line makes."""
    right, wrong, quantity = WRONG[what]
    source, file = NET.read_text(), tmp_path / "wrong.py"
    assert source.count(right) == 1
    file.write_text(source.replace(right, wrong))
    port, cell = load_port(file), Cell(three_layer.name, "wrong.py", "eager", "cpu", "float64")
    problem = draw(np.random.RandomState(0), 20).problem(three_layer)
    (result,) = run_lockstep(problem, [prepare(cell, port, problem, range(2))], 2)
    assert not result.agrees
    local = {name for (name, which), v in result.verdicts.items() if which == LOCAL and v.failures}
    assert quantity in local
    assert local <= {quantity, "loss"}  # which adds the terms of reg_loss
    assert result.first_failures()[0][1].quantity == quantity


def test_check_names_the_cause_in_a_model_from_outside(three_layer, tmp_path, capsys):
    """`check` judges a file against the registered model; the diagnosis reads the model's record."""
    right, wrong, _ = WRONG["mask missing"]
    file = tmp_path / "mine.py"
    file.write_text(NET.read_text().replace(right, wrong))
    assert main(["check", str(file), "--steps", "2", "--points", "5"]) == 1
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "three_layer_step, float64" in said
    assert "First wrong: dhidden2[" in said
    assert "consistent with the ReLU's mask missing" in said
    assert "dhidden2 = np.dot(dscores, W3.T)" in said


def test_file_of_a_model_that_nobody_named(tmp_path, monkeypatch, capsys):
    """A file that registers its model by itself is told what to do about it."""
    load(monkeypatch)
    file = tmp_path / "mine.py"
    file.write_text(f"import three_layer_net\n{NET.read_text()}")
    assert main(["check", str(file)]) == 2
    assert "name the module that registers it in LOCKSTEP_EXTENSIONS" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "run --points 5",
        "show dhidden --points 5",
        "show W3_next --points 5 --step 3",
        "drift --steps 10 --points 5",
        "drift --steps 3 --points 5 --dtype float32",
        "plot drift --steps 5 --points 5 --format png",
    ],
)
def test_commands_know_a_model_from_outside(words, three_layer, tmp_path, capsys):
    """Each command that goes by model takes the three-layer net, from a file that has no other."""
    command, *rest = words.split()
    if command == "plot":
        pytest.importorskip("matplotlib")
        rest += ["--output", str(tmp_path)]
    if command == "show":
        rest += ["--model", "three_layer"]
    assert main([command, *rest, "--port", str(NET)]) == 0, capsys.readouterr()
    if command == "plot":
        assert (tmp_path / "drift_three_layer.png").exists()


def test_commands_without_a_port_of_the_model(three_layer, capsys):
    """If no registered port has the model, a command that is asked for it says so in one sentence."""
    for words in ("drift --steps 3 --points 5", "show loss --points 5"):
        assert main([*words.split(), "--model", "three_layer"]) == 2
        assert "no registered port has a three_layer_step" in capsys.readouterr().err


def test_defaults_leave_out_a_model_that_no_port_has(three_layer, capsys):
    """What runs by default is what the registered ports have."""
    assert main(["drift", "--steps", "3", "--points", "5", "--port", "numpy"]) == 0
    assert "three_layer" not in capsys.readouterr().out


def test_draws_of_the_note_stay_as_they_are(three_layer):
    """The numbers of a model from outside are drawn after those of the note's two."""
    with_it = draw(np.random.RandomState(0), 5)
    del MODELS[three_layer.name]
    without = draw(np.random.RandomState(0), 5)
    assert with_it.params.keys() - without.params.keys() == {three_layer.name}
    for name, params in without.params.items():
        for parameter, value in params.items():
            np.testing.assert_array_equal(with_it.params[name][parameter], value)


# A quantity


def one_more_quantity():
    """The classifier with `exp_scores` tapped, as CONTRIBUTING's recipe has it."""
    source = Path(softmax.__file__).read_text()
    line = "exp_scores = np.exp(scores)"
    assert source.count(line) == 1
    module = ModuleType("with_exp")
    exec(source.replace(line, 'exp_scores = tap("exp_scores", np.exp(scores))'), vars(module))
    shapes = list(SOFTMAX.quantities.items())
    shapes.insert(1, ("exp_scores", "NK"))
    return register_model(replace(SOFTMAX, name="with_exp", step=module.step, quantities=dict(shapes)))


def test_quantity_is_certified_where_a_port_shows_it_and_missed_where_not(tmp_path):
    """The bound of the new quantity follows from the step; a port that lacks it fails, by its name."""
    one_more_quantity()
    old = (EXAMPLES / "my_port_numpy.py").read_text().replace("softmax_step", "with_exp_step")
    new = old.replace('"scores": scores,', '"scores": scores, "exp_scores": np.exp(scores),')
    files = {name: tmp_path / f"{name}.py" for name in ("old", "new")}
    files["old"].write_text(old)
    files["new"].write_text(new)
    (result,) = certified(ports=[str(files["new"])], dtypes=["float64"], steps="3").values()
    assert result.verdicts["exp_scores", LOCAL].elements == 3 * 60 * 3
    planned, _ = plan(select(ports=[str(files["old"])], dtypes=["float64"], steps="1"))
    ((lacking,), _) = run_matrix(planned, 5, seed=0)
    assert [(f.quantity, f.problem) for _, f in lacking.first_failures()] == [
        ("exp_scores", "is missing from the port's trace")
    ]


# A dtype


def test_dtype_from_outside_is_certified(extended):
    """One call of `register_dtype`: the matrix runs it on every host that has it."""
    extended("half")
    results = certified(models=["spiral", "softmax"], ports=["numpy"], steps="5")
    assert {r.cell.dtype for r in results.values()} == {"float64", "float32", "half"}
    sloppy = results["softmax-numpy-eager-cpu-half"]
    assert sloppy.comparisons == 5 * 2 * len(SOFTMAX.quantities)


def test_float32_port_is_not_taken_for_float16(extended):
    """Negative control: the dtype of what a port returns is held against the cell's."""
    extended("half")
    port, problem = PORTS["numpy"], draw(np.random.RandomState(0), 5).problem(SOFTMAX)
    cell = Cell("softmax", "numpy", "eager", "cpu", "half")
    contestant = prepare(cell, port, problem, [0])
    step = contestant.step
    contestant.step = lambda params, X, *rest: step(
        {name: value.astype("float32") for name, value in params.items()}, X.astype("float32"), *rest
    )
    (result,) = run_lockstep(problem, [contestant], 1)
    assert result.first_failures()[0][1].problem == "has dtype float32, expected float16"


def test_dtype_that_is_there_or_too_fine_is_refused():
    """The reference computes in float64: nothing finer can be held against it."""
    with pytest.raises(ValueError, match="the matrix has the dtype float32 already"):
        register_dtype(FLOAT32)
    with pytest.raises(ValueError, match="longdouble is finer than float64, in which the reference"):
        register_dtype(replace(FLOAT64, name="longdouble", roundoff=2.0**-64))
    assert DTYPES == ["float64", "float32", "bfloat16", "float16"]


# A trap


def test_trap_from_outside_is_caught(extended):
    """It is in the gallery, and its name cannot be used again."""
    extended("boxed_trap")
    trap = GALLERY["boxed_mask_missing"]
    with pytest.raises(ValueError, match="there is a trap called boxed_mask_missing already"):
        register_trap(trap)


# Processes


@pytest.mark.parametrize("what", ["model", "framework", "dtype"])
def test_what_workers_do_not_know_runs_in_one_process(what, extended, monkeypatch):
    """With two jobs the run stays in this process, and is certified as with one."""
    words = {
        "model": {"ports": ["boxed_manual"], "models": ["softmax", "three_layer"]},
        "framework": {"ports": ["boxed_manual"], "models": ["spiral", "softmax"], "dtypes": ["float32"]},
        "dtype": {"ports": ["numpy"], "models": ["spiral", "softmax"], "dtypes": ["half"]},
    }
    extended("boxed", "half", "three_layer_net")
    if what == "model":
        own = replace(PORTS["boxed_manual"].framework, name="numpy")
        PORTS["boxed_manual"] = replace(PORTS["boxed_manual"], framework=own)
    monkeypatch.setattr(matrix, "in_workers", lambda *_: pytest.fail("workers were started"))
    planned, _ = plan(select(**words[what], steps="2"))
    assert len(matrix.parts_of(planned, 2)) > 1
    results, _ = run_matrix(planned, points=5, seed=0, jobs=2)
    assert [r.cell for r in results if r.steps] == [r.cell for r in results]


def test_the_projects_own_cells_go_to_workers(monkeypatch):
    """Negative control: with nothing from outside, the cells do go to workers."""
    asked = []
    monkeypatch.setattr(matrix, "in_workers", lambda *_: asked.append(1) or [])
    planned, _ = plan(select(models=["spiral", "softmax"], ports=["numpy"], dtypes=["float64"]))
    with pytest.raises(KeyError):  # no worker has run them
        run_matrix(planned, points=5, seed=0, jobs=2)
    assert asked


# The variable


def test_extension_that_cannot_be_imported_is_one_sentence(monkeypatch, capsys):
    """The command ends with status 2 and names the module."""
    monkeypatch.setenv("LOCKSTEP_EXTENSIONS", "no_such_extension")
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "lockstep: the extension no_such_extension (from LOCKSTEP_EXTENSIONS) cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_extension'\n"
    )


def test_taken_names_are_refused(extended):
    """A framework, a port and a model cannot be registered twice."""
    extended("boxed", "three_layer_net")
    boxed = FRAMEWORKS["boxed"]
    with pytest.raises(ValueError, match="boxed_manual is registered already: give this one another"):
        register(boxed)
    with pytest.raises(ValueError, match="boxed is registered already"):
        register(replace(boxed, modules={}))
    with pytest.raises(ValueError, match="boxed_manual is registered already"):
        register(replace(boxed, name="other"))
    assert "other" not in FRAMEWORKS
    with pytest.raises(ValueError, match="there is a model called three_layer already"):
        register_model(MODELS["three_layer"])


def test_nothing_in_tests_changes_for_an_extension():
    """The project's own tests take up a framework and a model that are registered from outside.

    They run in a process of their own: which cells they are parametrized over is known at its start.
    """
    if os.environ.get("LOCKSTEP_EXTENSIONS"):
        pytest.skip("these are the tests that are run here")
    variables = {
        "PYTHONPATH": os.pathsep.join(map(str, FOLDERS)),
        "LOCKSTEP_EXTENSIONS": "boxed,three_layer_net",
    }
    chosen = "test_lockstep or usual or ties_are_certified or planted"
    cells = "--port boxed_manual --dtype float64 --steps 1"
    command = f"-m pytest -n 0 -q -rA -p no:cacheprovider -k '{chosen}' {cells}"
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in ("lockstep", "problems", "planted")]
    done = subprocess.run(
        [sys.executable, *shlex.split(command), *files],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    passed = re.findall(
        r"^PASSED tests/(test_\w+).py::\w+\[(.*)-boxed_manual", done.stdout, re.MULTILINE
    )
    files = ("test_lockstep", "test_problems", "test_planted")
    assert {*passed} >= {(file, model) for file in files for model in MODELS} | {
        (file, "three_layer") for file in files
    }
