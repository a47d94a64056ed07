"""What `lockstep check --self-test` prints: what a run of a reference would miss."""

from collections.abc import Iterator, Sequence

from ports.check.self_test import CAUGHT, SAME, WITHIN, Planted
from ports.report.table import Column, Table

COLUMNS = (
    Column("quantity", "<", before=""),
    Column("wrong\nlines"),
    Column("\ncaught"),
    Column("within\nthe bound"),
    Column("the same\nnumbers"),
    Column("sure to\nshow from"),
    Column("local bound\nsays little"),
    Column("end to end\nsays little"),
)
#: What is said of the lines that a run would miss.
HEADS = {
    WITHIN: "Not seen, within the bound:",
    SAME: "Not seen: the same numbers in this run:",
}
#: How many missed lines are listed for a quantity.
LISTED = 4


def lines(planted: Sequence[Planted], dtype: str) -> Iterator[str]:
    """The table, the lines that would be missed, and the conclusion."""
    yield f"errors planted in the reference's own lines, {dtype}"
    yield from Table(COLUMNS, [_row(p) for p in planted]).lines()
    yield from _missed(planted)
    yield ""
    yield from _conclusion(planted)


def _row(p: Planted) -> list[str]:
    counts = [str(p.count(outcome)) for outcome in (CAUGHT, WITHIN, SAME)]
    tried = [str(len(p.edits)), *counts] if p.edits else ["-"] * 4
    return [p.quantity, *tried, f"{p.sure:.1e}", *(f"{share:.0%}" for share in p.vacuous)]


def _missed(planted: Sequence[Planted]) -> Iterator[str]:
    """The lines whose errors a run would not show."""
    width = max(len(p.quantity) for p in planted)
    for outcome, head in HEADS.items():
        missed = {p.quantity: [c for c, o in p.edits.items() if o == outcome] for p in planted}
        if any(missed.values()):
            yield ""
            yield head
        for name, codes in missed.items():
            yield from (f"  {name:<{width}}  {code}" for code in codes[:LISTED])
            if len(codes) > LISTED:
                yield f"  {'':<{width}}  and {len(codes) - LISTED} more"


def _conclusion(planted: Sequence[Planted]) -> Iterator[str]:
    tried = sum(len(p.edits) for p in planted)
    caught = sum(p.count(CAUGHT) for p in planted)
    yield f"{caught} of {tried} wrong lines caught."
    unsearched = [p.quantity for p in planted if p.why]
    if unsearched:
        yield f"Not edited, because they are tapped in a loop: {', '.join(unsearched)}."
    helpless = [p.quantity for p in planted if not p.can_fail]
    if helpless:
        yield (
            f"No error would show in {', '.join(helpless)}: tap the quantities before it, so that its "
            "local bound starts from them, or use other numbers."
        )
    little = [p.quantity for p in planted if max(p.vacuous) > 0.5]
    if little:
        yield (
            f"Most bounds exceed the numbers themselves in {', '.join(little)}: more taps between the "
            "inputs and there make the local bounds tighter; end to end, only a wider dtype does."
        )
