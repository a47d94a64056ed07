"""The whole default run: certified, against the bare training loops of the same ports.

Bare is what `lockstep run` does without printing: the port's own step, fed its own parameters,
float64, each framework's natural mode, one port after the other. Certified is the same number of
steps through the engine: the reference step, moving the parameters to the framework, the port's step,
bringing back and copying its quantities, both certificates, and counting the outcomes in.
Imports, compilation and first calls are outside both. The spread cells of the default run (20 steps
of float32 and of the other mode) are in neither; `--full` times the whole command with everything.
"""

import math
import multiprocessing
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import ports
from ports.bench.measuring import Effort, Row, interleaved, ratio_row, ratios, row
from ports.bench.steps import cell_of, document_problem, ports_here
from ports.lockstep import Contestant, prepare, run_lockstep
from ports.matrix import exact_settings_of, one_thread_each
from ports.memory import keep_freed_memory
from ports.port import Port
from reference.runs import ITERATIONS, Problem

GOAL = 2.0
ROOT = Path(ports.__file__).parents[1]
BARE_NOW, BARE_ONE = "bare, default threads", "bare, one thread"
ALONE_NOW, ALONE_ONE = "certified, --jobs 1, default threads", "certified, --jobs 1, one thread"


class Group(NamedTuple):
    """Ports of one model and framework, which share the reference's work, and their steps."""

    model: str
    ports: tuple[str, ...]
    iterations: int


def groups_of(here: Sequence[Port], scale: float) -> list[Group]:
    """The default run's groups with a share of the document's iterations, the longest first."""
    frameworks: dict[str, list[str]] = {}
    for port in here:
        frameworks.setdefault(port.host_name, []).append(port.name)
    groups = [
        Group(model, tuple(names), math.ceil(iterations * scale))
        for model, iterations in ITERATIONS.items()
        for names in frameworks.values()
    ]
    return sorted(groups, key=lambda group: group.iterations * len(group.ports), reverse=True)


class Loops:
    """One group, ready to run again and again: compiled and warm."""

    def __init__(self, group: Group) -> None:
        self.problem = document_problem(group.model)
        self.iterations = group.iterations
        self.contestants = [
            prepare(cell_of(group.model, port), port, self.problem, range(group.iterations))
            for port in map(ports.PORTS.get, group.ports)
            if port
        ]
        self.warm_up()

    def warm_up(self) -> None:
        """Compile, and run a few steps of both kinds."""
        for contestant in self.contestants:
            train(contestant, self.problem, 3)

    def certified(self) -> None:
        """All steps in lockstep. Raises ValueError if they are not all certified: that is no figure."""
        for result in run_lockstep(self.problem, self.contestants, self.iterations):
            if not result.agrees:
                raise ValueError(f"{result.cell} is not certified; run lockstep compare: {result.error}")

    def bare(self) -> None:
        """All steps, each port by itself."""
        for contestant in self.contestants:
            train(contestant, self.problem, self.iterations)


def train(contestant: Contestant, problem: Problem, iterations: int) -> None:
    """A port's bare training loop: what comes out of a step goes into the next."""
    host, cell = contestant.port.host, contestant.result.cell
    params = {n: host.put(value, cell.device, cell.dtype) for n, value in problem.params.items()}
    for _ in range(iterations):
        trace = contestant.step(params, contestant.X, contestant.y, problem.reg, problem.step_size)
        params = {name: trace[f"{name}_next"] for name in params}
    for value in params.values():  # the device may still be at work
        host.get(value)


class Crew:
    """Worker processes that hold every group ready, as the engine's workers do while it runs."""

    def __init__(self, groups: Sequence[Group], jobs: int, one_thread: bool) -> None:
        self.groups = groups
        self.hands: list[Connection] = []
        self.workers: list[Any] = []
        spawn = multiprocessing.get_context("spawn")
        with one_thread_each() if one_thread else nullcontext():
            for _ in range(jobs):
                here, there = spawn.Pipe()
                worker = spawn.Process(target=_work, args=(there, groups), daemon=True)
                worker.start()
                there.close()
                self.hands.append(here)
                self.workers.append(worker)
        for hand in self.hands:
            _answer(hand)  # it is ready

    def run(self, kind: str, workers: int | None = None) -> None:
        """Have every group run `certified` or `bare`, a worker taking the next when it is free."""
        free, waiting = self.hands[:workers], list(range(len(self.groups)))
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
        """Send the workers home."""
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


def _work(hand: Connection, groups: Sequence[Group]) -> None:
    """A worker: answers each order with "" when done, or with what went wrong."""
    keep_freed_memory()
    here = [ports.PORTS[name] for name in {name for group in groups for name in group.ports}]
    with exact_settings_of(here):
        try:
            loops = [Loops(group) for group in groups]
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
def crew(groups: Sequence[Group], jobs: int, one_thread: bool) -> Iterator[Crew]:
    """A crew for as long as it is needed."""
    workers = Crew(groups, jobs, one_thread)
    try:
        yield workers
    finally:
        workers.close()


def run(effort: Effort) -> Iterator[Row]:
    """The certified run with one process and with one a core, against the bare loops."""
    here, jobs = ports_here(), os.cpu_count() or 1
    scale = 0.005 if effort.quick else 0.03
    groups = groups_of(here, scale)
    with ExitStack() as stack:
        alone = stack.enter_context(crew(groups, 1, one_thread=False))
        team = stack.enter_context(crew(groups, jobs, one_thread=True))
        contestants = {
            BARE_NOW: lambda: alone.run("bare"),
            BARE_ONE: lambda: team.run("bare", workers=1),
            ALONE_NOW: lambda: alone.run("certified"),
            ALONE_ONE: lambda: team.run("certified", workers=1),
            f"certified, --jobs {jobs}": lambda: team.run("certified"),
        }
        seconds = interleaved(contestants, effort.rounds_of(0.5))
    faster = min((BARE_NOW, BARE_ONE), key=lambda name: statistics.median(seconds[name]))
    steps = ", ".join(f"{model} {math.ceil(n * scale)}" for model, n in ITERATIONS.items())
    held = {ALONE_NOW: BARE_NOW, ALONE_ONE: BARE_ONE, f"certified, --jobs {jobs}": faster}
    for certified, bare in held.items():
        goal = None if certified in (ALONE_NOW, ALONE_ONE) else GOAL
        what = f"{certified} / {bare}; {len(here)} ports, steps: {steps}"
        yield ratio_row("run", what, goal, seconds, certified, bare)
    if effort.full:
        yield whole_command(here)


def whole_command(here: Sequence[Port]) -> Row:
    """`lockstep` itself, imports, compilation and spread cells included, against the full bare loops."""
    with crew(groups_of(here, 1), 1, one_thread=False) as alone:
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
