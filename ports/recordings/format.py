"""The format of a recording: the names of its texts and tensors, and their shapes (docs/recordings.md).

Every tensor of a run has the recorded steps along its first axis. `steps` (S,) says which these are. `X`
(N, D) and `y` (N,) are the inputs of all of them. `W` (S, D, K) and the other parameters are what each
step started from, `scores` (S, N, K) and the other quantities what it computed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ports.messages import did_you_mean, either
from ports.mixed import OWN_DTYPE, Mixed, declared, problem_of
from ports.recordings.container import METADATA, BadRecording, Container, shown
from ports.recordings.numbers import format_of
from reference.models import MODELS, Problem

#: What a file is, and the version of the format. Raise the number when a name changes its meaning.
RECORDING, INPUTS = "lockstep-recording/1", "lockstep-inputs/1"
#: The texts that both have, and those that a recording has besides.
PROBLEM = ("schema", "model", "dtype", "points", "seed", "reg", "step_size")
RUN = ("port", "framework", "mode", "device", "precision")
#: Texts that may be there: why the run ended early; and one each by a name after the prefix.
ERROR = "error"
HIDDEN, PROVENANCE, CHECKSUM, SHAPE = "hidden/", "provenance/", "crc32/", "shape/"
#: In mixed precision: the dtype of a quantity, or of products, and the scale that it is stored times.
STORED, SCALE = "stored/", "scale/"
#: The most characters of a text, and the most digits of a number.
LONGEST, MOST_DIGITS = 4000, 12
#: The formats of labels and steps.
INTEGERS = ("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8")


@dataclass(frozen=True)
class Texts:
    """The metadata of a file, each of whose texts is checked as it is read. Raises BadRecording."""

    texts: Mapping[str, str]

    def line(self, name: str) -> str:
        """A text that can be printed as it is."""
        text = self.texts.get(name)
        if text is None:
            raise BadRecording(f"its {METADATA} lacks {name}")
        if not text or not text.isprintable() or len(text) > LONGEST:
            raise BadRecording(f"{shown(name)} is {shown(text)}, expected a line of text")
        return text

    def word(self, name: str, words: Collection[str]) -> str:
        """One of these words."""
        text = self.line(name)
        if text not in words:
            near = did_you_mean(text, words)
            raise BadRecording(f"{name} is {shown(text)}: {near}expected one of {', '.join(words)}")
        return text

    def whole(self, name: str) -> int:
        """A whole number in decimal digits."""
        text = self.line(name)
        if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
            raise BadRecording(f"{name} is {shown(text)}, expected a whole number")
        return int(text)

    def require_number(self, name: str, expected: float) -> None:
        """Raise BadRecording unless the text is that number, however it is written."""
        text = self.line(name)
        if number(text) != expected:
            raise BadRecording(f"{name} is {shown(text)}: the document's run has {expected!r}")

    def under(self, prefix: str) -> dict[str, str]:
        """The texts whose names begin with a prefix, by the rest of the name."""
        return {n.removeprefix(prefix): self.line(n) for n in self.texts if n.startswith(prefix)}

    def mixed(self, dtype: str) -> Mixed | None:
        """What is declared of mixed precision, or None. Raises BadRecording if that is wrong."""
        dtypes, scales = self.under(STORED), {n: number(s) for n, s in self.under(SCALE).items()}
        known = dict.fromkeys(name for model in MODELS.values() for name in model.quantities)
        problem = problem_of(dtypes, scales, known)
        if not problem and dtypes and dtype != OWN_DTYPE:
            problem = f"dtype is {shown(dtype)}, and parameters in mixed precision are {OWN_DTYPE}"
        if problem:
            raise BadRecording(f"in its texts {STORED} and {SCALE}, {problem}")
        return declared(dtypes, scales)

    def require_known(self) -> None:
        """Raise BadRecording for a name that the format does not have."""
        known = [*PROBLEM, *RUN, ERROR]
        for name in self.texts:
            if name not in known and not name.startswith((HIDDEN, PROVENANCE, CHECKSUM, STORED, SCALE)):
                raise BadRecording(
                    f"its {METADATA} has {shown(name)}, which the format does not know: "
                    f"{did_you_mean(name, known)}there are {', '.join(known)}"
                )


def number(text: str) -> float:
    """The number that a text says, however it is written; NaN if it says none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def require_recording(texts: Texts) -> None:
    """Raise BadRecording unless the file says that it is a recording in this version."""
    schema = texts.line("schema")
    if schema == INPUTS:
        raise BadRecording("it holds the inputs of a run: a program makes the recording from them")
    if schema != RECORDING:
        raise BadRecording(f"it is written in {shown(schema)}, and {RECORDING} can be read here")


def kinds(
    problem: Problem, dtype: str, steps: int, mixed: Mixed | None = None
) -> Iterator[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    """Yield each tensor of a recording of so many steps: its name, its number formats, and its shape.

    The quantities come last.
    """
    floats = (format_of(dtype),)
    yield "steps", INTEGERS, (steps,)
    yield "X", floats, problem.X.shape
    yield "y", INTEGERS, problem.y.shape
    for name, value in problem.params.items():
        yield name, floats, (steps, *value.shape)
    for name, shape in problem.shapes.items():
        yield name, (format_of(mixed.dtype_of(name)),) if mixed else floats, (steps, *shape)


def require_quantities(hidden: Collection[str]) -> None:
    """Raise BadRecording for a hidden quantity that no model has."""
    known = dict.fromkeys(name for model in MODELS.values() for name in model.quantities)
    for name in hidden:
        if name not in known:
            raise BadRecording(f"it hides {shown(name)}: {did_you_mean(name, known)}that is no quantity")


def require_tensors(
    container: Container,
    document: Problem,
    dtype: str,
    hidden: Collection[str],
    mixed: Mixed | None,
) -> None:
    """Raise BadRecording unless the tensors of a run are there, in their formats and shapes."""
    recorded = container.entries.get("steps")
    count = recorded.shape[0] if recorded and recorded.shape else 0
    expected = {name: (formats, shape) for name, formats, shape in kinds(document, dtype, count, mixed)}
    for name in container.entries:
        if name not in expected:
            near = did_you_mean(name, expected)
            raise BadRecording(f"the tensor {shown(name)}: {near}there are {', '.join(expected)}")
    for name, (formats, shape) in expected.items():
        entry = container.entries.get(name)
        if entry is None and name not in hidden:
            raise BadRecording(f"it lacks the tensor {name}, of shape {shape}")
        if entry and entry.format not in formats:
            raise BadRecording(f"the tensor {name} has dtype {entry.format}, expected {either(formats)}")
        if entry and entry.shape != shape:
            raise BadRecording(f"the tensor {name} has shape {entry.shape}, expected {shape}")


def require_checksums(container: Container, checksums: Mapping[str, str]) -> None:
    """Raise BadRecording unless every tensor, and nothing else, has its right checksum."""
    for name in checksums:
        if name not in container.entries:
            raise BadRecording(f"it has a checksum of {shown(name)}, but no such tensor")
    for name in container.entries:
        if name not in checksums:
            raise BadRecording(f"it has no checksum of the tensor {name}: expected {CHECKSUM}{name}")
        found = container.checksum(name)
        if found != checksums[name]:
            raise BadRecording(
                f"the checksum of {name} is {found}, not {shown(checksums[name])}: the file is damaged"
            )
