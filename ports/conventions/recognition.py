"""Which conventions a step follows, told from what it has computed."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ports.conventions.following import following
from ports.conventions.known import CONVENTIONS, Conventions, together
from ports.messages import both
from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.bounds import PortTrace
from reference.agreement.judge import LOCAL, certify
from reference.models import Problem

#: How many quantities a convention must set right to be believed, if it is not declared: it shows in a
#: loss and in its gradient. Other shapes show by themselves.
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
    layouts: Iterable[Conventions] = (),
    again: Callable[[Conventions], Sequence[Recorded]] = lambda layouts: (),
) -> Recognised | None:
    """The fewest conventions by which everything is right, or else the least is wrong.

    `recorded` holds steps that disagree by the `declared` conventions. Where the step may have other
    `layouts`, `again` makes steps with these, unless something else explains everything. No convention
    is believed that makes anything wrong that was not.
    """
    try:
        before = wrong_in(recorded, declared) if recorded else None
    except Unbounded:
        return None
    best = _best(declared, before, recorded, _layouts(declared))
    for other in layouts:
        if best is None or best.wrong:
            found = _best(declared, before, again(other), other)
            best = min(filter(None, (best, found)), key=lambda one: len(one.wrong), default=None)
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
    if not recorded:
        return None
    single = [(c,) for c in CONVENTIONS if c.edits]
    better = dict(_better([(), *single], before, recorded, layouts))
    if all(better.values()):
        # who follows two conventions is less wrong by one of them, unless that one is declared
        likely = {*better, *((c,) for c in declared)}
        pairs = (a + b for a, b in itertools.combinations(single, 2) if a[0].name != b[0].name)
        near = (pair for pair in pairs if likely & {pair[:1], pair[1:]})
        better |= dict(_better(near, before, recorded, layouts))
    support = SUPPORT_OF_LAYOUT if layouts != _layouts(declared) else 0
    believed = {
        some: wrong
        for some, wrong in better.items()
        if before is None or len(before - wrong) >= support + SUPPORT * len({*some} - {*declared})
    }
    if not believed:
        return None
    some = min(believed, key=lambda some: len(believed[some]))
    order = [*recorded[0].start.model.quantities, *sorted(believed[some])]
    wrong = tuple(dict.fromkeys(name for name in order if name in believed[some]))
    return Recognised(together((*some, *layouts)), declared, wrong)


def _better(
    candidates: Iterable[Conventions],
    before: frozenset[str] | None,
    recorded: Sequence[Recorded],
    layouts: Conventions,
) -> Iterator[tuple[Conventions, frozenset[str]]]:
    """The candidates by which less is wrong than before, and nothing else; and what is wrong by them."""
    cheapest_first = sorted(recorded, key=lambda step: step.start.X.size)
    for some in candidates:
        wrong = frozenset[str]()
        for step in cheapest_first:
            try:
                wrong |= wrong_in([step], together((*some, *layouts)))
            except (Unbounded, ValueError):  # ValueError: it does not apply to this model
                break
            if before is not None and not wrong < before:
                break
        else:
            yield some, wrong


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
