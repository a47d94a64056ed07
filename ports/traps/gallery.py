"""A trap: a port with one wrong line, as people write it, and what must be found.

A trap's module is the port's own source with one snippet replaced. So the correct twin is the port
itself, and a trap whose snippet is no longer there is an error, not a silent pass. The NumPy port calls
the reference: its traps replace a line of the reference, and a copy of the port calls the result.
"""

import ast
import importlib
import inspect
import linecache
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np

from ports.contract import LoadedPort, Port
from ports.engine.lockstep import certify_spiral, prepare, run_lockstep
from ports.engine.results import SPIRAL, Cell, CellResult
from ports.registry import PORTS
from ports.traps.fixtures import FIXTURES, POINTS, SEED
from reference.arrays import Plain
from reference.models import MODELS, Problem
from reference.runs import draw

#: The steps for which each trap runs: some mistakes show only in the second step.
STEPS = 10


class Stale(ValueError):
    """A trap no longer fits the port it was made from."""


@dataclass(frozen=True)
class Trap:
    """One wrong line.

    Attributes:
        name: what went wrong.
        port: the port whose source is changed.
        model: what it is run in: softmax, two_layer or spiral.
        right, wrong: the snippet and its replacement, in every definition that has it.
        blames: the first quantity that must be found wrong.
        cause: what the diagnosis must say (`ports.diagnosis`), or "unexplained".
        meant: what people meant to write, or believed.
        source: a public thread about it, if there is one.
        fixture, dtype, mode: the problem, the number format and the mode in which it must show.
        step: the step in which it must show first.
        written_in: the module with the line, if the port imports it whole and calls it.
    """

    name: str
    port: str
    model: str
    right: str
    wrong: str
    blames: str
    cause: str
    meant: str
    source: str = ""
    fixture: str = "document"
    dtype: str = "float64"
    mode: str = "eager"
    step: int = 0
    written_in: str = ""

    @property
    def twin(self) -> Port:
        """The port as it is."""
        return PORTS[self.port]

    @property
    def module(self) -> ModuleType:
        """The module with the line, as it is."""
        return importlib.import_module(self.written_in) if self.written_in else self.twin.module

    @property
    def cell(self) -> Cell:
        """The row of the matrix it runs in."""
        return Cell(self.model, self.port, self.mode, "cpu", self.dtype)

    @property
    def problem(self) -> Problem:
        """What it is run on. For a trap in the spiral, the softmax classifier trains on its points."""
        name = next(iter(MODELS)) if self.model == SPIRAL else self.model
        return FIXTURES[self.fixture](MODELS[name])


def noise() -> Plain:
    """The draws that a trap in the spiral is given."""
    return draw(np.random.RandomState(SEED), POINTS).noise


def wrong_source(trap: Trap) -> str:
    """The module's source with the snippet replaced, in every definition that has it.

    Raises Stale if the snippet occurs nowhere, or twice in one definition.
    """
    source = inspect.getsource(trap.module)
    lines = source.splitlines(keepends=True)
    definitions = ["".join(lines[d.lineno - 1 : d.end_lineno]) for d in ast.parse(source).body]
    counts = [definition.count(trap.right) for definition in definitions]
    if not any(counts):
        raise Stale(f"{trap.name}: {trap.module.__name__} no longer has {trap.right!r}")
    if max(counts) > 1:
        raise Stale(f"{trap.name}: {trap.right!r} occurs {max(counts)} times in one definition")
    return source.replace(trap.right, trap.wrong)


def wrong_module(trap: Trap) -> ModuleType:
    """The module with the wrong line, loaded beside the right one."""
    return executed(f"ports.traps.{trap.name}", wrong_source(trap), f"<trap {trap.name}: {trap.port}>")


@cache
def wrong_port(trap: Trap) -> LoadedPort:
    """The port with the wrong line, loaded beside the right one, once: a compiler keeps what it made."""
    twin, module = trap.twin, wrong_module(trap)
    if trap.written_in:
        module = calling(module, trap)
    return LoadedPort(trap.port, module.__name__, twin.framework, twin.packages, loaded=module)


def calling(wrong: ModuleType, trap: Trap) -> ModuleType:
    """A copy of the port that calls the wrong module in the place of the right one."""
    port = executed(f"{wrong.__name__}.port", inspect.getsource(trap.twin.module), f"<port {trap.name}>")
    vars(port)[trap.written_in.rpartition(".")[2]] = wrong
    return port


def executed(name: str, source: str, file: str) -> ModuleType:
    """A module of that source. Tracebacks and compilers read the source under the file's name."""
    module = ModuleType(name)
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), module.__dict__)
    return module


def run(port: Port, trap: Trap, steps: int = STEPS) -> CellResult:
    """Run a port, the wrong one or its twin, through the ordinary machinery."""
    with port.host.exact_settings():
        if trap.model == SPIRAL:
            return certify_spiral(trap.cell, port, noise())
        problem = trap.problem
        contestant = prepare(trap.cell, port, problem, range(steps))
        return run_lockstep(problem, [contestant], steps)[0]
