"""The lesson: code cut from the sources, and everything that was run to show its numbers."""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ports.contract import Port
from ports.engine.matrix import exact_settings_of
from ports.engine.provenance import provenance
from ports.engine.results import SPIRAL
from ports.engine.workers import in_workers
from ports.in_jax import JAX
from ports.in_torch import TORCH
from ports.lesson.breaks import BREAKS, Break, absent_breaks, made_breaks
from ports.lesson.excerpts import Source, SourceLine
from ports.lesson.golden import NETWORKS, GoldenValues, made_golden
from ports.lesson.rounding import PARTS, Rounding, made_rounding
from ports.lesson.run import LessonRun, lesson_run, steps_of
from ports.lesson.script import CHAPTERS, Chapter
from reference import spiral
from reference.runs import trajectory

#: The frameworks that stand beside NumPy, each with its ladder of ports.
FRAMEWORKS = (TORCH, JAX)
#: The column of the reference.
REFERENCE = "numpy"
#: How many processes share the work.
JOBS = 2


@dataclass(frozen=True)
class Code:
    """A file, and the lines of it that compute each quantity."""

    file: str
    lines: Mapping[str, Sequence[SourceLine]]


@dataclass(frozen=True)
class Lesson:
    """All that the page shows, and nothing that was not computed or cut just now.

    Attributes:
        absent: frameworks that are not here, each with a sentence on what to do.
        code: by part of the note (the spiral, or a model) and port.
        run: the certified numbers.
        breaks: the broken ports. absent_breaks: those of missing frameworks, with the reason.
        rounding: why right ports differ at all.
        golden: numbers for those who write the note again.
        provenance: versions and settings.
        seconds: how long all this took.
    """

    absent: Mapping[str, str]
    code: Mapping[tuple[str, str], Code]
    run: LessonRun
    breaks: Sequence[Break]
    absent_breaks: Mapping[str, str]
    rounding: Rounding
    golden: GoldenValues
    provenance: Mapping[str, str]
    seconds: float

    @property
    def disagreements(self) -> list[str]:
        """What disagrees, in a sentence each."""
        of_golden = [*self.golden.disagreements]
        return self.run.disagreements + self.rounding.disagreements + of_golden

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and all of it agrees."""
        return self.run.elements > 0 and not self.disagreements


def work() -> int:
    """How many units of work `made_lesson` reports."""
    steps = sum(len(steps_of(chapter.model)) for chapter in CHAPTERS)
    return steps + len(BREAKS) - len(absent_breaks()) + PARTS + len(NETWORKS)


def made_lesson(progress: Callable[[int], None] = lambda done: None, jobs: int = JOBS) -> Lesson:
    """Run and cut everything. `progress` is called with the units of work done since its last call.

    Raises ValueError if a break is not caught as it should be, or a port's source cannot be cut.
    """
    started = time.monotonic()
    absent = {f.name: absence for f in FRAMEWORKS if (absence := f.absence())}
    ports = ports_here()
    code = {key: value for port in ports for key, value in code_of(port).items()}
    with exact_settings_of(ports):
        facts = provenance(ports)
    tasks: list[Callable[[Callable[[], None]], Any]] = [_run, made_breaks, made_rounding, made_golden]
    run, breaks, rounding, golden = in_workers(tasks, jobs, progress)
    seconds = time.monotonic() - started
    return Lesson(
        absent,
        reference_code() | code,
        run,
        breaks,
        absent_breaks(),
        rounding,
        golden,
        facts,
        seconds,
    )


def ports_here() -> list[Port]:
    """The ports of the lesson whose packages are installed: those that compute in one dtype."""
    here = (port for framework in FRAMEWORKS for port in framework.ports if not port.absence())
    return [port for port in here if not port.mixed]


def _run(progress: Callable[[], None]) -> LessonRun:
    return lesson_run(ports_here(), [chapter.model for chapter in CHAPTERS], progress)


def code_of(port: Port) -> dict[tuple[str, str], Code]:
    """A port's lines, by part of the note."""
    found = {(SPIRAL, port.name): spiral_code(port.module.spiral)}
    for chapter in CHAPTERS:
        source = Source(port.module, chapter.model.step_name)
        shown = [name for name in quantities_of(chapter) if name not in port.hidden_quantities]
        found[chapter.model.name, port.name] = Code(source.file, source.excerpts(shown))
    return found


def reference_code() -> dict[tuple[str, str], Code]:
    """The reference's lines, by part of the note."""
    found = {(SPIRAL, REFERENCE): spiral_code(spiral.spiral)}
    for chapter in CHAPTERS:
        source = Source(_module_of(chapter.model.step), "step")
        found[chapter.model.name, REFERENCE] = Code(source.file, source.excerpts(quantities_of(chapter)))
    return found


def loop_code() -> Code:
    """The reference's training loop."""
    source = Source(_module_of(trajectory), "trajectory")
    return Code(source.file, {"loop": source.whole()})


def spiral_code(function: Callable[..., object]) -> Code:
    """The lines of a generator of the data."""
    source = Source(_module_of(function), "spiral")
    return Code(source.file, {"X": source.whole()})


def quantities_of(chapter: Chapter) -> list[str]:
    """The quantities of a chapter's rows."""
    return [quantity for row in chapter.rows for quantity in row.quantities]


def _module_of(function: Callable[..., object]) -> ModuleType:
    """The module in which a function is written, which may not be the one that imports it."""
    module = inspect.getmodule(function)
    assert module is not None, f"{function} is in no module"
    return module
