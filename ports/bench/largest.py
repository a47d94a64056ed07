"""The largest step that is certified within some memory and time.

Three networks of docs/examples are drawn in doubled sizes until a limit is hit. Each size has a process
of its own, with one thread. The system holds it to both limits: on memory, which counts all that it
maps, Python and NumPy included, and on processor time, so that a busy machine changes no figure.
"""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ports.bench.measuring import Effort, Row
from ports.bench.models import EXAMPLES
from ports.bench.startup import ROOT
from ports.engine.workers import THREAD_SETTINGS
from ports.user_reference import load_reference
from reference.agreement.arithmetic import FLOAT64
from reference.agreement.judge import certify
from reference.arrays import Rng
from reference.models import Problem
from reference.own import own_model
from reference.trace import record

GIBIBYTE, MEBIBYTE = 2**30, 2**20


class Limits(NamedTuple):
    """What a process may use: bytes, and seconds of one processor."""

    memory: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.memory / GIBIBYTE:g} GiB and {self.seconds} s"


FULL, SMALL = Limits(2 * GIBIBYTE, 60), Limits(GIBIBYTE // 4, 3)

Drawn = Mapping[str, Any]


@dataclass(frozen=True)
class Growing:
    """A network that is drawn in any size: of what, the smallest, and how."""

    of: str
    smallest: int
    draw: Callable[[Rng, int], tuple[Drawn, Drawn]]


def dropout(rng: Rng, units: int) -> tuple[Drawn, Drawn]:
    """The net with dropout, with that many units in both hidden layers, on 256 points."""
    widths, rows = (64, units, units, 10), 256
    params: dict[str, Any] = {}
    for layer, (before, after) in enumerate(pairwise(widths), start=1):
        params[f"W{layer}"] = rng.standard_normal((before, after)) * np.sqrt(2 / before)
        params[f"b{layer}"] = np.zeros((1, after))
    masks = {f"mask{i}": (rng.standard_normal((rows, units)) < 0.84) / 0.8 for i in (1, 2)}
    points = {"X": rng.standard_normal((rows, 64)), "y": np.arange(rows) % 10}
    return params, {**points, **masks, "step_size": 0.1}


def attention(rng: Rng, tokens: int) -> tuple[Drawn, Drawn]:
    """Attention over two sequences of that many tokens, in 64 dimensions and a head of 32."""
    params = {name: rng.standard_normal((64, 32)) / 8 for name in ("Wq", "Wk", "Wv")}
    params["Wo"] = rng.standard_normal((32, 64)) / np.sqrt(32)
    sequences = {name: rng.standard_normal((2, tokens, 64)) for name in ("X", "target")}
    return params, {**sequences, "step_size": 0.1}


def convolution(rng: Rng, pixels: int) -> tuple[Drawn, Drawn]:
    """Eight filters over eight pictures, that many pixels high and wide."""
    inputs = 8 * pixels * pixels
    params = {
        "W1": rng.standard_normal((8, 3, 3, 3)) * np.sqrt(2 / 27),
        "b1": np.zeros((1, 8)),
        "W2": rng.standard_normal((inputs, 4)) * np.sqrt(2 / inputs),
        "b2": np.zeros((1, 4)),
    }
    X = rng.standard_normal((8, 3, pixels, pixels))
    return params, {"X": X, "y": np.arange(8) % 4, "step_size": 0.1}


GROWING = {
    "dropout": Growing("hidden units", 64, dropout),
    "attention": Growing("tokens", 32, attention),
    "convolution": Growing("pixels a side", 8, convolution),
}


def largest(effort: Effort) -> Iterator[Row]:
    """One row for each of the networks."""
    limits = FULL if effort.full else SMALL
    for name, growing in GROWING.items():
        yield largest_row(name, growing, limits)


def largest_row(name: str, growing: Growing, limits: Limits) -> Row:
    """The largest size whose step is certified, and what it took."""
    what = f"{name}: the most {growing.of} certified within {limits}"
    why_not = cannot_measure()
    if why_not:
        return Row("largest", what, "", skipped=why_not)
    size, certified = growing.smallest, dict[str, Any]()
    while "limit" not in (found := in_a_process(name, size, limits)):
        certified, size = {"size": size, **found}, 2 * size
    if not certified:
        return Row(
            "largest", what, "", skipped=f"{size} {growing.of} already hit the {found['limit']} limit"
        )
    figure = float(certified["size"])
    return Row(
        "largest", what, "", None, figure, figure, figure, 1, {**certified, "then": found["limit"]}
    )


def cannot_measure() -> str:
    """Why nothing can be measured here, or an empty string."""
    if not EXAMPLES.is_dir():
        return f"no networks in {EXAMPLES}: run from a checkout"
    return "" if sys.platform.startswith("linux") else "the system limits no process's memory: use Linux"


# In a process of its own


def in_a_process(name: str, size: int, limits: Limits) -> dict[str, Any]:
    """What `measured` found in a new process, or {"limit": "memory"} or {"limit": "time"}.

    Raises OSError, with what the process said, if it ended in another way.
    """
    command = [sys.executable, "-m", "ports.bench.largest", name, str(size), *map(str, limits)]
    one_thread = dict.fromkeys(THREAD_SETTINGS, "1")
    environment = {**os.environ, **one_thread, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode == -signal.SIGXCPU:
        return {"limit": "time"}
    if done.returncode:
        raise OSError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def limited(limits: Limits) -> None:
    """Hold this process to its limits: past the one, MemoryError; past the other, it is ended."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 1))


def measured(name: str, size: int) -> dict[str, Any]:
    """Certify one step of a network in that size, as computed by NumPy; what this took."""
    problem = sized_problem(name, size)
    trace, before = record(problem), time.process_time()
    findings = certify(problem, trace, FLOAT64)
    certificates = time.process_time() - before
    if not all(finding.agrees for finding in findings):
        raise ValueError(f"{name} of size {size} is not certified")
    return {
        "numbers": sum(math.prod(shape) for shape in problem.shapes.values()),
        "seconds": time.process_time(),
        "seconds of the certificates": certificates,
        "peak MiB": peak_memory() / MEBIBYTE,
    }


def peak_memory() -> int:
    """The most memory that this process has held. (`ru_maxrss` would count its parent's, too.)"""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kibibytes) * 1024


def sized_problem(name: str, size: int) -> Problem:
    """The first step of a network of docs/examples, drawn in another size."""
    params, batch = GROWING[name].draw(np.random.RandomState(0), size)
    small = load_reference(Path(EXAMPLES, name, "reference.py"))
    model = own_model(
        name, small.title, lambda rng: dict(params), lambda rng: batch, small.step, small.routes
    )
    return model.start(np.random.RandomState(0))


def main(name: str, size: str, memory: str, seconds: str) -> None:
    """What a child process does: print what was measured, as JSON."""
    limited(Limits(int(memory), int(seconds)))
    try:
        found = measured(name, int(size))
    except MemoryError:
        found = {"limit": "memory"}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
