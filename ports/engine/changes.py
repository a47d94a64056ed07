"""What has changed between two reports: verdicts, cells, shares, what was run, versions."""

from collections.abc import Iterator, Mapping
from itertools import chain

from ports.engine.reports import Change, Report
from ports.engine.results import CellResult

#: A share that grew by this factor has changed. It is what is told, and no verdict depends on it.
GREW = 10


def changes(before: Report, now: Report) -> list[Change]:
    """What differs in `now`. Of a shard, only its own cells are looked at."""
    old = {str(result.cell): result for result in before.results}
    new = {str(result.cell): result for result in now.results}
    both = [(old[cell], new[cell]) for cell in new if cell in old]
    return [
        *(Change(cell, _verdict(old[cell]), "not planned") for cell in old if cell not in now.plan),
        *(Change(cell, "not planned", _verdict(new[cell])) for cell in new if cell not in before.plan),
        *chain.from_iterable(_of_cell(*pair) for pair in both),
        *_moved("run", before.run._asdict(), now.run._asdict()),
        *_moved("machine", {"name": before.machine}, {"name": now.machine}),
        *_moved("provenance", before.provenance, now.provenance),
    ]


def _of_cell(before: CellResult, now: CellResult) -> Iterator[Change]:
    """Another verdict, another number of steps, and shares that grew."""
    if _verdict(before) != _verdict(now):
        yield Change(str(now.cell), _verdict(before), _verdict(now))
    for key, verdict in now.verdicts.items():
        old, new = before.verdicts.get(key), verdict
        if old is None or old.worst is None or new.worst is None:
            continue
        if new.worst.share > GREW * old.worst.share:
            what = f"{now.cell}, largest share of {key[0]}, {key[1]}"
            yield Change(what, f"{old.worst.share:.3g}", f"{new.worst.share:.3g}")


def _verdict(result: CellResult) -> str:
    """A cell's verdict, and over how many steps it is."""
    words = "agrees" if result.agrees else f"stopped ({result.error})" if result.error else "disagrees"
    return f"{words}, {result.steps} steps"


def _moved(kind: str, before: Mapping[str, object], now: Mapping[str, object]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield Change(f"{kind}, {name}", str(before.get(name, "none")), str(now.get(name, "none")))
