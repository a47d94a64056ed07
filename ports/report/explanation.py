"""Why a quantity is wrong: the note's lines, the lines that give the port's numbers, the cause."""

import textwrap
from collections.abc import Iterator

from ports.diagnosis import Diagnosis
from ports.diagnosis.case import Change

WIDTH = 100


def explained(
    explanation: Diagnosis | None, right: list[str] | None, right_is: str = "document"
) -> Iterator[str]:
    """The right lines, the lines that would give the port's numbers, and the cause in words.

    `right` is None where no solution may be shown; `right_is` says where the right lines come from.
    """
    if right is not None:
        label = f"{right_is:<10}"
        yield from labelled(label, right)
        for i, change in enumerate(explanation.changes if explanation else ()):
            yield from _change(change, "yours is  " if i == 0 else "or        ", label, right)
    if explanation:
        yield from textwrap.wrap(
            f"why       {explanation.sentence}",
            WIDTH,
            initial_indent=" " * 4,
            subsequent_indent=" " * 14,
        )


def _change(change: Change, label: str, label_of_right: str, shown: list[str]) -> Iterator[str]:
    """The line that would give the port's numbers, under the right one if that is not shown yet."""
    if not set(change.document) <= set(shown):
        yield from labelled(label_of_right, [*change.document])
    if change.explained == change.elements:
        explains = f"  # explains all {change.elements:,} elements down to rounding"
    else:
        explains = (
            f"  # explains {change.explained:,} of {change.elements:,} elements; the others are right"
        )
    yours = [*change.yours] or ["# left out"]
    if change.elements > 1 and len(yours[-1]) + len(explains) + 14 <= WIDTH:
        yours[-1] += explains
    elif change.elements > 1:
        yours.append(explains.strip())
    yield from labelled(label, yours)


def labelled(label: str, lines: list[str], indent: str = " " * 4) -> Iterator[str]:
    """Lines of code, with a label before the first of them."""
    for i, line in enumerate(lines):
        yield f"{indent}{label if i == 0 else ' ' * len(label)}{line}"
