"""Which cells of the matrix run: options in, cells and skips (each with its reason) out.

The command line and pytest both choose through here.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ports.contract import Absent, Port
from ports.engine.results import SPIRAL, Cell, parts
from ports.registry import PORTS
from reference.agreement.arithmetic import DTYPES
from reference.models import MODELS, Model

MODES = ("eager", "compiled")
#: Cells other than float64 in the framework's natural mode run this many steps, spread over the run.
SPREAD_STEPS = 20


#: Longer numbers are no sizes of anything.
MOST_DIGITS = 12


@dataclass(frozen=True)
class Selection:
    """What was asked for; an empty tuple means everything here.

    `steps` is a number, "all", or None: all steps for float64 in the natural mode, SPREAD_STEPS
    elsewhere. `require` names ports or devices that must be here: absent is an error, not a skip.
    """

    models: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    modes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    steps: int | str | None = None
    require: tuple[str, ...] = ()

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


@dataclass(frozen=True)
class Skipped:
    """What will not run, and why."""

    what: str
    reason: str


def select(
    models: Iterable[str] = (),
    ports: Iterable[str] = (),
    modes: Iterable[str] = (),
    devices: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    steps: str | None = None,
    require: Iterable[str] = (),
) -> Selection:
    """Check the options' words; one said twice counts once.

    Raises ValueError, with the words there are, for an unknown one, and for two ports of one name.
    """
    return Selection(
        tuple(named("model", m, parts()) for m in dict.fromkeys(models)),
        _ports_apart(dict.fromkeys(ports)),
        tuple(named("mode", m, MODES) for m in dict.fromkeys(modes)),
        tuple(dict.fromkeys(devices)),
        tuple(named("dtype", d, DTYPES) for d in dict.fromkeys(dtypes)),
        parse_steps(steps),
        tuple(require),
    )


def _ports_apart(words: Iterable[str]) -> tuple[Port, ...]:
    """The ports of these words, whose rows go by their names. Raises ValueError for one name twice."""
    from ports.user_port import find_port

    found: dict[str, Port] = {}
    for word in words:
        port = find_port(word)
        if port.name in found:
            raise ValueError(
                f"two ports are called {port.name}: their rows could not be told apart; "
                "rename one of them, or run them one at a time"
            )
        found[port.name] = port
    return tuple(found.values())


def plan(selection: Selection) -> tuple[list[Planned], list[Skipped]]:
    """Lay out the matrix of what is here. Raises Absent for what is required and is not."""
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
        planned += [Planned(cell, port, selection.step_count(port, cell)) for cell in cells]
        skipped += reasons
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
        for dtype in selection.dtypes or DTYPES:
            if dtype not in host.dtypes(device):
                skipped.append(Skipped(f"{port.name} {dtype} on {device}", f"{device} has no {dtype}"))
                continue
            for part in selection.models or parts():
                if hasattr(port.module, part if part == SPIRAL else MODELS[part].step_name):
                    cells += [Cell(part, port.name, mode, device, dtype) for mode in modes]
    return cells, skipped


def one_cell(
    model: Model, port_name: str, mode: str | None, device: str, dtype: str
) -> tuple[Port, Cell]:
    """The one cell that `lockstep run` and `show` use; natural mode by default.

    Raises ValueError for an unknown word, Absent for a port, mode or device that is not here.
    """
    modes = () if mode is None else (mode,)
    planned, skipped = plan(select([model.name], [port_name], modes, [device], [dtype]))
    natural = [p for p in planned if mode or p.cell.mode == p.port.host.natural_mode]
    if not natural:
        reasons = (
            "; ".join(s.reason for s in skipped)
            or f"it has no {model.step_name} (--model chooses others)"
        )
        raise Absent(f"{port_name} cannot run here: {reasons}")
    return natural[0].port, natural[0].cell


def named(kind: str, word: str, words: Sequence[str]) -> str:
    """The word itself. Raises ValueError, listing the words there are, for any other."""
    if word not in words:
        near = difflib.get_close_matches(word, words, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown {kind} {word!r}: {hint}expected one of {', '.join(words)}")
    return word


def parse_steps(steps: str | None) -> int | str | None:
    """A number of steps, at least 1, or "all". Raises ValueError for anything else."""
    if steps is None or steps == "all":
        return steps
    return positive("steps", steps, otherwise=' or "all"')


def positive(what: str, text: str, least: int = 1, otherwise: str = "") -> int:
    """A whole number of at least `least` from an option's text. Raises ValueError."""
    if not _is_whole(text) or int(text) < least:
        long = len(text) > MOST_DIGITS
        shown = f"{text[:MOST_DIGITS]}..." if long else text
        raise ValueError(
            f"{what} is {shown!r}: expected a whole number of at least {least}{otherwise}"
            + (f", of at most {MOST_DIGITS} digits" if long and text.isdecimal() else "")
        )
    return int(text)


def _is_whole(text: str) -> bool:
    """Whether it is a number in ASCII digits, no longer than any real one."""
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def step_of_run(text: str, model: Model) -> int:
    """One step of the note's run of a model, from an option's text. Raises ValueError."""
    i = positive("step", text, least=0)
    if i >= model.iterations:
        raise ValueError(f"step is {i}: the {model.name} run has steps 0 to {model.iterations - 1}")
    return i


def seed_number(text: str) -> int:
    """A seed that NumPy's RandomState takes. Raises ValueError."""
    if not _is_whole(text) or int(text) >= 2**32:
        raise ValueError(f"seed is {text!r}: expected a whole number from 0 to 2**32 - 1")
    return int(text)


def _refuse_unknown_devices(asked: tuple[str, ...], found: Iterable[str]) -> None:
    here = list(found)
    for device in asked:
        if device not in here:
            raise Absent(
                f"no framework here finds the device {device!r}: found {', '.join(here) or 'none'}; "
                "see lockstep doctor"
            )


def _refuse_absent(require: tuple[str, ...], planned: list[Planned], skipped: list[Skipped]) -> None:
    """Required names must run: as a port or as a device."""
    running = {p.cell.port for p in planned} | {p.cell.device for p in planned}
    for name in require:
        if name not in running:
            reasons = [s.reason for s in skipped if name in s.what]
            why = reasons[0] if reasons else f"running are {', '.join(sorted(running)) or 'none'}"
            raise Absent(f"required {name} does not run here: {why}")
