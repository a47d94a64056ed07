"""A recording: its metadata and tensors, checked when it is opened, and read step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ports.engine.results import Cell
from ports.engine.selection import MODES
from ports.mixed import Mixed
from ports.recordings.container import BadRecording, Container, naming, open_container, shown
from ports.recordings.document import difference, drawn_elsewhere
from ports.recordings.format import (
    CHECKSUM,
    ERROR,
    HIDDEN,
    PROVENANCE,
    Texts,
    require_checksums,
    require_quantities,
    require_recording,
    require_tensors,
)
from ports.recordings.numbers import FLOATS
from reference.agreement.arithmetic import DTYPES, PRODUCT_PRECISIONS
from reference.arrays import Plain, holder
from reference.models import MODELS, Model, Problem
from reference.runs import D, K


@dataclass(frozen=True)
class Recording:
    """One run of one port elsewhere.

    Attributes:
        cell: its row of the matrix.
        framework: what computed it, such as torch or C++.
        precision: how precise its float32 products were.
        points, seed: which of the note's runs it is.
        problem: the inputs of the first recorded step, as float64.
        steps: the recorded steps.
        hidden: the quantities that the port declares its library hides, with the reason.
        mixed: what it declares of mixed precision, or None.
        provenance: versions, devices and settings of the machine that recorded it.
        error: why the run ended early, or an empty string.
    """

    container: Container
    cell: Cell
    framework: str
    precision: str
    points: int
    seed: int
    problem: Problem
    steps: tuple[int, ...]
    hidden: Mapping[str, str]
    mixed: Mixed | None
    provenance: Mapping[str, str]
    error: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.container.path

    def params(self, j: int) -> dict[str, Plain]:
        """What the j-th recorded step started from, as float64. Raises BadRecording for NaN."""
        with naming(self.path):
            return params_at(self.container, self.problem.model, j)

    def trace(self, j: int) -> dict[str, Plain]:
        """What the j-th recorded step computed."""
        names = self.problem.model.quantities
        shown = [name for name in names if name in self.container.entries]
        return {
            name: self.container.read(name, j).astype(self.holder_of(name), copy=False) for name in shown
        }

    def holder_of(self, name: str) -> np.dtype:
        """The dtype of the array that holds a quantity."""
        return holder(self.mixed.dtype_of(name) if self.mixed else self.cell.dtype)


def open_recording(path: Path) -> Recording:
    """Read a recording's metadata, inputs and checksums. Raises BadRecording, in one sentence."""
    container = open_container(path)
    with naming(path):
        return _recording(container)


def _recording(container: Container) -> Recording:
    texts = Texts(container.metadata)
    require_recording(texts)
    texts.require_known()
    model = MODELS[texts.word("model", MODELS)]
    cell = Cell(
        model.name,
        texts.line("port"),
        texts.word("mode", MODES),
        texts.line("device"),
        texts.word("dtype", [dtype for dtype in DTYPES if dtype in FLOATS]),
    )
    precision = texts.word("precision", PRODUCT_PRECISIONS)
    points, seed, hidden = texts.whole("points"), texts.whole("seed"), texts.under(HIDDEN)
    require_quantities(hidden)
    document = _document(container, model, points, seed)
    texts.require_number("reg", document.reg)
    texts.require_number("step_size", document.step_size)
    mixed = texts.mixed(cell.dtype)
    require_tensors(container, document, cell.dtype, hidden, mixed)
    require_checksums(container, texts.under(CHECKSUM))
    steps = _steps(container, model)
    return Recording(
        container,
        cell,
        texts.line("framework"),
        precision,
        points,
        seed,
        _problem(container, document, cell.dtype, steps),
        steps,
        hidden,
        mixed,
        texts.under(PROVENANCE),
        texts.line(ERROR) if ERROR in container.metadata else "",
    )


def _document(container: Container, model: Model, points: int, seed: int) -> Problem:
    """The note's inputs, with what another machine's may be off.

    They are drawn only if there are as many points in the file.
    """
    X = container.entries.get("X")
    if X is None or not points or X.shape != (K * points, D):
        found = "no tensor X" if X is None else f"X of shape {X.shape}"
        raise BadRecording(f"it has {found}, expected {points:,} points of each of {K} classes")
    if seed >= 2**32:
        raise BadRecording(f"seed is {seed}, expected a whole number from 0 to 2**32 - 1")
    return drawn_elsewhere(seed, points).problem(model)


def _steps(container: Container, model: Model) -> tuple[int, ...]:
    steps = [int(i) for i in container.read("steps")]
    if not steps:
        raise BadRecording("it has no step: there is nothing to certify")
    if steps != sorted(set(steps)):
        raise BadRecording(f"its steps are {shown(steps)}, expected each once, in order")
    if steps[0] < 0 or steps[-1] >= model.iterations:
        raise BadRecording(
            f"its steps are {shown(steps)}: the {model.name} run has 0 to {model.iterations - 1:,}"
        )
    return tuple(steps)


def params_at(container: Container, model: Model, j: int) -> dict[str, Plain]:
    """The parameters of the j-th recorded step, as float64. Raises BadRecording if one is not finite."""
    params = {name: container.read(name, j).astype(np.float64) for name in model.parameters}
    for name, value in params.items():
        if not np.isfinite(value).all():
            raise BadRecording(f"the parameter {name} has NaN or infinity in row {j}")
    return params


def _problem(container: Container, document: Problem, dtype: str, steps: Sequence[int]) -> Problem:
    """The recorded inputs. Raises BadRecording unless they are the note's, up to the draws' rounding."""
    model = document.model
    recorded = {"X": container.read("X").astype(np.float64), "y": container.read("y")}
    expected = {"X": document.X, "y": document.y, **document.params}
    first = params_at(container, model, 0)
    for name, array in (recorded | (first if steps[0] == 0 else {})).items():
        why = difference(name, array, expected[name], "float64" if name == "y" else dtype)
        if why:
            raise BadRecording(f"{why}: start from the inputs that lockstep inputs writes")
    return model.problem(recorded["X"], document.y, first, document.reg, document.step_size)
