"""Judge recordings as the engine judges ports: here the port's step is read from the file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from types import ModuleType
from typing import Any, NamedTuple

from ports.contract import LoadedPort
from ports.diagnosis import UNEXPLAINED, Diagnosis, diagnose
from ports.engine.lockstep import Contestant, Heat
from ports.engine.memory import keep_freed_memory
from ports.engine.reports import Report, RunOf
from ports.engine.results import Cell, CellResult
from ports.engine.shards import WHOLE
from ports.in_numpy.host import NumpyHost
from ports.mixed import DTYPES_NAME, SCALES_NAME
from ports.recordings.container import BadRecording
from ports.recordings.recording import Recording
from ports.registry import FRAMEWORKS, PORTS
from reference.agreement.arithmetic import Arithmetic, by_device
from reference.arrays import Plain
from reference.trace import ScoreOverflow, record


class Judged(NamedTuple):
    """A recording, the verdicts on it, and why its first wrong quantity is wrong, if that is known."""

    recording: Recording
    result: CellResult
    explanation: Diagnosis | None


class RecordedHost(NumpyHost):
    """The host of recorded tensors: they are NumPy's by now, and were computed by another framework."""

    immutable = True  # each is read from the file anew

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def arithmetic(self, device: str, dtype: str) -> Arithmetic:
        """What was promised where they were computed."""
        recording = self.recording
        return promised(recording.framework, replace(recording.cell, dtype=dtype), recording.precision)

    def put(self, array: Plain, device: str, dtype: str) -> Plain:
        """The array itself: nothing is computed from it."""
        return array

    def get(self, tensor: Any) -> Plain:
        """The tensor as it was read."""
        return tensor  # type: ignore[no-any-return]


@dataclass(frozen=True)
class RecordedPort(LoadedPort):
    """The port of a recording."""

    recorded: RecordedHost = field(kw_only=True)

    @property
    def host(self) -> RecordedHost:
        """The host of what was recorded."""
        return self.recorded


def require_one_run(recordings: Sequence[Recording]) -> None:
    """Raise BadRecording unless they are of one problem and can be told apart."""
    first, cells = recordings[0], dict[Any, Recording]()
    for recording in recordings:
        run, of_first = ((r.points, r.seed, r.precision) for r in (recording, first))
        if run != of_first:
            raise BadRecording(
                f"{recording.path} and {first.path} have other points, another seed or another "
                "precision: certify them one at a time"
            )
        other = cells.setdefault(recording.cell, recording)
        if other is not recording:
            raise BadRecording(
                f"{recording.path} and {other.path} are both of {recording.cell}: "
                "their rows could not be told apart; certify them one at a time"
            )


def certify(recording: Recording, progress: Callable[[], None] = lambda: None) -> Judged:
    """Hold every step of a recording against its bounds. `progress` is called after each of them."""
    keep_freed_memory()
    result, rows = CellResult(recording.cell, recording.hidden), count()
    port = recorded_port(recording)
    step = lambda *_: recording.trace(next(rows))  # noqa: E731
    heat = Heat(
        recording.problem,
        [Contestant(port, result, step, dict(recording.problem.batch), recording.steps)],
    )
    overflow = ""
    try:
        for j, i in enumerate(recording.steps):
            start = recording.problem.starting_from(recording.params(j))
            record(start, f"step {i}")
            heat.start_from(i, start.params, progress)
    except ScoreOverflow as why:
        overflow = str(why)
    heat.run(progress)
    result.error = result.error or overflow or recording.error
    cell = recording.cell
    arithmetic = port.arithmetic(cell.mode, cell.device, cell.dtype)
    return Judged(recording, result, explanation(recording, result, arithmetic))


def recorded_port(recording: Recording) -> RecordedPort:
    """The port that a recording stands for."""
    cell, module = recording.cell, ModuleType(recording.cell.port)
    host = RecordedHost(recording)
    if recording.mixed:
        vars(module).update({DTYPES_NAME: recording.mixed.dtypes, SCALES_NAME: recording.mixed.scales})
    return RecordedPort(cell.port, "", FRAMEWORKS["numpy"], loaded=module, recorded=host)


def promised(framework: str, cell: Cell, precision: str) -> Arithmetic:
    """What a framework promises in a cell and precision; neither it nor the port need be here.

    A program of one's own, in C++ say, keeps to what the frameworks here have in common.
    """
    known, port = FRAMEWORKS.get(framework), PORTS.get(cell.port)
    promises = known.promises if known else by_device
    promise = promises(cell.device, cell.dtype).in_precision(precision, cell.device)
    return port.keeping_to(promise, cell.mode) if port and port.framework is known else promise


def explanation(recording: Recording, result: CellResult, arithmetic: Arithmetic) -> Diagnosis | None:
    """Why the first wrong quantity is wrong. An exception while explaining does not cost the verdict."""
    failures = result.first_failures()
    if not failures:
        return None
    step, finding = failures[0]
    j = recording.steps.index(step)
    start = recording.problem.starting_from(recording.params(j))
    before = {**recording.params(j - 1), **recording.trace(j - 1)} if j else None
    try:
        return diagnose(start, recording.trace(j), arithmetic, finding.quantity, before)
    except Exception as why:
        return Diagnosis(UNEXPLAINED, f"no explanation ({type(why).__name__}: {why})")


def report_of(judged: Sequence[Judged], machine: str | None) -> Report:
    """What there is to say of recordings of one run, as of a run on the machine that made them.

    That is called `machine`, or by its platform, which programs of one's own need not tell.
    """
    recordings = [j.recording for j in judged]
    first, facts = recordings[0], provenance_of(recordings)
    most = max(len(recording.steps) for recording in recordings)
    return Report(
        RunOf(first.points, first.seed, str(most), first.precision),
        machine or facts.get("platform", "a machine that is not named"),
        WHOLE,
        tuple(str(recording.cell) for recording in recordings),
        facts,
        [j.result for j in judged],
        (),
    )


def provenance_of(recordings: Sequence[Recording]) -> Mapping[str, str]:
    """Where they come from. A fact that is not the same of all stands once per recording."""
    facts: dict[str, str] = {}
    names = dict.fromkeys(name for r in recordings for name in r.provenance)
    for name in names:
        values = {r.provenance.get(name, "") for r in recordings}
        if len(values) == 1:
            facts[name] = values.pop()
        else:
            facts |= {f"{r.path.name}: {name}": r.provenance.get(name, "") for r in recordings}
    return facts
