"""The whole default run: certified, against the bare training loops of the same ports.

Bare is what `lockstep run` does without printing: the port's own step, fed its own parameters,
float64, each framework's natural mode, one port after the other. Certified is the same number of
steps through the engine: each takes the reference step, moves the parameters to the framework, takes
the port's step, copies its quantities back, makes both certificates and records the outcomes. Naive
does the same, but in place of the certificates it calls `np.testing.assert_allclose` on each tensor.
Imports, compilation and first calls are not measured, nor are the spread cells of the default run (20
steps of float32 and of the other mode). `--full` times the whole command with everything.
"""

import math
import multiprocessing
import os
import statistics
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np

import ports
from ports.bench.listing import LISTINGS
from ports.bench.measuring import Effort, Row, interleaved, ratio_row, ratios, row
from ports.bench.steps import document_problem
from ports.contract import Port
from ports.engine.lockstep import Contestant, natural_cell, prepare, run_lockstep, run_step
from ports.engine.matrix import Part, exact_settings_of, parts_of
from ports.engine.memory import keep_freed_memory
from ports.engine.selection import Planned, ports_here
from ports.engine.training import train
from ports.engine.workers import worker_settings
from reference.models import MODELS, Problem
from reference.runs import trajectory

GOAL = 2.0
NAIVE_GOAL = 1.0
ROOT = Path(ports.__file__).parents[1]
BARE_NOW, BARE_ONE = "bare, default threads", "bare, one thread"
ALONE_NOW, ALONE_ONE = "certified, --jobs 1, default threads", "certified, --jobs 1, one thread"
NAIVE_ONE = "assert_allclose at every step, one thread"


def shortened_run(here: Sequence[Port], scale: float, jobs: int) -> list[Part]:
    """The default run's parts, the longest first, with a share of the note's iterations."""
    planned = [
        Planned(natural_cell(model.name, port), port, None) for model in LISTINGS for port in here
    ]
    return [
        Part(cells, range(math.ceil(steps.start * scale), math.ceil(steps.stop * scale)))
        for cells, steps in parts_of(planned, jobs)
    ]


class Loops:
    """One part of the run, ready to run again and again: compiled and warm."""

    def __init__(self, part: Part) -> None:
        self.problem = document_problem(MODELS[part.cells[0].cell.model])
        self.steps = part.steps
        self.contestants = [prepare(p.cell, p.port, self.problem, part.steps) for p in part.cells]
        self.warm_up()

    def warm_up(self) -> None:
        """Compile, and run a few steps of both kinds."""
        for contestant in self.contestants:
            train_bare(contestant, self.problem, 3)

    def certified(self) -> None:
        """All steps in lockstep. Raises ValueError if one is not certified: that gives no figure."""
        for result in run_lockstep(self.problem, self.contestants, self.steps.stop):
            if not result.agrees:
                raise ValueError(f"{result.cell} is not certified; run lockstep compare: {result.error}")

    def naive(self) -> None:
        """All steps in lockstep, each tensor compared with the reference's, as people do."""
        for i, start, trace in trajectory(self.problem, self.steps.stop):
            if i in self.steps:
                for contestant in self.contestants:
                    for name, got in run_step(contestant, start).items():
                        np.testing.assert_allclose(got, trace[name], rtol=1e-5, atol=1e-8)

    def bare(self) -> None:
        """All steps, each port by itself."""
        for contestant in self.contestants:
            train_bare(contestant, self.problem, len(self.steps))


def train_bare(contestant: Contestant, problem: Problem, iterations: int) -> None:
    """A port's bare training loop."""
    (last,) = deque(train(contestant, problem, iterations), maxlen=1)
    for value in last.after.values():  # the device may still be at work
        contestant.port.host.get(value)


class Crew:
    """Worker processes that hold every part ready, as the engine's workers do while it runs."""

    def __init__(self, parts: Sequence[Part], jobs: int, one_thread: bool) -> None:
        self.parts = parts
        self.hands: list[Connection] = []
        self.workers: list[Any] = []
        spawn = multiprocessing.get_context("spawn")
        with worker_settings() if one_thread else nullcontext():
            for _ in range(jobs):
                here, there = spawn.Pipe()
                worker = spawn.Process(target=_work, args=(there, parts), daemon=True)
                worker.start()
                there.close()
                self.hands.append(here)
                self.workers.append(worker)
        for hand in self.hands:
            _answer(hand)  # it is ready

    def run(self, kind: str) -> None:
        """Have every part run `certified`, `naive` or `bare`; a free worker takes the next."""
        free, waiting = list(self.hands), list(range(len(self.parts)))
        busy: list[Connection] = []
        while waiting or busy:
            while free and waiting:
                hand, number = free.pop(), waiting.pop(0)
                hand.send((kind, number))
                busy.append(hand)
            heard = wait(busy)
            for hand in [hand for hand in busy if hand in heard]:
                _answer(hand)
                busy.remove(hand)
                free.append(hand)

    def close(self) -> None:
        """Let the workers end, and wait for them."""
        for hand, worker in zip(self.hands, self.workers, strict=True):
            hand.send(None)
            worker.join()


def _answer(hand: Connection) -> None:
    try:
        why = hand.recv()
    except EOFError:
        why = "a worker of the benchmark ended"
    if why:
        raise ValueError(why)


def _work(hand: Connection, parts: Sequence[Part]) -> None:
    """A worker: answers each order with "" when done, or with what went wrong."""
    keep_freed_memory()
    with exact_settings_of([p.port for part in parts for p in part.cells]):
        try:
            loops = [Loops(part) for part in parts]
            hand.send("")
            while (order := hand.recv()) is not None:
                kind, number = order
                getattr(loops[number], kind)()
                hand.send("")
        except EOFError:
            return
        except Exception as why:
            hand.send(f"{type(why).__name__}: {why}")


@contextmanager
def crew(parts: Sequence[Part], jobs: int, one_thread: bool) -> Iterator[Crew]:
    """A crew for as long as it is needed."""
    workers = Crew(parts, jobs, one_thread)
    try:
        yield workers
    finally:
        workers.close()


def run(effort: Effort) -> Iterator[Row]:
    """The certified run with one process and with one per core, against the bare loops."""
    here, jobs = ports_here(), os.cpu_count() or 1
    scale = 0.005 if effort.quick else 0.03
    uncut = shortened_run(here, scale, jobs=1)
    certified_by_all = f"certified, --jobs {jobs}"
    with ExitStack() as stack:
        alone = stack.enter_context(crew(uncut, 1, one_thread=False))
        single = stack.enter_context(crew(uncut, 1, one_thread=True))
        team = stack.enter_context(crew(shortened_run(here, scale, jobs), jobs, one_thread=True))
        contestants = {
            BARE_NOW: lambda: alone.run("bare"),
            BARE_ONE: lambda: single.run("bare"),
            ALONE_NOW: lambda: alone.run("certified"),
            ALONE_ONE: lambda: single.run("certified"),
            NAIVE_ONE: lambda: single.run("naive"),
            certified_by_all: lambda: team.run("certified"),
        }
        seconds = interleaved(contestants, effort.rounds_of(0.5))
    faster = min((BARE_NOW, BARE_ONE), key=lambda name: statistics.median(seconds[name]))
    steps = ", ".join(f"{model.name} {math.ceil(model.iterations * scale)}" for model in LISTINGS)
    for certified, other, goal in (
        (ALONE_NOW, BARE_NOW, None),
        (ALONE_ONE, BARE_ONE, None),
        (NAIVE_ONE, BARE_ONE, None),
        (ALONE_ONE, NAIVE_ONE, NAIVE_GOAL),
        (certified_by_all, faster, GOAL),
    ):
        what = f"{certified} / {other}; {len(here)} ports, steps: {steps}"
        yield ratio_row("run", what, goal, seconds, certified, other)
    if effort.full:
        yield whole_command(here)


def whole_command(here: Sequence[Port]) -> Row:
    """`lockstep` itself, imports, compilation and spread cells included, against the full bare loops."""
    with crew(shortened_run(here, scale=1, jobs=1), 1, one_thread=False) as alone:
        seconds = interleaved({"bare": lambda: alone.run("bare"), "lockstep": _command}, rounds=1)
    detail = {"median seconds": {name: values[0] for name, values in seconds.items()}}
    what = (
        f"the command `lockstep`, {len(here)} ports, everything / bare loops, all steps, default threads"
    )
    return row("run", what, "x", GOAL, ratios(seconds, "lockstep", "bare"), detail)


def _command() -> None:
    subprocess.run(
        [sys.executable, "-m", "ports", "compare"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True
    )
