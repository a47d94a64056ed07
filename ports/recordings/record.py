"""Run a port in lockstep and write down what each step started from and computed, unjudged.

The inputs alone, without what a port computes, are what a program in another language starts from.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ports.contract import Port
from ports.engine.lockstep import Contestant, chosen_steps, iterations_within, prepare, run_step
from ports.engine.provenance import provenance
from ports.engine.results import Cell, CellResult
from ports.recordings.format import (
    ERROR,
    HIDDEN,
    INPUTS,
    PROVENANCE,
    RECORDING,
    SCALE,
    SHAPE,
    STORED,
)
from ports.recordings.numbers import format_of
from ports.recordings.writing import Columns
from ports.returned import what_went_wrong
from reference.agreement.arithmetic import Arithmetic
from reference.agreement.judge import structural_problems
from reference.arrays import Plain
from reference.models import Model, Problem
from reference.runs import draw, trajectory
from reference.trace import ScoreOverflow


@dataclass(frozen=True)
class Run:
    """One of the note's runs: its problem, what that is drawn from, and the steps that are written."""

    problem: Problem
    points: int
    seed: int
    steps: Collection[int]


class Written(NamedTuple):
    """What a file holds: how many steps, in how many bytes, and why the run ended early, if it did."""

    steps: int
    bytes: int
    error: str


def write_inputs(path: Path, run: Run, dtype: str, progress: Callable[[], None]) -> Written:
    """Write what the steps of a run start from. Raises OSError, in one sentence, or ScoreOverflow."""
    with Columns(path) as columns:
        _add_inputs(columns, run.problem, dtype)
        for i, start in _starts(run, dtype):
            _add_start(columns, i, start.params, dtype)
            progress()
        expected = {
            f"{SHAPE}{name}": " ".join(map(str, [len(run.steps), *shape]))
            for name, shape in run.problem.shapes.items()
        }
        size = columns.write(_texts(INPUTS, run, dtype) | expected)
    return Written(len(run.steps), size, "")


def record_port(
    path: Path,
    run: Run,
    cell: Cell,
    port: Port,
    progress: Callable[[], None] = lambda: None,
    precision: str = "highest",
) -> Written:
    """Run a port, with float32 products of that precision, and write the recording.

    Where the port raises, or the reference leaves the number range, the steps before are kept. Raises
    ValueError in one sentence where there is none, or where the port's trace has not the right form; and
    OSError if the file cannot be written.
    """
    with Columns(path) as columns, port.host.settings_with(precision):
        _add_inputs(columns, run.problem, cell.dtype)
        error = _add_steps(columns, run, prepare(cell, port, run.problem, run.steps), progress)
        steps = columns.by_name["steps"].rows if "steps" in columns.by_name else 0
        if not steps:
            raise ValueError(f"{cell}: {error}: there is no step to record")
        size = columns.write(_texts(RECORDING, run, cell.dtype) | _of_port(cell, port, error))
    return Written(steps, size, error)


def _add_steps(columns: Columns, run: Run, contestant: Contestant, progress: Callable[[], None]) -> str:
    """Run the port's steps; returns why they end early, or an empty string."""
    cell, arithmetic = contestant.result.cell, contestant.arithmetic
    try:
        for i, start in _starts(run, cell.dtype):
            try:
                trace = run_step(contestant, start)
            except (Exception, SystemExit) as why:
                return f"step {i}: {what_went_wrong(why)}"
            _require_form(columns, start, trace, contestant.result, arithmetic, i)
            _add_start(columns, i, start.params, cell.dtype)
            _add(columns, trace, arithmetic.dtype_of)
            progress()
    except ScoreOverflow as why:
        return str(why)
    return ""


def _starts(run: Run, dtype: str) -> Iterator[tuple[int, Problem]]:
    """What each chosen step of the reference's run starts from, as a dtype holds it."""
    for i, start, _ in trajectory(run.problem, max(run.steps) + 1):
        if i in run.steps:
            yield i, start.held_as(dtype)


def _require_form(
    columns: Columns,
    start: Problem,
    trace: Mapping[str, Plain],
    result: CellResult,
    arithmetic: Arithmetic,
    i: int,
) -> None:
    """Raise ValueError for a trace that is not of the right form: a recording has no place for it."""
    found = structural_problems(start, trace, arithmetic, result.hidden)
    problem = f"{found[0].quantity} {found[0].problem}" if found else ""
    before = start.shapes.keys() & columns.by_name.keys()
    if not problem and before and before != trace.keys():
        problem = f"{sorted(before ^ trace.keys())[0]} is shown at some steps and not at others"
    if problem:
        raise ValueError(f"{result.cell}: step {i}: {problem}: lockstep compare judges it here")


def _add_inputs(columns: Columns, problem: Problem, dtype: str) -> None:
    columns.extend("X", format_of(dtype), problem.held_as(dtype).X)
    columns.extend("y", "I64", problem.y)


def _add_start(columns: Columns, i: int, params: Mapping[str, Plain], dtype: str) -> None:
    columns.extend("steps", "I64", np.array([i]))
    _add(columns, params, lambda name: dtype)


def _add(columns: Columns, tensors: Mapping[str, Plain], dtype_of: Callable[[str], str]) -> None:
    for name, tensor in tensors.items():
        columns.extend(name, format_of(dtype_of(name)), tensor[None])


def _texts(schema: str, run: Run, dtype: str) -> dict[str, str]:
    """What both kinds of file say about a run."""
    return {
        "schema": schema,
        "model": run.problem.model.name,
        "dtype": dtype,
        "points": str(run.points),
        "seed": str(run.seed),
        "reg": repr(run.problem.reg),
        "step_size": repr(run.problem.step_size),
    }


def _of_port(cell: Cell, port: Port, error: str) -> dict[str, str]:
    """What a recording says about the port and its machine, under the settings that it ran with."""
    said = {
        "port": cell.port,
        "framework": port.framework.name,
        "mode": cell.mode,
        "device": cell.device,
        "precision": port.host.precision,
        ERROR: error,
    }
    said |= {f"{HIDDEN}{name}": reason for name, reason in port.hidden_quantities.items()}
    if port.mixed:
        said |= {f"{STORED}{name}": dtype for name, dtype in port.mixed.dtypes.items()}
        said |= {f"{SCALE}{name}": repr(scale) for name, scale in port.mixed.scales.items()}
    said |= {f"{PROVENANCE}{name}": fact for name, fact in provenance([port]).items()}
    return {name: printable(text) for name, text in said.items() if text}


def printable(text: str) -> str:
    """A text in one line, without what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def run_of(model: Model, dtype: str, points: int, seed: int, steps: int | None) -> Run:
    """The note's run of a model; so many of the steps that the dtype can follow, or all for None.

    The dtype is that of the narrowest numbers.
    """
    problem = draw(np.random.RandomState(seed), points).problem(model)
    within = model.iterations if steps is None else iterations_within(dtype, model.iterations)
    return Run(problem, points, seed, chosen_steps(within, steps))
