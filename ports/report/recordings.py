"""What `lockstep record`, `inputs` and `certify` say beside the matrix."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from ports.engine.results import Cell
from ports.recordings.certify import Judged
from ports.recordings.record import Written
from ports.report.explanation import explained
from reference.line import formula


def written(cell: Cell, path: Path, found: Written) -> str:
    """What was recorded, and what to do with it."""
    lines = [f"{cell}: {_contents(path, found)}"]
    if found.error:
        lines.append(f"it ended early: {found.error}")
    return "\n".join([*lines, f"lockstep certify {shlex.quote(str(path))} judges it, on any machine"])


def inputs_written(path: Path, found: Written) -> str:
    """What a file of inputs holds."""
    return f"{_contents(path, found)}; docs/recordings.md says how to go on"


def _contents(path: Path, found: Written) -> str:
    steps = "1 step" if found.steps == 1 else f"{found.steps:,} steps"
    return f"wrote {steps} to {path} ({found.bytes:,} bytes)"


def explanations(judged: Sequence[Judged]) -> Iterator[str]:
    """For each recording that disagrees: the first wrong quantity's lines, and why it is wrong."""
    for recording, result, explanation in judged:
        if explanation:
            step, finding = result.first_failures()[0]
            document = formula(recording.cell.model, finding.quantity)
            lines = explained(explanation, document)
            yield "\n".join([f"{recording.cell}: step {step}: {finding.quantity}", *lines])
