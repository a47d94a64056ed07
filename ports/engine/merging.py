"""One matrix over many machines: which reports belong together, and what is missing.

Merging fails closed. A missing shard, a cell that is there twice, and reports of different runs are
errors, never a smaller matrix.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ports.contract import Absent
from ports.engine.machines import Machine, Merged
from ports.engine.reports import Report
from ports.engine.results import Cell
from ports.messages import both
from ports.registry import FRAMEWORKS, PORTS


def merge(
    reports: Sequence[Report], unverified: Iterable[str] = (), require: Iterable[str] = ()
) -> Merged:
    """Put reports together.

    `unverified` names devices whose missing cells are shown as unverified. Raises ValueError, in one
    sentence, for reports that do not make a whole, and Absent for a required port, device or
    machine that is in none.
    """
    first = reports[0]
    for report in reports:
        if report.run != first.run:
            raise ValueError(
                f"{first.source} is of {first.run}, and {report.source} of {report.run}: "
                "one matrix is of one run"
            )
    by_name: dict[str, list[Report]] = {}
    for report in reports:
        by_name.setdefault(report.machine, []).append(report)
    machines = [_machine(name, own) for name, own in by_name.items()]
    merged = Merged(first.run, machines, _unverified(machines, unverified))
    _refuse_absent(merged, require)
    return merged


def _machine(name: str, reports: Sequence[Report]) -> Machine:
    """The reports of one machine. Raises ValueError unless its plans are whole, and none overlap."""
    plans: dict[tuple[str, ...], list[Report]] = {}
    for report in reports:
        plans.setdefault(report.plan, []).append(report)
    _refuse_versions(name, reports)
    _refuse_twice(name, reports)
    ordered = [report for of_plan in plans.values() for report in _whole(name, of_plan)]
    return Machine(name, ordered)


def _whole(name: str, reports: Sequence[Report]) -> list[Report]:
    """The shards of one plan, in order. Raises ValueError for a missing shard or cell."""
    count = reports[0].shard.of
    other = next((r for r in reports if r.shard.of != count), None)
    if other:
        raise ValueError(
            f"{reports[0].source} is shard {reports[0].shard} and {other.source} shard {other.shard} "
            f"of the same plan on {name}: give the shards of one division"
        )
    shards: dict[int, Report] = {}
    for report in reports:
        before = shards.setdefault(report.shard.number, report)
        if before is not report:
            raise ValueError(
                f"shard {report.shard} of {name} is in {before.source} and in {report.source}: give one"
            )
    missing = [str(i) for i in range(1, count + 1) if i not in shards]
    if missing:
        cells = _missing_cells(reports)
        raise ValueError(
            f"shard {both(missing)} of {count} of {name} is missing, and with it {_some(cells)}: "
            "give the reports of all shards"
        )
    cells = _missing_cells(reports)
    if cells:
        raise ValueError(
            f"the reports of {name} lack {_some(cells)}, which they planned: run them again"
        )
    return [shards[i] for i in sorted(shards)]


def _missing_cells(reports: Sequence[Report]) -> list[str]:
    ran = {str(result.cell) for report in reports for result in report.results}
    return [cell for cell in reports[0].plan if cell not in ran]


def _some(cells: Sequence[str], most: int = 3) -> str:
    """The names of some cells, and how many more there are."""
    more = [f"{len(cells) - most} more cells"] if len(cells) > most else []
    return both([*cells[:most], *more]) if cells else "no cell"


def _refuse_twice(name: str, reports: Sequence[Report]) -> None:
    """Raise ValueError if two reports of a machine have the same cell."""
    ran: dict[Cell, Report] = {}
    for report in reports:
        for result in report.results:
            before = ran.setdefault(result.cell, report)
            if before is not report:
                raise ValueError(
                    f"{result.cell} of {name} is in {before.source} and in {report.source}: give each "
                    "cell once, or tell two machines apart with compare --machine"
                )


def _refuse_versions(name: str, reports: Sequence[Report]) -> None:
    """Raise ValueError if the reports of a machine were made with different versions."""
    told: dict[str, Report] = {}
    for report in reports:
        for what in [name for name in ("python", *FRAMEWORKS) if name in report.provenance]:
            before = told.setdefault(what, report)
            if before.provenance[what] != report.provenance[what]:
                raise ValueError(
                    f"{name} has {what} {before.provenance[what]} in {before.source} and "
                    f"{report.provenance[what]} in {report.source}: a machine has one version; "
                    "tell two apart with compare --machine"
                )


def _unverified(machines: Sequence[Machine], devices: Iterable[str]) -> list[Cell]:
    """The cells that ports would have on these devices, and that ran nowhere.

    A port may run on a device if its framework is one to install: NumPy has nothing but the CPU.
    """
    ran = dict.fromkeys(result.cell for machine in machines for result in machine.results)
    choosing = [cell for cell in ran if cell.port in PORTS and PORTS[cell.port].framework.packages]
    wanted = dict.fromkeys(replace(cell, device=device) for device in devices for cell in choosing)
    return [cell for cell in wanted if cell not in ran]


def _refuse_absent(merged: Merged, require: Iterable[str]) -> None:
    """Raise Absent unless each required name ran somewhere, as a port, a device or a machine."""
    running = {name for r in merged.results for name in (r.cell.port, r.cell.device)}
    running |= {machine.name for machine in merged.machines}
    for name in require:
        if name not in running:
            raise Absent(f"required {name} is in no report: there are {', '.join(sorted(running))}")
