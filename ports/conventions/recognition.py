"""Which conventions a step follows, told from what it has computed."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ports.conventions.following import following
from ports.conventions.known import CONVENTIONS, Conventions
from ports.messages import both
from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.bounds import PortTrace
from reference.agreement.judge import LOCAL, certify
from reference.models import Problem

#: How many quantities a convention must set right to be believed, and how many a layout.
SUPPORT, SUPPORT_OF_LAYOUT = 2, 1


class Recorded(NamedTuple):
    """One step: the problem as the note has it, and what was computed, in the note's shapes."""

    start: Problem
    trace: PortTrace
    arithmetic: Arithmetic


@dataclass(frozen=True)
class Recognised:
    """The conventions that a step follows.

    Attributes:
        conventions: none of them, if it follows the note.
        declared: the ones by which it was judged.
        wrong: what is still wrong by these conventions, in the note's order.
    """

    conventions: Conventions
    declared: Conventions
    wrong: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What to tell the file's author."""
        new = [c for c in self.conventions if c not in self.declared] or self.conventions
        says = " and ".join(f"with {c.says}" for c in new) or "with the document itself"
        options = " ".join(f"--convention {c}" for c in self.conventions)
        if self.wrong:
            verb = "is" if len(self.wrong) == 1 else "are"
            declared = f"with {options}" if options else "without a convention"
            return f"Mostly consistent {says}: {declared}, only {both(self.wrong)} {verb} wrong."
        ways = [" and ".join(c.instead for c in new)] if new else []
        ways += [f"run with {options}" if options else "declare no convention"]
        return f"Consistent {says}: {', or '.join(ways)}."


def recognise(
    declared: Conventions,
    recorded: Sequence[Recorded],
    again: Iterable[Callable[[], tuple[Conventions, Sequence[Recorded]]]] = (),
) -> Recognised | None:
    """The fewest conventions by which everything is right, or else the least is wrong.

    `recorded` holds steps that disagree by the `declared` conventions. Each of `again` makes the steps
    with other layouts, if nothing else explains them; it returns these, too. No convention is believed
    that makes anything wrong that was not.
    """
    try:
        before = wrong_in(recorded, declared) if recorded else None
    except Unbounded:
        return None
    best = _best(declared, before, recorded, _layouts(declared))
    for steps_again in () if best and not best.wrong else again:
        layouts, made = steps_again()
        found = _best(declared, before, made, layouts) if made else None
        if found and (best is None or len(found.wrong) < len(best.wrong)):
            best = found
    return best


def _layouts(conventions: Conventions) -> Conventions:
    return tuple(c for c in conventions if c.layout)


def _best(
    declared: Conventions,
    before: frozenset[str] | None,
    recorded: Sequence[Recorded],
    layouts: Conventions,
) -> Recognised | None:
    """The best explanation of these steps, which were made with these layouts.

    `before` is what was wrong by the declared conventions; None: no step could be made.
    """
    found = dict[Conventions, frozenset[str]]()
    for conventions in _candidates(layouts):
        wrong = _wrong_if_better(recorded, conventions, before)
        needed = SUPPORT * len(conventions) - (SUPPORT - SUPPORT_OF_LAYOUT) * len(layouts)
        if wrong is None or (before is not None and len(before - wrong) < needed):
            continue
        found[conventions] = wrong
        if not wrong:
            break
    if not found:
        return None
    conventions = min(found, key=lambda c: len(found[c]))
    order = [name for name in recorded[0].start.model.quantities if name in found[conventions]]
    others = sorted(found[conventions].difference(order))
    return Recognised(conventions, declared, (*order, *others))


def _candidates(layouts: Conventions) -> Iterator[Conventions]:
    """No convention, each single one, and each pair of independent ones, with these layouts."""
    single = [c for c in CONVENTIONS if c.edits]
    pairs = (pair for pair in itertools.combinations(single, 2) if pair[0].name != pair[1].name)
    for some in itertools.chain([()], zip(single), pairs):
        yield tuple(c for c in CONVENTIONS if c in some or c in layouts)


def _wrong_if_better(
    recorded: Sequence[Recorded], conventions: Conventions, before: frozenset[str] | None
) -> frozenset[str] | None:
    """What is wrong by these conventions; None if they do not apply, or are no better than before."""
    wrong = frozenset[str]()
    for step in sorted(recorded, key=lambda step: step.start.X.size):
        try:
            wrong |= wrong_in([step], conventions)
        except (Unbounded, ValueError):
            return None
        if before is not None and not wrong < before:
            return None
    return wrong


def wrong_in(recorded: Iterable[Recorded], conventions: Conventions) -> frozenset[str]:
    """The returned quantities whose own operation is wrong by these conventions at some step.

    Where none is, those that are wrong end to end. Raises ValueError where a convention does not apply,
    and Unbounded where there is no bound.
    """
    found = []
    for start, trace, arithmetic in recorded:
        as_followed = replace(start, model=following(start.model, conventions))
        findings = certify(as_followed, trace, arithmetic, hidden=start.model.quantities)
        found += [finding for finding in findings if not finding.agrees]
    own = frozenset(finding.quantity for finding in found if finding.certificate == LOCAL)
    return own or frozenset(finding.quantity for finding in found)
