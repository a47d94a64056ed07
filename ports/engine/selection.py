"""Choose which cells of the matrix run: a selection becomes cells and skips, each with its reason.

The command line and the tests both choose here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ports.contract import Absent, Port
from ports.engine.results import SPIRAL, Cell, parts
from ports.messages import missing_packages
from ports.mixed import OWN_DTYPE
from ports.registry import PORTS
from reference.agreement.arithmetic import ARITHMETICS, DTYPES
from reference.arrays import packages_of
from reference.models import MODELS, Model

MODES = ("eager", "compiled")
#: Cells other than float64 in the framework's natural mode run this many steps, spread over the run.
SPREAD_STEPS = 20


@dataclass(frozen=True)
class Selection:
    """What was asked for. An empty tuple means everything that is here.

    `steps` is a number, "all", or None: all steps for float64 in the natural mode, SPREAD_STEPS
    elsewhere, which in 16 bits lie in the first part of the run. `require` names ports or devices that
    must be here: an absent one is an error, not a skip. `precision` is that of float32 products.
    """

    models: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    modes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    steps: int | str | None = None
    require: tuple[str, ...] = ()
    precision: str = "highest"

    def modes_of(self, port: Port, dtype: str, modes: Sequence[str]) -> Sequence[str]:
        """In which of these modes a dtype runs.

        A format that only stores, alone or in mixed precision, runs in the framework's natural mode,
        unless modes or dtypes were asked for: to compile everything once more for each would take longer
        than all other cells.
        """
        if self.dtypes or self.modes or not ARITHMETICS[port.narrowest(dtype)].stores:
            return modes
        return [mode for mode in modes if mode == port.host.natural_mode]

    def step_count(self, port: Port, cell: Cell) -> int | None:
        """How many steps the cell runs; None for all."""
        if self.steps == "all":
            return None
        if self.steps is not None:
            return int(self.steps)
        natural = cell.mode == port.host.natural_mode and cell.dtype == "float64"
        return None if natural else SPREAD_STEPS


@dataclass(frozen=True)
class Planned:
    """A cell that will run, and how many steps of it (None: all)."""

    cell: Cell
    port: Port
    steps: int | None
    precision: str = "highest"


@dataclass(frozen=True)
class Skipped:
    """What will not run, and why."""

    what: str
    reason: str


def choose(
    models: Iterable[str] = (),
    ports: Iterable[Port] = (),
    modes: Iterable[str] = (),
    devices: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    steps: int | str | None = None,
    require: Iterable[str] = (),
    precision: str = "highest",
) -> Selection:
    """Make a selection without duplicates. Raises ValueError for two ports of one name."""
    return Selection(
        tuple(dict.fromkeys(models)),
        _told_apart(ports),
        tuple(dict.fromkeys(modes)),
        tuple(dict.fromkeys(devices)),
        tuple(dict.fromkeys(dtypes)),
        steps,
        tuple(require),
        precision,
    )


def _told_apart(ports: Iterable[Port]) -> tuple[Port, ...]:
    """Drop repeated ports. Raises ValueError for two of one name: their rows would look alike."""
    found: dict[str, Port] = {}
    for port in ports:
        if found.setdefault(port.name, port) is not port:
            raise ValueError(
                f"two ports are called {port.name}: their rows could not be told apart; "
                "rename one of them, or run them one at a time"
            )
    return tuple(found.values())


def plan(selection: Selection) -> tuple[list[Planned], list[Skipped]]:
    """Lay out the matrix of what is here. Raises Absent for what is required but is not here."""
    planned: list[Planned] = []
    skipped: list[Skipped] = []
    found: dict[str, None] = {}
    for port in selection.ports or tuple(PORTS.values()):
        absence = port.absence()
        if absence:
            skipped.append(Skipped(port.name, absence))
            continue
        found |= dict.fromkeys(port.host.devices())
        cells, reasons = _cells(port, selection)
        planned += [
            Planned(cell, port, selection.step_count(port, cell), selection.precision) for cell in cells
        ]
        skipped += [reason for reason in reasons if reason not in skipped]
    if found:
        _refuse_unknown_devices(selection.devices, found)
    _refuse_absent(selection.require, planned, skipped)
    return planned, skipped


def _cells(port: Port, selection: Selection) -> tuple[list[Cell], list[Skipped]]:
    """One port's rows of the matrix."""
    host, cells, skipped = port.host, [], []
    modes = [m for m in selection.modes or host.modes if m in host.modes]
    if not modes:
        skipped.append(
            Skipped(f"{port.name} {selection.modes[0]}", f"its mode is {', '.join(host.modes)}")
        )
    uncompiled = host.compiler_absence() if "compiled" in modes else None
    if uncompiled:
        skipped.append(Skipped(f"{port.name} compiled", uncompiled))
        modes.remove("compiled")
    for device in selection.devices or host.devices():
        if device not in host.devices():
            here = ", ".join(host.devices())
            skipped.append(
                Skipped(f"{port.name} on {device}", f"its framework finds no {device}: {here}")
            )
            continue
        for dtype in selection.dtypes or _dtypes_of(port):
            if dtype not in port.dtypes(device):
                skipped.append(
                    Skipped(f"{port.name} {dtype} on {device}", _no_dtype(port, dtype, device))
                )
                continue
            in_modes = selection.modes_of(port, dtype, modes)
            who = port.name if port.mixed else port.framework.name
            skipped += [
                Skipped(f"{who} {mode} {dtype}", f"--dtype {dtype} runs it too")
                for mode in modes
                if mode not in in_modes
            ]
            for part in selection.models or parts():
                if hasattr(port.module, SPIRAL) if part == SPIRAL else port.has(MODELS[part]):
                    cells += [Cell(part, port.name, mode, device, dtype) for mode in in_modes]
    return cells, skipped


def _dtypes_of(port: Port) -> Sequence[str]:
    """The dtypes of the matrix that a port is meant for."""
    return [OWN_DTYPE] if port.mixed else DTYPES


def _no_dtype(port: Port, dtype: str, device: str) -> str:
    """Why a port does not run in a dtype on a device."""
    mixed = port.mixed
    if mixed and dtype != OWN_DTYPE:
        return f"it computes in {mixed.dtype} with {OWN_DTYPE} parameters: --dtype {OWN_DTYPE} runs it"
    needed = mixed.dtype if mixed else dtype
    return missing_packages(needed, packages_of(needed)) or f"{device} has no {needed}"


def one_cell(model: Model, port: Port, mode: str | None, device: str, dtype: str) -> Cell:
    """The one cell of a port that `lockstep run`, `show` and `drift` use; natural mode by default.

    Raises Absent for a port, mode or device that is not here.
    """
    modes = () if mode is None else (mode,)
    planned, skipped = plan(choose([model.name], [port], modes, [device], [dtype]))
    natural = [p for p in planned if mode or p.cell.mode == port.host.natural_mode]
    if not natural:
        reasons = (
            "; ".join(s.reason for s in skipped)
            or f"it has no {model.step_name} (--model chooses others)"
        )
        raise Absent(f"{port.name} cannot run here: {reasons}")
    return natural[0].cell


def natural_cells(
    model: Model, ports: Sequence[Port] = (), dtypes: Iterable[str] = ()
) -> list[tuple[Cell, Port]]:
    """The cells on the CPU, in the frameworks' natural modes, of these ports, or of all that are here.

    Raises Absent for a port that is named and does not run here, or if none does.
    """
    asked = choose([model.name], ports, devices=["cpu"], dtypes=dtypes, require=[p.name for p in ports])
    planned, skipped = plan(asked)
    natural = [(p.cell, p.port) for p in planned if p.cell.mode == p.port.host.natural_mode]
    if not natural:
        raise Absent("no port runs here: " + "; ".join(s.reason for s in skipped))
    return natural


def ports_here() -> list[Port]:
    """The registered ports whose packages are installed, but for those in mixed precision.

    These are another program than the others, which compute the same in any one dtype.
    """
    return [port for port in PORTS.values() if not port.absence() and not port.mixed]


def ports_of(model: Model, device: str, dtype: str) -> list[Port]:
    """The ports here that have a step for the model, and the dtype on that device.

    If the dtype is nowhere, they are those with a step: `one_cell` says of each why it cannot run.
    Raises Absent if no port has a step.
    """
    found = [port for port in ports_here() if port.has(model)]
    if not found:
        raise Absent(f"no registered port has a {model.step_name}: name a file that has one with --port")
    return [port for port in found if dtype in port.host.dtypes(device)] or found


def models_of(ports: Sequence[Port]) -> list[Model]:
    """The models that all of these ports have; of no ports, those that some registered port has.

    Raises ValueError if there is none.
    """
    if not ports:
        return [m for m in MODELS.values() if any(port.has(m) for port in ports_here())]
    shared = [m for m in MODELS.values() if all(port.absence() or port.has(m) for port in ports)]
    if not shared:
        names = ", ".join(port.name for port in ports)
        raise ValueError(f"{names} have no model in common: run them one at a time")
    return shared


def _refuse_unknown_devices(asked: tuple[str, ...], found: Iterable[str]) -> None:
    here = list(found)
    for device in asked:
        if device not in here:
            raise Absent(
                f"no framework here finds the device {device!r}: found {', '.join(here) or 'none'}; "
                "see lockstep doctor"
            )


def _refuse_absent(require: tuple[str, ...], planned: list[Planned], skipped: list[Skipped]) -> None:
    """Raise Absent unless each required name runs, as a port or as a device."""
    running = {p.cell.port for p in planned} | {p.cell.device for p in planned}
    for name in require:
        if name not in running:
            reasons = [s.reason for s in skipped if name in s.what]
            why = reasons[0] if reasons else f"these run: {', '.join(sorted(running)) or 'none'}"
            raise Absent(f"required {name} does not run here: {why}")
