"""The README keeps its word: its commands run, its code runs, its links lead somewhere."""

import math
import os
import re
import shlex
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ports.__main__ import main
from ports.engine.accuracy import accuracy_table
from ports.engine.selection import natural_cells
from ports.registry import PORTS
from ports.traps import GALLERY
from reference.models import TWO_LAYER
from reference.runs import draw

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for language, text in BLOCKS
    if language == "console"
    for line in text.splitlines()
    if line.startswith("$ ")
]
SET_UP = [command for command in COMMANDS if command.startswith("python3 -m venv")]
#: Commands that take long as written run shortened, in the same code.
SHORTER = {
    "lockstep": ["--steps", "2", "--mode", "eager", "--points", "5", "--jobs", "1"],
    "lockstep bounds": ["--step", "10", "--dtype", "float64", "--points", "5"],
    "lockstep drift": ["--steps", "20"],
    "lockstep plot": ["--steps", "50", "--port", "numpy", "--points", "5", "--format", "png"],
    "lockstep bench": ["--quick", "--only", "reference"],
    "lockstep traps": ["--steps", "2"],
}
#: How many traps of the gallery run.
FEW = 3
#: Commands that show a failure.
FAILING = {"lockstep check docs/examples/my_port_wrong.py": 1}


def test_two_commands_set_everything_up():
    """One runs lockstep, the other the tests. CI runs the second word for word (with a quiet pip)."""
    run, test = SET_UP
    assert run.endswith("&& .venv/bin/lockstep")
    assert test.endswith("&& .venv/bin/python -m pytest -n 2")
    assert test in (ROOT / ".ci" / "run").read_text().replace("install -q", "install")


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
@pytest.mark.parametrize(
    "fails", ["all,test", "pytest", "dev", "format", "check .", "mypy", "lint", None]
)
def test_ci_fails_where_a_command_fails(fails, tmp_path):
    """Whichever of its commands fails, CI's script has a status that says so."""
    script, python3, tool = (tmp_path / name for name in ("ci/run", "bin/python3", "tool"))
    browser = tmp_path / "bin/chromium"
    for file in (script, python3):
        file.parent.mkdir()
    script.write_text((ROOT / ".ci" / "run").read_text())
    tool.write_text(f'#!/bin/sh\ncase "$0 $*" in *"{fails}"*) exit 1 ;; esac\n')
    python3.write_text(
        "#!/bin/sh\nmkdir -p .venv/bin\n"
        "for name in pip python ruff mypy lint-imports; do cp tool .venv/bin/$name; done\n"
    )
    browser.write_text("#!/bin/sh\n")
    for file in (tool, python3, browser):
        file.chmod(0o755)
    path = f"{python3.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", script], env=os.environ | {"PATH": path}, capture_output=True)
    assert done.returncode == int(fails is not None), done.stderr


@pytest.mark.parametrize("command", [c for c in dict.fromkeys(COMMANDS) if c.startswith("lockstep")])
def test_command_runs(command, tmp_path, monkeypatch, capsys):
    """Each command of the README ends with the status that the README shows, and says something."""
    if "torch" in command or "my_port_wrong" in command or "traps" in command:
        pytest.importorskip("torch")
    if "jax" in command:
        pytest.importorskip("jax")
    if "plot" in command:
        pytest.importorskip("matplotlib")
    words = shlex.split(command)[1:]
    extra = SHORTER.get(command, [])
    if "plot" in command:
        extra = [*extra, "--output", str(tmp_path)]
    if "compare" in command:
        extra = [*extra, "--jobs", "1"]
    if "--new" in command:
        words = [str(tmp_path / word) if word.endswith(".py") else word for word in words]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("ports.commands.traps.GALLERY", dict(islice(GALLERY.items(), FEW)))
    assert main([*words, *extra]) == FAILING.get(command, 0)
    out = capsys.readouterr().out
    assert f"caught: {FEW}/{FEW}" in out if "traps" in command else out


def test_command_runs_as_a_process():
    """The command that the README installs first: start-up, worker processes, output, exit status."""
    few = ["--port", "numpy", "--steps", "2", "--points", "5", "--jobs", "2"]
    words = [sys.executable, "-m", "ports", *few]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 cells disagree" in done.stdout


@pytest.mark.parametrize("code", [text for language, text in BLOCKS if language == "python"])
def test_code_runs(code, tmp_path):
    """Each Python block of the README runs; its asserts hold."""
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


def test_table_of_bounds_is_what_the_code_computes():
    """docs/bounds.md shows each bound to one digit. (At step 5000 a run depends on the processor.)"""
    text = (ROOT / "docs" / "bounds.md").read_text(encoding="utf-8").partition("Step 1000:")[2]
    shown = {}
    for line in text.partition("\n\nStep")[0].splitlines():
        if line.startswith("| `"):
            quantity, *figures = (cell.strip(" `") for cell in line.strip("|").split("|"))
            shown[quantity] = [float(figure) for figure in figures]
    problem = draw(np.random.RandomState(0)).problem(TWO_LAYER)
    cells = natural_cells(TWO_LAYER, [PORTS["numpy"]], ["float64", "float32"])
    table = accuracy_table(problem, cells, [1000])
    rows = {(row.quantity, step.dtype): row for step in table for row in step.rows}
    assert set(shown) == {quantity for quantity, _ in rows}
    for quantity, (largest, *figures) in shown.items():
        double, single = rows[quantity, "float64"], rows[quantity, "float32"]
        assert largest == pytest.approx(double.largest, rel=0.06)
        computed = [
            figure
            for row in (double, single)
            for figure in (row.local.bound, row.end_to_end.bound, row.assert_close)
        ]
        for figure, value in zip(figures, computed, strict=True):
            assert abs(figure - value) <= 0.6 * 10 ** math.floor(math.log10(value)), quantity


def test_links_lead_somewhere():
    """Every relative link names a file or folder of the repository."""
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target
