"""Start-up: how long it takes until the command says something."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import ports
from ports.bench.measuring import Effort, Row, interleaved, row, seconds_of

HELP_GOAL = 0.15  # seconds
ROOT = Path(ports.__file__).parents[1]
PYTHON = [sys.executable, "-m", "ports"]
CLONE = "git clone, then python -m ports compare --port numpy --steps 2"


def startup(effort: Effort) -> Iterator[Row]:
    """`lockstep --help`, beside the interpreter alone; and from a clone to the first verdict."""
    commands = {
        "lockstep --help": lambda: call([*PYTHON, "--help"], ROOT),
        "python -c pass": lambda: call([sys.executable, "-c", "pass"], ROOT),
    }
    seconds = interleaved(commands, effort.rounds_of(0.5))
    for name, goal in zip(commands, (HELP_GOAL, None), strict=True):
        yield row("startup", name, "s", goal, seconds[name])
    yield clone_row(ROOT)


def clone_row(root: Path) -> Row:
    """A fresh clone's first verdict, without installation and without compiled files."""
    reason = no_clone(root)
    if reason:
        return Row("startup", CLONE, "s", skipped=reason)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        seconds = seconds_of(lambda: to_first_verdict(root, clone))
    return row("startup", CLONE, "s", None, [seconds])


def no_clone(root: Path) -> str:
    """Why there is nothing to clone, or an empty string."""
    if not (root / ".git").exists():
        return "not a git checkout"
    return "" if shutil.which("git") else "git is not here"


def to_first_verdict(root: Path, clone: Path) -> None:
    """What a visitor types."""
    call(["git", "clone", "--quiet", str(root), str(clone)], root)
    call([*PYTHON, "compare", "--port", "numpy", "--steps", "2"], clone)


def call(command: Sequence[str], folder: Path) -> None:
    """Run a command in a folder. Raises OSError, with what the command said, if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
