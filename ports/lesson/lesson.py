"""The lesson: code cut from the sources, and everything that was run to show its numbers."""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from ports.contract import Port
from ports.engine.matrix import exact_settings_of
from ports.engine.provenance import provenance
from ports.engine.results import SPIRAL
from ports.in_jax import JAX
from ports.in_torch import TORCH
from ports.lesson.breaks import BREAKS, Break, absent_breaks, made_breaks
from ports.lesson.excerpts import Source, SourceLine
from ports.lesson.run import LessonRun, lesson_run, steps_of
from ports.lesson.script import CHAPTERS, Chapter
from reference import spiral
from reference.runs import trajectory

#: The frameworks that stand beside NumPy, each with its ladder of ports.
FRAMEWORKS = (TORCH, JAX)
#: The column of the reference.
REFERENCE = "numpy"


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
        provenance: versions and settings.
        seconds: how long all this took.
    """

    absent: Mapping[str, str]
    code: Mapping[tuple[str, str], Code]
    run: LessonRun
    breaks: Sequence[Break]
    absent_breaks: Mapping[str, str]
    provenance: Mapping[str, str]
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and all of it agrees."""
        return self.run.elements > 0 and not self.run.disagreements


def work() -> int:
    """How many times `made_lesson` reports progress."""
    return sum(len(steps_of(chapter.model)) for chapter in CHAPTERS) + len(BREAKS) - len(absent_breaks())


def made_lesson(progress: Callable[[], None] = lambda: None) -> Lesson:
    """Run and cut everything. `progress` is called `work()` times.

    Raises ValueError if a break is not caught as it should be, or a port's source cannot be cut.
    """
    started = time.monotonic()
    absent = {f.name: absence for f in FRAMEWORKS if (absence := f.absence())}
    ports = [port for f in FRAMEWORKS for port in f.ports if not port.absence()]
    code = {key: value for port in ports for key, value in code_of(port).items()}
    with exact_settings_of(ports):
        facts = provenance(ports)
    return Lesson(
        absent,
        reference_code() | code,
        lesson_run(ports, [chapter.model for chapter in CHAPTERS], progress),
        made_breaks(progress),
        absent_breaks(),
        facts,
        time.monotonic() - started,
    )


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
